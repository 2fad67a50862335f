"""The handler of a process that is the job's own."""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext, suppress
from typing import TextIO

from pyjob.environment.mask import Mask
from pyjob.logs.structured import JsonFormatter


class MaskingHandler(logging.StreamHandler[TextIO]):
    """Writes records with secret values masked, whatever formatter a job gives it (SPEC 3.3).

    A destination that takes nothing, or nothing any more, stops nobody: that is said once on stderr.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(_printable(stream))
        self._masks: tuple[Mask, ...] = ()
        self._has_told = False

    def hide(self, mask: Mask) -> None:
        """From now on, write nothing that ``mask`` hides."""
        with self.lock or nullcontext():
            if mask and mask not in self._masks:
                self._masks = (*self._masks, mask)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; masked last, since tracebacks and arguments are in it."""
        if isinstance(self.formatter, JsonFormatter):
            return self.formatter.masked(record, self._masks)  # a number may be a secret: ``***`` is none
        text = super().format(record)
        for mask in self._masks:
            text = mask(text)
        return text

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record`` in one piece: nothing comes between its beginning and its end."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001  a formatter of the job's
            self.handleError(record)
            return
        try:
            self.stream.write(text + self.terminator)
            self.stream.flush()
        except (OSError, ValueError) as error:  # the reader has gone, the disk is full, the file is closed
            if not self._has_told:
                self._has_told = True
                say(f"the log cannot be written ({error}): records are lost for as long as that lasts")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say that a record has no text; the standard way would print its arguments raw."""
        say(f"a record of {record.name} ({record.pathname}:{record.lineno}) cannot be logged")


def say(text: str) -> None:
    """Tell on stderr what cannot be told in the log."""
    if logging.raiseExceptions and sys.stderr is not None:
        with suppress(OSError, ValueError):  # nobody hears that either: no reason to fail a call
            sys.stderr.write(f"pyjob: {text}\n")


def _printable(stream: TextIO | None) -> TextIO | None:
    # A record with characters that the stream's encoding lacks must be written all the same.
    if stream is not None and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream
