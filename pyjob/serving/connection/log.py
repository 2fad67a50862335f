"""What waitress says of a connection, as far as it is worth a line."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

from pyjob.errors import one_line
from pyjob.wire.stream import LOGGED

LONGEST_MESSAGE = 300


class OneLine(logging.LoggerAdapter[logging.Logger]):
    """waitress's logger for what it says of a connection: a path in it can forge neither line nor colour."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        """The message in one line, and no longer than people read."""
        error = sys.exception()
        # Of a socket, or of a file that is sent: where in waitress it came up says nothing.
        if isinstance(error, OSError):
            kwargs["exc_info"] = None
            msg = f"{msg}: {error}"
        return one_line(str(msg)[:LONGEST_MESSAGE]), kwargs

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """A fault; of an answer that broke off, and has been told of with its request, no more than that."""
        if getattr(sys.exception(), LOGGED, False):
            self.debug(msg, *args, **kwargs)
        else:
            super().exception(msg, *args, **kwargs)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """A caller has left: the access line says so, and more of it."""
        self.debug(msg, *args, **kwargs)
