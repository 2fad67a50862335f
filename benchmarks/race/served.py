"""A contender that serves: started on its core, asked, weighed, and ended with all its processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from footprint import free_port
from process import StartError, pinned, plain_environment
from trees import Tree

from race.contenders import FOLDER, Kind
from race.works import WORKS, body

LONGEST_START = 60.0
LONGEST_ANSWER = 30.0
PATIENCE = 5.0
BETWEEN_LOOKS = 0.003
TICKS = os.sysconf("SC_CLK_TCK")


class WrongAnswerError(Exception):
    """An answer that is not the one that it should be: its speed means nothing."""


@dataclass(frozen=True)
class Server:
    """It answers. ``seconds``: from the start of its process until the first right answer."""

    kind: Kind
    port: int
    tree: Tree
    seconds: float

    def ask(self, work: str) -> bytes:
        """The body of a right answer, on a connection of its own. Raises `WrongAnswerError` and `OSError`."""
        return _ask(self.kind, self.port, work)

    def cpu_seconds(self) -> float:
        """What its processes have used so far, user and system (proc(5): utime and stime in ticks)."""
        return sum(_cpu_seconds(pid) for pid in self.tree.members())

    def proportional(self) -> float:
        """What they occupy, in megabytes; a page that several share counts once (proc(5): Pss in kB)."""
        return sum(_proportional(pid) for pid in self.tree.members()) / 1024

    def resident(self) -> float:
        """The same where a page counts for each of them, in megabytes."""
        return self.tree.resident() / 1024


@contextmanager
def serving(kind: Kind, python: str, core: int) -> Iterator[Server]:
    """The contender, freshly started on ``core``. Raises `StartError`, also where it ends meanwhile."""
    port = free_port()
    arguments = [argument.format(port=port) for argument in kind.arguments]
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as home, tempfile.NamedTemporaryFile() as output:
        environment = plain_environment() | {"BENTOML_HOME": home}
        environment.pop("PORT", None)
        began = time.perf_counter()
        # A session of its own, by which its processes are found when their parent has gone.
        with pinned(core):
            process = subprocess.Popen(
                [python, *arguments],
                stdout=output.file,
                stderr=subprocess.STDOUT,
                cwd=FOLDER,
                env=environment,
                start_new_session=True,
            )
        tree = Tree(process)
        try:
            while hindrance := _hindrance(kind, port):
                if process.poll() is not None or time.perf_counter() - began > LONGEST_START:
                    raise StartError(f"did not start: {hindrance}: {_last_word(output)}")
                time.sleep(BETWEEN_LOOKS)
            yield Server(kind, port, tree, time.perf_counter() - began)
        except OSError as error:
            if process.poll() is None:
                raise
            raise StartError(f"ended with status {process.returncode}: {_last_word(output)}") from error
        finally:
            _end(tree)


def _hindrance(kind: Kind, port: int) -> str:
    """Why there is no right answer yet: nobody listens, or it still loads; nothing once there is one."""
    try:
        _ask(kind, port, "sum")
    except (OSError, http.client.HTTPException, WrongAnswerError) as error:
        return str(error) or type(error).__name__
    return ""


def _ask(kind: Kind, port: int, work: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_ANSWER)
    try:
        sent = body(kind.sent(work))
        connection.request("POST", kind.path(work), sent, {"Content-Type": "application/json"})
        response = connection.getresponse()
        read = response.read()
    finally:
        connection.close()
    try:
        if response.status == 200 and WORKS[work].right(kind.read(json.loads(read))):
            return read
    except (ValueError, LookupError, TypeError):
        pass
    raise WrongAnswerError(f"{work}: {response.status} {read[:80]!r}")


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended since
        return 0
    return (int(fields[11]) + int(fields[12])) / TICKS


def _proportional(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(map(int, re.findall(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)))


def _last_word(output: IO[bytes]) -> str:
    output.seek(0)
    lines = [line.strip() for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "not a word"


def _end(tree: Tree) -> None:
    """Ask it to end, and end what is left of all its processes: nothing may run beside the next contender."""
    # A descriptor stays with its process, a number may be another's by the time of the signal.
    descriptors = list(_descriptors({*tree.members(), *_session(tree.root.pid)}))
    tree.root.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        tree.root.wait(PATIENCE)
    for descriptor in descriptors:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [], PATIENCE)  # readable once it has ended
        os.close(descriptor)
    tree.root.wait()


def _descriptors(pids: set[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            yield os.pidfd_open(pid)


def _session(number: int) -> Iterator[int]:
    """The processes of a session that still run (proc(5): state and session)."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = Path(folder, "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == number and fields[0] not in "ZX":
                yield int(folder.name)
