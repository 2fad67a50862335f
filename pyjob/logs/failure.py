"""Failures of a job in the log, with their tracebacks."""

from __future__ import annotations

import logging
import traceback

from pyjob.environment.mask import Mask


def log_failure(logger: logging.Logger, message: str, error: BaseException | None, mask: Mask) -> None:
    """Log ``message`` and the traceback of ``error``, if any; masked here: handlers may be a host's."""
    if error is None or not mask:
        logger.error("%s", mask(message), exc_info=error, stacklevel=2)
        return
    if not logger.isEnabledFor(logging.ERROR):
        return
    file, line, function, _ = logger.findCaller(stacklevel=2)
    record = logger.makeRecord(logger.name, logging.ERROR, file, line, mask(message), (), None, function)
    # As text, which formatters take as it is: the exception itself may hold a secret.
    record.exc_text = mask("".join(traceback.format_exception(error)).rstrip("\n"))
    logger.handle(record)
