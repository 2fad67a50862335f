"""The goals, and whether a race reached them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from race.reading import BARE, GRANIAN, LINES, OWN, REFERENCE, differences, find, ratios
from race.results import Contender, Results

Measure = Callable[[Results], Sequence[float]]  # a number a round, none where it was not measured
# The calls between which memory may grow no further.
EARLY, LATE = 10_000, 1_000_000


@dataclass(frozen=True)
class Goal:
    """``limit``, in ``unit``, is what ``measure`` has to reach, or may reach at most (``most``).

    Its median decides.
    """

    text: str
    limit: float
    unit: str
    measure: Measure
    most: bool = False

    @property
    def asked(self) -> str:
        """The goal in words."""
        return f"{'at most' if self.most else 'at least'} {self.limit:g}{self.unit}"

    def reached(self, value: float) -> bool:
        """Whether ``value`` is good enough."""
        return value <= self.limit if self.most else value >= self.limit


def times(over: str, under: str) -> Measure:
    """How many times as quick it is."""
    return lambda results: ratios(results, over, under)


def at_start(figure: Callable[[Contender], Sequence[float]]) -> Measure:
    """A figure of each start of pyjob."""

    def measure(results: Results) -> Sequence[float]:
        own = find(results, OWN)
        return () if own is None else figure(own)

    return measure


def above_bare(results: Results) -> Sequence[float]:
    """Microseconds of the application alone above the bare function."""
    inside = results.inside
    return () if inside is None else differences(inside.alone, inside.bare)


def grown(results: Results) -> Sequence[float]:
    """Megabytes between `EARLY` and `LATE` calls."""
    memory = None if results.inside is None else results.inside.memory
    if memory is None:
        return ()
    after = dict(zip(memory.calls, memory.megabytes, strict=True))
    return (after[LATE] - after[EARLY],) if EARLY in after and LATE in after else ()


GOALS = (
    Goal("requests/s of pyjob on waitress, as a multiple of bare on waitress", 1.0, " x", times(OWN, BARE)),
    Goal("the same, the floor", 0.85, " x", times(OWN, BARE)),
    Goal("requests/s of pyjob, as a multiple of the reference", 15, " x", times(OWN, REFERENCE)),
    Goal("the same with access lines", 10, " x", times(LINES, REFERENCE)),
    Goal("requests/s of pyjob on granian, as a multiple of pyjob on waitress", 2, " x", times(GRANIAN, OWN)),
    Goal("the application alone, above a bare function", 20, " us a call", above_bare, most=True),
    Goal(
        "from start to first answer",
        0.3,
        " s",
        at_start(lambda own: [start.seconds for start in own.starts]),
        most=True,
    ),
    Goal(
        "memory at rest, resident",
        32,
        " MB",
        at_start(lambda own: [start.resident for start in own.starts]),
        most=True,
    ),
    Goal("memory after a million calls, above that after 10,000", 2, " MB", grown, most=True),
)
