"""A connection of waitress on which a call can wait without a thread (SPEC 5)."""

from __future__ import annotations

import logging
import re
import select
import socket
import sys
import time
from collections.abc import MutableMapping
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

from pyjob.errors import one_line
from pyjob.gate.door import Parked, Waiting
from pyjob.routing.table import Lane
from pyjob.serving.connection.seat import Seat
from pyjob.serving.connection.task import Refusal, Task
from pyjob.wire.stream import LOGGED

# The last connections of the server's limit, kept for what is no call.
RESERVE = 50
# Where waitress's loop uses select(), a higher descriptor would end it.
MOST_SELECTABLE = 1000
# A head must be complete after so many seconds; a body has as many, and one more for each 500 bytes.
HEAD_SECONDS = 10.0
BODY_RATE = 500
# Linux tells when the other side has closed its half; elsewhere only when it has closed all.
HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP
LONGEST_MESSAGE = 300
# More of them in one head are refused.
BLANKS = b" " * 100
# What a request target may hold.
TARGET = re.compile(r"[!-~]+")
# What one turn of the loop sends on one connection: it has others to look after.
TURN_BYTES = 256 * 1024


def reserve_of(connection_limit: int) -> int:
    """How many of so many connections are kept: fewer where somebody allows few."""
    return min(RESERVE, connection_limit // 4)


class RequestTimeout(Error):  # type: ignore[misc]  # noqa: N818  waitress names its own so
    """The request took too long to come (RFC 9110, 15.5.9)."""

    code = 408
    reason = "Request Timeout"


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request as it comes; waitress names the path even of one that has none, in its log."""

    path = ""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head. Raises ParsingError for a target that others may read in another way.

        And for more blanks in a row than anybody has a use for: waitress would read them again and again,
        in the one thread that looks after all connections.
        """
        if BLANKS in header_plus.replace(b"\t", b" "):
            raise ParsingError("Too many blanks in a row")
        try:
            super().parse_header(header_plus)
        except ValueError:  # brackets that are no address
            raise ParsingError("Bad URI") from None
        if not TARGET.fullmatch(self.request_uri):  # a tab would be taken out
            raise ParsingError("Bad URI")


class OneLine(logging.LoggerAdapter[logging.Logger]):
    """waitress's logger for what it says of a connection: a path in it can forge neither line nor colour."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        """The message in one line, and no longer than people read."""
        error = sys.exception()
        # Of a socket, or of a file that is sent: where in waitress it came up says nothing.
        if isinstance(error, OSError):
            kwargs["exc_info"] = None
            msg = f"{msg}: {error}"
        return one_line(str(msg)[:LONGEST_MESSAGE]), kwargs

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """A fault; of an answer that broke off, and has been told of with its request, no more than that."""
        if getattr(sys.exception(), LOGGED, False):
            self.debug(msg, *args, **kwargs)
        else:
            super().exception(msg, *args, **kwargs)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """A caller has left: the access line says so, and more of it."""
        self.debug(msg, *args, **kwargs)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    task_class = Task
    error_task_class = Refusal
    parser_class = Request
    logger = OneLine(logging.getLogger("waitress"), {})
    request: Any
    lane: Lane = "calls"
    # Whether a request has come before the one before it was answered.
    _pipelines = False
    # How much may be sent before the loop looks at the others.
    _left_to_send = TURN_BYTES

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
        if waiting is None and self._asks_without_reading():
            self._answer_no_more()
            return
        self._answering = False
        try:
            super().service()
        except Parked:
            self.seat.unwound()  # perhaps for the second time: its turn has come, and it awaits something
            return
        except BaseException:
            self.cancel()
            self._settle(waiting)
            raise
        self._settle(waiting)
        self.waiting_since = time.monotonic()

    def _settle(self, waiting: Waiting | None) -> None:
        if waiting is not None:
            self.seat.settle(waiting)

    def _asks_without_reading(self) -> bool:
        """Whether much of earlier answers has not been fetched, or of a file: each keeps a descriptor.

        Who asks on then, loses the connection: a thread would wait for it to be read.
        """
        if not self.total_outbufs_len:
            return False
        with self.outbuf_lock:
            return self.total_outbufs_len > self.adj.outbuf_high_watermark // 2 or any(
                isinstance(buffer, ReadOnlyFileBasedBuffer) and len(buffer) > 0 for buffer in self.outbufs
            )

    def _answer_no_more(self) -> None:
        """Close once what has been answered is sent; a caller may ask the rest again (RFC 9112, 9.3.2)."""
        with self.requests_lock:
            self.close_when_flushed = True
            for request in self.requests:
                request.close()
            self.requests: list[Any] = []
        self.server.pull_trigger()

    def write_soon(self, data: Any) -> int:
        """Send bytes of an answer."""
        with self.outbuf_lock:
            if self._is_cut_off:
                raise ClientDisconnected
            self._answering = True
            self._left_to_send = TURN_BYTES
            sent: int = super().write_soon(data)
            return sent

    def handle_write(self) -> None:
        """Send on, in a turn of the loop; waitress would go on for as long as the caller reads."""
        self._left_to_send = TURN_BYTES
        super().handle_write()

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the connection takes of ``data``; nothing where this turn is over: it is asked again."""
        if self._left_to_send <= 0:
            return 0
        sent: int = super().send(data, do_close=do_close)
        self._left_to_send -= sent
        return sent

    def send_continue(self) -> None:
        """Ask for the body; not of a request that has been refused by its head (RFC 9110, 10.1.1)."""
        if self.request.error is None:
            super().send_continue()

    def handle_close(self) -> None:
        """The connection is over, and so is a request that has not come to its end."""
        super().handle_close()
        if self.request is not None:
            self.request.close()  # its body may be a file, which the collector would find late

    def handle_expt(self) -> None:
        """Urgent data: HTTP has none, and the loop would be told of it again and again."""
        self.handle_close()

    def is_incomplete(self) -> bool:
        """Whether nothing is to be done here before more of a request comes."""
        return not self.requests and not self.total_outbufs_len and not self.will_close

    def has_left(self) -> bool:
        """Whether the caller has closed the connection, or its sending half."""
        return not self.connected or self.has_hung_up_unread()

    def come_back(self) -> None:
        """The request that was parked here has its turn."""
        self.server.task_dispatcher.put_back(self)

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
