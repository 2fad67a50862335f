"""Logging of a process that is the job's own: one line a record on stdout (SPEC 7)."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from contextlib import suppress
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

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._masks: tuple[Mask, ...] = ()

    def hide(self, mask: Mask) -> None:
        """From now on, write nothing that ``mask`` hides."""
        if mask:
            self._masks = (*self._masks, mask)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; masked last, since tracebacks and arguments are in it."""
        text = super().format(record)
        for mask in self._masks:
            text = mask(text)
        return text

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say that a record could not be written; the standard way would print its arguments raw."""
        if not logging.raiseExceptions or sys.stderr is None:
            return
        with suppress(Exception):  # the reader of the log may have gone: no reason to fail a call
            place = f"{record.name} ({record.pathname}:{record.lineno})"
            sys.stderr.write(f"a record of {place} cannot be logged\n")


def set_up_logging(level: str, stream: TextIO | None = None, *, mask: Mask | None = None) -> None:
    """Send the root logger to ``stream`` (stdout), unless somebody has configured it already.

    What ``mask`` hides is never written. A bare `logging.basicConfig()` handler, such as waitress-serve adds,
    does not count as configured.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if _is_basic_config(handler):
            root.removeHandler(handler)
    if root.handlers:
        return
    handler = MaskingHandler(_printable(stream or sys.stdout))
    handler.hide(mask or Mask())
    handler.setFormatter(logging.Formatter(FORMAT, DATE_FORMAT))
    root.addHandler(handler)
    known = level.strip().lower()
    root.setLevel(LEVELS.get(known, logging.INFO))
    if known not in LEVELS:
        logger.warning("LOG_LEVEL: expected one of %s, found %r: using info", ", ".join(LEVELS), level[:60])


def hide_in_logs(mask: Mask) -> None:
    """Let the handlers of `set_up_logging` hide what ``mask`` does; those of a host are left alone."""
    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if isinstance(handler, MaskingHandler):
            handler.hide(mask)


def log_strays(mask: Mask) -> None:
    """Log what Python would print to stderr, secrets and all: for a process that is the job's own.

    Exceptions that end a thread or that nobody can catch, warnings, and records of loggers without handlers.
    """

    def log_thread(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is not SystemExit:
            name = "a thread" if ended.thread is None else f"the thread {ended.thread.name}"
            logger.error("%s ended by an exception", name, exc_info=ended.exc_value)

    def log_uncaught(caught: sys.UnraisableHookArgs) -> None:
        logger.error("%s", caught.err_msg or "an exception that nobody can catch", exc_info=caught.exc_value)

    threading.excepthook = log_thread
    sys.unraisablehook = log_uncaught
    logging.captureWarnings(True)
    last = MaskingHandler(_printable(sys.stderr))
    last.setLevel(logging.WARNING)
    last.hide(mask)
    logging.lastResort = last


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
