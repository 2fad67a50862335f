"""Requests byte for byte, as no library would send them, and their answers, one after the other."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

Header = tuple[str, str]


@dataclass(frozen=True)
class RawAnswer:
    """What came back, names of headers in lower case; the status is 0 where nothing did."""

    status: int
    headers: dict[str, str]
    body: bytes


NONE = RawAnswer(0, {}, b"")


class RawClient:
    """One connection that is kept, and made again by ``connect`` where the server has closed it."""

    def __init__(self, connect: Callable[[], socket.socket], host: str = "127.0.0.1") -> None:
        self._connect = connect
        self._host = host
        self._socket: socket.socket | None = None
        self._reader: BinaryIO | None = None

    @classmethod
    def to(cls, port: int) -> RawClient:
        """A client of the server at ``port``, without TLS."""
        return cls(lambda: socket.create_connection(("127.0.0.1", port), timeout=60))

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, method: str, target: bytes, headers: Iterable[Header] = (), body: bytes = b"") -> RawAnswer:
        """The answer to ``target`` as it stands; a Host comes first unless ``headers`` have one."""
        lines = list(headers)
        if not any(name.lower() == "host" for name, _ in lines):
            lines.insert(0, ("Host", self._host))
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(("Content-Length", str(len(body))))
        head = b"%s %s HTTP/1.1\r\n" % (method.encode(), target)
        head += "".join(f"{name}: {value}\r\n" for name, value in lines).encode("latin-1")
        request = head + b"\r\n" + body
        is_new = self._socket is None
        answer = self._exchange(method, request)
        if answer is None and not is_new:  # a kept connection may have been closed since its last answer
            answer = self._exchange(method, request)
        return answer or NONE

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._reader = None

    def _exchange(self, method: str, request: bytes) -> RawAnswer | None:
        if self._socket is None or self._reader is None:
            self._socket = self._connect()
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._reader = self._socket.makefile("rb")
        with suppress(ConnectionError):  # it may be refused before all of it is sent, with an answer
            self._socket.sendall(request)
        try:
            answer = _read(self._reader, method)
        except ConnectionError:
            answer = None
        if answer is None or answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer


def _read(reader: BinaryIO, method: str) -> RawAnswer | None:
    first = reader.readline()
    if not first.startswith(b"HTTP/1."):
        return None
    status = int(first.split(b" ", 2)[1])
    headers = {}
    while (line := reader.readline().strip(b"\r\n")) != b"":
        name, _, value = line.decode("latin-1").partition(": ")
        headers[name.lower()] = value
    if method == "HEAD" or status in (204, 304):
        return RawAnswer(status, headers, b"")
    if headers.get("transfer-encoding", "") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
        return RawAnswer(status, headers, body)
    if "content-length" in headers:
        return RawAnswer(status, headers, reader.read(int(headers["content-length"])))
    headers["connection"] = "close"  # it ends with the connection
    return RawAnswer(status, headers, reader.read())
