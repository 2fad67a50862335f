"""Admission in order of arrival: at most so many calls run, later ones stand in a line (SPEC 5).

A semaphore made fair: who leaves hands the slot straight to the first in line, so that the slot is never
free in between and nobody can pass by. While anybody waits, every slot is taken.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

# How much the latest call weighs in the mean duration: as RFC 6298 smooths round-trip times.
WEIGHT = 1 / 8


class Standing(Enum):
    """What has become of a ticket."""

    WAITING = "waits in the line"
    RUNNING = "holds a slot"
    EXPIRED = "waited too long"
    GONE = "its caller has left the line"
    DISMISSED = "sent away when the gate was emptied"
    DONE = "has left"


class RefusedError(Exception):
    """A ticket that was not given. ``retry_after``: whole seconds after which another try makes sense."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FullError(RefusedError):
    """The line has no place left."""


class CrowdedError(RefusedError):
    """As many stand at the gate as the server can carry."""


class ClosedError(RefusedError):
    """The gate lets nobody in any more."""


def stays() -> bool:
    """The caller of a server that cannot tell whether it has left."""
    return False


class Ticket:
    """One call at the gate. ``arrived`` and ``began`` are readings of the gate's clock, in seconds.

    ``heard``: the last sign of life, later than ``began`` where it sends a stream (see `Gate.hear`).
    ``queued``: whether it had to join the line; ``standing`` may have changed since.
    """

    __slots__ = ("arrived", "began", "heard", "is_gone", "on_turn", "queued", "standing")

    def __init__(
        self, arrived: float, on_turn: Callable[[], None], is_gone: Callable[[], bool], *, queued: bool
    ) -> None:
        self.arrived = self.began = self.heard = arrived
        self.on_turn = on_turn
        self.is_gone = is_gone
        self.queued = queued
        self.standing = Standing.WAITING if queued else Standing.RUNNING

    @property
    def waited(self) -> float:
        """Seconds from arrival to the slot, for one that got it."""
        return self.began - self.arrived


class Gate:
    """``slots`` calls at once (None: any number), ``queue`` in line (None: any number).

    ``timeout``: a ticket that waits longer, in seconds, is taken out of the line by `expire`. ``whose`` names
    in messages what comes through. Gates that stand ``beside`` one another have slots and lines of their own,
    but share the threads of one server. May be used from any thread. ``on_turn`` and ``is_gone`` of a ticket
    are called with the gate's lock held: they must be quick, must not raise and must not use the gate.
    """

    def __init__(
        self,
        slots: int | None = None,
        queue: int | None = None,
        timeout: float | None = None,
        *,
        whose: str = "calls",
        beside: Gate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots = slots
        self.queue = queue
        self.timeout = timeout
        self.clock = clock
        self._whose = whose
        self._lock: threading.Lock = threading.Lock() if beside is None else beside._lock
        # All that share the lock, this one included.
        self._row: list[Gate] = [] if beside is None else beside._row
        self._row.append(self)
        self._emptied = threading.Condition(self._lock)
        # Both in order: of the slot, and of arrival.
        self._running: dict[Ticket, None] = {}
        self._line: OrderedDict[Ticket, None] = OrderedDict()
        self._mean: float | None = None
        self._closed = False

    @property
    def running(self) -> int:
        """How many hold a slot."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many stand in the line, those included that have left unnoticed (see `sweep`)."""
        return len(self._line)

    def cap_at(self, slots: int) -> None:
        """Have no more than ``slots``: what carries the calls has no more threads. Before the first call."""
        self.slots = slots if self.slots is None else min(self.slots, slots)

    def enter(
        self,
        on_turn: Callable[[], None],
        is_gone: Callable[[], bool] = stays,
        *,
        most: int | None = None,
        share: int | None = None,
    ) -> Ticket:
        """Take a slot, or the last place in the line: see the ticket's ``standing``.

        One that waits has ``on_turn`` called once, when its standing has changed. ``is_gone`` tells whether
        its caller has left; ``most``: how many may run and wait at all gates of the row, ``share`` at this
        one. Raises `FullError`, `CrowdedError` and `ClosedError`.
        """
        with self._lock:
            if self._closed:
                raise ClosedError("the gate is closed", self._retry_after())
            if self._is_crowded(most, share):
                for gate in self._row:
                    gate._sweep()
                if self._is_crowded(most, share):
                    raise CrowdedError(f"{self._crowd()} are running or waiting", self._retry_after())
            queued = self.slots is not None and len(self._running) >= self.slots
            if queued:
                self._make_place()
            ticket = Ticket(self.clock(), on_turn, is_gone, queued=queued)
            (self._line if queued else self._running)[ticket] = None
            return ticket

    def leave(self, ticket: Ticket, *, ran: bool = True) -> None:
        """Give the slot of ``ticket`` to the first in line. To be called once for each that got a slot.

        ``ran``: whether it was used, so that its time says how long calls last.
        """
        with self._lock:
            del self._running[ticket]
            ticket.standing = Standing.DONE
            now = self.clock()
            if ran:
                lasted = now - ticket.began
                self._mean = lasted if self._mean is None else self._mean + WEIGHT * (lasted - self._mean)
            if self._line:
                self._hand_over(now)
            if self._closed:
                self._tell_if_empty()

    def withdraw(self, ticket: Ticket) -> bool:
        """Take a waiting ticket out of the line; False if it does not wait: it may hold a slot by now."""
        with self._lock:
            if ticket.standing is not Standing.WAITING:
                return False
            del self._line[ticket]
            ticket.standing = Standing.GONE
            self._tell_if_empty()
            return True

    def sweep(self) -> None:
        """Take those out of the line whose callers have left."""
        with self._lock:
            self._sweep()

    def expire(self) -> None:
        """Take those out of the line who have waited longer than ``timeout``."""
        if self.timeout is None:
            return
        with self._lock:
            latest = self.clock() - self.timeout
            # All have the same patience, so those who have lost it are the first.
            while self._line and (ticket := next(iter(self._line))).arrived <= latest:
                self._decide(ticket, Standing.GONE if ticket.is_gone() else Standing.EXPIRED)
            self._tell_if_empty()

    def close(self) -> None:
        """Let nobody in any more; who is in the line is served."""
        with self._lock:
            self._closed = True

    def dismiss(self) -> None:
        """Close, and send the whole line away."""
        with self._lock:
            self._closed = True
            while self._line:
                ticket = next(iter(self._line))
                self._decide(ticket, Standing.GONE if ticket.is_gone() else Standing.DISMISSED)
            self._tell_if_empty()

    def wait_until_empty(self, timeout: float) -> bool:
        """Block until a closed gate has nobody running or waiting; False after ``timeout`` seconds."""
        with self._lock:
            return self._emptied.wait_for(lambda: not (self._running or self._line), timeout)

    def longest(self) -> float:
        """For how many seconds the oldest running call has run; 0 where none runs."""
        with self._lock:
            return self._longest()

    def hear(self, ticket: Ticket) -> None:
        """A sign of life of ``ticket``, which runs: a part of its answer."""
        ticket.heard = self.clock()

    def silence(self) -> float:
        """For how many seconds the most silent running call has given no sign of life; 0 where none runs."""
        with self._lock:
            return max(0.0, self.clock() - min((ticket.heard for ticket in self._running), default=math.inf))

    def retry_after(self) -> int:
        """In how many whole seconds, at least 1, the line as it stands will have been served."""
        with self._lock:
            return self._retry_after()

    def has_room(self) -> bool:
        """Whether one who came now would not have to wait."""
        return self.slots is None or len(self._running) < self.slots

    def _is_crowded(self, most: int | None, share: int | None) -> bool:
        if share is not None and self._present() >= share:
            return True
        return most is not None and sum(gate._present() for gate in self._row) >= most

    def _present(self) -> int:
        return len(self._running) + len(self._line)

    def _crowd(self) -> str:
        """Who is there, in words."""
        return " and ".join(f"{gate._present()} {gate._whose}" for gate in self._row if gate._present())

    def _make_place(self) -> None:
        if self.queue is not None and len(self._line) >= self.queue:
            self._sweep()
            if len(self._line) >= self.queue:
                raise FullError(f"{self.slots} running and {self.queue} waiting", self._retry_after())

    def _hand_over(self, now: float) -> None:
        while self._line and (self.slots is None or len(self._running) < self.slots):
            ticket = next(iter(self._line))
            if ticket.is_gone():
                self._decide(ticket, Standing.GONE)
            else:
                ticket.began = ticket.heard = now
                self._running[ticket] = None
                self._decide(ticket, Standing.RUNNING)

    def _sweep(self) -> None:
        for ticket in [ticket for ticket in self._line if ticket.is_gone()]:
            self._decide(ticket, Standing.GONE)

    def _decide(self, ticket: Ticket, standing: Standing) -> None:
        del self._line[ticket]
        ticket.standing = standing
        # Under the lock, so that turns come in the order in which they were given.
        ticket.on_turn()

    def _tell_if_empty(self) -> None:
        if not self._running and not self._line:
            self._emptied.notify_all()

    def _longest(self) -> float:
        oldest = next(iter(self._running), None)
        return 0.0 if oldest is None else self.clock() - oldest.began

    def _retry_after(self) -> int:
        # Before the first call has ended, the oldest one tells how long calls last at least.
        mean = self._longest() if self._mean is None else self._mean
        return max(1, math.ceil(mean * (len(self._line) + 1) / (self.slots or 1)))
