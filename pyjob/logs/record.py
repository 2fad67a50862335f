"""Log records as they are read, by whatever they were made."""

from __future__ import annotations

import logging
import operator
import traceback
from collections.abc import Mapping
from typing import Any

from pyjob.environment.mask import Mask

# What every record has, with what Python 3.12, formatters and filters add: anything else came by `extra`.
STANDARD = frozenset(
    (
        *vars(logging.LogRecord("", 0, "", 0, "", (), None)),
        *("message", "asctime", "taskName", "tracing_id", "caller_name"),
    )
)

# How deep an extra is looked into: deeper, and where it holds itself, it is text.
DEEPEST = 5


def message_of_record(record: logging.LogRecord) -> str:
    """The message, also where its arguments do not fit, or cannot be told: no record is lost for that."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  __str__ of anything
        arguments = f"arguments that do not fit: {text_of(record.args)}: {type(error).__name__}"
        return f"{text_of(record.msg)} ({arguments})"


def traceback_of(record: logging.LogRecord) -> str:
    """The traceback of the exception that ``record`` tells of; empty where there is none."""
    if record.exc_text:
        return record.exc_text
    if not isinstance(record.exc_info, tuple):
        return ""
    return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """What its maker gave by ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def plain_of(value: object, mask: Mask, depth: int = 0) -> object:
    """``value`` of an extra without what ``mask`` hides: itself where there is nothing to hide."""
    if isinstance(value, str):
        masked = mask(value)
        return value if masked == value else masked
    if depth < DEEPEST and isinstance(value, Mapping):
        pairs = [
            (plain_of(key, mask, depth + 1), plain_of(one, mask, depth + 1)) for key, one in value.items()
        ]
        same = all(a is c and b is d for (a, b), (c, d) in zip(pairs, value.items(), strict=True))
        return value if same else dict(pairs)
    if depth < DEEPEST and isinstance(value, (list, tuple)):
        items = [plain_of(one, mask, depth + 1) for one in value]
        return value if all(map(operator.is_, items, value)) else items
    told = text_of(value)  # what anything else would tell of itself
    masked = mask(told)
    return value if masked == told else masked


def text_of(value: object) -> str:
    """``value`` as text, also where it refuses."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001
        return f"an object of type {type(value).__name__}"
