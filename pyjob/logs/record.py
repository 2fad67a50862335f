"""Log records as they are read, by whatever they were made."""

from __future__ import annotations

import logging
import traceback
from typing import Any

# What every record has, with what Python 3.12, formatters and filters add: anything else came by `extra`.
STANDARD = frozenset(
    (
        *vars(logging.makeLogRecord({})),
        *("message", "asctime", "taskName", "tracing_id", "caller_name"),
    )
)


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


def text_of(value: object) -> str:
    """``value`` as text, also where it refuses."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001
        return f"an object of type {type(value).__name__}"
