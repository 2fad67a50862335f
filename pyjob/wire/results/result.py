"""The result of a call as an answer (SPEC 4.5, 4.8)."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response as WerkzeugResponse

from pyjob.wire.response import JSON_HEADER, Response, bytes_response
from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PLAIN_TYPES = frozenset({dict, list, str, int, float, bool, type(None)})

# A value as JSON in UTF-8. Raises `ResultError`.
Encode = Callable[[object], bytes]


class Results:
    """Makes answers of what one endpoint returns; ``encode`` writes its JSON."""

    def __init__(self, encode: Encode) -> None:
        self.encode = encode

    def answer(self, result: object, environ: WSGIEnvironment) -> Response | StreamedResponse:
        """The 200 answer with ``result``: JSON, or bytes as they are; a response of its own as it is.

        Raises `ResultError` for what cannot be encoded.
        """
        if type(result) not in PLAIN_TYPES:
            if isinstance(result, (bytes, bytearray, memoryview)):
                return bytes_response(200, "application/octet-stream", bytes(result))
            if isinstance(result, WerkzeugResponse):
                return own_response(result, environ)
        body = self.encode(result)
        return Response("200 OK", [JSON_HEADER, ("Content-Length", str(len(body)))], body)


def own_response(response: WerkzeugResponse, environ: WSGIEnvironment) -> Response | StreamedResponse:
    """A response that the job made (werkzeug, Flask), made ready while its faults can still be answered."""
    body, status, headers = response.get_wsgi_response(environ)
    if response.is_streamed:
        return StreamedResponse(status, headers, body, copy_context())
    return Response(status, headers, b"".join(body))
