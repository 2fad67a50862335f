"""Sockets that listen before there is a server for them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from pyjob.errors import AddressError

BACKLOG = 1024


def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket for each address of ``host``, as waitress has them. Raises `AddressError`."""
    try:
        flags = socket.AI_PASSIVE
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=flags)
        for family, _, _, _, address in dict.fromkeys(found):
            yield socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressError(f"cannot listen on {host}:{port}: {error}") from error
