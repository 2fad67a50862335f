"""Logging of a process that is the job's own: one line a record on stdout (SPEC 7)."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
FORMAT = "[%(asctime)s] %(levelname)s %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"

logger = logging.getLogger(__name__)


def set_up_logging(level: str, stream: TextIO | None = None) -> None:
    """Send the root logger to ``stream`` (stdout), unless somebody has configured it already.

    A bare `logging.basicConfig()` handler, such as waitress-serve adds, does not count as configured.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if _is_basic_config(handler):
            root.removeHandler(handler)
    if root.handlers:
        return
    handler = logging.StreamHandler(_printable(stream or sys.stdout))
    handler.setFormatter(logging.Formatter(FORMAT, DATE_FORMAT))
    root.addHandler(handler)
    known = level.strip().lower()
    root.setLevel(LEVELS.get(known, logging.INFO))
    if known not in LEVELS:
        logger.warning("LOG_LEVEL: expected one of %s, found %r: using info", ", ".join(LEVELS), level[:60])


def _is_basic_config(handler: logging.Handler) -> bool:
    formatter = handler.formatter
    return (
        type(handler) is logging.StreamHandler
        and handler.stream is sys.stderr
        and (formatter is None or formatter._fmt == logging.BASIC_FORMAT)
    )


def _printable(stream: TextIO) -> TextIO:
    # A record with characters that the stream's encoding lacks must be written all the same.
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream
