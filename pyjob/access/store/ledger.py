"""The store of tokens and approvals as an administrator writes it, with a log of that (SPEC 8.4)."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.access.store.database import fault, opened, state_of, warning_of
from pyjob.access.store.schema import NOTE, make_store
from pyjob.access.store.token import digest_of
from pyjob.errors import StoreError

if TYPE_CHECKING:
    from sqlite3 import Connection

PATIENCE = 5.0  # seconds for another writer, and for servers that read just now
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Issued:
    """A token as it was issued; times in Unix seconds, ``expires`` and ``revoked`` None where it is not."""

    name: str
    kind: str
    note: str
    created: int
    expires: int | None
    revoked: int | None


@dataclass(frozen=True, slots=True)
class Approval:
    """``endpoint`` of a job is public: since ``at``, in Unix seconds, by the word of ``who``."""

    job: str
    version: str
    endpoint: str
    who: str
    at: int

    @property
    def subject(self) -> str:
        """What the log calls it."""
        return f"{self.job} {self.version} {self.endpoint}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody has done, at a time in Unix seconds."""

    at: int
    who: str
    what: str
    subject: str


class Ledger:
    """The store at ``path``, to be changed: what cannot be done is a `StoreError`, and changes nothing.

    ``clock`` tells Unix seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def make(self) -> None:
        """Make the store, where nothing is yet."""
        make_store(self._path, at=self._now(), who=os_user())

    def warning(self) -> str | None:
        """What is to be said of the file, though it stops nothing; once it is known to be a store."""
        with self._transaction():
            return warning_of(self._path, state_of(self._path))

    def add_token(self, name: str, text: str, *, kind: str, note: str, expires: int | None) -> None:
        """Let ``text`` be the token of ``name``, which no other one in force may have."""
        with self._transaction() as connection:
            known = _tokens(connection)
            if name in _in_force(known):
                what = f"there is a token called {name} already: revoke it first, or choose another name"
                raise StoreError(f"{what} ({_listed(_in_force(known))})")
            digest = digest_of(text)
            if found := connection.execute("SELECT name FROM tokens WHERE digest = ?", (digest,)).fetchone():
                raise StoreError(f"that token was given to {found[0]} already: bring another one")
            connection.execute(
                "INSERT INTO tokens (digest, name, kind, note, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
                (digest, name, kind, note, self._now(), expires),
            )
            self._note(connection, "token added", f"{name} ({kind})")

    def revoke_token(self, name: str) -> bool:
        """Take the token of ``name`` out of force; False where it was before."""
        with self._transaction() as connection:
            known = _tokens(connection)
            if name not in _in_force(known):
                if any(one.name == name for one in known):
                    return False
                raise StoreError(f"there is no token called {name}: {_there_are(_in_force(known))}")
            connection.execute(
                "UPDATE tokens SET revoked = ? WHERE name = ? AND revoked IS NULL", (self._now(), name)
            )
            self._note(connection, "token revoked", name)
            return True

    def tokens(self) -> list[Issued]:
        """All that were ever issued, the oldest first."""
        with self._transaction() as connection:
            return _tokens(connection)

    def approve(self, job: str, version: str, endpoint: str) -> bool:
        """Let the canonical path ``endpoint`` be public; False where it was before."""
        approval = Approval(job, version, endpoint, os_user(), self._now())
        with self._transaction() as connection:
            if _has(approval, _approvals(connection)):
                return False
            connection.execute(
                "INSERT INTO approvals (job, version, endpoint, who, at) VALUES (?, ?, ?, ?, ?)",
                (job, version, endpoint, approval.who, approval.at),
            )
            self._note(connection, "approved", approval.subject)
            return True

    def revoke_approval(self, job: str, version: str, endpoint: str) -> bool:
        """Close the canonical path ``endpoint`` again; False where that was done before."""
        approval = Approval(job, version, endpoint, os_user(), self._now())
        with self._transaction() as connection:
            known = _approvals(connection)
            if not _has(approval, known):
                asked = ("approved", approval.subject)
                if connection.execute("SELECT 1 FROM log WHERE what = ? AND subject = ?", asked).fetchone():
                    return False
                there = _there_are(one.subject for one in known)
                raise StoreError(f"there is no approval of {approval.subject}: {there}")
            connection.execute(
                "DELETE FROM approvals WHERE job = ? AND version = ? AND endpoint = ?",
                (job, version, endpoint),
            )
            self._note(connection, "approval revoked", approval.subject)
            return True

    def approvals(self) -> list[Approval]:
        """Those that are in force, in order of names, versions and paths."""
        with self._transaction() as connection:
            return _approvals(connection)

    def log(self) -> list[Entry]:
        """All that was ever done, the oldest first."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT at, who, what, subject FROM log ORDER BY number")
            return [Entry(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        state_of(self._path)
        with opened(self._path, writes=True, patience=PATIENCE) as connection:
            yield connection

    def _note(self, connection: Connection, what: str, subject: str) -> None:
        connection.execute(NOTE, (self._now(), os_user(), what, subject))

    def _now(self) -> int:
        now = int(self._clock())
        if now < 0:
            raise fault(self._path, "the clock stands before 1970: set it")
        return now


def os_user() -> str:
    """Who runs this process, by the system's word: variables of the environment may say anything."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def _tokens(connection: Connection) -> list[Issued]:
    rows = connection.execute(
        "SELECT name, kind, note, created, expires, revoked FROM tokens ORDER BY created, rowid"
    )
    return [Issued(*row) for row in rows]


def _in_force(tokens: Iterable[Issued]) -> list[str]:
    return sorted(one.name for one in tokens if one.revoked is None)


def _approvals(connection: Connection) -> list[Approval]:
    rows = connection.execute(
        "SELECT job, version, endpoint, who, at FROM approvals ORDER BY job, version, endpoint"
    )
    return [Approval(*row) for row in rows]


def _has(approval: Approval, known: Iterable[Approval]) -> bool:
    return any(one.subject == approval.subject for one in known)


def _there_are(names: Iterable[str]) -> str:
    return f"there are {told}" if (told := _listed(names)) else "there is none"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(every[:MOST_NAMED]) + more
