"""What the processes of the jobs print: whole lines, each with the name of its job in front."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

# Of what has no line feed for longer, in bytes, pieces become lines.
LONGEST_LINE = 1024 * 1024
COLOURS = ("\x1b[36m", "\x1b[35m", "\x1b[33m", "\x1b[32m", "\x1b[34m", "\x1b[31m")
PLAIN = "\x1b[0m"


@dataclass(frozen=True)
class Label:
    """Who has printed a line: ``text`` as it stands in front, ``key`` as it begins a record in JSON.

    ``key`` is empty where JSON that is printed is no record of a log.
    """

    text: bytes
    key: bytes = b""

    def on(self, line: bytes) -> bytes:
        """``line`` with the label; a record in JSON stays one."""
        whole = line if line.endswith(b"\n") else line + b"\n"
        if self.key and line.startswith(b'{"') and line.rstrip().endswith(b"}"):
            return self.key + whole[1:]
        return self.text + whole


def labels_of(names: list[tuple[str, bool]], *, colours: bool) -> list[Label]:
    """A label for each name, all of the same width; with each, whether its log is JSON."""
    width = max((len(name) for name, _ in names), default=0)
    made = []
    for position, (name, is_structured) in enumerate(names):
        before, after = (COLOURS[position % len(COLOURS)], PLAIN) if colours else ("", "")
        key = f'{{"job": {json.dumps(name)}, ' if is_structured else ""
        made.append(Label(f"{before}{name:<{width}} |{after} ".encode(), key.encode()))
    return made


class Output:
    """Stdout or stderr, as one ``stream`` of bytes for the lines of many processes.

    Each source has a thread of its own: where nobody reads the stream, it waits, and so does who prints.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: BinaryIO | None = stream
        self._lock = threading.Lock()

    def follow(
        self, descriptor: int, label: Label, tell: Callable[[bytes], object] | None = None
    ) -> threading.Thread:
        """Copy the lines of a pipe until its end, and close it; ``tell`` is told each. Returns the thread."""
        thread = threading.Thread(
            target=self._copy, args=(descriptor, label, tell), name="pyjob-output", daemon=True
        )
        thread.start()
        return thread

    def _copy(self, descriptor: int, label: Label, tell: Callable[[bytes], object] | None) -> None:
        with open(descriptor, "rb") as source:
            for line in iter(lambda: source.readline(LONGEST_LINE), b""):
                if tell is not None:
                    tell(line)
                self._write(label.on(line))

    def _write(self, line: bytes) -> None:
        with self._lock:
            if self._stream is None:
                return
            try:
                self._stream.write(line)
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads it any more: those who print must not wait for that
                self._stream = None
