"""What the look inside starts: scripts that print JSON, and servers; in pyjob's environment, on one core."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from process import (
    BETWEEN_LOOKS,
    HERE,
    LISTENING,
    LONGEST_START,
    Served,
    StartError,
    pinned,
    plain_environment,
    send,
    started,
)

LONGEST = 600.0


class ScriptError(Exception):
    """A script that did not say what it was asked."""


@dataclass(frozen=True)
class Place:
    """An interpreter that has pyjob, and the core that it runs on."""

    python: str
    core: int

    def told_by(self, module: str, *numbers: float) -> Any:
        """What a script of `inside` prints. Raises `ScriptError`."""
        command = [self.python, "-m", f"inside.{module}", *(f"{each:g}" for each in numbers)]
        with pinned(self.core):
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=HERE, env=plain_environment(), timeout=LONGEST
            )
        if done.returncode:
            raise ScriptError(f"inside.{module} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout)

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[tuple[Served, Path]]:
        """A server that says where it listens, and the file that it writes to. Raises `StartError`."""
        with tempfile.NamedTemporaryFile() as output, ExitStack() as stack:
            with pinned(self.core):
                process = stack.enter_context(started(arguments, output.file, self.python))
            file = Path(output.name)
            yield Served(process.pid, _port(process, file)), file

    @contextmanager
    def running(self, job: Path, *options: str) -> Iterator[tuple[Served, Path]]:
        """`pyjob run` when ready, without access lines; ``options`` are Python's. Raises `StartError`."""
        run = ("-m", "pyjob", "run", str(job), "--host", "127.0.0.1", "--port", "0", "--no-access-log")
        with self.serving(*options, *run) as (server, output):
            deadline = time.monotonic() + LONGEST_START
            while send(server.port, "GET", "/ready")[0] != 200:
                if time.monotonic() > deadline:
                    raise StartError(f"pyjob run is not ready:\n{output.read_text(errors='replace')[-2000:]}")
                time.sleep(BETWEEN_LOOKS)
            yield server, output


def _port(process: subprocess.Popen[bytes], output: Path) -> int:
    deadline = time.monotonic() + LONGEST_START
    while True:
        text = output.read_text(errors="replace")
        found = LISTENING.search(text)
        if found:
            return int(found.group(1))
        if process.poll() is not None or time.monotonic() > deadline:
            raise StartError(f"{process.args!r} did not start:\n{text[-2000:]}")
        time.sleep(BETWEEN_LOOKS)
