"""Stores of tokens and approvals for tests, changed as `pyjob access` changes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pyjob.access.store.ledger import Ledger
from pyjob.access.store.token import new_token

PATIENCE = 20.0
HEADER = "X-Racetrack-Auth"


class Made:
    """A store at ``path``, and a `Ledger` to change it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger(path)
        self.ledger.make()

    def token(self, name: str = "alice", text: str | None = None, *, expires: int | None = None) -> str:
        """Issue a token."""
        text = text or new_token()
        self.ledger.add_token(name, text, kind="user", note="", expires=expires)
        return text

    def approve(self, endpoint: str, *, name: str = "sample", version: str = "0.0.1") -> None:
        self.ledger.approve(name, version, endpoint)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something that is soon to be so is so: servers look at a store now and then."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
