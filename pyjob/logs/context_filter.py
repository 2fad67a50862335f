"""The request in every record that is made while it is served (SPEC 7)."""

from __future__ import annotations

import logging

from pyjob.environment.mask import Mask
from pyjob.logs.record import extras_of, message_of_record, traceback_of
from pyjob.trace import CURRENT, NONE


class TraceFilter(logging.Filter):
    """Each record gets ``tracing_id`` and, if ``caller``, ``caller_name``: text, empty outside of requests.

    What a record has already, from ``extra``, is kept.
    """

    def __init__(self, *, caller: bool = True) -> None:
        super().__init__()
        self._names_callers = caller

    def filter(self, record: logging.LogRecord) -> bool:
        """Add to ``record``; always True."""
        trace = CURRENT.get() or NONE
        told = record.__dict__
        told.setdefault("tracing_id", trace.tracing_id)
        told.setdefault("caller_name", trace.caller if self._names_callers else "")
        return True


class ContextFilter(TraceFilter):
    """For the handlers of a host's own logging: ids and callers, without the secrets of the job.

    Secrets of the job whose request is served, or which loads, are masked in the record itself, and what
    ``mask`` hides, whenever a record is made.

        "filters": {"request": {"()": "pyjob.logs.ContextFilter"}}
    """

    def __init__(self, *, caller: bool = True, mask: Mask | None = None) -> None:
        super().__init__(caller=caller)
        self._mask = mask or Mask()

    def filter(self, record: logging.LogRecord) -> bool:
        """Add to ``record``, and mask it; always True."""
        super().filter(record)
        for mask in (self._mask, (CURRENT.get() or NONE).mask):
            if mask:
                _hide(record, mask)
        return True


def _hide(record: logging.LogRecord, mask: Mask) -> None:
    """Mask ``record`` itself: whatever formats it later, finds no secret."""
    message = message_of_record(record)
    masked = mask(message)
    if masked != message:
        record.msg, record.args = masked, None
    trace = traceback_of(record)
    masked = mask(trace)
    if masked != trace:
        # The exception would be formatted anew.
        record.exc_text, record.exc_info = masked, None
    if record.stack_info:
        record.stack_info = mask(record.stack_info)
    for name, value in extras_of(record).items():
        masked = mask.inside(value)
        if masked != value:
            setattr(record, name, masked)
