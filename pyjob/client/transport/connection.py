"""One connection to a server, and what goes over it (RFC 9112)."""

from __future__ import annotations

import io
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

from pyjob.client.request import Address, Request
from pyjob.client.transport.deadline import Deadline, shut_down

SWITCHING = 101


class Connection:
    """A connected ``socket``; for one request at a time, each with its own `Deadline`."""

    def __init__(self, connected: socket.socket, host: str) -> None:
        self.process = os.getpid()
        self.idle_since = 0.0
        self.is_sent = False  # all of the request
        self._socket = connected
        self._host = host
        self._incoming = _Incoming(connected)
        self._reader = _Reader(self._incoming)
        self._deadline = Deadline(None)

    @property
    def has_received(self) -> bool:
        """Whether anything has come since `begin`."""
        return self._incoming.count > 0

    @property
    def is_closed(self) -> bool:
        """Whether `close` has been called."""
        return self._socket.fileno() < 0

    def begin(self, deadline: Deadline) -> None:
        """From now on it is used for a call with this ``deadline``."""
        self._deadline = self._incoming.deadline = deadline
        self._incoming.count = 0
        self._incoming.is_open = True
        deadline.watch(self._socket)

    def end(self) -> None:
        """The call is over: nothing is read before the next one begins."""
        self._deadline.watch(None)
        self._deadline = self._incoming.deadline = Deadline(None)
        self._incoming.is_open = False
        self.idle_since = time.monotonic()

    def send(self, request: Request) -> None:
        """Send it, or as much of it as the server wants. Raises OSError, and TimeoutError in time."""
        lines = [f"{request.method} {request.target} HTTP/1.1"]
        lines += (f"{name}: {value}" for name, value in request.sent_headers(self._host))
        unsent = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        is_chunked = request.body.length is None
        self.is_sent = False
        for piece in request.body.pieces():
            if not unsent and self.is_readable():  # answered already, most likely with a refusal
                return
            # With the head, where it is the first: one packet for most requests.
            if not self._send(unsent + (b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)):
                return
            unsent = b""
        self.is_sent = self._send(unsent + (b"0\r\n\r\n" if is_chunked else b""))

    def answer(self, method: str) -> HTTPResponse:
        """The head of the answer. Raises OSError, TimeoutError and HTTPException."""
        while True:
            # It asks a socket for nothing but a file to read from.
            response = HTTPResponse(self, method=method)  # type: ignore[arg-type]
            try:
                response.begin()
            except BaseException:
                response.close()
                raise
            # What comes before the answer itself (RFC 9110, 15.2); http.client knows only 100.
            if not 100 <= response.status < 200 or response.status == SWITCHING:
                return response
            response.close()

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `HTTPResponse` reads from: one for all answers, since it may hold some of the next."""
        return self._reader

    def is_readable(self) -> bool:
        """Whether there is something to read, or the server has closed."""
        if isinstance(self._socket, ssl.SSLSocket):
            # What came may be a session ticket, and no answer; an answer may be decrypted already.
            return bool(self._incoming.at_once(self._reader.peek)) or self._incoming.has_ended
        return bool(self._ready(select.POLLIN, 0))

    def is_quiet(self) -> bool:
        """Between two calls: whether the server has said nothing that nobody asked for, nor closed."""
        return not self._reader.peek(1) and not self.is_readable()

    def close(self) -> None:
        """Close it; the server sees that at once, also while another thread waits for it."""
        self._deadline.watch(None)
        if self.process == os.getpid():  # else it goes on in the parent
            shut_down(self._socket)
        self._socket.close()

    def _send(self, data: bytes) -> bool:
        """Send it; False where the server answers before it has taken everything."""
        left = memoryview(data)
        while left:
            seconds = self._deadline.remaining()
            self._socket.settimeout(0)
            try:
                left = left[self._socket.send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                found = self._ready(select.POLLIN | select.POLLOUT, seconds)
                if found & select.POLLIN and self.is_readable():
                    return False
            except ssl.SSLWantReadError:  # it says something of its own before it goes on
                self._ready(select.POLLIN, seconds)
        return True

    def _ready(self, events: int, seconds: float | None) -> int:
        """Which of ``events`` have come, within ``seconds``."""
        poll = select.poll()
        poll.register(self._socket.fileno(), events)
        found = poll.poll(None if seconds is None else seconds * 1000)
        return found[0][1] if found else 0


class _Incoming(io.RawIOBase):
    """The bytes of a socket, as long as a deadline allows; none between two calls."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.deadline = Deadline(None)
        self.is_open = False
        self.has_ended = False  # the server has closed
        self.count = 0
        self._waits = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._waits:
            return self._read_at_once(buffer)
        if not self.is_open:
            return None
        self._socket.settimeout(self.deadline.remaining())
        count = self._socket.recv_into(buffer)
        self.count += count
        return count

    def at_once(self, read: Callable[[], bytes]) -> bytes:
        """What ``read`` finds without waiting, also between two calls."""
        self._waits = False
        try:
            return read()
        finally:
            self._waits = True

    def _read_at_once(self, buffer: Any) -> int | None:
        self._socket.settimeout(0)
        try:
            count = self._socket.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            count = 0
        self.has_ended = count == 0
        self.count += count
        return count


class _Reader(io.BufferedReader):
    """Stays open when an answer has been read: the next one is read from it, too."""

    def close(self) -> None:
        return


def connected(address: Address, deadline: Deadline, tls: Callable[[], ssl.SSLContext]) -> Connection:
    """A new connection to ``address``, with what ``tls`` gives for https.

    Raises OSError, ssl's errors and TimeoutError among them, and UnicodeError for what cannot be a name.
    """
    last: OSError | None = None
    for family, kind, protocol, _, place in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        plain = socket.socket(family, kind, protocol)
        try:
            deadline.watch(plain)
            plain.settimeout(deadline.remaining())
            plain.connect(place)
            # A small request must not wait for the acknowledgement of the one before.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return Connection(_secured(plain, address, deadline, tls), address.authority)
        except TimeoutError:
            deadline.watch(None)
            plain.close()
            raise
        except OSError as error:
            deadline.watch(None)
            plain.close()
            last = error
    raise last or OSError("the name has no address")


def _secured(
    plain: socket.socket, address: Address, deadline: Deadline, tls: Callable[[], ssl.SSLContext]
) -> socket.socket:
    if address.scheme == "http":
        return plain
    plain.settimeout(deadline.remaining())
    return tls().wrap_socket(plain, server_hostname=address.host)
