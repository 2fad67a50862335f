"""waitress's listening sockets, with more of what a service needs (SPEC 5.3)."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer, TcpWSGIServer, UnixWSGIServer

from pyjob.application import Application
from pyjob.application.reception import Reception
from pyjob.lanes.lanes import Lanes
from pyjob.serving.connection.channel import Channel
from pyjob.serving.connection.seat import reserve_of

# How often late requests are looked for, and how often a full house is told of.
LOOK_SECONDS = 1
TELL_SECONDS = 60.0
# What a connection has for its next request even where others stand outside, in seconds.
LEAST_PATIENCE = 1.0
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Connections closed at once when there are too many: each look at all of them makes room for some.
ROOM = 10

logger = logging.getLogger(__name__)


class Listener(BaseWSGIServer):  # type: ignore[misc]
    """One listening socket: accepts all that stand there, and makes room where there is none.

    waitress accepts one connection a turn of its loop, and a turn looks at every open one.
    """

    channel_class = Channel
    # The loop here asks those alone that have done something.
    asks_all = False
    # Of the application, to tell of what it never sees.
    reception: Reception | None = None
    next_channel_cleanup: float
    _told_at = float("-inf")
    _has_no_room = _is_starved = False

    def channels(self) -> list[Channel]:
        """The open connections."""
        return list(self.active_channels.values())

    def readable(self) -> bool:
        """Whether it wants to accept; called at every turn of the loop."""
        self.look_after()
        # Where there is no room to make, the loop must not be told again and again who stands there.
        return bool(self.accepting) and not (self._has_no_room and (self._is_full() or self._is_starved))

    def look_after(self) -> None:
        """Every second: `maintenance`."""
        now = time.time()
        if now >= self.next_channel_cleanup:
            self.next_channel_cleanup = now + LOOK_SECONDS
            self._has_no_room = self._is_starved = False
            self.maintenance(now)

    def accept(self) -> Any:
        """The next connection, or None where nobody stands there, or where there is no descriptor for it."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            self._is_starved = True
            self._make_room()
            return None

    def pull_trigger(self) -> None:
        """Wake the loop, unless it has ended: the descriptor of its pipe may be somebody else's by now."""
        if not self.trigger._closed:
            super().pull_trigger()

    def handle_accept(self) -> None:
        """Accept until nobody stands there."""
        for _ in range(self.adj.backlog):
            if self._is_crowded() and not self._has_no_room:
                self._make_room()
            if self._is_full():
                return
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                return

    def maintenance(self, now: float) -> None:
        """Close what is idle for too long or is not read, and answer requests that come too slowly."""
        super().maintenance(now)
        stalled = now - self.adj.channel_timeout
        late = time.monotonic()
        for channel in self.channels():
            if channel.is_late(late):
                channel.refuse_late()
            elif channel.total_outbufs_len and channel.last_activity < stalled:
                # Not by `will_close`: the loop closes at the next chance to write, and there is none.
                channel.handle_close()

    def stop_listening(self) -> None:
        """Accept the backlog, then close the socket; open connections and the loop's trigger stay."""
        self.handle_accept()
        self.accepting = False
        self.del_channel()
        with suppress(OSError):
            # Processes that the job has forked hold it, too: it is closed for them as well.
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _is_full(self) -> bool:
        return bool(len(self._map) >= self.adj.connection_limit)

    def _is_crowded(self) -> bool:
        """Whether the next connection would be one of those that are kept for what is no call."""
        limit = self.adj.connection_limit
        return bool(len(self._map) >= limit - reserve_of(limit))

    def _make_room(self) -> None:
        """Close those who have been waiting longest for a request to be complete."""
        latest = time.monotonic() - LEAST_PATIENCE
        idle = [c for c in self.channels() if c.waiting_since < latest and c.is_incomplete()]
        idle.sort(key=lambda channel: channel.waiting_since)
        closed = list(islice((channel for channel in idle if not channel.has_unread()), ROOM))
        for channel in closed:
            channel.handle_close()
        self._has_no_room = not closed
        if closed or self._is_full() or self._is_starved:
            self._tell_of_full_house()

    def _tell_of_full_house(self) -> None:
        now = time.monotonic()
        if now - self._told_at > TELL_SECONDS:
            self._told_at = now
            count, why = len(self._map), ", for want of descriptors (ulimit -n)" if self._is_starved else ""
            logger.warning(
                "%d connections are as many as this server takes%s: idle ones are closed", count, why
            )


class TcpListener(Listener, TcpWSGIServer):  # type: ignore[misc]
    """On a port."""


class UnixListener(Listener, UnixWSGIServer):  # type: ignore[misc]
    """On a Unix socket, whose file goes when it listens no more, unless it is another one's by then."""

    def bind_server_socket(self) -> None:
        """Make the file."""
        super().bind_server_socket()
        self._file = Path(self.adj.unix_socket)
        self._identity = self._file.stat().st_ino

    def stop_listening(self) -> None:
        """Accept the backlog, then close the socket."""
        super().stop_listening()
        with suppress(OSError):
            if self._file.stat().st_ino == self._identity:
                self._file.unlink()


def open_listeners(
    application: Any, sockets: dict[int, Any], lanes: Lanes, options: Mapping[str, Any]
) -> list[Listener]:
    """Listen as ``options`` (waitress's adjustments) say, on all addresses of the host; in ``sockets``.

    Raises OSError and ValueError.
    """
    adj = Adjustments(**options)
    if adj.unix_socket:
        return [UnixListener(application, sockets, dispatcher=lanes, adj=adj)]
    listeners: list[Listener] = []
    for bound in adj.sockets:  # by somebody who goes on listening while we start again
        address = (bound.family, bound.type, bound.proto, bound.getsockname())
        listeners.append(
            TcpListener(
                application,
                sockets,
                _sock=bound,
                dispatcher=lanes,
                adj=adj,
                bind_socket=False,
                sockinfo=address,
            )
        )
    if listeners:
        return listeners
    try:
        for address in adj.listen:
            listener = TcpListener(application, sockets, dispatcher=lanes, adj=adj, sockinfo=address)
            listeners.append(listener)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def tell_if_open(application: Application, servers: Iterable[Any]) -> None:
    """One warning where everybody is let in, and others than this machine can reach one of ``servers``."""
    if application.is_open and any(map(_is_reachable, servers)):
        name = application.manifest.name
        logger.warning("job %s: whoever reaches this port may call it: --access FILE asks for tokens", name)


def _is_reachable(server: Any) -> bool:
    if server.adj.trusted_proxy:  # which is there to let others in
        return True
    address = server.socket.getsockname()  # of a Unix socket, a path
    return isinstance(address, tuple) and not ip_address(address[0].partition("%")[0]).is_loopback
