"""Requests to a WSGI application in this process (PEP 3333)."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from pyjob.client.request import Request
from pyjob.client.transport.deadline import Deadline

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

HOST = "localhost"


class InProcess:
    """Carries requests to ``application``, which runs in the thread that asks: no deadline ends it."""

    def __init__(self, application: WSGIApplication) -> None:
        self.host = HOST
        self._application = application

    def exchange(self, request: Request, deadline: Deadline) -> ApplicationAnswer:
        """The answer of the application. Raises what it raises."""
        return ApplicationAnswer(self._application, _environ(request))

    def close(self) -> None:
        """Nothing is kept."""


class ApplicationAnswer:
    """What an application answers, as it makes it."""

    def __init__(self, application: WSGIApplication, environ: WSGIEnvironment) -> None:
        self.status = 0
        self.reason = ""
        self.headers = HTTPMessage()
        self._written: list[bytes] = []
        self._body: Iterable[bytes] = application(environ, self._start)
        self._pieces: Iterator[bytes] = iter(self._body)
        self._is_closed = False
        # The head need not be there before the first piece is.
        while not self.status and not self._written:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._written += [piece] if piece else []
        if not self.status:
            self.close()
            raise RuntimeError("the application has not called start_response")
        self._is_bodiless = environ["REQUEST_METHOD"] == "HEAD" or self.status in (204, 304)

    def piece(self) -> bytes:
        """The next bytes of the body; none at its end. Raises what the application raises."""
        if self._is_closed:
            return b""
        if self._written:
            return self._written.pop(0)
        piece = b"" if self._is_bodiless else next(filter(None, self._pieces), b"")
        if not piece:
            self.close()
        return piece

    def close(self) -> None:
        """Tell the application that nobody reads on."""
        if not self._is_closed:
            self._is_closed = True
            close: Callable[[], object] | None = getattr(self._body, "close", None)
            if close is not None:
                close()

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        number, _, self.reason = status.partition(" ")
        self.status = int(number)
        self.headers = HTTPMessage()
        for name, value in headers:
            self.headers[name] = value
        return self._written.append


class _Input(io.RawIOBase):
    """The body of a request, to be read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(filter(None, self._pieces), b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _environ(request: Request) -> WSGIEnvironment:
    path, _, query = request.target.partition("?")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": HOST,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BufferedReader(_Input(request.body.pieces())),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.sent_headers(HOST):
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ
