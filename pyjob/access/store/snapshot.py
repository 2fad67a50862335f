"""What is in force in a store, read at one go into values that never change (SPEC 8.3, 8.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyjob.access.store.database import damaged, opened
from pyjob.access.store.token import KINDS, Token

_DIGEST_LENGTH = 64

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``tokens`` by their digests, each with that digest; ``approved`` by name and version of the job."""

    tokens: Mapping[str, tuple[str, Token]] = field(default_factory=dict)
    approved: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)


def read_snapshot(path: Path, *, size: int, patience: float) -> Snapshot:
    """Read the store at ``path``, of ``size`` bytes, with ``patience`` seconds for a writer's lock.

    Raises `StoreError` for one that cannot be read or is not as we write it, `LockedError` for a locked one.
    """
    with opened(path, patience=patience) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        tokens = connection.execute(
            "SELECT digest, name, kind, expires FROM tokens WHERE revoked IS NULL"
        ).fetchall()
        approvals = connection.execute("SELECT job, version, endpoint FROM approvals").fetchall()
    if size % page_size:  # SQLite takes the rest of the last page for zeros
        raise damaged(path, "its last page is cut off")
    return Snapshot(_tokens(path, tokens), _approved(path, approvals))


def _tokens(path: Path, rows: Iterable[Row]) -> dict[str, tuple[str, Token]]:
    tokens = {}
    for digest, name, kind, expires in rows:
        if not (
            isinstance(digest, str)
            and len(digest) == _DIGEST_LENGTH
            and isinstance(name, str)
            and isinstance(kind, str)
            and kind in KINDS
            and (expires is None or isinstance(expires, int))
        ):
            raise damaged(path, "a token is not as it was written")
        tokens[digest] = (digest, Token(name, kind, expires))
    return tokens


def _approved(path: Path, rows: Iterable[Row]) -> dict[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for name, version, endpoint in rows:
        if not (isinstance(name, str) and isinstance(version, str) and isinstance(endpoint, str)):
            raise damaged(path, "an approval is not as it was written")
        found.setdefault((name, version), set()).add(endpoint)
    return {job: frozenset(endpoints) for job, endpoints in found.items()}
