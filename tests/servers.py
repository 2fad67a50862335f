"""Real servers in processes of their own, on any free port of the loopback interface."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
PATIENCE = 60.0


@dataclass
class Server:
    """A process that serves; ``lines`` grows with what it prints."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    port: int = 0
    _has_port: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def read_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            found = ADDRESS.search(line)
            if found and not self._has_port.is_set():
                self.port = int(found.group(1))
                self._has_port.set()
        self._has_port.set()

    def wait_for_port(self) -> None:
        assert self._has_port.wait(PATIENCE), f"no address was printed:\n{self.output}"
        assert self.port, f"the server ended:\n{self.output}"

    def wait_until(self, path: str, status: int) -> None:
        """Ask for ``path`` until it answers ``status``."""
        deadline = time.monotonic() + PATIENCE
        answer: object = None
        while time.monotonic() < deadline:
            answer = self._status(path)
            if answer == status:
                return
            assert self.process.poll() is None, f"the server ended:\n{self.output}"
            time.sleep(0.01)
        raise AssertionError(f"{path} answered {answer}, not {status}:\n{self.output}")

    def _status(self, path: str) -> int | OSError:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return error if isinstance(error, OSError) else OSError(str(error))
        finally:
            connection.close()

    def stop(self) -> int:
        """SIGTERM, and SIGKILL where that does not help; the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextmanager
def started(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A process of ``command`` that prints the address on which it listens."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
    process = subprocess.Popen(
        list(command),
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process)
    reader = threading.Thread(target=server.read_output, daemon=True)
    reader.start()
    try:
        server.wait_for_port()
        yield server
    finally:
        server.stop()
        reader.join(5)
        if process.stdout is not None:
            process.stdout.close()


def pyjob_run(path: Path, *options: str) -> list[str]:
    """The command line of `pyjob run` on any free port of the loopback interface."""
    return [
        *(sys.executable, "-m", "pyjob", "run", str(path)),
        *("--host", "127.0.0.1", "--port", "0", *options),
    ]
