"""How long a call may take, and the way to end it early from another thread."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

# What a socket takes as its time-out; nobody waits longer.
LONGEST = 1_000_000.0


class Deadline:
    """``seconds`` from now, or from the last `restart`; None: for ever."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.is_cancelled = False
        self._lock = threading.Lock()
        self._watched: socket.socket | None = None
        self.restart()

    def restart(self) -> None:
        """Count the seconds from now."""
        self._end = None if self.seconds is None else time.monotonic() + self.seconds

    def remaining(self) -> float | None:
        """The seconds that are left, more than 0. Raises TimeoutError when it is over or cancelled."""
        if self.is_cancelled:
            raise TimeoutError("cancelled")
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        return min(left, LONGEST)

    def watch(self, connection: socket.socket | None) -> None:
        """``connection`` is what `cancel` shuts down; None: nothing, from now on."""
        with self._lock:
            self._watched = connection
            if self.is_cancelled:
                self._shut_down()

    def cancel(self) -> None:
        """Let whoever waits find it over, at once; any thread may call this."""
        with self._lock:
            self.is_cancelled = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._watched is not None:
            shut_down(self._watched)


def shut_down(connection: socket.socket) -> None:
    """Let both sides find it at its end, at once, and whichever thread waits for it."""
    with suppress(OSError):  # not connected yet, or no more
        # Of the class, since that of a TLS socket takes its state away from the thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
