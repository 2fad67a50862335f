"""The loop that looks after all sockets: it asks those to which something has happened (SPEC 5.3).

waitress's own loop asks every connection, at every turn, what it wants, and tells the system all of it again:
with a hundred connections that is more work than the requests are.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterable
from typing import Any

from waitress import wasyncore

from pyjob.serving.connection.channel import READS, Channel
from pyjob.serving.listener import Listener

# How often all are asked, in seconds: whatever nobody has told of is seen then.
ALL_SECONDS = 1.0


class Sockets(dict[int, Any]):
    """What waitress calls a map: its dispatchers by descriptor. ``changed``: what has come or gone."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: set[int] = set()

    def __setitem__(self, descriptor: int, socket: Any) -> None:
        super().__setitem__(descriptor, socket)
        self.changed.add(descriptor)

    def __delitem__(self, descriptor: int) -> None:
        super().__delitem__(descriptor)
        self.changed.add(descriptor)


class Loop:
    """Reads, writes and accepts on ``sockets``, in the one thread that calls `turn`.

    What another thread has changed in a connection is seen once it has pulled a trigger of waitress's.
    """

    def __init__(self) -> None:
        self.sockets = Sockets()
        self._poll = select.poll()
        self._wanted: dict[int, int] = {}
        # A few, which look after things while they are asked: at every turn.
        self._listeners: set[int] = set()
        # Connections that have done something since they were last asked.
        self._touched: set[int] = set()
        self._all_at = 0.0

    def turn(self, timeout: float, *, everybody: bool = False) -> None:
        """Wait up to ``timeout`` seconds until something can be done, and do it.

        ``everybody``: all connections are asked what they wait for, not just those that have done something.
        """
        now = time.monotonic()
        if everybody or now >= self._all_at:
            self._all_at = now + ALL_SECONDS
            self._ask([*self.sockets])
        else:
            self._ask([*self._touched, *self._listeners])
        while self.sockets.changed:  # a listener that is asked may close some
            self._welcome(self.sockets.changed.pop())
        self._touched.clear()
        for descriptor, flags in self._poll.poll(int(timeout * 1000)):
            self._act(descriptor, flags)

    def close(self) -> None:
        """Close all sockets."""
        wasyncore.close_all(self.sockets)

    def _act(self, descriptor: int, flags: int) -> None:
        socket = self.sockets.get(descriptor)
        if socket is None or descriptor in self.sockets.changed:  # closed since the system told of it
            return
        self._touched.add(descriptor)
        wasyncore.readwrite(socket, flags)
        if isinstance(socket, wasyncore.file_dispatcher):  # a trigger: something has changed somewhere
            self._all_at = 0.0

    def _welcome(self, descriptor: int) -> None:
        """Get to know what is new, or forget what is gone; the number may stand for another socket by now."""
        if self._wanted.pop(descriptor, 0):
            self._poll.unregister(descriptor)
        self._listeners.discard(descriptor)
        if isinstance(self.sockets.get(descriptor), Listener):
            self._listeners.add(descriptor)
        self._ask([descriptor])

    def _ask(self, descriptors: Iterable[int]) -> None:
        """Tell the system what each of them waits for, where that has changed."""
        for descriptor in descriptors:
            socket = self.sockets.get(descriptor)
            if socket is None:
                continue
            wanted = socket.wants() if isinstance(socket, Channel) else READS * bool(socket.readable())
            if wanted == self._wanted.get(descriptor, 0):
                continue
            self._wanted[descriptor] = wanted
            if wanted:
                self._poll.register(descriptor, wanted)
            else:
                self._poll.unregister(descriptor)
