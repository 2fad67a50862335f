"""The request in every record that is made while it is served (SPEC 7)."""

from __future__ import annotations

import logging

from pyjob.environment.mask import Mask
from pyjob.logs.record import UNTOLD, extras_of, message_of_record, text_of, traceback_of, without
from pyjob.trace import CURRENT, NONE


class TraceFilter(logging.Filter):
    """Each record gets ``tracing_id`` and, if ``caller``, ``caller_name``: text, empty outside of requests.

    What a record has under these names from ``extra`` is kept as ``extra_...``, if a request is served.
    """

    def __init__(self, *, caller: bool = True) -> None:
        super().__init__()
        self._names_callers = caller

    def filter(self, record: logging.LogRecord) -> bool:
        """Add to ``record``; always True."""
        trace = CURRENT.get() or NONE
        caller = trace.caller if self._names_callers else ""
        _note(record, "tracing_id", trace.tracing_id)
        _note(record, "caller_name", caller)
        return True


class ContextFilter(TraceFilter):
    """For the handlers of a host's own logging: ids and callers, without the secrets of the job.

    Secrets of the job whose request is served, or which loads, are masked in the record itself.

        "filters": {"request": {"()": "pyjob.logs.ContextFilter"}}
    """

    def __init__(self, *, caller: bool = True) -> None:
        super().__init__(caller=caller)
        self._masks: tuple[Mask, ...] = ()

    def filter(self, record: logging.LogRecord) -> bool:
        """Add to ``record``, and mask it; always True."""
        super().filter(record)
        for mask in dict.fromkeys((*self._masks, *(CURRENT.get() or NONE).masks)):
            _hide(record, mask)
        return True

    def hide(self, mask: Mask) -> None:
        """From now on, mask what ``mask`` hides in every record, whoever makes it and when."""
        if mask and mask not in self._masks:
            self._masks = (*self._masks, mask)


def _note(record: logging.LogRecord, name: str, value: str) -> None:
    noted = record.__dict__
    before = noted.get(name)
    if before is None or (type(before) is str and not before):
        noted[name] = value
    elif value and text_of(before) != value:
        noted[f"extra_{name}"] = before
        noted[name] = value


def _hide(record: logging.LogRecord, mask: Mask) -> None:
    """Mask ``record`` itself: whatever formats it later, finds no secret. Never raises."""
    try:
        _mask_texts(record, mask)
        _mask_extras(record, mask)
    except BaseException as error:  # noqa: BLE001  whatever the author's objects do
        record.msg = f"a record that cannot be masked is left out: {type(error).__name__}"
        record.args = record.exc_info = record.exc_text = record.stack_info = None
        for name in extras_of(record):
            del record.__dict__[name]


def _mask_texts(record: logging.LogRecord, mask: Mask) -> None:
    message = message_of_record(record)
    masked = mask(message)
    # Of its arguments, the message may show a part.
    if masked != message or mask(arguments := text_of(record.args)) != arguments:
        record.msg, record.args = masked, None
    trace = traceback_of(record)
    masked = mask(trace)
    if masked != trace or trace.endswith(UNTOLD):
        # The exception would be formatted anew.
        record.exc_text, record.exc_info = masked, None
    if record.stack_info:
        record.stack_info = mask(record.stack_info)


def _mask_extras(record: logging.LogRecord, mask: Mask) -> None:
    for name in ("name", "threadName", "processName", "taskName", "caller_name", "tracing_id"):
        told = text_of(record.__dict__.get(name))
        if mask(told) != told:
            record.__dict__[name] = mask(told)
    for name, value in extras_of(record).items():
        del record.__dict__[name]
        record.__dict__[mask(name)] = without(value, mask)
