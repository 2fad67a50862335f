"""Real servers in processes of their own, on any free port of the loopback interface."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# As most servers print it, and as uWSGI and Prometheus do.
ADDRESS = re.compile(r"(?:http://|TCP address |\"Listening on\".* address=)127\.0\.0\.1:(\d+)")
PATIENCE = 60.0
# Stands in a command for a port that is kept free for it, where the server does not tell which one it took.
HELD_PORT = "HELD_PORT"


@dataclass
class Server:
    """A process that serves; ``lines`` grows with what it prints."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    port: int = 0
    _has_port: threading.Event = field(default_factory=threading.Event)
    _is_read: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def records(self) -> list[Any]:
        """What it printed, where that is JSON lines and nothing else."""
        return [json.loads(line) for line in self.lines]

    def read_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            found = ADDRESS.search(line)
            if found and not self._has_port.is_set():
                self.port = int(found.group(1))
                self._has_port.set()
        self._has_port.set()
        self._is_read.set()

    def wait_for_port(self) -> None:
        assert self._has_port.wait(PATIENCE), f"no address was printed:\n{self.output}"
        assert self.port, f"the server ended:\n{self.output}"

    def wait_until(self, path: str, status: int) -> None:
        """Ask for ``path`` until it answers ``status``."""
        self.repeat(lambda: self._status(path), status, path)

    def wait_until_told(self, text: str, count: int = 1) -> None:
        """Wait until it has printed ``text`` so often: a call's line may come after its answer.

        `pyjob run` prints it before it ends; a server that SIGTERM ends at once may not.
        """
        self.repeat(lambda: self.output.count(text) >= count, True, f"{text!r}, {count} times")

    def wait_until_metric(self, name: str, value: float, *, mount: str = "") -> None:
        """Ask for the metrics of the job at ``mount`` until ``name`` is ``value``."""
        sample = re.compile(rf"^{name} (\S+)$", re.MULTILINE)

        def read() -> object:
            status, _, page = ask(self, "GET", f"{mount}/metrics")
            found = sample.search(page.decode()) if status == 200 else None
            return status if found is None else float(found[1])

        self.repeat(read, value, name)

    def files_open_in(self, folder: Path) -> list[str]:
        """The files of ``folder`` that the process has open, which need not be listed in it any more."""
        found = []
        descriptors = Path(f"/proc/{self.process.pid}/fd")
        for descriptor in descriptors.iterdir() if descriptors.exists() else ():
            with suppress(OSError):  # closed since it was listed
                found.append(str(descriptor.readlink()))
        return [path for path in found if path.startswith(str(folder))]

    def wait_until_open_in(self, folder: Path) -> None:
        """Wait until it has a file of ``folder`` open."""
        self.repeat(lambda: bool(self.files_open_in(folder)), True, str(folder))

    def assert_leaves_nothing_in(self, folder: Path) -> None:
        """Wait until no file of ``folder`` is open: a server closes its own once the answer is out."""
        self.repeat(lambda: self.files_open_in(folder), [], str(folder))
        assert list(folder.iterdir()) == []

    def repeat(self, question: Callable[[], object], expected: object, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        answer: object = None
        while time.monotonic() < deadline:
            answer = question()
            if answer == expected:
                return
            assert self.process.poll() is None, f"the server ended:\n{self.output}"
            time.sleep(0.01)
        raise AssertionError(f"{what} is {answer}, not {expected}:\n{self.output}")

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
        """SIGTERM, and SIGKILL where that does not help; the exit status, once all output is read."""
        self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            # What it has started, and left behind: that would keep the pipe open of which its output is read.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self._is_read.wait(PATIENCE)


@contextmanager
def started(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A process of ``command`` that prints the address on which it listens."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
    with held_port() if HELD_PORT in command else nullcontext("") as port:
        process = subprocess.Popen(
            [port if part == HELD_PORT else part for part in command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
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


@contextmanager
def held_port() -> Iterator[str]:
    """A free port, kept from others for a server that sets SO_REUSEPORT: who does not listen gets no call."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield str(holder.getsockname()[1])


def ask(
    server: Server, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of an answer, decoded where JSON; names of headers are `Like-This`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    is_json = (answer.headers["Content-Type"] or "").startswith("application/json") and content
    given = {name.title(): value for name, value in answer.headers.items()}
    return answer.status, given, json.loads(content) if is_json else content


def pyjob_run(path: Path, *options: str) -> list[str]:
    """The command line of `pyjob run` on any free port of the loopback interface."""
    return [
        *(sys.executable, "-m", "pyjob", "run", str(path)),
        *("--host", "127.0.0.1", "--port", "0", *options),
    ]
