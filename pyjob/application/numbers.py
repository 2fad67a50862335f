"""What one application tells Prometheus: of its calls, its gate, its state, and the job's own metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyjob.environment.mask import Mask
from pyjob.gate.gate import Gate
from pyjob.gate.numbers import GateMetrics
from pyjob.manifest import Manifest
from pyjob.metrics.access import AccessMetrics
from pyjob.metrics.calls import CallMetrics
from pyjob.metrics.job import JobMetrics
from pyjob.metrics.registry import add_job_metrics, new_registry
from pyjob.metrics.state import StateMetrics
from pyjob.state import State


class Numbers:
    """``registry`` holds them all; ``calls``, and ``job`` once there is one that has metrics.

    ``by_caller``: calls are counted by the names of their callers, too.
    """

    def __init__(self, manifest: Manifest, gate: Gate, state: State, *, by_caller: bool = False) -> None:
        self.calls = CallMetrics(manifest.name, manifest.version, by_caller=by_caller)
        self.job: JobMetrics | None = None
        self.registry = new_registry(self.calls, GateMetrics(gate), StateMetrics(lambda: state.status))

    def add_access(self) -> AccessMetrics:
        """What is counted where not everybody is let in."""
        metrics = AccessMetrics()
        self.registry.register(metrics)
        return metrics

    def add_job(self, report: Callable[[], Any] | None, mask: Mask) -> None:
        """What the job itself reports; None: nothing."""
        if report is not None:
            self.job = add_job_metrics(self.registry, report, mask)
