"""What is counted of calls (SPEC 6): one `CallMetrics` and one registry an application.

Plain numbers under one lock, turned into metric families only when a scrape asks: the metric objects
of prometheus_client cost several times as much a call.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pyjob.errors import message_of, one_line

logger = logging.getLogger(__name__)

BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0),
)
BUCKET_NAMES = (*map(str, BUCKETS), "+Inf")
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")
SUFFIXES = ("", "_total", "_created", "_bucket", "_sum", "_count", "_info")
ERRORS = "pyjob_job_metrics_errors"
DEFAULT_DESCRIPTION = "Metric of the job"


class EndpointMetrics:
    """The numbers of one endpoint."""

    __slots__ = ("_calls", "buckets", "done", "errors", "seconds", "started")

    def __init__(self, calls: CallMetrics) -> None:
        self._calls = calls
        self.started = self.done = self.errors = 0
        self.seconds = 0.0
        self.buckets = [0] * len(BUCKET_NAMES)

    def start(self) -> None:
        """A valid call has arrived."""
        calls = self._calls
        with calls.lock:
            self.started += 1
            calls.last_call = time.time()

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
        with self.lock:
            endpoints = list(self._endpoints.items())
            started.add_metric([], sum(numbers.started for _, numbers in endpoints))
            done.add_metric([], sum(numbers.done for _, numbers in endpoints))
            for path, numbers in endpoints:
                by_endpoint.add_metric([path], numbers.started)
                errors.add_metric([path], numbers.errors)
                buckets = list(zip(BUCKET_NAMES, map(float, accumulate(numbers.buckets)), strict=True))
                duration.add_metric([path], buckets, numbers.seconds)
        yield from (started, done, by_endpoint, errors, duration)
        yield GaugeMetricFamily("last_call_timestamp", "Unix time of the latest call", self.last_call)
        yield InfoMetricFamily("pyjob_job", "The job that is served", self._job)


class JobMetrics(Collector):
    """The gauges that the job itself reports; asked at scrape time, and never able to break the page."""

    def __init__(self, report: Callable[[], Any], taken: frozenset[str]) -> None:
        self._report = report
        self._taken = taken
        self._lock = threading.Lock()
        self._errors = 0
        self._told = ""

    def collect(self) -> Iterator[Metric]:
        """What the job reports now, as far as it is right, and the count of faults."""
        families: dict[str, Metric] = {}
        series: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        problems: list[str] = []
        for item in self._items(problems):
            try:
                self._add(item, families, series)
            except BaseException as error:  # noqa: BLE001  the author's objects, and a page that must not break
                problems.append(message_of(error))
        self._tell(problems)
        yield from families.values()
        yield CounterMetricFamily(ERRORS, "Faults found in what the job's metrics() gave", self._errors)

    def _items(self, problems: list[str]) -> Iterable[Any]:
        try:
            reported = self._report()
            return () if reported is None else list(reported)
        except BaseException as error:  # noqa: BLE001
            problems.append(f"it raised {type(error).__name__}: {message_of(error)}")
            return ()

    def _add(
        self,
        item: Any,
        families: dict[str, Metric],
        series: set[tuple[str, frozenset[tuple[str, str]]]],
    ) -> None:
        name, value, labels = self._read(item)
        if value is None:
            return
        key = (name, frozenset(labels.items()))
        if key in series:
            raise ValueError(f"{name} is reported twice with the same labels")
        if name not in families:
            description = item.get("description")
            text = DEFAULT_DESCRIPTION if description is None or description == "" else _text(description)
            families[name] = Metric(name, text, "gauge")
        families[name].add_sample(name, labels, value)
        series.add(key)

    def _read(self, item: Any) -> tuple[str, float | None, dict[str, str]]:
        if not isinstance(item, Mapping):
            raise ValueError(f"expected a dict with name and value, found {type(item).__name__}")
        name = item.get("name")
        if not isinstance(name, str) or not NAME.match(name):
            raise ValueError(f"{name!r} is not the name of a metric")
        if name in self._taken:
            raise ValueError(f"{name} is the name of a metric of pyjob itself")
        if item.get("value") is None:
            return name, None, {}
        return name, _number(name, item["value"]), _labels(name, item.get("labels"))

    def _tell(self, problems: list[str]) -> None:
        text = one_line("; ".join(problems[:10]))
        with self._lock:
            self._errors += len(problems)
            is_news = text not in ("", self._told)  # the same fault is not told again at every scrape
            self._told = text
        if is_news:
            logger.warning("metrics() of the job: %s", text)


def new_registry(calls: CallMetrics) -> CollectorRegistry:
    """A registry of one application: its ``calls``, and the process, platform and gc collectors."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(calls)
    return registry


def add_job_metrics(registry: CollectorRegistry, report: Callable[[], Any]) -> None:
    """Let ``report`` (the job's `metrics` method) add gauges under names that are not taken."""
    families = [ERRORS, *(metric.name for metric in registry.collect())]
    taken = frozenset(name + suffix for name in families for suffix in SUFFIXES)
    registry.register(JobMetrics(report, taken))


def _text(value: Any) -> str:
    """``value`` as text that UTF-8 can carry."""
    return str(value).encode("utf-8", "replace").decode()


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} has a value of type {type(value).__name__} that is no number") from None


def _labels(name: str, labels: Any) -> dict[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise ValueError(f"{name} has labels of type {type(labels).__name__}, expected a dict")
    for label in labels:
        if not isinstance(label, str) or not LABEL.match(label):
            raise ValueError(f"{name} has a label {label!r}, which is not a label's name")
    return {label: _text(value) for label, value in labels.items()}
