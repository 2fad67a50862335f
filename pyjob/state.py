"""Where an application is in its life: loading, then ready or failed."""

from __future__ import annotations

import threading
from typing import Literal

Status = Literal["loading", "ready", "failed"]


class State:
    """``status``, and ``error`` (one line) once it has failed. Changed once, by whoever loads the job."""

    def __init__(self) -> None:
        self.status: Status = "loading"
        self.error: str | None = None
        self._decided = threading.Event()

    def become_ready(self) -> None:
        """The job can be called from now on."""
        self.status = "ready"
        self._decided.set()

    def become_failed(self, error: str) -> None:
        """The job could not be loaded; ``error`` is one line for `/live`."""
        self.error = error
        self.status = "failed"
        self._decided.set()

    def wait(self, timeout: float | None = None) -> Status:
        """Block until loading has ended, at most ``timeout`` seconds."""
        self._decided.wait(timeout)
        return self.status
