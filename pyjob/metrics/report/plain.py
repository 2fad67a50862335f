"""What an author gave, as the plain names, texts and numbers of a page of metrics (SPEC 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from pyjob.environment.mask import Mask
from pyjob.errors import exact_str

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")
# In characters: of the name of a metric or a label; of a label's value or a description, which are cut.
LONGEST_NAME = 200
LONGEST_TEXT = 1000
MOST_LABELS = 64


class WrongMetricError(ValueError):
    """A metric that cannot be shown; the message says which and why."""


class TooManyError(WrongMetricError):
    """More samples than are shown: nothing after them is read."""


def name_of(value: object, mask: Mask) -> str:
    """``value`` as the name of a metric.

    Raises `WrongMetricError` where it is none, is too long, or holds a secret.
    """
    if not isinstance(value, str) or not NAME.match(name := exact_str(value)):
        raise WrongMetricError(f"{value!r} is not the name of a metric")
    return _fit(name, mask)


def text_of(value: object, mask: Mask) -> str:
    """``value`` as the text of a label or a description: secrets masked, cut at `LONGEST_TEXT`.

    It is text that UTF-8 can carry, without NUL, at which Prometheus would stop reading.
    """
    text = exact_str(value).encode("utf-8", "replace").decode().replace("\0", "?")
    return cut(mask(text), LONGEST_TEXT)


def cut(text: str, longest: int) -> str:
    """``text``, or its first ``longest`` characters and dots."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def number_of(name: str, value: Any) -> float:
    """``value`` of the metric ``name``. Raises `WrongMetricError` where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        kind = type(value).__name__
        raise WrongMetricError(f"{name} has a value of type {kind} that is no number") from None


def labels_of(name: str, labels: object, mask: Mask) -> dict[str, str]:
    """``labels`` of the metric ``name`` as text, secrets masked.

    Raises `WrongMetricError` where they are no labels, or too many, or the name of one is too long or holds a
    secret.
    """
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise WrongMetricError(f"{name} has labels of type {type(labels).__name__}, expected a dict")
    # Read once: what is checked is what is shown.
    pairs = list(islice(labels.items(), MOST_LABELS + 1))
    if len(pairs) > MOST_LABELS:
        raise WrongMetricError(f"{name} has more than {MOST_LABELS} labels")
    return {_label_of(name, label, mask): text_of(value, mask) for label, value in pairs}


def _label_of(name: str, value: object, mask: Mask) -> str:
    if not isinstance(value, str) or not LABEL.match(label := exact_str(value)):
        raise WrongMetricError(f"{name} has a label {value!r}, which is not a label's name")
    return _fit(label, mask)


def _fit(name: str, mask: Mask) -> str:
    """``name``, which can be neither cut nor masked: it would be another."""
    if len(name) > LONGEST_NAME:
        raise WrongMetricError(f"a name has {len(name)} characters, at most {LONGEST_NAME} are shown: {name}")
    if mask(name) != name:
        raise WrongMetricError("the name of a metric or label holds a secret")
    return name
