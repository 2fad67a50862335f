"""How far an upload or a download has come, for who waits at a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self, TextIO

from pyjob.errors import one_line

FIRST_SECONDS = 1.0  # what is over sooner is not told of
EVERY_SECONDS = 0.2
ERASE = "\r\x1b[K"
UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Progress:
    """One line on a terminal that is written over; nothing where ``stream`` is none. A context manager."""

    def __init__(self, stream: TextIO, what: str, total: int | None) -> None:
        self._stream = stream
        self._what = what
        self._of = f" of {size_shown(total)}" if total else ""
        self._done = 0
        self._is_shown = False
        self._next = time.monotonic() + FIRST_SECONDS if stream.isatty() else float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, count: int) -> None:
        """So many bytes more."""
        self._done += count
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY_SECONDS
            self._is_shown = True
            self._stream.write(f"{ERASE}{self._what}: {size_shown(self._done)}{self._of}")
            self._stream.flush()

    def counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """``pieces``, each of them told of."""
        for piece in pieces:
            self.add(len(piece))
            yield piece

    def close(self) -> None:
        """Erase the line; nothing is told any more."""
        self._next = float("inf")
        if self._is_shown:
            self._is_shown = False
            self._stream.write(ERASE)
            self._stream.flush()


def size_shown(count: int) -> str:
    """A number of bytes for people: ``12.3 MB``."""
    number, unit = float(count), 0
    while number >= 999.5 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {UNITS[unit]}" if unit == 0 or number >= 99.95 else f"{number:.1f} {UNITS[unit]}"


class Upload:
    """An open file that is told of while it is read; ``name`` is what the one who gets it sees."""

    mode = "rb"

    def __init__(self, file: IO[bytes], name: str, stream: TextIO) -> None:
        self.name = name
        self._file = file
        total = None
        if file.seekable():
            start = file.tell()
            total = file.seek(0, os.SEEK_END) - start
            file.seek(start)
        self._progress = Progress(stream, f"sending {one_line(name)}", total)

    def read(self, count: int = -1) -> bytes:
        """At most ``count`` bytes."""
        data = self._file.read(count)
        self._progress.add(len(data))
        return data

    def seekable(self) -> bool:
        """Whether it can be read again."""
        return self._file.seekable()

    def tell(self) -> int:
        """Where it is read."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Read on elsewhere."""
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """It has been sent."""
        self._progress.close()
        self._file.close()
