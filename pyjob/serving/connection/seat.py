"""Where a request waits on its connection, without a thread (SPEC 5)."""

from __future__ import annotations

import select
import threading
from typing import NoReturn, Protocol

from pyjob.gate.door import Parked, Waiting

# The last connections of the server's limit, kept for what is no call.
RESERVE = 50
# Linux tells when the other side has closed its half; elsewhere only when it has closed all.
HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP


def reserve_of(connection_limit: int) -> int:
    """How many of so many connections are kept: fewer where somebody allows few."""
    return min(RESERVE, connection_limit // 4)


def has_hung_up(descriptor: int) -> bool:
    """Whether who is at the other end of a connection has closed it, or the half by which it sends."""
    poll = select.poll()
    poll.register(descriptor, HUNG_UP)
    return bool(poll.poll(0))


class Keeper(Protocol):
    """The connection of a request that can wait."""

    def has_left(self) -> bool:
        """Whether the caller has closed the connection, or its sending half."""

    def come_back(self) -> None:
        """Serve the request again."""


class Seat:
    """The place of one connection's request; see `pyjob.gate.door.Seat`.

    The first pass may still unwind when the turn comes: whichever of the two is last puts the request back.
    """

    __slots__ = ("_called", "_keeper", "_lock", "_parked", "hangs_up", "in_reserve", "waiting")

    def __init__(self, keeper: Keeper, *, in_reserve: bool) -> None:
        self._keeper = keeper
        self._lock = threading.Lock()
        self._parked = self._called = False
        self.waiting: Waiting | None = None
        self.in_reserve = in_reserve
        self.hangs_up = False

    def is_gone(self) -> bool:
        """Whether the caller has closed the connection, or its sending half."""
        return self._keeper.has_left()

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

    def settle(self, waiting: Waiting | None) -> None:
        """A pass is over: where it was the second, was ``waiting`` taken?"""
        if waiting is not None and self.waiting is waiting:
            self.waiting = None
            waiting.lost()

    def _meet(self, *, called: bool = False, parked: bool = False) -> None:
        with self._lock:
            self._called |= called
            self._parked |= parked
            if not (self._called and self._parked):
                return
            self._called = self._parked = False
        self._keeper.come_back()
