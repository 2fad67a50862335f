"""Log records as they are read, by whatever they were made: reading them never raises."""

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
# Longer messages and tracebacks are cut: who writes the log is not to stand still for one record.
LONGEST = 1_000_000


def message_of_record(record: logging.LogRecord) -> str:
    """The message, also where its arguments do not fit, or cannot be told: no record is lost for that."""
    try:
        return cut(str.__str__(record.getMessage()))
    except BaseException as error:  # noqa: BLE001  __str__ of anything
        arguments = f"arguments that do not fit: {text_of(record.args)}: {type(error).__name__}"
        return cut(f"{text_of(record.msg)} ({arguments})")


def traceback_of(record: logging.LogRecord) -> str:
    """The traceback of the exception that ``record`` tells of; empty where there is none."""
    if record.exc_text:
        return cut(text_of(record.exc_text))
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return "" if error is None else traceback_text(error)


def traceback_text(error: BaseException) -> str:
    """The traceback of ``error`` as Python prints it; in short where the error does not let it."""
    try:
        return cut("".join(traceback.format_exception(error)).rstrip("\n"))
    except BaseException:  # noqa: BLE001  the author's class
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"Traceback (most recent call last):\n{frames}an exception that cannot be told"


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """What its maker gave by ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def without(value: object, mask: Mask, depth: int = 0) -> object:
    """``value`` of an extra without what ``mask`` hides: itself where there is nothing to hide."""
    if depth < DEEPEST and isinstance(value, Mapping):
        pairs = [*value.items()]
        masked = [(without(key, mask, depth + 1), without(one, mask, depth + 1)) for key, one in pairs]
        same = all(a is c and b is d for (a, b), (c, d) in zip(pairs, masked, strict=True))
        return value if same else dict(masked)
    if depth < DEEPEST and isinstance(value, (list, tuple)):
        items = [without(one, mask, depth + 1) for one in value]
        return value if all(map(operator.is_, items, value)) else items
    told = text_of(value)  # what anything else would tell of itself
    hidden = mask(told)
    return value if hidden == told else hidden


def text_of(value: object) -> str:
    """``value`` as text, also where it refuses."""
    try:
        return str.__str__(str(value))
    except BaseException:  # noqa: BLE001  the author's object
        return f"an object of type {type(value).__name__}"


def cut(text: str) -> str:
    """``text``, if it is no longer than a record may be, else its beginning."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text) - LONGEST} characters more)"
