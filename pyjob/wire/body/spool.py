"""The body of a request as a file to go back and forth in, and its parts as files of their own (SPEC 4.8)."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from werkzeug.wsgi import get_input_stream

from pyjob.wire.body.payload import announced_length, broken_off, ended_early, too_long

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# A longer body goes to the disk.
LARGEST_IN_MEMORY = 500 * 1000
PIECE = 64 * 1024


class Spool:
    """The body of a request of at most ``most`` bytes, all of it, wherever the server has it from.

    waitress has it in a file already, which is used as it is; elsewhere it is written to a temporary one,
    that no folder lists. Raises what `read_body` does.
    """

    def __init__(self, environ: WSGIEnvironment, most: int) -> None:
        announced = announced_length(environ, most)
        given: Any = environ["wsgi.input"]
        # Only waitress is known to keep the body of this request there and nothing else.
        self._is_ours = "waitress.client_disconnected" not in environ or not _is_seekable(given)
        self.file: IO[bytes] = _spooled(_pieces(environ, announced, most)) if self._is_ours else given
        self._lock = threading.Lock()
        self.length = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        if self.length > most:
            self.close()
            raise too_long(most)

    @property
    def is_in_memory(self) -> bool:
        """Whether it takes no file of the system."""
        return isinstance(self.file, io.BytesIO)

    def read(self, part: range) -> bytes:
        """The bytes of a ``part``."""
        self.file.seek(part.start)
        return self.file.read(len(part))

    def section(self, part: range) -> IO[bytes]:
        """A ``part`` as a file of its own."""
        if self.is_in_memory:
            return io.BytesIO(self.read(part))
        return io.BufferedReader(_Section(self.file, self._lock, part))

    def close(self) -> None:
        """Remove it, unless it is the server's."""
        if self._is_ours:
            self.file.close()


class _Section(io.RawIOBase):
    """The bytes ``part`` of a ``file`` that others read too, each with the ``lock``."""

    def __init__(self, file: Any, lock: threading.Lock, part: range) -> None:
        self._file = file
        self._lock = lock
        self._part = part
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), len(self._part) - self._at))
        with self._lock:
            self._file.seek(self._part.start + self._at)
            count: int = self._file.readinto(memoryview(buffer)[:wanted])
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._part)}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at


def _is_seekable(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return seekable is not None and seekable()


def _spooled(pieces: Iterator[bytes]) -> IO[bytes]:
    """A file of all ``pieces``, in memory as long as it is small."""
    file: IO[bytes] = io.BytesIO()
    try:
        for piece in pieces:
            if isinstance(file, io.BytesIO) and file.tell() + len(piece) > LARGEST_IN_MEMORY:
                memory, file = file, tempfile.TemporaryFile()  # noqa: SIM115  closed with the spool
                file.write(memory.getbuffer())
            file.write(piece)
    except BaseException:
        file.close()
        raise
    return file


def _pieces(environ: WSGIEnvironment, announced: int | None, most: int) -> Iterator[bytes]:
    stream = get_input_stream(environ) if announced is None else environ["wsgi.input"]
    left = most + 1 if announced is None else announced
    while left:
        try:
            piece = stream.read(min(left, PIECE))
        except OSError as error:
            raise broken_off() from error
        if not piece:
            break
        left -= len(piece)
        yield piece
    if announced is not None and left:
        raise ended_early(announced - left, announced)
