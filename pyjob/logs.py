"""Logging of a process that is the job's own: one line a record on stdout (SPEC 7)."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TextIO

from pyjob.environment.mask import Mask

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


class MaskingHandler(logging.StreamHandler[TextIO]):
    """Writes records with secret values masked, whatever formatter a job gives it (SPEC 3.3)."""

    def __init__(self, stream: TextIO, mask: Mask) -> None:
        super().__init__(stream)
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; masked last, since tracebacks and arguments are in it."""
        return self._mask(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say that a record could not be written; the standard way would print its arguments raw."""
        self.stream.write(f"a record of {record.name} ({record.pathname}:{record.lineno}) cannot be logged\n")


def set_up_logging(level: str, stream: TextIO | None = None, *, mask: Mask | None = None) -> None:
    """Send the root logger to ``stream`` (stdout), unless somebody has configured it already.

    What ``mask`` hides is never written.

    A bare `logging.basicConfig()` handler, such as waitress-serve adds, does not count as configured.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if _is_basic_config(handler):
            root.removeHandler(handler)
    if root.handlers:
        return
    handler = MaskingHandler(_printable(stream or sys.stdout), mask or Mask())
    handler.setFormatter(logging.Formatter(FORMAT, DATE_FORMAT))
    root.addHandler(handler)
    known = level.strip().lower()
    root.setLevel(LEVELS.get(known, logging.INFO))
    if known not in LEVELS:
        logger.warning("LOG_LEVEL: expected one of %s, found %r: using info", ", ".join(LEVELS), level[:60])


def log_dying_threads() -> None:
    """Log what ends a thread of the job's own: Python would print it to stderr, secrets and all."""

    def log(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is SystemExit:
            return
        name = "a thread" if ended.thread is None else f"the thread {ended.thread.name}"
        logger.error("%s ended by an exception", name, exc_info=ended.exc_value)

    threading.excepthook = log


def log_failure(logger: logging.Logger, message: str, error: BaseException | None, mask: Mask) -> None:
    """Log ``message`` and the traceback of ``error``, if any; masked here: handlers may be a host's."""
    if error is None or not mask:
        logger.error("%s", mask(message), exc_info=error)
    else:
        trace = "".join(traceback.format_exception(error)).rstrip()
        logger.error("%s\n%s", mask(message), mask(trace))


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
