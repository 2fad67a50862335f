"""The handler of a process that is the job's own."""

from __future__ import annotations

import io
import logging
import os
import select
import stat
import sys
import weakref
from collections import deque
from contextlib import suppress
from typing import TextIO

from pyjob.environment.mask import Mask
from pyjob.logs.structured import JsonFormatter
from pyjob.logs.text import TextFormatter

# How long a reader of the log may stand still before records are dropped, in seconds.
PATIENCE = 3.0
# What a pipe that can be written to takes without blocking (PIPE_BUF), in characters: of at most 4 bytes in
# UTF-8, of 10 where they are written escaped.
PIECE, ESCAPED_PIECE = 1024, 400
# The logger of access lines.
ACCESS = "pyjob.access"
# So many of them may be left to another thread: a reader that is slow holds up those who make more.
MOST_PENDING = 16

logger = logging.getLogger(__name__)


class Nowhere(io.StringIO):
    """Where a process logs that has neither stdout nor stderr."""

    def write(self, text: str, /) -> int:
        """Drop ``text``."""
        return len(text)


class MaskingHandler(logging.StreamHandler[TextIO]):
    """Writes records with secret values masked, whatever formatter a job gives it (SPEC 3.3).

    A destination that takes nothing, or nothing any more, stops nobody: that is said once on stderr, and in
    the log itself once it can be written again.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(_printable(stream if stream is not None else sys.stderr or Nowhere()))
        self._masks: tuple[Mask, ...] = ()
        self._poll = _poll_of(self.stream)
        self._has_told = self._is_torn = False
        self._lost = 0
        # Records made, and not written yet; and an entry for each thread that waits to write.
        self._pending: deque[str] = deque()
        self._waiting: deque[None] = deque()
        itself = weakref.ref(self)
        # What stands here is written by the process that made it.
        os.register_at_fork(after_in_child=lambda: _forget(itself()))

    def hide(self, mask: Mask) -> None:
        """From now on, write nothing that ``mask`` hides."""
        self.acquire()
        try:
            if mask and mask not in self._masks:
                self._masks = (*self._masks, mask)
        finally:
            self.release()
        self.flush()  # what came meanwhile

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, masked; by a formatter of ours before it escapes anything."""
        if isinstance(self.formatter, (JsonFormatter, TextFormatter)):
            return self.formatter.masked(record, self._masks)
        text = super().format(record)
        for mask in self._masks:
            text = mask(text)
        return text

    def handle(self, record: logging.LogRecord) -> bool:
        """Write ``record``, if the filters let it; others wait while it is written, not while it is made."""
        kept = self.filter(record)
        if not kept:
            return False
        self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record`` in one go: no other record comes between its beginning and its end.

        An access line is left to the thread that is just writing, if there is one, and few wait for that:
        threads that wait for one another after each call cost more than the lines.
        """
        try:
            text = self.format(record)
        except (Exception, SystemExit):  # noqa: BLE001  a formatter of the job's, or what it formats
            self.handleError(record)
            return
        self._pending.append(text + self.terminator)
        is_usual = record.name == ACCESS and record.levelno <= logging.INFO
        self._write_pending(patient=not is_usual or len(self._pending) > MOST_PENDING)

    def flush(self) -> None:
        """Write what is not written yet."""
        self._write_pending(patient=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say that a record has no text; the standard way would print its arguments raw."""
        say(f"a record of {record.name} ({record.pathname}:{record.lineno}) cannot be logged")

    def _write_pending(self, *, patient: bool) -> None:
        """Write what is there; ``patient``: after what another thread is just writing, and otherwise not."""
        # Asked again after the lock: who has come meanwhile, and did not get it, has left a record behind.
        while patient or self._pending:
            if not self._got_lock(patient=patient):
                return
            patient = False
            try:
                for _ in range(len(self._pending)):
                    self._write_or_lose(self._pending.popleft())
            except IndexError:  # a signal handler or a finalizer that logs, in between
                pass
            finally:
                self.release()
            if self._waiting:  # goes on in our place: nobody's call is to write the lines of all others
                return

    def _got_lock(self, *, patient: bool) -> bool:
        if self.lock is None:
            return False
        if not patient:
            return self.lock.acquire(blocking=False)
        self._waiting.append(None)
        try:
            return self.lock.acquire()
        finally:
            self._waiting.pop()

    def _write_or_lose(self, text: str) -> None:
        try:
            if self._lost:
                text = f"{self._told_of_lost()}{self.terminator}{text}"
            self._write(text)
            self._lost = 0
        except Exception as error:  # noqa: BLE001  its reader has gone, the disk is full, it is closed, ...
            self._lost += 1
            if not self._has_told:
                self._has_told = True
                say(f"the log cannot be written ({error}): records are lost for as long as that lasts")

    def _write(self, text: str) -> None:
        """Raises OSError and ValueError; TimeoutError where the reader stands still."""
        if self._is_torn:  # what comes after a piece of a record begins on a line of its own
            text = f"{self.terminator}{text}"
        stream, written = self.stream, 0
        is_utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
        size = len(text) if self._poll is None else PIECE if is_utf8 else ESCAPED_PIECE
        try:
            while written < len(text):
                if self._poll is not None and not self._poll.poll(0 if self._lost else PATIENCE * 1000):
                    raise TimeoutError("its reader stands still")
                stream.write(text[written : written + size])
                stream.flush()
                written += size
        finally:
            if written:
                self._is_torn = written < len(text)

    def _told_of_lost(self) -> str:
        message = f"{self._lost} records were lost while the log could not be written"
        return self.format(logger.makeRecord(__name__, logging.WARNING, __file__, 0, message, (), None))


def _forget(handler: MaskingHandler | None) -> None:
    if handler is not None:
        handler._pending.clear()
        handler._waiting.clear()


def say(text: str) -> None:
    """Tell on stderr what cannot be told in the log."""
    if logging.raiseExceptions and sys.stderr is not None:
        with suppress(Exception):  # nobody hears that either: no reason to fail a call
            sys.stderr.write(f"pyjob: {text}\n")


def _printable(stream: TextIO) -> TextIO:
    # A record with characters that the stream's encoding lacks must be written all the same.
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _poll_of(stream: TextIO) -> select.poll | None:
    """Tells whether ``stream`` takes something now, where it may not: a pipe, a socket, a terminal."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return poll
