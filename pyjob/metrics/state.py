"""Where the application is in its life, for Prometheus (SPEC 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric, StateSetMetricFamily
from prometheus_client.registry import Collector

STATES = ("loading", "ready", "failed", "draining")


class StateMetrics(Collector):
    """The state that ``status`` names: 1 for that one of `STATES`, 0 for the others."""

    def __init__(self, status: Callable[[], str]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """The state now."""
        status = self._status()
        states = {state: state == status for state in STATES}
        yield StateSetMetricFamily("pyjob_state", "Where the job is in its life", states)
