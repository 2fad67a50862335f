"""Records as text for people: one line each, with indented lines below it where there is more."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable
from types import MappingProxyType

from pyjob.environment.mask import Mask
from pyjob.errors import CONTROLS, one_line
from pyjob.logs.record import message_of_record, text_of, traceback_of

# All but the line feed and the tab: what moves the cursor or changes colours may forge a line.
ESCAPES = MappingProxyType({code: text for code, text in CONTROLS.items() if chr(code) not in "\n\t"})
INDENT = "\n    "
# A value that needs no quotes.
WORD = re.compile(r'[^\s"=,]+\Z')
DIM, PLAIN = "\x1b[2m", "\x1b[0m"
COLOURS = {"DEBUG": "\x1b[32m", "INFO": "\x1b[34m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m"}
LOUD = "\x1b[1;31m"


class TextFormatter(logging.Formatter):
    """``[2026-01-31 12:00:00] INFO message, tracing_id=..., caller_name=...`` in local time.

    Lines after the first, of a message or a traceback, are indented: no text passes for a record of its own.
    ``colours`` are for terminals.
    """

    def __init__(self, *, colours: bool = False) -> None:
        super().__init__()
        self._colours = colours
        # The latest second and its text: making it costs more than all the rest.
        self._second = (0, "")

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return self.masked(record, ())

    def masked(self, record: logging.LogRecord, masks: Iterable[Mask]) -> str:
        """The record as text without what ``masks`` hide, whatever is escaped or indented in it."""
        text = message_of_record(record).rstrip("\n")  # warnings end with one
        if record.exc_info or record.exc_text:
            text = f"{text}\n{traceback_of(record)}"
        if record.stack_info:
            text = f"{text}\n{record.stack_info}"
        suffix = _suffix(record)
        for mask in masks:
            text, suffix = mask(text), mask(suffix)
        if text.isprintable():
            return f"{self._head(record)} {text}{suffix}"
        first, feed, rest = text.translate(ESCAPES).partition("\n")
        below = INDENT + rest.replace("\n", INDENT) if feed else ""
        return f"{self._head(record)} {first}{suffix}{below}"

    def _head(self, record: logging.LogRecord) -> str:
        second, told = self._second
        if int(record.created) != second:
            told = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
            self._second = (int(record.created), told)
        level = one_line(str(record.levelname))
        if self._colours:
            return f"{DIM}[{told}]{PLAIN} {COLOURS.get(level, LOUD)}{level}{PLAIN}"
        return f"[{told}] {level}"


def _suffix(record: logging.LogRecord) -> str:
    """The request in which the record was made, as `TraceFilter` has noted it."""
    suffix = ""
    for name in ("tracing_id", "caller_name"):
        value = record.__dict__.get(name)
        if value is not None and (text := text_of(value)):
            suffix += f", {name}={text if WORD.match(text) and text.isprintable() else json.dumps(text)}"
    return suffix
