"""One answer of a job's `metrics()`, read item by item: what is right is shown, the rest is told (SPEC 6)."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric

from pyjob.environment.mask import Mask
from pyjob.errors import kind_of, message_of
from pyjob.metrics.report.foreign import checked_family, names_of
from pyjob.metrics.report.plain import TooManyError, WrongMetricError, labels_of, name_of, number_of, text_of

MOST_SAMPLES = 10_000
DEFAULT_DESCRIPTION = "Metric of the job"
# Of many faults the first are told, each with so many characters.
MOST_TOLD = 10
LONGEST_FAULT = 200


class Report:
    """What ``ask`` (the job's method) gives, as far as it is right: ``families``.

    ``faults`` counts what is wrong, ``told`` has the first of it in words, masked. Everything of the author's
    is touched while this is made, and nothing later. ``taken``: names that the job may not use.
    """

    def __init__(self, ask: Callable[[], Any], taken: frozenset[str], mask: Mask) -> None:
        self.families: list[Metric] = []
        self.faults = 0
        self.told: list[str] = []
        self._mask = mask
        self._taken = taken
        self._names: set[str] = set()
        self._gauges: dict[str, Metric] = {}
        self._series: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self._left = MOST_SAMPLES
        try:
            self._read_each(lambda: _items(ask()), self._read)
        except TooManyError:
            self._fault(f"there are more than {MOST_SAMPLES} samples: the rest is left out")

    def _read_each(self, ask: Callable[[], Iterable[Any]], read: Callable[[Any], None]) -> None:
        """Read what comes until it ends or raises: the author's code gives it. Raises `TooManyError`."""
        try:
            for item in ask():
                self._spend(1)  # also for what shows nothing: it may come without end
                self._read_one(item, read)
        except TooManyError:
            raise
        except BaseException as error:  # noqa: BLE001  the author's generator
            self._fault(_told_of(error))

    def _read_one(self, item: Any, read: Callable[[Any], None]) -> None:
        try:
            read(item)
        except TooManyError:
            raise
        except BaseException as error:  # noqa: BLE001  the author's objects
            self._fault(_told_of(error))

    def _fault(self, text: str) -> None:
        self.faults += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(self._mask(text)[:LONGEST_FAULT])

    def _read(self, item: Any) -> None:
        if isinstance(item, Mapping):
            self._add_gauge(item)
        elif isinstance(item, Metric):
            self._add_family(item)
        elif _is_collector(item):
            self._read_each(item.collect, self._add_family)
        else:
            raise WrongMetricError(f"expected a dict with name and value, found {type(item).__name__}")

    def _spend(self, count: int) -> None:
        if count > self._left:
            raise TooManyError
        self._left -= count

    def _add_gauge(self, item: Mapping[Any, Any]) -> None:
        name = name_of(item.get("name"), self._mask)
        if name not in self._gauges:
            self._check_names({name})
        if item.get("value") is None:
            return
        labels = labels_of(name, item.get("labels"), self._mask)
        value = number_of(name, item["value"])
        series = (name, frozenset(labels.items()))
        if series in self._series:
            raise WrongMetricError(f"{name} is reported twice with the same labels")
        if name not in self._gauges:
            description = item.get("description")
            text = "" if description is None else text_of(description, self._mask)
            self._gauges[name] = family = Metric(name, text or DEFAULT_DESCRIPTION, "gauge")
            self.families.append(family)
            self._names.add(name)
        self._gauges[name].add_sample(name, labels, value)
        self._series.add(series)

    def _add_family(self, given: object) -> None:
        family = checked_family(given, self._mask, description=DEFAULT_DESCRIPTION, most=self._left)
        names = names_of(family)
        self._check_names(names)
        self._spend(len(family.samples))
        self.families.append(family)
        self._names |= names

    def _check_names(self, names: set[str]) -> None:
        if taken := sorted(names & self._taken):
            raise WrongMetricError(f"{taken[0]} is the name of a metric of pyjob itself")
        if taken := sorted(names & self._names):
            raise WrongMetricError(f"{taken[0]} is the name of another metric of the job")


def _told_of(error: BaseException) -> str:
    """What is wrong, in words."""
    # Its type, since an error of the author's may say that it is of another class.
    if issubclass(type(error), WrongMetricError):
        return message_of(error)
    return f"it raised {kind_of(error)}: {message_of(error)}{_place(error)}"


def _place(error: BaseException) -> str:
    """Where in the author's code it was raised, as far as that can be told."""
    try:
        frames = traceback.extract_tb(error.__traceback__)
    except BaseException:  # noqa: BLE001  the author's attributes and loaders
        return ""
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if len(frames) > 1 else ""


def _is_collector(value: Any) -> bool:
    return callable(getattr(value, "collect", None))


def _items(given: Any) -> Iterable[Any]:
    """What `metrics()` gave, one by one. Raises `WrongMetricError` where it is nothing of the kind."""
    if given is None:
        return ()
    if isinstance(given, (Mapping, str, bytes)):
        raise WrongMetricError(f"expected a list of dicts, found {type(given).__name__}")
    if isinstance(given, Metric) or _is_collector(given):
        return (given,)
    if not isinstance(given, Iterable):
        raise WrongMetricError(f"expected a list of dicts, found {type(given).__name__}")
    return given
