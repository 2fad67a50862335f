"""What to answer to an exception (SPEC 4.4).

An exception is the author's object: its attributes, and even its text, may raise. It is read once, here,
and reading it never fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from pyjob.environment.mask import Mask
from pyjob.errors import JobError, exact_str, kind_of, message_of
from pyjob.wire.response import Response, error_response

Headers = tuple[tuple[str, str], ...]

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
# The answer has its own body, and the connection belongs to the server (RFC 9110, 7.6.1).
NOT_THE_JOBS = frozenset(
    (
        *("content-type", "content-length", "connection", "keep-alive"),
        *("te", "trailer", "trailers", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization"),
    )
)


@dataclass(frozen=True)
class Failure:
    """An exception as an answer; ``response`` where the exception brought one of its own."""

    status: int
    message: str
    kind: str
    headers: Headers = ()
    response: WerkzeugResponse | None = None

    def masked(self, mask: Mask) -> Failure:
        """The same without secret values; a response of the job's own is its own affair."""
        if not mask:
            return self
        headers = tuple((name, mask(value)) for name, value in self.headers if mask(name) == name)
        return replace(self, message=mask(self.message), kind=mask(self.kind), headers=headers)

    def answer(self) -> Response:
        """The JSON error."""
        return error_response(self.status, self.message, self.kind, self.headers)


def failure_of(error: BaseException) -> Failure:
    """The status that ``error`` carries, from 400 to 599; 400 for a ValueError, else 500. Never raises."""
    kind = kind_of(error)
    try:
        if not isinstance(error, Exception):  # SystemExit has a `code`, but no status
            return Failure(500, message_of(error), kind)
        return _read(error, kind)
    except BaseException:  # noqa: BLE001  the author's properties
        return Failure(500, kind, kind)


def _read(error: Exception, kind: str) -> Failure:
    if isinstance(error, JobError):
        status = _valid(getattr(error, "status", None)) or 500
        message = getattr(error, "message", None)
        headers = _safe_headers(dict(getattr(error, "headers", None) or {}).items())
        text = message_of(error) if message is None else exact_str(message)
        return Failure(status, text, exact_str(getattr(error, "kind", "") or kind), headers)
    if isinstance(error, HTTPException) and isinstance(error.response, WerkzeugResponse):
        status = int.__int__(error.response.status_code)
        return Failure(status, _description(error), kind, response=error.response)
    status = _valid(getattr(error, "status_code", None)) or _valid(getattr(error, "code", None)) or 0
    if not status:
        return Failure(400 if isinstance(error, ValueError) else 500, message_of(error), kind)
    return Failure(status, _description(error), kind, _safe_headers(_headers_of(error)))


def _headers_of(error: Exception) -> Iterable[tuple[object, object]]:
    """What ``error`` would send beside its page: Allow, Retry-After, WWW-Authenticate, ..."""
    if isinstance(error, HTTPException):
        return error.get_headers()
    # Starlette's, which is that of FastAPI, too. The headers of others may be what a client was answered.
    is_starlettes = any(
        cls.__name__ == "HTTPException" and cls.__module__ == "starlette.exceptions"
        for cls in type(error).__mro__
    )
    return dict(getattr(error, "headers", None) or {}).items() if is_starlettes else ()


def _valid(status: object) -> int | None:
    if not isinstance(status, int) or isinstance(status, bool):
        return None
    number = int.__int__(status)  # whatever a subclass says of itself
    return number if 400 <= number <= 599 else None


def _description(error: BaseException) -> str:
    for name in ("description", "detail", "message"):
        text = getattr(error, name, None)
        if isinstance(text, str) and (exact := exact_str(text)):
            return exact
    return message_of(error)


def _safe_headers(headers: Iterable[tuple[object, object]]) -> Headers:
    """Those of ``headers`` that a server can send and that are the job's to choose."""
    texts = ((exact_str(name), exact_str(value)) for name, value in headers)
    return tuple(
        (name, value)
        for name, value in texts
        if HEADER_NAME.match(name) and HEADER_VALUE.match(value) and name.lower() not in NOT_THE_JOBS
    )
