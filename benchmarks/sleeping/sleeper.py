"""What the contenders of `overload.py` serve: a job that sleeps and tells in which order its calls began."""

from __future__ import annotations

import threading
import time

MILLISECONDS = 50


class Sleeper:
    """The job. It notices if it is called twice at once, which no contender is configured to do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = 0
        self._running = 0

    def perform(self, n: int, milliseconds: float = MILLISECONDS) -> dict[str, int]:
        """Sleep; ``started``: the how many-th call this is, ``together``: how many ran when it began."""
        with self._lock:
            self._started += 1
            self._running += 1
            started, together = self._started, self._running
        try:
            time.sleep(milliseconds / 1000)
        finally:
            with self._lock:
                self._running -= 1
        return {"n": n, "started": started, "together": together}

    def docs_input_example(self) -> dict[str, float]:
        """As short as can be: a server may try it."""
        return {"n": 0, "milliseconds": 0}
