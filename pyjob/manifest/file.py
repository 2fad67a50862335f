"""A named file, as bytes: whatever stands in its place is a clear error, never a wait."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from pyjob.manifest.document import found, line_at, refused


def read_bytes(file: Path, source: str, largest: int) -> bytes:
    """Return what is in a file of at most ``largest`` bytes; ``source`` names it in the errors.

    Raises :class:`ManifestError` when it is no file, cannot be read or is larger.
    """
    mode = mode_of(file, source, "an existing file")
    if not stat.S_ISREG(mode):  # opening a FIFO would wait for its writer
        raise refused(source, "a file", kind_of(mode))
    try:
        with open(file, "rb", opener=_open_without_waiting) as stream:
            data = stream.read(largest + 1)
    except OSError as error:
        raise refused(source, "a file that can be read", reason_of(error, file)) from None
    if data is None:  # what looks like a file, and would have us wait for its content
        raise refused(source, "a file", "something without an end")
    if len(data) > largest:
        raise refused(source, f"at most {largest} bytes", "more")
    return data


def read_text(file: Path, source: str, largest: int) -> str:
    """Return the text of a file: UTF-8, with or without a byte order mark. See :func:`read_bytes`."""
    data = read_bytes(file, source, largest)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rest = error.object  # without the mark
        line = line_at(rest[: error.start].decode(), error.start)
        raise refused(source, "UTF-8 text", f"the byte 0x{rest[error.start]:02x}", line) from None


def _open_without_waiting(path: str, flags: int) -> int:
    """For files that are none: those of /proc, or a FIFO that has taken a file's place meanwhile."""
    return os.open(path, flags | os.O_NONBLOCK)


def mode_of(path: Path, source: str, expected: str = "an existing file or folder") -> int:
    """Return the mode of what is at ``path``; raises :class:`ManifestError` where it cannot be told."""
    try:
        return path.stat().st_mode
    except OSError as error:
        raise refused(source, expected, reason_of(error, path)) from None
    except ValueError:
        raise refused(source, "a path", "what cannot be one") from None


def reason_of(error: OSError, path: Path) -> str:
    """Say why the system did not do with ``path`` what it was asked for."""
    match error.errno:
        case errno.ENOENT:
            return "a symbolic link to nothing" if path.is_symlink() else "nothing"
        case errno.ELOOP:
            return "symbolic links that go round in a circle"
        case errno.EACCES | errno.EPERM:
            return "no permission"
        case _:
            return f"an error ({error.strerror})"


def kind_of(mode: int) -> str:
    """Name what is no regular file."""
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def shown(path: Path, cwd: Path | None = None) -> str:
    """Name a path in a message: relative to ``cwd`` where it is below that."""
    is_below = cwd is not None and path != cwd and path.is_relative_to(cwd)
    text = str(path.relative_to(cwd) if cwd is not None and is_below else path)
    return text if text.isprintable() else found(text)
