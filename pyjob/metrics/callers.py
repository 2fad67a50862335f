"""Whose calls they are, counted where somebody asks for it (SPEC 6)."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily

# So many names are told apart: whoever invents names for each call fills no memory and no page.
MOST_CALLERS = 1000
OTHERS = "other"


class Callers:
    """How many calls each caller has begun. To be used under the lock of whoever counts."""

    __slots__ = ("_counts", "_others")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._others = 0

    def count(self, name: str) -> None:
        """A call of ``name``, which is empty where nobody knows; its secrets are masked already."""
        counts = self._counts
        if name in counts:
            counts[name] += 1
        elif len(counts) < MOST_CALLERS:
            counts[name] = 1
        else:
            self._others += 1

    def counts(self) -> dict[str, int]:
        """The numbers as they stand now, by name; those that are not told apart under `OTHERS`."""
        counts = self._counts.copy()
        if self._others:
            # A caller may be called so.
            counts[OTHERS] = counts.get(OTHERS, 0) + self._others
        return counts


def family_of(counts: Mapping[str, int]) -> CounterMetricFamily:
    """The metric of ``counts`` by caller."""
    family = CounterMetricFamily("pyjob_calls_by_caller", "Calls started, by caller", labels=["caller"])
    for name, count in counts.items():
        family.add_metric([name], count)
    return family
