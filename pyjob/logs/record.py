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
# Of more parts, an extra is no structure that anybody looks into.
MOST_NODES = 1000
# What stands where an exception does not let itself be told.
UNTOLD = "an exception that cannot be told"
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
        return f"Traceback (most recent call last):\n{frames}{UNTOLD}"


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """What its maker gave by ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def without(value: object, mask: Mask) -> object:
    """``value`` of an extra without what ``mask`` hides: itself where there is nothing to hide."""
    try:
        return _Search(mask).without(value)
    except BaseException:  # noqa: BLE001  the author's mapping
        return mask(text_of(value))


class _Search:
    """One search for what ``mask`` hides; what is too deep or too much is looked at as text."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._left = MOST_NODES

    def without(self, value: object, depth: int = 0) -> object:
        """``value`` without it; raises what the author's objects raise."""
        self._left -= 1
        if not isinstance(value, (Mapping, list, tuple)):
            return self._as_text(value)
        if depth >= DEEPEST or self._left < len(value):
            # The text of something nested may be much longer than it.
            return f"{type(value).__name__} of {len(value)}" if depth else self._as_text(value)
        if isinstance(value, Mapping):
            pairs = [*value.items()]
            masked = [(self.without(key, depth + 1), self.without(one, depth + 1)) for key, one in pairs]
            same = all(a is c and b is d for (a, b), (c, d) in zip(pairs, masked, strict=True))
            return value if same else dict(masked)
        items = [self.without(one, depth + 1) for one in value]
        return value if all(map(operator.is_, items, value)) else items

    def _as_text(self, value: object) -> object:
        told = text_of(value)  # what it would tell of itself
        hidden = self._mask(told)
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
