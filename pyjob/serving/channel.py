"""A connection of waitress on which a call can wait without a thread (SPEC 5)."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, NoReturn

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from waitress.utilities import Error, build_http_date

from pyjob.errors import one_line
from pyjob.gate.door import SEAT, Parked, Waiting

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The last connections of the server's limit, kept for what is no call.
RESERVE = 50
# Where waitress's loop uses select(), a higher descriptor would end it.
MOST_SELECTABLE = 1000
# A head must be complete after so many seconds; a body has as many, and one more for each 500 bytes.
HEAD_SECONDS = 10.0
BODY_RATE = 500
# Linux tells when the other side has closed its half; elsewhere only when it has closed all.
HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP
# Headers that waitress adds, and treats in its own way where the application has sent them.
ADDED_HEADERS = frozenset(("date", "server", "via"))
LONGEST_MESSAGE = 300
# Head and body of an answer that is no longer are copied together, to be sent with one call of the system.
LARGEST_PIECE = 64 * 1024


def reserve_of(connection_limit: int) -> int:
    """How many of so many connections are kept: fewer where somebody allows few."""
    return min(RESERVE, connection_limit // 4)


class RequestTimeout(Error):  # type: ignore[misc]  # noqa: N818  waitress names its own so
    """The request took too long to come (RFC 9110, 15.5.9)."""

    code = 408
    reason = "Request Timeout"


class Seat:
    """Where the request of one channel waits without a thread; see `pyjob.gate.door.Seat`.

    The first pass may still unwind when the turn comes: whichever of the two is last puts the request back.
    """

    __slots__ = ("_called", "_channel", "_lock", "_parked", "hangs_up", "in_reserve", "waiting")

    def __init__(self, channel: Channel, *, in_reserve: bool) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._parked = self._called = False
        self.waiting: Waiting | None = None
        self.in_reserve = in_reserve
        self.hangs_up = False

    def is_gone(self) -> bool:
        """Whether the caller has closed the connection, or its sending half."""
        return not self._channel.connected or self._channel.has_hung_up_unread()

    def park(self, waiting: Waiting) -> NoReturn:
        """Leave ``waiting`` here, and the thread to others."""
        self.waiting = waiting
        raise Parked

    def take(self) -> Waiting | None:
        """What was left here."""
        waiting, self.waiting = self.waiting, None
        return waiting

    def hang_up(self) -> None:
        """Close the connection after this answer."""
        self.hangs_up = True

    def resume(self) -> None:
        """The turn has come."""
        self._meet(called=True)

    def unwound(self) -> None:
        """The thread of the first pass is free."""
        self._meet(parked=True)

    def settle(self, waiting: Waiting) -> None:
        """A second pass is over: was ``waiting`` taken?"""
        if self.waiting is waiting:
            self.waiting = None
            waiting.lost()

    def _meet(self, *, called: bool = False, parked: bool = False) -> None:
        with self._lock:
            self._called |= called
            self._parked |= parked
            if not (self._called and self._parked):
                return
            self._called = self._parked = False
        self._channel.server.task_dispatcher.put_back(self._channel)


class Task(WSGITask):  # type: ignore[misc]
    """One request; the application finds its seat in the environ."""

    wrote_header: bool

    def get_environment(self) -> WSGIEnvironment:
        """The WSGI environ."""
        environ: WSGIEnvironment = super().get_environment()
        environ[SEAT] = self.channel.seat
        return environ

    def build_response_header(self) -> bytes:
        """The head, which says so if this answer is the connection's last.

        The usual one, of a whole answer by HTTP/1.1, is put together here: waitress rewrites every header.
        """
        if self.channel.seat.hangs_up:
            self.request.headers["CONNECTION"] = "close"
        if self.version != "1.1" or not self.has_body:
            return self._any_head()
        if self.request.headers.get("CONNECTION", "").lower() == "close":
            self.set_close_on_finish()
        lines = [f"HTTP/1.1 {self.status}"]
        has_length = False
        for name, value in self.response_headers:
            lower = name.lower()
            if lower in ADDED_HEADERS:
                return self._any_head()
            has_length = has_length or lower == "content-length"
            lines.append(f"{name}: {value}")
        if not has_length:
            return self._any_head()
        ident = self.channel.server.adj.ident
        if ident:
            lines.append(f"Server: {ident}")
        lines.append(f"Date: {build_http_date(self.start_time)}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1")

    def write(self, data: bytes) -> None:
        """Send ``data``; a small answer that comes in one piece goes out in one, with its head."""
        length = self.content_length
        if self.wrote_header or not self.complete or length != len(data) or not 0 < length <= LARGEST_PIECE:
            super().write(data)
            return
        head = self.build_response_header()
        self.channel.write_soon(head + data if self.has_body else head)
        self.wrote_header = True
        self.content_bytes_written = length

    def finish(self) -> None:
        """The answer is made. Who has asked on without reading loses the connection, and holds no thread."""
        super().finish()
        channel = self.channel
        if channel.total_outbufs_len > channel.adj.outbuf_high_watermark and len(channel.requests) > 1:
            self.close_on_finish = True

    def _any_head(self) -> bytes:
        head: bytes = super().build_response_header()
        return head


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request as it comes; waitress names the path even of one that has none, in its log."""

    path = ""


class OneLine(logging.LoggerAdapter[logging.Logger]):
    """waitress's logger for what it says of a connection: a path in it can forge neither line nor colour."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        """The message in one line, and no longer than people read."""
        return one_line(str(msg)[:LONGEST_MESSAGE]), kwargs


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    task_class = Task
    parser_class = Request
    logger = OneLine(logging.getLogger("waitress"), {})
    request: Any
    # Whether a request has come before the one before it was answered.
    _pipelines = False

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002
        super().__init__(server, sock, addr, adj, map=map)
        in_reserve = len(self._map) > adj.connection_limit - reserve_of(adj.connection_limit)
        self.seat = Seat(self, in_reserve=in_reserve)
        # Since when it waits for a complete request, and for which part of one.
        self.waiting_since = time.monotonic()
        self._stage: object = None
        self._answering = False
        self._is_cut_off = False
        if self._fileno >= MOST_SELECTABLE and not adj.asyncore_use_poll:
            self.handle_close()

    def received(self, data: bytes) -> bool:
        """Take in bytes of a request."""
        took: bool = super().received(data)
        self._pipelines = self._pipelines or len(self.requests) > 1
        request = self.request
        stage = None if request is None else (request, request.headers_finished)
        if stage != self._stage:
            self._stage = stage
            self.waiting_since = time.monotonic()
        return took

    def service(self) -> None:
        """Serve the first request, or the rest of one that was parked."""
        waiting = self.seat.waiting
        self._answering = False
        try:
            super().service()
        except Parked:
            self.seat.unwound()
            return
        except BaseException:
            self.cancel()
            raise
        finally:
            if waiting is not None:
                self.seat.settle(waiting)
        self.waiting_since = time.monotonic()

    def write_soon(self, data: Any) -> int:
        """Send bytes of an answer."""
        with self.outbuf_lock:
            if self._is_cut_off:
                raise ClientDisconnected
            self._answering = True
            sent: int = super().write_soon(data)
            return sent

    def handle_expt(self) -> None:
        """Urgent data: HTTP has none, and the loop would be told of it again and again."""
        self.handle_close()

    def is_incomplete(self) -> bool:
        """Whether nothing is to be done here before more of a request comes."""
        return not self.requests and not self.total_outbufs_len and not self.will_close

    def has_unread(self) -> bool:
        """Whether something stands in the socket that the loop has not come to yet."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def has_hung_up_unread(self) -> bool:
        """Whether the caller has left behind requests that wait here, which waitress has not read yet."""
        if not self._pipelines:
            return False
        descriptor = self._fileno
        if descriptor is None:  # closed just now
            return True
        poll = select.poll()
        poll.register(descriptor, HUNG_UP)
        return bool(poll.poll(0))

    def is_late(self, now: float) -> bool:
        """Whether a request has been begun and takes too long to come (SPEC 5.3)."""
        request = self.request
        if request is None or not self.readable() or (request.expect_continue and self.requests):
            return False  # nothing has begun, or it is we who do not read on
        allowed = HEAD_SECONDS
        if request.headers_finished:
            allowed += request.body_bytes_received / BODY_RATE
        return now - self.waiting_since > allowed

    def refuse_late(self) -> None:
        """Answer 408 to a request that takes too long, and close; for the thread of the loop."""
        with self.requests_lock:
            request, self.request = self.request, None
            if request is None:
                return
            request.error = RequestTimeout("the request did not come in time")
            request.completed = True
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)

    def cut_off(self, answer: bytes) -> None:
        """Send ``answer`` in place of that of the call that runs here, and nothing after it."""
        with self.outbuf_lock:
            self._is_cut_off = True
            if not self._answering and self.connected:
                self.outbufs[-1].append(answer)
                self.total_outbufs_len += len(answer)
            self.close_when_flushed = True
