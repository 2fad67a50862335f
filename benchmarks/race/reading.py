"""What raw figures of a race say: medians, spreads, ratios inside a round, and who is to be told of how."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from race.results import Contender, Latency, Rate, Results

BARE, OWN, LINES, GRANIAN = "bare", "pyjob", "pyjob-lines", "pyjob-granian"
REFERENCE = "racetrack"
USUAL = 16
CONNECTIONS = (1, USUAL, 64)
WORKS = {
    "sum": "the sum of two numbers",
    "record": "1 kB of JSON there and back",
    "floats": "a list of 100,000 floats",
    "sleep": "20 ms of sleep",
    "cpu": "5 ms of pure Python",
}
# A spread, as a share of the median, above which a figure is not to be trusted much.
NOISY = 0.15


def is_own(contender: Contender) -> bool:
    """Whether it is pyjob, on whatever server."""
    return contender.key.partition("-")[0] == OWN


def find(results: Results, key: str) -> Contender | None:
    """The contender with this key, where it was measured."""
    return next((one for one in results.contenders if one.key == key and not one.missing), None)


def rate_of(contender: Contender, work: str = "sum", connections: int = USUAL) -> Rate | None:
    """What it did in this work with so many connections."""
    found = (one for one in contender.rates if (one.work, one.connections) == (work, connections))
    return next(found, None)


def flaw(measured: Rate | Latency) -> str:
    """Why there are no figures, or nothing."""
    if measured.failed:
        return measured.why or f"{measured.failed} of {measured.calls} calls failed"
    return "" if measured.p50 else measured.why or "no turn"


def middle(rate: Rate | None) -> float | None:
    """The median of its rounds; None where it was not measured or a call failed."""
    return None if rate is None or flaw(rate) else median(rate.rates)


def spread(values: Sequence[float]) -> float:
    """Highest less lowest, as a share of the median."""
    return (max(values) - min(values)) / median(values) if median(values) else 0.0


def ratios(results: Results, over: str, under: str, connections: int = USUAL) -> list[float]:
    """How many times the rate of ``under`` the one of ``over`` is in `sum`, a number a round.

    Where one of them has more rounds, that of the medians. Nothing where one has no rate.
    """
    pair = [find(results, key) for key in (over, under)]
    rates = [None if one is None else rate_of(one, connections=connections) for one in pair]
    first, second = rates
    if first is None or second is None or flaw(first) or flaw(second):
        return []
    if len(first.rates) != len(second.rates):
        return [median(first.rates) / median(second.rates)]
    return [mine / other for mine, other in zip(first.rates, second.rates, strict=True)]


def ranked(results: Results) -> list[Contender]:
    """Those that were measured, the quickest in `sum` first; those without a rate last."""
    there = [one for one in results.contenders if not one.missing]
    return sorted(there, key=lambda one: -(middle(rate_of(one)) or 0.0))


def differences(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """By how much each of ``values`` is above that of the same round in ``base``."""
    return [value - other for value, other in zip(values, base, strict=True)]
