"""The works as a job: pyjob and the reference read this file and `job.yaml`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import work


class Race:
    """`perform` is `sum`; the others are auxiliary endpoints."""

    def perform(self, x: float, y: float) -> float:
        """Add two numbers."""
        return work.add(x, y)

    def record(self, record: dict[str, Any]) -> dict[str, Any]:
        """Give a document back."""
        return work.record(record)

    def floats(self, count: int) -> list[float]:
        """Give many numbers back."""
        return work.floats(count)

    def sleep(self, milliseconds: float) -> float:
        """Wait."""
        return work.sleep(milliseconds)

    def cpu(self, turns: int) -> int:
        """Compute."""
        return work.cpu(turns)

    def auxiliary_endpoints(self) -> dict[str, Callable[..., Any]]:
        """All but `perform`."""
        return {"/record": self.record, "/floats": self.floats, "/sleep": self.sleep, "/cpu": self.cpu}

    def docs_input_example(self) -> dict[str, float]:
        """A server may try it."""
        return {"x": 20, "y": 5}
