"""The last minutes of an application's calls, in memory that does not grow (SPEC 6).

No thread turns it: calls do as they end, and whoever reads it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH = 5.0  # seconds a bin
LENGTH = 180  # bins that have ended and are kept: 15 minutes


@dataclass(frozen=True, slots=True)
class Bin:
    """What happened in the `WIDTH` seconds before ``end`` (Unix time).

    ``calls`` have ended, ``errors`` of them with an error, ``refused`` were not run. The quantiles are of the
    duration in seconds; None where no call ended.
    """

    end: float
    calls: int
    errors: int
    refused: int
    p50: float | None
    p90: float | None
    p99: float | None


class History:
    """Bins of calls, by their durations; ``bounds`` are the upper ends of the buckets, without infinity.

    To be used under the lock of whoever counts: `turn` where the ``clock`` (seconds that never go back) has
    reached ``end``; then ``durations``, ``errors`` and ``refused`` of the current bin can be counted up.
    """

    __slots__ = ("_ago", "_bounds", "_clock", "_past", "durations", "end", "errors", "refused")

    def __init__(self, bounds: Sequence[float], clock: Callable[[], float]) -> None:
        self._bounds = bounds
        self._clock = clock
        self._past: deque[Bin] = deque(maxlen=LENGTH)
        # What makes Unix time of the clock; kept, so that the ends of bins do not tremble.
        self._ago = time.time() - clock()
        self.end = clock() + WIDTH
        self._clear()

    def turn(self, now: float) -> None:
        """Begin the bin in which ``now`` lies; those that are passed over are empty."""
        ended = int((now - self.end) // WIDTH) + 1
        self._past.append(self._current())
        self._clear()
        for number in range(max(1, ended - LENGTH), ended):
            self._past.append(self._empty(self.end + number * WIDTH))
        self.end += ended * WIDTH

    def bins(self) -> tuple[list[Bin], float]:
        """All bins, oldest first, the current one last; and what makes Unix time of their ends."""
        now = self._clock()
        if now >= self.end:
            self.turn(now)
        ago = time.time() - now
        if abs(ago - self._ago) > 1:  # somebody has set the time
            self._ago = ago
        return [*self._past, self._current()], self._ago

    def _clear(self) -> None:
        self.durations = [0] * (len(self._bounds) + 1)
        self.errors = self.refused = 0

    def _current(self) -> Bin:
        p50, p90, p99 = (quantile(q, self._bounds, self.durations) for q in (0.5, 0.9, 0.99))
        return Bin(self.end, sum(self.durations), self.errors, self.refused, p50, p90, p99)

    @staticmethod
    def _empty(end: float) -> Bin:
        return Bin(end, 0, 0, 0, None, None, None)


def in_unix_time(bins: Sequence[Bin], ago: float) -> list[Bin]:
    """``bins`` with their ends as Unix time."""
    return [Bin(one.end + ago, one.calls, one.errors, one.refused, one.p50, one.p90, one.p99) for one in bins]


def quantile(q: float, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """The ``q``-quantile of what was counted in buckets, as Prometheus' `histogram_quantile` finds it.

    Straight between the ends of a bucket; above the last of the ``bounds``, that bound. None of nothing.
    """
    total = sum(counts)
    if not total:
        return None
    rank, below, lower = q * total, 0, 0.0
    for upper, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count
        below, lower = below + count, upper
    return lower
