"""Metric families that a job made with prometheus_client itself, checked before they come to our page.

Anybody may fill a family with anything. So it is copied as plain values, written alone, and read again with
the parsers of prometheus_client: what they refuse would break the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from pyjob.environment.mask import Mask
from pyjob.errors import exact_str, message_of
from pyjob.metrics.formats import OPENMETRICS, TEXT
from pyjob.metrics.report.plain import TooManyError, WrongMetricError, labels_of, name_of, number_of, text_of

# What stands after the name of a family in the names of its samples, by type; other types have none.
SUFFIXES = {
    "counter": ("_total", "_created"),
    "summary": ("_count", "_sum", "_created"),
    "histogram": ("_count", "_sum", "_bucket", "_created"),
    "gaugehistogram": ("_gcount", "_gsum", "_bucket"),
    "info": ("_info",),
}


def names_of(family: Metric) -> set[str]:
    """The names that nobody else on the page may have: its own, and those of its samples."""
    return {family.name, *(family.name + suffix for suffix in SUFFIXES.get(family.type, ()))}


def checked_family(family: object, mask: Mask, *, description: str, most: int) -> Metric:
    """A copy of ``family`` that can be shown, secrets masked; ``description`` stands in for a missing one.

    Raises `WrongMetricError` where it cannot be shown, `TooManyError` where it has more than ``most``
    samples, and whatever the author's objects raise.
    """
    if not isinstance(family, Metric):
        raise WrongMetricError(f"expected a metric family, found {type(family).__name__}")
    name = name_of(family.name, mask)
    text = text_of(family.documentation, mask) or description
    copy = Metric(name, text, exact_str(family.type), exact_str(family.unit))
    name_of(copy.name, mask)  # it ends with the unit now
    for sample in islice(family.samples, most + 1):
        labels = labels_of(name, sample.labels, mask)
        exemplar = None if sample.exemplar is None else _exemplar(name, sample.exemplar, mask)
        value, time = number_of(name, sample.value), _time(name, sample.timestamp)
        copy.add_sample(name_of(sample.name, mask), labels, value, time, exemplar)
    if len(copy.samples) > most:
        raise TooManyError
    _read_again(copy)
    return copy


def _exemplar(name: str, exemplar: Exemplar, mask: Mask) -> Exemplar:
    labels = labels_of(name, exemplar.labels, mask)
    return Exemplar(labels, number_of(name, exemplar.value), _time(name, exemplar.timestamp))


def _time(name: str, timestamp: object) -> float | None:
    return None if timestamp is None else number_of(name, timestamp)


class _Alone(Collector):
    """A page of one ``family``."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _read_again(family: Metric) -> None:
    """Raises `WrongMetricError` where a page of ``family`` would not say what the family says."""
    page = _Alone(family)
    try:
        [found] = OPENMETRICS.read(OPENMETRICS.write(page).decode())
        count = sum(len(one.samples) for one in TEXT.read(TEXT.write(page).decode()))
    except Exception as error:  # noqa: BLE001  the parsers raise many kinds
        raise WrongMetricError(f"{family.name} cannot be written: {message_of(error)}") from None
    if found.name != family.name or found.type != family.type:
        raise WrongMetricError(f"{family.name} has samples of other names")
    if not count == len(found.samples) == len(family.samples):
        raise WrongMetricError(f"{family.name} is reported twice with the same labels")
