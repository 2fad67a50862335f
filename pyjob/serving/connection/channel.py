"""A connection of waitress on which a call can wait without a thread (SPEC 5)."""

from __future__ import annotations

import logging
import select
import socket
import time
from contextlib import suppress
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.utilities import InternalServerError

from pyjob.gate.door import Parked
from pyjob.routing.table import Lane
from pyjob.serving.connection.log import OneLine
from pyjob.serving.connection.request import Memory, RequestTimeout
from pyjob.serving.connection.seat import Seat, has_hung_up, reserve_of
from pyjob.serving.connection.task import Refusal, Task

# Where waitress's loop uses select(), a higher descriptor would end it.
MOST_SELECTABLE = 1000
# A head must be complete after so many seconds; a body has as many, and one more for each 500 bytes.
HEAD_SECONDS = 10.0
BODY_RATE = 500
# Of a connection that waits for a request, or for the next one.
READS = select.POLLIN | select.POLLPRI
# What one turn of the loop sends on one connection: it has others to look after.
TURN_BYTES = 256 * 1024


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    task_class = Task
    error_task_class = Refusal
    logger = OneLine(logging.getLogger("waitress"), {})
    request: Any
    current_outbuf_count: int
    lane: Lane = "calls"
    # Whether a request has come before the one before it was answered.
    _pipelines = False
    # How much may be sent before the loop looks at the others.
    _left_to_send = TURN_BYTES

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002
        super().__init__(server, sock, addr, adj, map=map)
        self.parser_class = Memory().request
        self.requests: list[Any] = []
        in_reserve = len(self._map) > adj.connection_limit - reserve_of(adj.connection_limit)
        self.seat = Seat(self, in_reserve=in_reserve)
        # Since when it waits for a complete request, and for which part of one.
        self.waiting_since = time.monotonic()
        self._stage: object = None
        self._answering = False
        self._is_cut_off = False
        self._asks_all = getattr(server, "asks_all", True)
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
            self._serve_first()
        except Parked:
            self.seat.unwound()  # perhaps for the second time: its turn has come, and it awaits something
            return
        except BaseException:
            self.cancel()
            self.seat.settle(waiting)
            raise
        self.seat.settle(waiting)
        self.waiting_since = time.monotonic()

    def wants(self) -> int:
        """What the loop is to wait for here, as flags of `select.poll`: 0 where enough has been read ahead.

        `readable` and `writable` may contradict each other where a thread answers in between.
        """
        if self.total_outbufs_len or self.will_close or self.close_when_flushed:
            return select.POLLOUT
        return 0 if len(self.requests) > self.adj.channel_request_lookahead else READS

    def _serve_first(self) -> None:
        """As waitress does it, but that the loop is woken only where it has something to do."""
        request = self.requests[0]
        can_go_on = self._answered(request)
        self.last_activity = time.time()  # before it is idle
        is_readable_again = can_go_on and self._go_on(request)
        if not can_go_on:
            with self.requests_lock:
                self.close_when_flushed = True
                for each in self.requests:
                    each.close()
                self.requests = []
        if self.connected and (self._asks_all or is_readable_again or self.wants() != READS):
            self.server.pull_trigger()

    def _answered(self, request: Any) -> bool:
        """Whether the connection can go on after the answer."""
        task: Any = (self.error_task_class if request.error else self.task_class)(self, request)
        if not self.connected:
            return False
        try:
            task.service()
        except ClientDisconnected:
            self.logger.info(f"Client disconnected while serving {request.path}")
            return False
        except Exception:
            self.logger.exception(f"Exception while serving {request.path}")
            if not task.wrote_header:
                self._apologize(request)
            return False
        return not task.close_on_finish

    def _apologize(self, request: Any) -> None:
        """Answer 500 to ``request``."""
        failed = self.parser_class(self.adj)
        failed.error = InternalServerError("The server encountered an unexpected internal server error")
        failed.version = request.version
        with suppress(ClientDisconnected):
            self.error_task_class(self, failed).service()

    def _go_on(self, request: Any) -> bool:
        """Begin with what comes after ``request``; whether more may be read now, and could not before."""
        if len(self.requests) > 1:
            self._flush_outbufs_below_high_watermark()
        if self.current_outbuf_count > 0:
            # The next answer begins a buffer of its own: this one is let go of.
            self.current_outbuf_count = self.adj.outbuf_high_watermark
        request.close()
        with self.requests_lock:
            was_full = bool(len(self.requests) > self.adj.channel_request_lookahead)
            self.requests.pop(0)
            if not self.connected:
                return False
            following = self.request
            if self.requests:
                self.server.add_task(self)
            elif (
                following is not None
                and following.expect_continue
                and following.headers_finished
                and not self.sent_continue
            ):
                self.send_continue()
        return was_full

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
            self.requests = []
        self.server.pull_trigger()

    def write_soon(self, data: Any) -> int:
        """Send bytes of an answer."""
        with self.outbuf_lock:
            if self._is_cut_off:
                raise ClientDisconnected
            self._answering = True
            self._left_to_send = TURN_BYTES
            gone = 0 if self.total_outbufs_len or type(data) is not bytes else self._sent_at_once(data)
            if gone < len(data):
                super().write_soon(data[gone:] if gone else data)
            return len(data)

    def _sent_at_once(self, data: bytes) -> int:
        """How much of ``data`` the connection took, before which nothing has to be sent."""
        if not self.connected or len(data) > TURN_BYTES:  # the rest would be copied
            return 0
        try:
            return self.send(data, do_close=False)
        except OSError:  # waitress meets it again, and knows what to do
            return 0

    def handle_write(self) -> None:
        """Send on, in a turn of the loop; waitress would go on for as long as the caller reads."""
        self._left_to_send = TURN_BYTES
        super().handle_write()

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the connection takes of ``data``; nothing where this turn is over."""
        if self._left_to_send <= 0:
            return 0
        sent: int = super().send(data, do_close=do_close)
        self._left_to_send -= sent
        if sent:
            self.last_activity = time.time()
        return sent

    def send_continue(self) -> None:
        """Ask for the body; not of a request that has none, or is refused by its head (RFC 9110, 10.1.1).

        After that waitress reads on in the same request: what comes then would be added to its headers.
        """
        if self.request.error is None and not self.request.completed:
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
        return descriptor is None or has_hung_up(descriptor)  # None: closed just now

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
