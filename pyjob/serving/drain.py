"""The way down of a server: nobody new, and time for those who are there (SPEC 9)."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence

from pyjob.application import Application
from pyjob.serving.connection.channel import Channel
from pyjob.serving.listener import Listener

# How often it tells who is still there.
TELL_SECONDS = 5.0
# What answers have to reach their callers once the grace is over.
FLUSH_SECONDS = 0.4
# Turns of the loop after which everything has been read that had been sent before the listeners closed.
READING_TURNS = 3

BODY = json.dumps({"error": "the service is going down", "type": "Service Unavailable"}).encode()
HEADERS = (
    ("Connection", "close"),
    ("Content-Length", str(len(BODY))),
    ("Content-Type", "application/json"),
    ("Retry-After", "1"),
)

logger = logging.getLogger(__name__)


class Drain:
    """Brings ``listeners`` of one application down: ``delay`` seconds of serving on, then ``grace`` seconds.

    The thread of waitress's loop goes through `turns`, and takes one turn of the loop for each.
    """

    def __init__(
        self, application: Application, listeners: Sequence[Listener], *, grace: float, delay: float
    ) -> None:
        self._application = application
        self._listeners = listeners
        self._closes_at = time.monotonic() + delay
        self._cuts_at = self._closes_at + grace
        self._tells_at = 0.0
        self._is_hurried = False

    def hurry(self) -> None:
        """No more delay, and no more grace."""
        self._is_hurried = True

    def turns(self) -> Iterator[None]:
        """The whole way down, a turn of the loop at each step."""
        self._application.state.become_draining()
        # Every answer from now on is the last of its connection. Who keeps one moves on meanwhile: a call
        # sent at the moment in which it is closed would be lost. And nobody can keep us up by asking on.
        while self._has_time(self._closes_at):
            self._hang_up()
            self._tell("unready, still serving")
            yield
        self._tells_at = 0.0
        self._hang_up()
        self._tell("going down")
        for listener in self._listeners:
            listener.stop_listening()
        self._hang_up()
        for _ in range(READING_TURNS):
            yield
        while self._channels() and self._has_time(self._cuts_at):
            self._tell("still going down")
            self._close_idle()
            for listener in self._listeners:
                listener.look_after()
            yield
        if self._channels():
            yield from self._send_rest_away()

    def _send_rest_away(self) -> Iterator[None]:
        """503 for what waits, then for what runs: its thread goes on, but nobody hears of it."""
        gates = self._application.gates
        logger.warning(
            "%s: the grace is over: %d running, %d waiting", self._name, gates.running, gates.waiting
        )
        if self._application.send_away():
            yield from self._flush(lambda: gates.running == 0)
        yield from self._flush(lambda: len(self._channels()) <= gates.running)
        for channel in self._channels():
            channel.cut_off(self._answer_on(channel))
        yield from self._flush(lambda: not self._channels())

    def _answer_on(self, channel: Channel) -> bytes:
        """What is answered in place of a call that goes on; also a page of another origin may read it."""
        origin = next((request.headers.get("ORIGIN") for request in channel.requests), None)
        headers = self._application.reception.shared([*HEADERS], origin)
        head = ["HTTP/1.1 503 Service Unavailable", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(head).encode("latin-1") + BODY

    def _flush(self, is_over: Callable[[], bool]) -> Iterator[None]:
        """Some turns, and one even where the process itself was not let run in that time."""
        ends_at = time.monotonic() + FLUSH_SECONDS
        while not is_over():
            self._close_idle()
            yield
            if time.monotonic() >= ends_at:
                return

    def _channels(self) -> list[Channel]:
        return [channel for listener in self._listeners for channel in listener.channels()]

    def _hang_up(self) -> None:
        for channel in self._channels():
            channel.seat.hang_up()

    def _close_idle(self) -> None:
        """Close the connections of those who have sent nothing, and could have."""
        for channel in self._channels():
            if channel.is_incomplete() and channel.request is None:
                channel.handle_close()

    def _has_time(self, until: float) -> bool:
        return not self._is_hurried and time.monotonic() < until

    def _tell(self, what: str) -> None:
        now = time.monotonic()
        if now < self._tells_at:
            return
        self._tells_at = now + TELL_SECONDS
        gates = self._application.gates
        hint = ", a second signal ends it at once" if gates.running or gates.waiting else ""
        counts = (gates.running, gates.waiting, max(0.0, self._cuts_at - now))
        logger.info("%s: %s: %d running, %d waiting, %.0f s left%s", self._name, what, *counts, hint)

    @property
    def _name(self) -> str:
        return f"job {self._application.manifest.name} {self._application.manifest.version}"
