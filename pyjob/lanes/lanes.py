"""What carries the requests of one application under waitress, in place of waitress's own dispatcher.

Calls have a lane of their own, so that nothing else waits behind them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pyjob.gate.row import Row
from pyjob.lanes.pool import Pool, Task
from pyjob.lanes.warden import Chore, Warden
from pyjob.routing.table import Lane

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
# Of a path that nobody knows: not calls, these only read.
QUICK_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))

# The lane for a method and a path, None where nothing is there.
LaneOf = Callable[[str, str], Lane | None]


class Connection(Task, Protocol):
    """A channel of waitress, whose first request is to be served in ``lane``."""

    lane: Lane

    @property
    def requests(self) -> Sequence[object]:
        """The requests that have come, the first one first."""

    @property
    def adj(self) -> Any:
        """The server's options."""


class Lanes:
    """Threads for the calls and for the pages of ``gates``, and for everything else.

    Calls that are awaited have a few of their own: they hold none while they wait. ``lane_of`` tells which of
    them a request needs; ``extra`` threads are for other waiters. `add_task` and `shutdown` are what waitress
    calls.
    """

    def __init__(self, gates: Row, lane_of: LaneOf, *, extra: int = 0) -> None:
        self._gates = gates
        self._lane_of = lane_of
        self._warden = Warden()
        self._usual_interval = sys.getswitchinterval()
        self._is_hurried = self._has_ended = False
        self._swept_at = 0.0
        most_calls = (gates.calls.slots or DEFAULT_THREADS) + SPARE + extra
        self._pools: dict[Lane, Pool] = {
            "calls": Pool(SPARE, most_calls, self._warden),
            "awaited": Pool(SPARE, most_calls, self._warden, is_eager=False),
            "quick": Pool(QUICK_SPARE, QUICK_MOST, self._warden),
            "pages": Pool(QUICK_SPARE, (gates.pages.slots or 0) + QUICK_SPARE + extra, self._warden),
        }
        self.watch(self._tend_line)
        self.watch(self._share_interpreter)

    def watch(self, chore: Chore) -> None:
        """Have ``chore`` done while requests come, and now."""
        self._warden.watch(chore)
        self._warden.stir()

    def add_task(self, connection: Connection) -> None:
        """A request has come."""
        connection.lane = self._lane_for(connection)
        self._pools[connection.lane].add_task(connection)

    def put_back(self, connection: Connection) -> None:
        """A request that was parked has its turn: it goes before those that have just come."""
        self._pools[connection.lane].put_back(connection)

    def _lane_for(self, connection: Connection) -> Lane:
        requests = connection.requests  # read once: waitress replaces it when it cancels
        if not requests:
            return "calls"
        request = requests[0]
        # What waitress refuses itself may have neither.
        method, path = getattr(request, "command", "").upper(), getattr(request, "path", "")
        lane = self._lane_of(method, _path_info(path, connection.adj.url_prefix))
        return lane or ("quick" if method in QUICK_METHODS else "calls")

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads, waiting ``timeout`` seconds for those that serve; the interpreter as it was."""
        deadline = time.monotonic() + timeout
        pools = tuple(self._pools.values())
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
            self._gates.sweep()
        self._gates.expire()
        return self._gates.waiting > 0

    def _share_interpreter(self) -> bool:
        silence = self._gates.silence()
        self._set_interval(hurried=silence > LONG_CALL and not self._has_ended)
        return self._gates.running > 0

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


def _path_info(path: str, url_prefix: str) -> str:
    """The path of a request as waitress will tell the application."""
    if path.startswith("//"):
        path = f"/{path.lstrip('/')}"
    if url_prefix and (path == url_prefix or path.startswith(f"{url_prefix}/")):
        return path.removeprefix(url_prefix)
    return path
