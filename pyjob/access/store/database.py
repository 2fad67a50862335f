"""The store's file as an SQLite database: open for a moment, each fault of it in one line (SPEC 8.4)."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.errors import LockedError, StoreError, one_line
from pyjob.manifest.file import kind_of, reason_of, shown

try:
    import sqlite3
except ImportError:  # a Python that was built without it
    sqlite3 = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from sqlite3 import Connection, Error

APPLICATION_ID = 0x70796A62  # "pyjb"
FORMAT = 1
WIDEST_MODE = 0o640
WRITABLE_BY_OTHERS = 0o022
_ANOTHER = "name the file that `pyjob access init` has made"


def state_of(path: Path) -> os.stat_result:
    """What the system knows of the file at ``path``. Raises `StoreError` where it can be no store."""
    try:
        state = path.stat()
    except FileNotFoundError as error:
        how = f"check the name, or make it with `pyjob access init {quoted(path)}`"
        raise fault(path, f"expected a file, found {reason_of(error, path)}: {how}") from None
    except OSError as error:
        raise fault(path, f"cannot be looked at: {reason_of(error, path)}: {_readable(path)}") from None
    except ValueError:
        raise fault(path, f"cannot be a path: {_ANOTHER}") from None
    if not stat.S_ISREG(state.st_mode):  # opening a FIFO would wait for its writer
        raise fault(path, f"expected a file, found {kind_of(state.st_mode)}: {_ANOTHER}")
    if not state.st_size:
        made = f"remove it, and make it anew with `pyjob access init {quoted(path)}`"
        raise fault(path, f"an empty file and no store: {made}")
    return state


def warning_of(path: Path, state: os.stat_result) -> str | None:
    """What is to be said of the modes of the file and its folder.

    Who may write to the store makes tokens for himself. So does who may make a file beside it: SQLite takes a
    journal there for a change that was interrupted, and writes to the store what that holds.
    """
    warnings = []
    mode = stat.S_IMODE(state.st_mode)
    if mode & ~WIDEST_MODE:
        warnings.append(f"its mode is {mode:03o}, wider than need be: `chmod 600 {quoted(path)}` (or 640)")
    folder = path.resolve().parent  # a link's target is what has a journal
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & WRITABLE_BY_OTHERS and not os.statvfs(folder).f_flag & os.ST_RDONLY:
        how = "move it to a folder in which only its owner may write"
        warnings.append(f"its folder has the mode {mode:03o}, and who makes files there can change it: {how}")
    return f"{shown(path)}: {'; '.join(warnings)}" if warnings else None


@contextmanager
def opened(path: Path, *, writes: bool = False, patience: float = 0.0) -> Iterator[Connection]:
    """A transaction on the store at ``path``, committed at the end of the block.

    Without ``writes`` nothing on the disk is changed, not even what an interrupted writer has left. Waits
    for a lock for ``patience`` seconds. Raises `StoreError` where this is no store, or cannot be used, and
    `LockedError` where others do; it is left as it was then.
    """
    with transaction(path, writes=writes, patience=patience) as connection:
        _check_format(path, connection)
        yield connection


@contextmanager
def transaction(path: Path, *, writes: bool, patience: float) -> Iterator[Connection]:
    """As `opened`, on whatever database is at ``path``."""
    if sqlite3 is None:
        how = "install it (python3 -m sqlite3 is its test), or a Python that has it"
        raise fault(path, f"this Python was built without SQLite: {how}")
    address = f"{path.absolute().as_uri()}?mode={'rw' if writes else 'ro'}"
    try:
        opening = sqlite3.connect(address, uri=True, timeout=patience, isolation_level=None)
        with closing(opening) as connection:
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            yield connection
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise _fault_of(path, error, writes=writes) from None


def fault(path: Path, what: str) -> StoreError:
    """The error that something is wrong with the store at ``path``."""
    return StoreError(f"{shown(path)}: {what}")


def quoted(path: Path) -> str:
    """``path`` in a command that is told, on one line."""
    text = shlex.quote(str(path))
    return text if text.isprintable() else "FILE"


def _readable(path: Path) -> str:
    return f"let who serves read it (`chmod 640 {quoted(path)}`, and `chgrp`)"


def _check_format(path: Path, connection: Connection) -> None:
    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    if pragma("application_id") != APPLICATION_ID:
        raise fault(path, f"a database of another application: {_ANOTHER}")
    version = pragma("user_version")
    if version != FORMAT:
        raise fault(path, f"has format {version}, and this pyjob reads {FORMAT}: use the pyjob that made it")
    if pragma("journal_mode") == "wal":
        # Changes would be in another file, and go unseen.
        how = "PRAGMA journal_mode=DELETE"
        raise fault(path, f'was switched to a write-ahead log: switch it back: sqlite3 FILE "{how}"')


def _fault_of(path: Path, error: Error, *, writes: bool) -> StoreError:
    """``error`` in words that say what to do; those of SQLite are kept where they add something."""
    code = getattr(error, "sqlite_errorcode", 0)
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LockedError(f"{shown(path)}: locked by another program: wait for its end, or end it")
        case sqlite3.SQLITE_READONLY if code != sqlite3.SQLITE_READONLY and not writes:
            how = f"let who may write to it run `pyjob access log --file {quoted(path)}`, which undoes it"
            return fault(path, f"a change was interrupted halfway: {how}")
        case sqlite3.SQLITE_READONLY:
            return fault(path, "this user may not write to it, or to its folder: run this as who may")
        case sqlite3.SQLITE_CANTOPEN if writes:
            how = "run this as who may write to it and to its folder, where there must be room for a journal"
            return fault(path, f"cannot be opened: {how}")
        case sqlite3.SQLITE_CANTOPEN:
            return fault(path, f"cannot be opened: {_readable(path)}")
        case sqlite3.SQLITE_NOTADB:
            return fault(path, f"no SQLite database: {_ANOTHER}")
        case sqlite3.SQLITE_FULL:
            return fault(path, "the disk is full, and nothing was changed: make room")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_ERROR:  # the latter where a table is missing
            return damaged(path, one_line(str(error)))
        case 0:  # Python's own, and it repeats the text
            return damaged(path, "text that is no UTF-8")
        case _:
            return fault(
                path,
                f"cannot be used ({one_line(str(error))}): see whether its disk is in order, and has room",
            )


def damaged(path: Path, what: str) -> StoreError:
    """The error that the store at ``path`` is not as we have written it."""
    return fault(path, f"damaged ({what}): bring it back from a backup, or make a new one")
