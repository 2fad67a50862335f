"""The two doors to the gate: wait in the thread, or leave the request with a server that keeps it.

The blocking door serves any WSGI server, at the price of a thread for each waiting call. Under a server
that offers a seat (`pyjob.serving`), a waiting call is a ticket and not a thread: the room leaves its
thread by raising `Parked`, and the server calls the application again once the ticket's turn has come.
"""

from __future__ import annotations

import threading
from typing import NoReturn, Protocol

from pyjob.gate.gate import Gate, Standing, Ticket
from pyjob.trace import Trace

# Where a server that can park requests puts the seat of this one into the WSGI environ.
SEAT = "pyjob.seat"


class Parked(BaseException):
    """Leaves the thread to others while the request waits; nothing has been answered yet.

    No `Exception`, since only the server's own thread may catch it.
    """


class Waiting(Protocol):
    """What a room leaves at a seat."""

    @property
    def trace(self) -> Trace:
        """Whose request it is."""

    def lost(self) -> None:
        """The server will not come back with it, since the caller has left."""


class Seat(Protocol):
    """A request's place at a server that can park it: `environ["pyjob.seat"]`."""

    @property
    def in_reserve(self) -> bool:
        """Whether its connection is one of the last, which are kept for what is no call (SPEC 5.3)."""

    @property
    def waiting(self) -> Waiting | None:
        """What was left here, and has not been taken."""

    def is_gone(self) -> bool:
        """Whether the caller has left."""

    def resume(self) -> None:
        """Have the application called again with this request."""

    def park(self, waiting: Waiting) -> NoReturn:
        """Leave ``waiting`` at the seat and raise `Parked`."""

    def take(self) -> Waiting | None:
        """What was left here, if this is not the first time that the application sees the request."""

    def hang_up(self) -> None:
        """Close the connection after this answer."""


class Turn:
    """A thread that waits at the gate."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.come = self._lock.release

    def wait(self, gate: Gate, ticket: Ticket) -> None:
        """Block until the ticket's standing is decided.

        What interrupts the wait (KeyboardInterrupt, a server's own) takes the ticket out, and is raised.
        """
        try:
            timeout = -1 if gate.timeout is None else gate.timeout
            while not self._lock.acquire(timeout=timeout) and ticket.standing is Standing.WAITING:
                gate.expire()
                timeout = 0.01  # the rounding of a clock
        except BaseException:
            if not gate.withdraw(ticket) and ticket.standing is Standing.RUNNING:
                gate.leave(ticket, ran=False)
            raise
