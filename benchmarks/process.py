"""Server processes under test: started, found, pinned to a core and ended."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from summing import PATH, PAYLOAD, check_answer

HERE = Path(__file__).resolve().parent
JOB = HERE / "summing.py"
LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")
LONGEST_START = 30.0
BETWEEN_LOOKS = 0.002


class StartError(Exception):
    """A server that does not come up."""


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """What it has used so far, user and system (proc(5): utime and stime in ticks)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_megabytes(self) -> float:
        """What it occupies now (proc(5): VmRSS in kB)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[0]) / 1024


def plain_environment() -> dict[str, str]:
    """The environment without what changes how Python runs: unbuffered output, no bytecode kept, ..."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@contextmanager
def started(
    arguments: Sequence[str], output: IO[bytes], python: str = sys.executable
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that writes to ``output`` and is ended on the way out."""
    # A file, not a pipe: somebody would have to read a pipe, on a core that the measurement needs.
    command = [python, *arguments]
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, cwd=HERE, env=plain_environment()
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def served(name: str, arguments: Sequence[str]) -> Iterator[Served]:
    """A server that says in its output where it listens, once it gives the right answer.

    Raises `StartError`.
    """
    with tempfile.NamedTemporaryFile() as output, started(arguments, output.file) as process:
        deadline = time.monotonic() + LONGEST_START
        port = 0
        while not (port and _answers(name, port)):
            text = Path(output.name).read_text(errors="replace")
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{name} did not start:\n{text[-2000:]}")
            found = LISTENING.search(text)
            port = int(found.group(1)) if found else 0
            time.sleep(BETWEEN_LOOKS)
        yield Served(process.pid, port)


def _answers(name: str, port: int) -> bool:
    status, body = send(port, "POST", PATH, PAYLOAD)
    if status == 503:  # still loading
        return False
    check_answer(name, status, body)
    return True


def send(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own. Raises `OSError`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started inside runs on ``core`` alone: processes inherit it, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
