"""Connections kept for further requests."""

from __future__ import annotations

import os
import ssl
import time
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from pyjob.client.request import Address
from pyjob.client.transport.connection import Connection

MOST_IDLE = 32
IDLE_SECONDS = 30.0

# By scheme, host and port.
Place = tuple[str, str, int]
Kept = dict[Place, deque[Connection]]


class Pool:
    """Idle connections, at most so many to a server; the last one used is taken first.

    Those that have been idle for too long are closed when anything is taken or kept. All are closed with the
    pool, or at the end of the process. Any thread may use it; a process that was forked leaves its parent's
    alone. There is no lock in it, which a fork might find held: each step is one of a deque or a dict.
    """

    def __init__(self, most_idle: int = MOST_IDLE, idle_seconds: float = IDLE_SECONDS) -> None:
        self._most_idle = most_idle
        self._idle_seconds = idle_seconds
        self._kept: Kept = {}
        self._is_watched = False
        self._tls: ssl.SSLContext | None = None

    def take(self, address: Address) -> Connection | None:
        """A connection on which nothing has come since its last answer; None where there is none."""
        self._close_old()
        kept = self._kept.get(_place(address))
        while kept:
            try:
                connection = kept.pop()
            except IndexError:  # another thread was faster
                break
            if connection.process == os.getpid() and connection.is_quiet():
                return connection
            connection.close()
        return None

    def keep(self, address: Address, connection: Connection) -> None:
        """Keep it for the next request."""
        if not self._is_watched:
            self._is_watched = True
            weakref.finalize(self, _close, self._kept)
        kept = self._kept.setdefault(_place(address), deque())
        kept.append(connection)
        while len(kept) > self._most_idle:
            _close_first(kept)
        self._close_old()

    def tls(self) -> ssl.SSLContext:
        """How https is spoken: with the certificates of the system, which take a while to read."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def close(self) -> None:
        """Close all that are idle; the pool can go on."""
        _close(self._kept)

    def _close_old(self) -> None:
        oldest = time.monotonic() - self._idle_seconds
        for kept in tuple(self._kept.values()):
            with suppress(IndexError):  # none is left, or another thread was faster
                while kept[0].idle_since < oldest:
                    kept.popleft().close()


def _place(address: Address) -> Place:
    return address.scheme, address.host, address.port


def _close(kept: Mapping[Place, deque[Connection]]) -> None:
    for idle in tuple(kept.values()):
        while idle:
            _close_first(idle)


def _close_first(kept: deque[Connection]) -> None:
    with suppress(IndexError):  # another thread was faster
        kept.popleft().close()


# The one of this process, for chain calls, whose authors have no place of their own for it. It begins empty,
# holds nothing but idle connections, and is the one exception here to `no mutable state at module level`.
PROCESS = Pool()
