"""What carries the requests of one application under waitress: its threads, and who looks after its line."""

from __future__ import annotations

import sys

from pyjob.gate.gate import Gate
from pyjob.lanes.pool import SPARE, Pool
from pyjob.lanes.warden import Chore, Warden

# Calls at once where the manifest has no max_concurrency and nobody says --threads.
DEFAULT_THREADS = 500
# While a call runs for longer than this, threads take turns more often: short requests would wait for it.
LONG_CALL = 0.05
HURRIED_INTERVAL = 0.001


class Lanes:
    """The pool for the calls of ``gate`` and for everything else; ``extra`` threads for other waiters."""

    def __init__(self, gate: Gate, *, extra: int = 0) -> None:
        self._gate = gate
        self._warden = Warden()
        self._usual_interval: float | None = None
        self.pool = Pool((gate.slots or DEFAULT_THREADS) + SPARE + extra, self._warden)
        self.watch(self._tend_line)
        self.watch(self._share_interpreter)

    def watch(self, chore: Chore) -> None:
        """Have ``chore`` done while requests come."""
        self._warden.watch(chore)

    def end(self) -> None:
        """End the threads that are not held, and leave the interpreter as it was."""
        self.pool.shutdown(cancel_pending=False, timeout=0)
        self._set_interval(hurried=False)

    def _tend_line(self) -> bool:
        self._gate.sweep()
        self._gate.expire()
        return self._gate.waiting > 0

    def _share_interpreter(self) -> bool:
        longest = self._gate.longest()
        self._set_interval(hurried=longest > LONG_CALL)
        return longest > 0

    def _set_interval(self, *, hurried: bool) -> None:
        if hurried and self._usual_interval is None:
            self._usual_interval = sys.getswitchinterval()
            sys.setswitchinterval(min(HURRIED_INTERVAL, self._usual_interval))
        elif not hurried and self._usual_interval is not None:
            sys.setswitchinterval(self._usual_interval)
            self._usual_interval = None
