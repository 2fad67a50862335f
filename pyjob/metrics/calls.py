"""What is counted of calls (SPEC 6).

Plain numbers under one lock, turned into metric families only when a scrape asks: the metric objects
of prometheus_client cost several times as much a call.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from prometheus_client.samples import Exemplar

from pyjob.metrics.callers import Callers, family_of
from pyjob.metrics.history import Bin, History, in_unix_time
from pyjob.trace import CURRENT

BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0),
)
BUCKET_NAMES = (*map(str, BUCKETS), "+Inf")

# Why a valid call was not run: the line is full, the server's connections or threads are, it has waited
# longer than queue_timeout, or the service is going down.
Reason = Literal["queue_full", "connections", "threads", "queue_timeout", "draining"]
REASONS: tuple[Reason, ...] = ("queue_full", "connections", "threads", "queue_timeout", "draining")

MOST_ERRORS = 20
LONGEST_KIND = 100
TRACE_ID = "trace_id"
# Which ids can be exemplars: OpenMetrics allows 128 characters for names and values of their labels together,
# and not every reader finds the end of others.
EXEMPLARY = re.compile(r"[0-9A-Za-z_.:/@+~-]{1,120}\Z")


@dataclass(frozen=True, slots=True)
class ErrorNote:
    """A call that was answered with an error of the job, at ``time`` (Unix time).

    ``kind`` is the name of the exception's type: its message may repeat what the caller sent.
    """

    time: float
    endpoint: str
    status: int
    kind: str
    tracing_id: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the start: ``calls`` that have ended, ``errors`` among them, those ``refused``, ``abandoned``."""

    calls: int
    errors: int
    refused: int
    abandoned: int


class EndpointMetrics:
    """The numbers of one endpoint."""

    __slots__ = ("_calls", "_path", "buckets", "done", "errors", "exemplars", "seconds", "started")

    def __init__(self, calls: CallMetrics, path: str) -> None:
        self._calls = calls
        self._path = path
        self.started = self.done = self.errors = 0
        self.seconds = 0.0
        self.buckets = [0] * len(BUCKET_NAMES)
        # Of each bucket the latest call with an id: seconds, id and Unix time.
        self.exemplars: list[tuple[float, str, float] | None] = [None] * len(BUCKET_NAMES)

    def start(self, *, waits: bool) -> None:
        """A valid call has been let in; ``waits`` where it stands in the line first."""
        calls = self._calls
        with calls.lock:
            self.started += 1
            calls.last_call = time.time()
            if not waits:
                calls.waits[0] += 1
            if calls.callers is not None:
                trace = CURRENT.get()
                calls.callers.count("" if trace is None else trace.caller)

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
        calls = self._calls
        now = calls.clock()
        with calls.lock:
            calls.refused[reason] += 1
            history = calls.history
            if now >= history.end:
                history.turn(now)
            history.refused += 1

    def abandon(self) -> None:
        """The caller has left before the answer."""
        with self._calls.lock:
            self._calls.abandoned += 1

    def finish(self, seconds: float, *, failed: bool, tracing_id: str = "") -> None:
        """It has ended after ``seconds``; ``failed`` where the job raised or its result cannot be sent.

        With a ``tracing_id`` it becomes the exemplar of its bucket.
        """
        calls = self._calls
        now = calls.clock()
        bucket = bisect_left(BUCKETS, seconds)
        with calls.lock:
            self.done += 1
            self.seconds += seconds
            self.buckets[bucket] += 1
            self.errors += failed
            if tracing_id:
                self.exemplars[bucket] = (seconds, tracing_id, time.time())
            history = calls.history
            if now >= history.end:
                history.turn(now)
            history.durations[bucket] += 1
            history.errors += failed

    def note_error(self, status: int, kind: str, tracing_id: str) -> None:
        """A call was answered ``status`` after an exception of type ``kind``: keep it among the latest."""
        note = ErrorNote(time.time(), self._path, status, kind[:LONGEST_KIND], tracing_id)
        with self._calls.lock:
            self._calls.latest.append(note)


class CallMetrics(Collector):
    """The calls of one application, by endpoint; ``by_caller``: by the names of callers, too."""

    def __init__(
        self,
        name: str,
        version: str,
        *,
        by_caller: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self.last_call = 0.0
        self.waited = 0.0
        self.waits = [0] * len(BUCKET_NAMES)
        self.refused: dict[Reason, int] = dict.fromkeys(REASONS, 0)
        self.abandoned = 0
        self.callers = Callers() if by_caller else None
        self.history = History(BUCKETS, clock)
        self.latest: deque[ErrorNote] = deque(maxlen=MOST_ERRORS)
        self._job = {"name": name, "version": version}
        self._endpoints: dict[str, EndpointMetrics] = {}

    def endpoint(self, path: str) -> EndpointMetrics:
        """The numbers of the endpoint at the short ``path``, there from now on."""
        with self.lock:
            return self._endpoints.setdefault(path, EndpointMetrics(self, path))

    def bins(self) -> list[Bin]:
        """The last 15 minutes, oldest first: the bins that have ended, and the current one."""
        with self.lock:
            bins, ago = self.history.bins()
        return in_unix_time(bins, ago)

    def latest_errors(self) -> list[ErrorNote]:
        """The latest errors, newest first."""
        with self.lock:
            return [*reversed(self.latest)]

    def totals(self) -> Totals:
        """What has happened since the start."""
        with self.lock:
            endpoints = self._endpoints.values()
            return Totals(
                calls=sum(sum(numbers.buckets) for numbers in endpoints),
                errors=sum(numbers.errors for numbers in endpoints),
                refused=sum(self.refused.values()),
                abandoned=self.abandoned,
            )

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
                duration.add_metric([path], _with_exemplars(numbers), numbers.seconds)
            waits.add_metric([], _cumulated(self.waits), self.waited)
            for reason, count in self.refused.items():
                refused.add_metric([reason], count)
            abandoned.add_metric([], self.abandoned)
            by_caller = None if self.callers is None else self.callers.counts()
        yield from (started, done, by_endpoint, errors, duration, waits, refused, abandoned)
        if by_caller is not None:
            yield family_of(by_caller)
        yield GaugeMetricFamily("last_call_timestamp", "Unix time of the latest call", self.last_call)
        yield InfoMetricFamily("pyjob_job", "The job that is served", self._job)


def _cumulated(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Each bucket's bound, and how many are at most that long."""
    return list(zip(BUCKET_NAMES, map(float, accumulate(counts)), strict=True))


def _with_exemplars(numbers: EndpointMetrics) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """Each bucket's bound, how many are at most that long, and the latest call that fell into it."""
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    for (bound, count), call in zip(_cumulated(numbers.buckets), numbers.exemplars, strict=True):
        if call is None or not EXEMPLARY.match(call[1]):
            buckets.append((bound, count))
        else:
            seconds, tracing_id, at = call
            buckets.append((bound, count, Exemplar({TRACE_ID: tracing_id}, seconds, at)))
    return buckets
