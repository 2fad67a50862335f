"""What the job itself reports: gauges, asked at scrape time (SPEC 6)."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from pyjob.environment.mask import Mask
from pyjob.errors import message_of, one_line

logger = logging.getLogger(__name__)

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")
ERRORS = "pyjob_job_metrics_errors"
DEFAULT_DESCRIPTION = "Metric of the job"


class JobMetrics(Collector):
    """The gauges that the job itself reports; asked at scrape time, and never able to break the page."""

    def __init__(self, report: Callable[[], Any], taken: frozenset[str], mask: Mask) -> None:
        self._report = report
        self._mask = mask
        self._taken = taken
        self._lock = threading.Lock()
        # Held by the scrape that asks the job; others meanwhile get what the last one got. However long the
        # job takes, it holds one thread.
        self._asking = threading.Lock()
        self._latest: list[Metric] = []
        self._errors = 0
        self._told = ""

    def collect(self) -> Iterator[Metric]:
        """What the job reports now, as far as it is right, and the count of faults."""
        if self._asking.acquire(blocking=False):
            try:
                self._latest = self._ask()
            finally:
                self._asking.release()
        yield from self._latest
        yield CounterMetricFamily(ERRORS, "Faults found in what the job's metrics() gave", self._errors)

    def _ask(self) -> list[Metric]:
        families: dict[str, Metric] = {}
        series: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        problems: list[str] = []
        for item in self._items(problems):
            try:
                self._add(item, families, series)
            except BaseException as error:  # noqa: BLE001  the author's objects, and a page that must not break
                problems.append(message_of(error))
        self._tell(problems)
        return list(families.values())

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
            text = (
                DEFAULT_DESCRIPTION
                if description is None or description == ""
                else self._mask(_text(description))
            )
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
        labels = _labels(name, item.get("labels"))
        if any(self._mask(text) != text for text in (name, *labels)):
            raise ValueError("the name of a metric or label holds a secret")
        masked = {label: self._mask(text) for label, text in labels.items()}
        return name, _number(name, item["value"]), masked

    def _tell(self, problems: list[str]) -> None:
        text = one_line(self._mask("; ".join(problems[:10])))
        with self._lock:
            self._errors += len(problems)
            is_news = text not in ("", self._told)  # the same fault is not told again at every scrape
            self._told = text
        if is_news:
            logger.warning("metrics() of the job: %s", text)


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
