"""Failures of a job in the log, with their tracebacks."""

from __future__ import annotations

import logging

from pyjob.environment.mask import Mask
from pyjob.logs.handler import say
from pyjob.logs.record import traceback_text


def log_failure(logger: logging.Logger, message: str, error: BaseException | None, mask: Mask) -> None:
    """Log ``message`` and the traceback of ``error``, if any; masked here: handlers may be a host's.

    Never raises: a failure that cannot be logged must not become another one.
    """
    try:
        _log(logger, message, error, mask)
    except (Exception, SystemExit) as second:  # noqa: BLE001  somebody's handler, and what it formats
        say(f"a failure cannot be logged: {type(second).__name__}")


def log_safely(logger: logging.Logger, level: int, message: str) -> None:
    """Log ``message`` where something depends on what comes after. Never raises."""
    try:
        logger.log(level, "%s", message, stacklevel=2)
    except Exception as error:  # noqa: BLE001  somebody's handler
        say(f"a record cannot be logged: {type(error).__name__}")


def _log(logger: logging.Logger, message: str, error: BaseException | None, mask: Mask) -> None:
    if error is None or not mask:
        logger.error("%s", mask(message), exc_info=error, stacklevel=3)
        return
    if not logger.isEnabledFor(logging.ERROR):
        return
    file, line, function, _ = logger.findCaller(stacklevel=3)
    record = logger.makeRecord(logger.name, logging.ERROR, file, line, mask(message), (), None, function)
    # As text, which formatters take as it is: the exception itself may hold a secret.
    record.exc_text = mask(traceback_text(error))
    logger.handle(record)
