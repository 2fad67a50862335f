"""Answers as values: a `Response` is a WSGI application that always says the same.

Only this module renders error bodies (SPEC 4.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Python 3.13 has renamed these: the `type` that callers compare would depend on the Python that serves.
SETTLED = {
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}
PHRASES = {status.value: status.phrase for status in HTTPStatus} | SETTLED
STATUS_LINES = MappingProxyType({status: f"{status} {phrase}" for status, phrase in PHRASES.items()})
JSON_HEADER = ("Content-Type", "application/json")


class Response:
    """A complete answer: ``status`` line, ``headers``, ``body``."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def sent(self) -> int:
        """How many bytes it sends."""
        return len(self.body)

    @property
    def is_whole(self) -> bool:
        """Whether all of them are known to have been sent: the server does not tell."""
        return False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # A copy: servers may change the list (PEP 3333), and some answers are given many times.
        start_response(self.status, self.headers.copy())
        return [self.body]


def status_line(status: int) -> str:
    """Status and phrase, as WSGI wants them."""
    return STATUS_LINES.get(status) or f"{status} Unknown"


def bytes_response(
    status: int, content_type: str, body: bytes, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    """``body`` under ``content_type``, with its length."""
    return Response(
        status_line(status),
        [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers],
        body,
    )


def json_response(status: int, value: object, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """``value`` must be plain JSON; results of a job go through `pyjob.wire.results`."""
    return bytes_response(status, "application/json", json.dumps(value).encode(), headers)


def error_response(
    status: int, message: str, kind: str = "", headers: Iterable[tuple[str, str]] = ()
) -> Response:
    """The one shape of errors: ``{"error": message, "type": exception or status name}``."""
    kind = kind or STATUS_LINES.get(status, "Error").partition(" ")[2]
    return json_response(status, {"error": message, "type": kind}, headers)
