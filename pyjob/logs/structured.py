"""Records as JSON for machines: one object a line (SPEC 7)."""

from __future__ import annotations

import json
import logging
import math
import numbers
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pyjob.environment.mask import Mask
from pyjob.logs.record import DEEPEST, MOST_NODES, cut, extras_of, message_of_record, text_of, traceback_of

# What is ours to say.
KEYS = frozenset(("time", "lvl", "msg", "logger", "exception", "stack"))
# Made once: `json.dumps` with options makes one for each text.
ENCODE = json.JSONEncoder(allow_nan=False).encode


class JsonFormatter(logging.Formatter):
    """``{"time": ..., "lvl": ..., "msg": ..., "logger": ...}``, and what else a record has.

    ``tracing_id`` and ``caller_name`` of the request, ``exception`` (the traceback), ``stack``, and each
    extra under its name (``extra_...`` where that is taken). ``time`` is UTC (RFC 3339). Plain ASCII,
    without a line feed.
    """

    def __init__(self) -> None:
        super().__init__()
        # The latest second and its text.
        self._second = (0, "")

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        return self.masked(record, ())

    def masked(self, record: logging.LogRecord, masks: Iterable[Mask]) -> str:
        """The record as JSON without what ``masks`` hide, be it a number."""
        told = self._told(record)
        for mask in masks:
            told = _hidden(told, mask)
        return ENCODE(told)

    def _told(self, record: logging.LogRecord) -> Any:
        told: dict[str, Any] = {
            "time": self._time(record.created),
            "lvl": record.levelname,
            "msg": message_of_record(record),
            "logger": record.name,
        }
        for name in ("tracing_id", "caller_name"):
            if (value := record.__dict__.get(name)) is not None and (text := text_of(value)):
                told[name] = text
        if trace := traceback_of(record):
            told["exception"] = trace
        if record.stack_info:
            told["stack"] = record.stack_info
        for name, value in extras_of(record).items():
            told[f"extra_{name}" if name in KEYS else text_of(name)] = _extra(value)
        return told

    def _time(self, created: float) -> str:
        second, told = self._second
        if int(created) != second:
            told = datetime.fromtimestamp(int(created), UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (int(created), told)
        return f"{told}.{int(created % 1 * 1e6):06d}Z"


class _Extra:
    """One extra as plain JSON; what JSON does not have, is too deep, or too much, as text."""

    def __init__(self) -> None:
        self._left = MOST_NODES

    def plain(self, value: object, depth: int = 0) -> Any:
        """``value``; raises what the author's objects raise."""
        self._left -= 1
        if value is None or type(value) is bool:
            return value
        if isinstance(value, numbers.Real):
            return _number(value)
        if not isinstance(value, (Mapping, list, tuple)):
            return cut(text_of(value))
        if depth >= DEEPEST or self._left < len(value):
            # The text of something nested may be much longer than it.
            return f"{type(value).__name__} of {len(value)}" if depth else cut(text_of(value))
        if isinstance(value, Mapping):
            return {text_of(key): self.plain(item, depth + 1) for key, item in value.items()}
        return [self.plain(item, depth + 1) for item in value]


def _extra(value: object) -> Any:
    try:
        return _Extra().plain(value)
    except BaseException:  # noqa: BLE001  the author's mapping
        return text_of(value)


def _hidden(value: Any, mask: Mask) -> Any:
    """``value``, which is plain JSON, without what ``mask`` hides."""
    if isinstance(value, dict):
        return {mask(key): _hidden(item, mask) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, mask) for item in value]
    if isinstance(value, str):
        return mask(value)
    told = str(value)
    return value if mask(told) == told else mask(told)


def _number(value: numbers.Real) -> Any:
    """``value`` as JSON has it: also of a type of its own, such as NumPy's."""
    try:
        if isinstance(value, numbers.Integral):
            str(whole := int(value))  # of too many digits, Python makes no text
            return whole
        number = float(value)
    except BaseException:  # noqa: BLE001  the author's type
        return text_of(value)
    return number if math.isfinite(number) else str(number)
