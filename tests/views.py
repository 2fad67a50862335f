"""Jobs with a web application at hand, for tests of what stands around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.test import EnvironBuilder

import pyjob

BASE = "/pub/job/viewed/0.0.1/api/v1/webview"
HTML = [("Content-Type", "text/html")]

Application = Callable[[Any, Any], Any]
IDS = frozenset(("x-request-tracing-id", "x-request-id"))


def without_ids(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """``headers`` but for the id of the request, which is another each time."""
    return [(name, value) for name, value in headers if name.lower() not in IDS]


class Viewed:
    """A job whose pages ``application`` makes. ``perform`` runs what it was given, if anything."""

    request_context: Any
    request_extra: Any

    def __init__(self, application: object, perform: Callable[[], object] = lambda: 1) -> None:
        self.application = application
        self.given = perform
        self.base_url = ""

    def perform(self) -> object:
        return self.given()

    def webview_app(self, base_url: str) -> object:
        self.base_url = base_url
        return self.application


def echo(environ: Any, start_response: Any) -> list[bytes]:
    """Tells what it sees."""
    names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([environ[name] for name in names]).encode()]


class Body:
    """An iterable that counts how often it is closed; an error among its ``pieces`` is raised."""

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self.pieces = iter(pieces)
        self.closed = 0

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        piece = next(self.pieces)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def close(self) -> None:
        self.closed += 1


def answering(body: Any, status: str = "200 OK", **headers: str) -> Application:
    """An application that answers ``body``."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response(status, [*HTML, *headers.items()])
        return body

    return application


class Server:
    """A server that passes on what it is given; its start_response raises ``refusing``, if anything."""

    def __init__(self, application: Application, refusing: BaseException | None = None) -> None:
        self.application = pyjob.create(Viewed(application), load="now")
        self.refusing = refusing
        self.heads: list[Any] = []
        self.written: list[bytes] = []

    def ask(self, method: str = "GET", *, wrapper: Any = None) -> Any:
        """What the application returns; ``wrapper`` is the server's for files."""
        environ = EnvironBuilder("/webview/", method=method).get_environ()
        if wrapper is not None:
            environ["wsgi.file_wrapper"] = wrapper
        return self.application(environ, self._start_response)

    def _start_response(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info:
            raise exc_info[1]
        self.heads.append((status, without_ids(headers)))
        if self.refusing is not None:
            raise self.refusing
        return self.written.append

    def is_free(self) -> bool:
        """Whether no page holds a slot."""
        return self.application.gates.running == 0
