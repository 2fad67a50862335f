"""The servers that have called an application: usually one."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Servers:
    """Those that are known; false as long as none is. To be asked by one thread at a time."""

    def __init__(self) -> None:
        self._met: list[weakref.ref[object] | None] = []

    def __bool__(self) -> bool:
        return bool(self._met)

    def is_new(self, environ: WSGIEnvironment) -> bool:
        """Whether the server of ``environ`` is met for the first time; it is known from now on."""
        # waitress is the one that can be told by an object of its own.
        channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
        server = getattr(channel, "server", None)
        if any((None if met is None else met()) is server for met in self._met):
            return False
        self._met.append(None if server is None else weakref.ref(server))
        return True
