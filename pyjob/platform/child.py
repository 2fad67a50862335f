"""A job's process: started, asked how it does, told to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyjob.errors import JobError, one_line
from pyjob.platform.hosted import HostedJob
from pyjob.platform.output import Label, Output

# How long a caller waits for a process that does not listen yet (or, with --reload, again), in seconds.
PATIENCE = 10.0
AGAIN = 0.05
# How long a process may take to say how it does, in seconds, and with how much, in bytes.
LONGEST_LOOK = 1.0
LARGEST_HEALTH = 256 * 1024
# How long is waited for what it has printed last, in seconds.
LAST_WORDS = 0.5
# Of stderr, what is shown of a process that has ended: its last lines.
MOST_LINES = 20
LONGEST_ERROR = 4000
QUESTION = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Standing:
    """How a job does: ``state`` is starting, loading, ready, failed, stuck, silent or ended.

    ``error`` says why, where there is a reason; ``exit_status`` is that of a process that has ended, negative
    for a signal.
    """

    state: str
    error: str | None = None
    exit_status: int | None = None


class Child:
    """The process of ``job``, run by ``command``, which listens on the Unix socket at ``address``.

    ``may_change``: whether it may take another name or version, as with --reload.
    """

    def __init__(self, job: HostedJob, command: Sequence[str], address: str, *, may_change: bool) -> None:
        self.name = job.name
        self.version = job.version
        self.path = job.path
        self.may_change = may_change
        self._mask = job.mask
        self._command = command
        self._address = address
        self._has_listened = False
        self._latest_lines: deque[bytes] = deque(maxlen=MOST_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[threading.Thread] = []
        # None while it runs; negative for a signal.
        self.exit_status: int | None = None
        self.ended = asyncio.Event()

    @property
    def title(self) -> str:
        """Name and version, as far as they are known."""
        return f"{self.name} {self.version}".strip()

    async def start(self, lifeline: int, label: Label, out: Output, err: Output) -> None:
        """Start it: in a session of its own, since Ctrl-C is for the platform alone.

        ``lifeline`` is a pipe whose end, which comes with that of the platform, ends the process.
        """
        (out_reads, out_writes), (err_reads, err_writes) = os.pipe(), os.pipe()
        told = self._latest_lines.append
        self._readers = [out.follow(out_reads, label), err.follow(err_reads, label, told)]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=lifeline, stdout=out_writes, stderr=err_writes, start_new_session=True
            )
        finally:
            os.close(out_writes)
            os.close(err_writes)

    async def wait(self) -> None:
        """Wait for its end, and for its last words; then end what it has started and left behind."""
        if self._process is not None:
            status = await self._process.wait()
            await asyncio.gather(*(asyncio.to_thread(reader.join, LAST_WORDS) for reader in self._readers))
            # A fork of it may hold its connections open, and its callers with them; Ctrl-C does not reach it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self.exit_status = status
            self.ended.set()

    def terminate(self) -> None:
        """Tell it to end, once its calls have; at the second time, at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it, and all that it has started."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def connect(self) -> socket.socket:
        """A connection to it, as soon as it listens. Raises `JobError`, 503, where it does not."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            if self._process is not None and self._process.returncode is not None:
                await self.ended.wait()  # what it has started may still hold the socket open
            if self.exit_status is not None:
                raise JobError(503, self.told_end_and_why(), kind="Service Unavailable")
            connection = self._connected()
            if connection is not None:
                return connection
            if asyncio.get_running_loop().time() > deadline:
                message = f"job {self.title} does not take connections"
                raise JobError(503, message, kind="Service Unavailable", headers={"Retry-After": "1"})
            await asyncio.sleep(AGAIN)

    async def look(self) -> Standing:
        """How it does now; its name and version may be others by then."""
        if self.exit_status is not None:
            return Standing("ended", self._last_words() or None, self.exit_status)
        connection = self._connected()
        if connection is None:
            return Standing("silent" if self._has_listened and not self.may_change else "starting")
        with connection:
            try:
                health = await asyncio.wait_for(_asked(connection), LONGEST_LOOK)
            except (OSError, ValueError, TimeoutError):
                return Standing("silent")
        return self._standing(health)

    def told_end(self) -> str:
        """How it has ended."""
        status = self.exit_status or 0
        how = f"with status {status}" if status >= 0 else f"by {_signal_name(-status)}"
        return f"job {self.title} ended {how}"

    def told_end_and_why(self) -> str:
        """The same with the last line that it wrote to stderr, if any."""
        last = self._last_words().rpartition("\n")[2]
        return f"{self.told_end()}: {one_line(last)}" if last else self.told_end()

    def _standing(self, health: dict[str, Any]) -> Standing:
        if self.may_change:
            self.name = str(health.get("job_name") or self.name)
            self.version = str(health.get("job_version") or self.version)
        ready, error = health.get("ready") is True, health.get("error")
        if error:
            return Standing("stuck" if ready else "failed", self._mask(str(error)))
        return Standing("ready" if ready else "loading")

    def _last_words(self) -> str:
        text = b"".join(self._latest_lines).decode(errors="backslashreplace")
        return self._mask(text.strip())[-LONGEST_ERROR:]

    def _connected(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        try:
            # At once or not at all: asyncio would take a full backlog for a connection that is on its way.
            connection.connect(self._address)
        except OSError:
            connection.close()
            return None
        self._has_listened = True
        return connection


async def _asked(connection: socket.socket) -> dict[str, Any]:
    """What `/health` says. Raises OSError and ValueError."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, QUESTION)
    answer = b""
    while piece := await loop.sock_recv(connection, LARGEST_HEALTH):
        answer += piece
        if len(answer) > LARGEST_HEALTH:
            raise ValueError("too long")
    health = json.loads(answer.partition(b"\r\n\r\n")[2])
    if not isinstance(health, dict):
        raise ValueError("no object")
    return health


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
