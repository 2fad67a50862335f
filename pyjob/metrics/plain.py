"""What an author gave, as the plain names, texts and numbers of a page of metrics (SPEC 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyjob.environment.mask import Mask

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")


class WrongMetricError(ValueError):
    """A metric that cannot be shown; the message says which and why."""


class TooManyError(WrongMetricError):
    """More samples than are shown: nothing after them is read."""


def name_of(value: object, mask: Mask) -> str:
    """``value`` as the name of a metric. Raises `WrongMetricError` where it is none, or holds a secret."""
    if not isinstance(value, str) or not NAME.match(value):
        raise WrongMetricError(f"{value!r} is not the name of a metric")
    return _open(text_of(value), mask)


def text_of(value: object) -> str:
    """``value`` as text that UTF-8 can carry, without NUL, at which Prometheus would stop reading."""
    return str(value).encode("utf-8", "replace").decode().replace("\0", "?")


def number_of(name: str, value: Any) -> float:
    """``value`` of the metric ``name``. Raises `WrongMetricError` where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        kind = type(value).__name__
        raise WrongMetricError(f"{name} has a value of type {kind} that is no number") from None


def labels_of(name: str, labels: object, mask: Mask) -> dict[str, str]:
    """``labels`` of the metric ``name`` as text, secrets masked.

    Raises `WrongMetricError` where they are no labels, or the name of one holds a secret.
    """
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise WrongMetricError(f"{name} has labels of type {type(labels).__name__}, expected a dict")
    for label in labels:
        if not isinstance(label, str) or not LABEL.match(label):
            raise WrongMetricError(f"{name} has a label {label!r}, which is not a label's name")
    return {_open(text_of(label), mask): mask(text_of(value)) for label, value in labels.items()}


def _open(name: str, mask: Mask) -> str:
    """``name``, which could not be masked: it would be none any more."""
    if mask(name) != name:
        raise WrongMetricError("the name of a metric or label holds a secret")
    return name
