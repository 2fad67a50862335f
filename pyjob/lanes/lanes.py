"""What carries the requests of one application under waitress, in place of waitress's own dispatcher.

Calls have a lane of their own, so that nothing else waits behind them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol

from pyjob.gate.gate import Gate
from pyjob.lanes.pool import Pool, Task
from pyjob.lanes.warden import Chore, Warden

# Calls at once where the manifest has no max_concurrency and nobody says --threads.
DEFAULT_THREADS = 500
# While a call runs for longer than this, threads take turns more often: short requests would wait for it.
LONG_CALL = 0.05
HURRIED_INTERVAL = 0.001
# How often those are looked for who have left the line: each look asks everybody there.
SWEEP_SECONDS = 0.5
# Threads of the calls' lane that no call holds: they check calls, refuse them, let them wait.
SPARE = 4
# Threads of the other lane that are there, and how many it may have: metrics() of a job may be slow.
QUICK_SPARE = 2
QUICK_MOST = 16
# Not calls: these only read.
QUICK_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


class Connection(Task, Protocol):
    """A channel of waitress, whose first request is to be served."""

    @property
    def requests(self) -> Sequence[object]:
        """The requests that have come, the first one first."""


class Lanes:
    """The threads for the calls of ``gate`` and for everything else; ``extra`` ones for other waiters.

    `add_task` and `shutdown` are what waitress calls.
    """

    def __init__(self, gate: Gate, *, extra: int = 0) -> None:
        self._gate = gate
        self._warden = Warden()
        self._usual_interval = sys.getswitchinterval()
        self._is_hurried = self._has_ended = False
        self._swept_at = 0.0
        self._calls = Pool(SPARE, (gate.slots or DEFAULT_THREADS) + SPARE + extra, self._warden)
        self._quick = Pool(QUICK_SPARE, QUICK_MOST, self._warden)
        self.watch(self._tend_line)
        self.watch(self._share_interpreter)

    def watch(self, chore: Chore) -> None:
        """Have ``chore`` done while requests come, and now."""
        self._warden.watch(chore)
        self._warden.stir()

    def add_task(self, connection: Connection) -> None:
        """A request has come."""
        method = getattr(connection.requests[0], "command", "") if connection.requests else ""
        (self._quick if method in QUICK_METHODS else self._calls).add_task(connection)

    def put_back(self, connection: Connection) -> None:
        """A call that was parked has its turn: it goes before those that have just come."""
        self._calls.put_back(connection)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads, waiting ``timeout`` seconds for those that serve; the interpreter as it was."""
        deadline = time.monotonic() + timeout
        pools = (self._calls, self._quick)
        for pool in pools:
            pool.stop()
        for pool in pools:
            pool.join(deadline)
        self._has_ended = True
        self._warden.end()
        self._set_interval(hurried=False)
        for pool in pools:
            if cancel_pending:
                pool.cancel()
        return cancel_pending

    def _tend_line(self) -> bool:
        now = time.monotonic()
        if now - self._swept_at > SWEEP_SECONDS:
            self._swept_at = now
            self._gate.sweep()
        self._gate.expire()
        return self._gate.waiting > 0

    def _share_interpreter(self) -> bool:
        longest = self._gate.longest()
        self._set_interval(hurried=longest > LONG_CALL and not self._has_ended)
        return longest > 0

    def _set_interval(self, *, hurried: bool) -> None:
        if hurried == self._is_hurried:
            return
        self._is_hurried = hurried
        now = sys.getswitchinterval()  # somebody else may have set it
        if hurried and now > HURRIED_INTERVAL:
            self._usual_interval = now
            sys.setswitchinterval(HURRIED_INTERVAL)
        elif not hurried and now <= HURRIED_INTERVAL:
            sys.setswitchinterval(self._usual_interval)
