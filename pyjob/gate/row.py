"""The gates of one application, side by side: one for its calls, one for the pages of its web view."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pyjob.gate.gate import Gate

# Pages at once; later ones wait.
MOST_PAGES = 32


class Row:
    """The gates ``calls`` and ``pages``: slots and lines of their own, threads of one server.

    What is asked of the row is the sum of both, and what is told to it is told to both.
    """

    def __init__(self, slots: int | None, queue: int | None, timeout: float | None) -> None:
        # A line without a cap means nothing (SPEC 2), and has been warned about.
        self.calls = Gate(slots, None if slots is None else queue, timeout)
        self.pages = Gate(MOST_PAGES, whose="pages", beside=self.calls)

    def __iter__(self) -> Iterator[Gate]:
        return iter((self.calls, self.pages))

    @property
    def running(self) -> int:
        """How many hold a slot."""
        return sum(gate.running for gate in self)

    @property
    def waiting(self) -> int:
        """How many stand in a line."""
        return sum(gate.waiting for gate in self)

    def silence(self) -> float:
        """For how many seconds the most silent has given no sign of life."""
        return max(gate.silence() for gate in self)

    def sweep(self) -> None:
        """Take those out of the lines whose callers have left."""
        for gate in self:
            gate.sweep()

    def expire(self) -> None:
        """Take those out of the lines who have waited too long."""
        for gate in self:
            gate.expire()

    def close(self) -> None:
        """Let nobody in any more; who is in a line is served."""
        for gate in self:
            gate.close()

    def dismiss(self) -> None:
        """Close, and send the lines away."""
        for gate in self:
            gate.dismiss()

    def wait_until_empty(self, timeout: float) -> bool:
        """Block until nobody runs or waits, once closed; False after ``timeout`` seconds."""
        ends_at = time.monotonic() + timeout
        return all(gate.wait_until_empty(max(0.0, ends_at - time.monotonic())) for gate in self)
