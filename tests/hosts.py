"""The log of a process, and that of a host which has the filter of pyjob on its handler."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyjob.logs import ContextFilter
from pyjob.logs.structured import JsonFormatter


@contextmanager
def bare_root() -> Iterator[logging.Logger]:
    """The root logger without the handlers of pytest."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


class HostLog(io.StringIO):
    """What the one handler of a host has written, a JSON object a line."""

    @property
    def text(self) -> str:
        return self.getvalue()

    @property
    def records(self) -> list[Any]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def of(self, logger: str) -> list[Any]:
        """The records of ``logger``."""
        return [record for record in self.records if record["logger"] == logger]


@contextmanager
def host_log() -> Iterator[HostLog]:
    """The log of a host, whose root logger has a handler with `ContextFilter`, and nothing else."""
    stream = HostLog()
    handler = logging.StreamHandler(stream)
    handler.addFilter(ContextFilter())
    handler.setFormatter(JsonFormatter())
    with bare_root() as root:
        root.setLevel(logging.INFO)
        root.addHandler(handler)
        yield stream
