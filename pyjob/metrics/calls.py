"""What is counted of calls (SPEC 6).

Plain numbers under one lock, turned into metric families only when a scrape asks: the metric objects
of prometheus_client cost several times as much a call.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Literal

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0),
)
BUCKET_NAMES = (*map(str, BUCKETS), "+Inf")

# Why a valid call was not run: the line is full, the server's connections or threads are, it has waited
# longer than queue_timeout, or the service is going down.
Reason = Literal["queue_full", "connections", "threads", "queue_timeout", "draining"]
REASONS: tuple[Reason, ...] = ("queue_full", "connections", "threads", "queue_timeout", "draining")


class EndpointMetrics:
    """The numbers of one endpoint."""

    __slots__ = ("_calls", "buckets", "done", "errors", "seconds", "started")

    def __init__(self, calls: CallMetrics) -> None:
        self._calls = calls
        self.started = self.done = self.errors = 0
        self.seconds = 0.0
        self.buckets = [0] * len(BUCKET_NAMES)

    def start(self, *, waits: bool) -> None:
        """A valid call has been let in; ``waits`` where it stands in the line first."""
        calls = self._calls
        with calls.lock:
            self.started += 1
            calls.last_call = time.time()
            if not waits:
                calls.waits[0] += 1

    def begin(self, waited: float) -> None:
        """A call that stood in the line runs after ``waited`` seconds."""
        calls = self._calls
        with calls.lock:
            calls.waits[bisect_left(BUCKETS, waited)] += 1
            calls.waited += waited

    def drop(self, reason: Reason | None) -> None:
        """A call leaves the line without having run: refused for ``reason``, or left by its caller (None)."""
        with self._calls.lock:
            self.done += 1
        if reason is None:
            self.abandon()
        else:
            self.refuse(reason)

    def refuse(self, reason: Reason) -> None:
        """A valid call is answered without being run."""
        with self._calls.lock:
            self._calls.refused[reason] += 1

    def abandon(self) -> None:
        """The caller has left before the answer."""
        with self._calls.lock:
            self._calls.abandoned += 1

    def finish(self, seconds: float, *, failed: bool) -> None:
        """It has ended after ``seconds``; ``failed`` where the job raised or its result cannot be sent."""
        with self._calls.lock:
            self.done += 1
            self.seconds += seconds
            self.buckets[bisect_left(BUCKETS, seconds)] += 1
            self.errors += failed


class CallMetrics(Collector):
    """The calls of one application, by endpoint."""

    def __init__(self, name: str, version: str) -> None:
        self.lock = threading.Lock()
        self.last_call = 0.0
        self.waited = 0.0
        self.waits = [0] * len(BUCKET_NAMES)
        self.refused: dict[Reason, int] = dict.fromkeys(REASONS, 0)
        self.abandoned = 0
        self._job = {"name": name, "version": version}
        self._endpoints: dict[str, EndpointMetrics] = {}

    def endpoint(self, path: str) -> EndpointMetrics:
        """The numbers of the endpoint at the short ``path``, there from now on."""
        with self.lock:
            return self._endpoints.setdefault(path, EndpointMetrics(self))

    def collect(self) -> Iterator[Metric]:
        """All families, as the numbers stand now."""
        started = CounterMetricFamily("requests_started", "Calls that have been started")
        done = CounterMetricFamily("requests_done", "Calls that have been processed")
        by_endpoint = CounterMetricFamily(
            "endpoint_requests_started", "Calls started, by endpoint", labels=["endpoint"]
        )
        errors = CounterMetricFamily(
            "request_internal_errors", "Calls in which the job raised an error", labels=["endpoint"]
        )
        duration = HistogramMetricFamily(
            "request_duration", "Duration of calls in seconds, waiting included", labels=["endpoint"]
        )
        waits = HistogramMetricFamily(
            "pyjob_call_wait_seconds", "Time that calls waited for a slot before they ran"
        )
        refused = CounterMetricFamily(
            "pyjob_calls_refused", "Valid calls that were not run, by reason", labels=["reason"]
        )
        abandoned = CounterMetricFamily("pyjob_calls_abandoned", "Calls whose callers left before the answer")
        with self.lock:
            endpoints = list(self._endpoints.items())
            started.add_metric([], sum(numbers.started for _, numbers in endpoints))
            done.add_metric([], sum(numbers.done for _, numbers in endpoints))
            for path, numbers in endpoints:
                by_endpoint.add_metric([path], numbers.started)
                errors.add_metric([path], numbers.errors)
                duration.add_metric([path], _cumulated(numbers.buckets), numbers.seconds)
            waits.add_metric([], _cumulated(self.waits), self.waited)
            for reason, count in self.refused.items():
                refused.add_metric([reason], count)
            abandoned.add_metric([], self.abandoned)
        yield from (started, done, by_endpoint, errors, duration, waits, refused, abandoned)
        yield GaugeMetricFamily("last_call_timestamp", "Unix time of the latest call", self.last_call)
        yield InfoMetricFamily("pyjob_job", "The job that is served", self._job)


def _cumulated(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Each bucket's bound, and how many are at most that long."""
    return list(zip(BUCKET_NAMES, map(float, accumulate(counts)), strict=True))
