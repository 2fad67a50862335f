"""Records as JSON for machines: one object a line (SPEC 7)."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyjob.logs.record import extras_of, message_of_record, text_of, traceback_of

# How deep an extra is told as what it is: deeper, and where it holds itself, as text.
DEEPEST = 5
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
        told: dict[str, Any] = {
            "time": self._time(record.created),
            "lvl": record.levelname,
            "msg": message_of_record(record),
            "logger": record.name,
        }
        for name in ("tracing_id", "caller_name"):
            if value := record.__dict__.get(name):
                told[name] = text_of(value)
        if trace := traceback_of(record):
            told["exception"] = trace
        if record.stack_info:
            told["stack"] = record.stack_info
        for name, value in extras_of(record).items():
            told[f"extra_{name}" if name in KEYS else name] = _plain(value)
        return ENCODE(told)

    def _time(self, created: float) -> str:
        second, told = self._second
        if int(created) != second:
            told = datetime.fromtimestamp(int(created), UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (int(created), told)
        return f"{told}.{int(created % 1 * 1e6):06d}Z"


def _plain(value: object, depth: int = 0) -> Any:
    """``value`` as JSON has it, and text of what JSON does not have."""
    if value is None or type(value) in (bool, str, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    if depth < DEEPEST and isinstance(value, Mapping):
        return {text_of(key): _plain(item, depth + 1) for key, item in value.items()}
    if depth < DEEPEST and isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    return text_of(value)
