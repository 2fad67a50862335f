"""The registry of one application: no two of them mix (SPEC 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from pyjob.environment.mask import Mask
from pyjob.metrics.job import ERRORS, JobMetrics

SUFFIXES = ("", "_total", "_created", "_bucket", "_sum", "_count", "_info")


def new_registry(*collectors: Collector) -> CollectorRegistry:
    """A registry of one application: ``collectors``, and those of process, platform and gc."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return registry


def add_job_metrics(registry: CollectorRegistry, report: Callable[[], Any], mask: Mask) -> JobMetrics:
    """Let ``report`` (the job's `metrics` method) add metrics under names that are not taken."""
    families = [ERRORS, *(metric.name for metric in registry.collect())]
    taken = frozenset(name + suffix for name in families for suffix in SUFFIXES)
    metrics = JobMetrics(report, taken, mask)
    registry.register(metrics)
    return metrics
