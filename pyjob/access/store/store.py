"""The store of tokens and approvals as a server reads it, which never writes to it (SPEC 8.4)."""

from __future__ import annotations

import hmac
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pyjob.access.store.database import fault, state_of, warning_of
from pyjob.access.store.snapshot import Snapshot, read_snapshot
from pyjob.access.store.token import LONGEST, Token, digest_of
from pyjob.errors import LockedError, StoreError

# Seconds. The file is looked at no more often than this ...
INTERVAL = 0.25
# ... and nothing is decided by what was in force longer ago than this.
LONGEST_TRUST = 1.0
# How long a thread waits for the one that looks at the file, where that hangs.
PATIENCE = 2.0
# Of the coarsest clock of a file system: two changes so close together may leave the same times.
CLOCK_TICK = 2.0

# By which a change shows: times in nanoseconds, size, inode, device.
Stamp = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class View:
    """What the last look at the file has shown; times by the monotonic clock.

    ``snapshot`` is empty where there is a ``fault``. ``stamp`` is None where the next look has to read again.
    The view holds without another look ``until`` then; that it is in force was seen at ``seen``.
    """

    snapshot: Snapshot
    fault: str | None = None
    warning: str | None = None
    stamp: Stamp | None = None
    until: float = -math.inf
    seen: float = -math.inf


class Store:
    """Tokens and approvals in the file at ``path``; changes of it count within a second.

    Whatever is wrong with the file is a `fault`, as long as it is: then there are no tokens and no approvals.
    ``clock`` tells Unix seconds, ``monotonic`` any seconds. Nothing here raises, and any thread may call it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path).absolute()  # a job may change the working directory
        self._clock = clock
        self._monotonic = monotonic
        self._view = View(Snapshot())
        self._lock = threading.Lock()
        self._process = os.getpid()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def token(self, text: str) -> Token | None:
        """Whose token ``text`` is; None where it is none, or one that is revoked or has expired."""
        if len(text) > LONGEST or not text.isascii():
            return None
        digest = digest_of(text)
        kept, token = self._current().snapshot.tokens.get(digest, ("", None))
        if token is None or not hmac.compare_digest(kept, digest):
            return None
        return token if token.expires is None or self._clock() < token.expires else None

    def approved(self, name: str, version: str) -> frozenset[str]:
        """The canonical paths that are approved as public for the job ``name``, in exactly ``version``."""
        return self._current().snapshot.approved.get((name, version), frozenset())

    @property
    def fault(self) -> str | None:
        """What is wrong with the store, and what to do, in a line."""
        return self._current().fault

    @property
    def warning(self) -> str | None:
        """What an administrator should hear about the file, though it stops nothing."""
        return self._current().warning

    def _current(self) -> View:
        view = self._view
        return view if self._monotonic() < view.until else self._looked()

    def _looked(self) -> View:
        """The view after a look at the file, by this thread or by another at the same time."""
        if self._process != os.getpid():  # a thread that this process lacks may have held the lock
            self._lock, self._process = threading.Lock(), os.getpid()
        lock = self._lock
        view = self._view
        is_fresh = self._monotonic() - view.seen < LONGEST_TRUST
        if not lock.acquire(timeout=0 if is_fresh else PATIENCE):
            if is_fresh:
                return view
            # Fresh for ever: until that look is over, nobody else need wait for it.
            text = str(fault(self._path, "its disk does not answer: see to that"))
            self._view = View(Snapshot(), text, seen=math.inf)
            return self._view
        try:
            now = self._monotonic()
            if now >= self._view.until:
                self._view = self._next(self._view, now)
            return self._view
        finally:
            lock.release()

    def _next(self, view: View, now: float) -> View:
        """What follows ``view`` by a look at the file, ``now``."""
        until = now + INTERVAL
        # Where nothing recent stands in for it, a writer's change is waited for.
        is_fresh = now - view.seen <= LONGEST_TRUST - INTERVAL
        try:
            clock = self._clock()
            state = state_of(self._path)
            stamp = (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino, state.st_dev)
            if stamp == view.stamp:
                return replace(view, until=until, seen=now)
            patience = 0.0 if is_fresh or view.fault else LONGEST_TRUST
            snapshot = read_snapshot(self._path, size=state.st_size, patience=patience)
            # Another change at once may leave the same times. Where the clock was set back, nobody knows.
            is_settled = clock - max(state.st_mtime, state.st_ctime) >= CLOCK_TICK
            warning = warning_of(self._path, state)
            return View(snapshot, None, warning, stamp if is_settled else None, until, now)
        except LockedError as error:
            if is_fresh and view.fault is None:
                return replace(view, until=until)
            text = str(error)
        except StoreError as error:
            text = str(error)
        except Exception as error:  # noqa: BLE001  whatever it is, the doors stay closed
            text = str(
                fault(self._path, f"cannot be read ({type(error).__name__}): see whether it is a store")
            )
        return View(Snapshot(), text, until=until, seen=now)
