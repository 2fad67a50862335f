"""The result of a call as an answer (SPEC 4.5, 4.8)."""

from __future__ import annotations

from contextlib import ExitStack
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response as WerkzeugResponse

from pyjob.errors import ResultError
from pyjob.method.returns import OPAQUE, is_body, is_file, is_media_type, is_picture
from pyjob.wire.compression import SMALLEST, compressed
from pyjob.wire.downloads.download import Answer, Downloads, Encode
from pyjob.wire.downloads.response import Response as JobResponse
from pyjob.wire.downloads.response import checked_field
from pyjob.wire.failure import HEADER_VALUE, NOT_THE_JOBS
from pyjob.wire.response import JSON_HEADER, Response
from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

OF_BODY = ("content-type", "content-length")
PLAIN_TYPES = frozenset({dict, list, str, int, float, bool, type(None)})


class Results:
    """Makes answers of what one endpoint returns; ``encode`` writes its JSON.

    ``folder`` is that of the job; ``media_type``, if any, what the endpoint says of results that are no JSON.
    """

    def __init__(self, encode: Encode, folder: Path, media_type: str | None = None) -> None:
        self.encode = encode
        self._downloads = Downloads(encode, folder)
        self.media_type = media_type
        self._json_types = PLAIN_TYPES if media_type is None else PLAIN_TYPES - {str}

    def answer(self, result: object, environ: WSGIEnvironment) -> Answer:
        """The 200 answer with ``result``: JSON, or what is sent as it is; a response of its own as it is.

        Raises `ResultError` for what cannot be sent.
        """
        if type(result) not in self._json_types:
            if isinstance(result, WerkzeugResponse):
                return own_response(result, environ)
            response = self._response_of(result)
            if response is not None:
                return self._downloads.answer(response, environ)
        body = self.encode(result)
        answer = Response("200 OK", [JSON_HEADER, ("Content-Length", str(len(body)))], body)
        return answer if len(body) <= SMALLEST else compressed(answer, environ)

    def _response_of(self, result: object) -> JobResponse | None:
        """``result`` as what the job might have written out; None where it is sent as JSON."""
        if isinstance(result, JobResponse):
            return result
        if type(result) is tuple:
            return JobResponse(result[0], result[1]) if _is_pair(result) else None
        if self.media_type is not None and is_body(result):
            return JobResponse(result, self.media_type)
        is_own = isinstance(result, OPAQUE) or is_picture(result) or is_file(result)
        return JobResponse(result) if is_own else None


def _is_pair(result: tuple[object, ...]) -> bool:
    """Whether it is a body and its media type."""
    if len(result) != 2 or type(result[1]) is not str:
        return False
    return is_media_type(result[1]) and is_body(result[0])


def own_response(response: WerkzeugResponse, environ: WSGIEnvironment) -> Response | StreamedResponse:
    """A response that the job made (werkzeug, Flask), made ready while its faults can still be answered."""
    body, status, headers = response.get_wsgi_response(environ)
    close = getattr(body, "close", None)
    with ExitStack() as at_end:
        if close is not None:
            at_end.callback(close)  # what its author wants done then (`call_on_close`)
        headers = _sendable(status, headers)
        if not response.is_streamed:
            return Response(status, headers, b"".join(body))
        at_end.pop_all()  # whoever sends the stream closes it
    return StreamedResponse(status, headers, body, copy_context())


def _sendable(status: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of ``headers`` that are not the server's, such as what another server said of its connection.

    Raises `ResultError` for what no answer can have.
    """
    if not HEADER_VALUE.match(status):
        raise ResultError("Response: status: expected one line of Latin-1, found other characters")
    own = [pair for pair in headers if pair[0].lower() in OF_BODY or pair[0].lower() not in NOT_THE_JOBS]
    return [checked_field(*pair) for pair in own]
