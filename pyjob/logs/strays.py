"""What Python would print to stderr by itself, secrets and all, as records of the log."""

from __future__ import annotations

import logging
import sys
import threading

from pyjob.environment.mask import Mask
from pyjob.logs.context_filter import TraceFilter
from pyjob.logs.handler import MaskingHandler
from pyjob.logs.text import TextFormatter
from pyjob.trace import CURRENT, NONE, Trace, traced

# Where a thread keeps the request that started it.
STARTED_BY = "pyjob_started_by"

logger = logging.getLogger(__name__)


def log_strays(mask: Mask) -> None:
    """Log what would go to stderr, secrets and all: for a process that is the job's own.

    Exceptions that end a thread or that nobody can catch, warnings, and records of loggers without handlers.
    """
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_uncaught
    _remember_who_starts_threads()
    logging.captureWarnings(True)
    last = MaskingHandler(sys.stderr)
    last.setLevel(logging.WARNING)
    last.setFormatter(TextFormatter())
    last.addFilter(TraceFilter(caller=False))
    last.hide(mask)
    logging.lastResort = last


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is SystemExit:
        return
    name = "a thread" if ended.thread is None else f"the thread {ended.thread.name}"
    started_by: Trace | None = getattr(ended.thread, STARTED_BY, None)
    # The hook runs outside of any context that the thread's own code ran in.
    with traced(CURRENT.get() or started_by or NONE):
        logger.error("%s ended by an exception", name, exc_info=ended.exc_value)


def _log_uncaught(caught: sys.UnraisableHookArgs) -> None:
    logger.error("%s", caught.err_msg or "an exception that nobody can catch", exc_info=caught.exc_value)


def _remember_who_starts_threads() -> None:
    """Let `Thread.start` note the request: Python itself tells nothing of where a thread comes from."""
    start = threading.Thread.start
    if getattr(start, STARTED_BY, False):
        return

    def noting(self: threading.Thread) -> None:
        setattr(self, STARTED_BY, CURRENT.get())
        start(self)

    setattr(noting, STARTED_BY, True)
    threading.Thread.start = noting  # type: ignore[method-assign]
