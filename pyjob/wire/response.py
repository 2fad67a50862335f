"""Answers as values: a `Response` is a WSGI application that always says the same.

Only this module renders error bodies (SPEC 4.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException

from pyjob.errors import JobError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STATUS_LINES = MappingProxyType({status.value: f"{status.value} {status.phrase}" for status in HTTPStatus})
JSON_HEADER = ("Content-Type", "application/json")


class Response:
    """A complete answer: ``status`` line, ``headers``, ``body``."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # A copy: servers may change the list (PEP 3333), and some answers are given many times.
        start_response(self.status, self.headers.copy())
        return [self.body]


def status_line(status: int) -> str:
    return STATUS_LINES.get(status) or f"{status} Unknown"


def bytes_response(
    status: int, content_type: str, body: bytes, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    return Response(
        status_line(status),
        [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers],
        body,
    )


def json_response(status: int, value: object, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """``value`` must be plain JSON; results of a job go through `pyjob.wire.result`."""
    return bytes_response(status, "application/json", json.dumps(value).encode(), headers)


def error_response(
    status: int, message: str, kind: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """The one shape of errors: ``{"error": message, "type": exception or status name}``."""
    kind = kind or STATUS_LINES.get(status, "Error").partition(" ")[2]
    return json_response(status, {"error": message, "type": kind}, (headers or {}).items())


def failure_response(error: BaseException) -> Response:
    """The answer to an exception that a job raised: its own status, 400 for ValueError, else 500."""
    if isinstance(error, JobError):
        return error_response(http_status(error) or 500, error.message, error.kind, error.headers)
    if isinstance(error, HTTPException):
        return _werkzeug_response(error)
    status = http_status(error)
    if status is not None:
        return error_response(status, _description(error), type(error).__name__)
    status = 400 if isinstance(error, ValueError) else 500
    return error_response(status, message_of(error), type(error).__name__)


def http_status(error: BaseException) -> int | None:
    """The status from 400 to 599 that ``error`` carries, if any (SPEC 4.4)."""
    if not isinstance(error, Exception):  # SystemExit has a `code` too
        return None
    for name in ("status", "status_code", "code") if isinstance(error, JobError) else ("status_code", "code"):
        status = getattr(error, name, None)
        if isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599:
            return status
    return None


def message_of(error: BaseException) -> str:
    """``str(error)``, or the name of its type where it has no text or its ``__str__`` fails."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001  the author's __str__
        return type(error).__name__


def _description(error: BaseException) -> str:
    for name in ("description", "detail", "message"):
        text = getattr(error, name, None)
        if isinstance(text, str) and text:
            return text
    return message_of(error)


def _werkzeug_response(error: HTTPException) -> Response:
    if error.response is not None or error.code is None:
        status = error.response.status_code if error.response is not None else 500
        return error_response(status, _description(error), type(error).__name__)
    # What the exception would send beside its HTML page: Allow, Retry-After, WWW-Authenticate, ...
    extra = {k: v for k, v in error.get_headers() if k.lower() not in ("content-type", "content-length")}
    return error_response(error.code, _description(error), type(error).__name__, extra)
