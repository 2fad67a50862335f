"""The samples of a job as requests to send, whoever sends them, and what is wrong with an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

from pyjob.errors import JobError, kind_of, message_of
from pyjob.job.endpoints import Endpoint, Method
from pyjob.job.paths import BRACES
from pyjob.method.conversion import Converter, converter_of, json_or_text
from pyjob.openapi.document import CALLS
from pyjob.wire.results.formats import fault_in

if TYPE_CHECKING:
    from werkzeug.test import Client


@dataclass(frozen=True)
class SampleRequest:
    """One sample of one endpoint, ready to be sent.

    ``endpoint`` is the path as the job has it (`/items/{item}`), ``path`` and ``query`` are quoted, ``body``
    is to be sent as JSON; GET has none.
    """

    method: Method
    endpoint: str
    sample: str
    path: str
    query: str = ""
    body: dict[str, Any] | None = None

    @property
    def url(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def __str__(self) -> str:
        return f"{self.method} {self.endpoint}, {self.sample}"


def sample_requests(endpoints: Iterable[Endpoint]) -> Iterator[SampleRequest]:
    """A request for each sample of each of ``endpoints``."""
    for endpoint in endpoints:
        for name, sample in endpoint.samples.items():
            yield _request(endpoint, name, sample)


def error_of(answer: Response) -> JobError | None:
    """What a caller is told by an ``answer`` of 400 or more; None for any other."""
    if answer.status_code < 400:
        return None
    told = answer.get_json(silent=True)
    if not isinstance(told, dict):  # the job's own response
        told = {"error": answer.get_data().decode(errors="replace")}
    phrase = _phrase(answer.status_code)
    return JobError(
        answer.status_code,
        str(told.get("error") or phrase),
        kind=str(told.get("type") or phrase),
        headers=dict(answer.headers),
    )


def failure_of(answer: Response) -> str | None:
    """One line that says what is wrong with ``answer``; None where it is fine."""
    error = error_of(answer)
    if error is None:
        return None
    return f"{error.status} {_phrase(error.status)}: {error.message} ({error.kind})"


def attempt(
    client: Client, request: SampleRequest, is_late: Callable[[], bool] = lambda: False
) -> str | None:
    """Send ``request`` by ``client``: what is wrong with the answer, in one line; None where it is fine.

    A stream, which may have no end, is read until ``is_late``.
    """
    try:
        with client.open(request.url, method=request.method, json=request.body) as answer:
            has_length = "Content-Length" in answer.headers
            # Read to its end: a stream may break off, and a call that is left unread would keep its slot.
            data = b"".join(takewhile(lambda _: not is_late(), answer.iter_encoded()))
        answer.set_data(data)
        fault = None if has_length else fault_in(answer.mimetype or "", data)
        if fault is not None:
            return f"the stream broke off: {fault[0]} ({fault[1]})"
        return failure_of(answer)
    except BaseException as error:  # noqa: BLE001  whatever breaks a stream
        return f"the answer broke off: {message_of(error)} ({kind_of(error)})"


def _phrase(status: int) -> str:
    return HTTP_STATUS_CODES.get(status, "Error")


def _request(endpoint: Endpoint, name: str, sample: Mapping[str, Any]) -> SampleRequest:
    converters = {p.name: converter_of(p) for p in endpoint.signature.parameters}
    texts = {key: _text(value, converters.get(key, json_or_text)) for key, value in sample.items()}
    rest = sample.keys() - set(endpoint.path_names)
    literals, names = BRACES.split(endpoint.path)[::2], endpoint.path_names
    # A name that the sample lacks leaves a gap, and the answer is what a caller would get.
    filled = [quote(texts.get(key) or "", safe="") for key in names]
    path = CALLS + "".join(
        f"{quote(text)}{value}" for text, value in zip_longest(literals, filled, fillvalue="")
    )
    if endpoint.method == "POST":
        body = {key: value for key, value in sample.items() if key in rest}
        return SampleRequest("POST", endpoint.path, name, path, body=body)
    query = {key: text for key, text in texts.items() if key in rest and text is not None}
    return SampleRequest("GET", endpoint.path, name, path, query=urlencode(query))


def _text(value: object, convert: Converter) -> str | None:
    """The text that ``convert`` makes ``value`` of; None for a null that has none, so is to be left out."""
    text = value if isinstance(value, str) else json.dumps(value)
    read = convert(text)
    if value is None and read is not None:
        return None
    # A string that would be read as something else, such as "5" where the annotation says nothing.
    return text if not isinstance(value, str) or read == value else json.dumps(value)
