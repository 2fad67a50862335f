"""Where an application is in its life: loading, then ready or failed, and draining in the end."""

from __future__ import annotations

import threading
from typing import Literal

Status = Literal["loading", "ready", "failed", "draining"]


class State:
    """``status``, and ``error`` (one line) once it has failed.

    Loading ends once, as whoever loads the job says; draining is for good, but a failure stays one.
    """

    def __init__(self) -> None:
        self.status: Status = "loading"
        self.error: str | None = None
        self._decided = threading.Event()
        self._lock = threading.Lock()

    def become_ready(self) -> None:
        """The job can be called from now on."""
        with self._lock:
            if self.status == "loading":
                self.status = "ready"
        self._decided.set()

    def become_failed(self, error: str) -> None:
        """The job could not be loaded; ``error`` is one line for `/live`."""
        with self._lock:
            self.error = error
            self.status = "failed"
        self._decided.set()

    def become_draining(self) -> None:
        """It is going down: not ready for new callers."""
        with self._lock:
            if self.status != "failed":
                self.status = "draining"
        self._decided.set()

    def wait(self, timeout: float | None = None) -> Status:
        """Block until loading has ended, at most ``timeout`` seconds."""
        self._decided.wait(timeout)
        return self.status
