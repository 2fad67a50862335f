"""A server that answers as it is told, byte by byte, and counts who comes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 30.0
# What comes after an answer: the next request, the end of the connection, nothing until the caller leaves.
KEEP, CLOSE, HOLD = "keep", "close", "hold"


@dataclass
class Reply:
    """Bytes, what is done ``before`` they are sent, and what comes ``after`` them, and ``then``."""

    data: bytes = b""
    then: str = KEEP
    before: Callable[[], object] = lambda: None
    after: Callable[[socket.socket], object] = lambda _: None


def answer(body: bytes = b"{}", status: str = "200 OK", then: str = KEEP, **headers: str) -> Reply:
    """A well-formed one; of ``headers``, underscores mean dashes."""
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return Reply(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body, then)


def chunked(*pieces: bytes, kind: str = "application/x-ndjson", then: str = KEEP, end: bool = True) -> Reply:
    """An answer in chunks; without its ``end`` it is cut off there."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + (
        b"0\r\n\r\n" if end else b""
    )
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Reply(head.encode() + body, then)


@dataclass
class Scripted:
    """Gives the replies in order, whichever connection asks; the last one again and again."""

    replies: Sequence[Reply]
    tls: ssl.SSLContext | None = None
    url: str = ""
    accepted: int = 0
    requests: list[bytes] = field(default_factory=list)
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    left: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait_for(self, what: threading.Semaphore) -> None:
        assert what.acquire(timeout=PATIENCE)

    def serve(self, connection: socket.socket) -> None:
        if self.tls is not None:
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:  # it does not like us
                connection.close()
                return
        with connection, suppress(OSError), connection.makefile("rb") as reader:
            while request := _read(reader):
                at = len(self.requests)
                self.requests.append(request)
                self.asked.release()
                reply = self.replies[min(at, len(self.replies) - 1)]
                reply.before()
                connection.sendall(reply.data)
                reply.after(connection)
                if reply.then == HOLD:
                    with suppress(ConnectionError):
                        reader.read(1)
                    self.left.release()
                if reply.then != KEEP:
                    return


def _read(reader: Any) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return b""
        head += line
    names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    body: bytes = reader.read(int(names.get(b"content-length", 0)))
    while names.get(b"transfer-encoding") == b"chunked":
        size = int(reader.readline(), 16)
        body += reader.read(size)
        reader.readline()
        if not size:
            break
    return head + body


@contextmanager
def scripted(*replies: Reply, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """A `Scripted` that listens; it ends with the block."""
    script = Scripted(replies, tls)
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                if script.accepted < 0:
                    connection.close()
                    return
                script.accepted += 1
                threads.append(threading.Thread(target=script.serve, args=(connection,), daemon=True))
                threads[-1].start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield script
        finally:
            count, script.accepted = script.accepted, -1
            socket.create_connection(listener.getsockname()).close()
            acceptor.join(PATIENCE)
            script.accepted = count
