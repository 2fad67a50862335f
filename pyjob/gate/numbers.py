"""How it stands at the gate when a scrape asks (SPEC 6)."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pyjob.gate.gate import Gate


class GateMetrics(Collector):
    """The gauges of one ``gate``."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def collect(self) -> Iterator[Metric]:
        """Who runs and who waits now; callers that have left are taken out of the line first."""
        gate = self._gate
        gate.sweep()
        yield GaugeMetricFamily("pyjob_calls_running", "Calls that hold a slot", gate.running)
        yield GaugeMetricFamily("pyjob_calls_waiting", "Calls that wait for a slot", gate.waiting)
        yield GaugeMetricFamily(
            "pyjob_longest_call_seconds", "How long the oldest running call has run", gate.longest()
        )
