"""How a store is laid out, and the making of an empty one (SPEC 8.4)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pyjob.access.store.database import APPLICATION_ID, FORMAT, fault, transaction
from pyjob.access.store.token import KINDS
from pyjob.manifest.file import reason_of, shown

_LAST_SECOND = 253_402_300_799  # of the year 9999, in Unix seconds
_TIME = f"INTEGER CHECK ({{name}} BETWEEN 0 AND {_LAST_SECOND})"
_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)

# Names are unique among the tokens in force: a revoked one stays as it was, and its name is free again.
_LAYOUT = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
    f"""CREATE TABLE tokens (
        digest TEXT NOT NULL PRIMARY KEY CHECK (length(digest) = 64),
        name TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ({_KINDS})),
        note TEXT NOT NULL,
        created {_TIME.format(name="created")} NOT NULL,
        expires {_TIME.format(name="expires")},
        revoked {_TIME.format(name="revoked")}
    )""",
    "CREATE UNIQUE INDEX names ON tokens (name) WHERE revoked IS NULL",
    f"""CREATE TABLE approvals (
        job TEXT NOT NULL,
        version TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        who TEXT NOT NULL,
        at {_TIME.format(name="at")} NOT NULL,
        PRIMARY KEY (job, version, endpoint)
    )""",
    f"""CREATE TABLE log (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at {_TIME.format(name="at")} NOT NULL,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        subject TEXT NOT NULL
    )""",
    *(
        f"CREATE TRIGGER log_{verb} BEFORE {verb} ON log BEGIN SELECT RAISE(ABORT, 'the log only grows'); END"
        for verb in ("UPDATE", "DELETE")
    ),
)

# What goes into the log: when, who, what, and whom or which endpoint it is about.
NOTE = "INSERT INTO log (at, who, what, subject) VALUES (?, ?, ?, ?)"


def make_store(path: Path, *, at: int, who: str) -> None:
    """Make a store at ``path``, for its owner alone, in which there is nothing but that ``who`` made it.

    Raises `StoreError` where something is there already, and where it cannot be made: nothing is left then.
    """
    try:
        # Before there is anything in it, nobody else has ever had it open.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise fault(path, "is there already, and was left as it is: choose another name") from None
    except FileNotFoundError:
        raise fault(path, "its folder is not there: make that first") from None
    except OSError as error:
        raise fault(path, f"cannot be made: {reason_of(error, path)}: choose another place") from None
    except ValueError:
        raise fault(path, "cannot be a path: choose another name") from None
    try:
        with suppress(PermissionError):  # of a file system that has no modes
            os.fchmod(descriptor, 0o600)  # whatever the umask has taken from it
    finally:
        os.close(descriptor)
    try:
        with transaction(path, writes=True, patience=0) as connection:
            for statement in _LAYOUT:
                connection.execute(statement)
            connection.execute(NOTE, (at, who, "store made", shown(path.absolute())))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
