"""The contenders of `overload.py`: how each is installed, set to one call at a time, and started."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from process import HERE, StartError, plain_environment, send
from trees import Tree

SLEEPING = HERE / "sleeping"
WARM_UP = 5
FIRST = b'{"n": 0, "milliseconds": 0}'
# The slowest takes about 5 s on a quiet machine.
LONGEST_START = 60.0
LONGEST_INSTALL = 900
BETWEEN_LOOKS = 0.05
# For pyjob and the reference, which read the same file.
MANIFEST = """\
name: sleeper
owner_email: nobody@example.com
jobtype: python3:latest
git:
  remote: https://example.com/sleeper
jobtype_extra:
  entrypoint_path: sleeper.py
  max_concurrency: 1
  max_concurrency_queue: {line}
"""


class InstallError(Exception):
    """A contender that pip cannot install."""


@dataclass(frozen=True)
class Peer:
    """One contender. ``arguments`` follow the interpreter; ``{port}`` and ``{line}`` are filled in."""

    title: str
    distribution: str
    arguments: tuple[str, ...]
    perform: str
    live: str
    # What pip is to install; nothing: it runs under the interpreter that runs this.
    requirement: str | None = None


# Each with its defaults (log lines for calls included), but for the cap of one call and the line.
PEERS = {
    "pyjob": Peer(
        title="pyjob",
        distribution="pyjob",
        arguments=("-m", "pyjob", "run", ".", "--host", "127.0.0.1", "--port", "{port}"),
        perform="/api/v1/perform",
        live="/live",
    ),
    "racetrack": Peer(
        title="racetrack-job-runner",
        distribution="racetrack-job-runner",
        arguments=("on_racetrack.py", "run", "sleeper.py", "--manifest-path", "job.yaml", "--port", "{port}"),
        perform="/api/v1/perform",
        live="/live",
        requirement="racetrack-job-runner==1.18.0",
    ),
    "litserve": Peer(
        title="LitServe",
        distribution="litserve",
        arguments=("on_litserve.py", "{port}", "{line}"),
        perform="/perform",
        live="/health",
        requirement="litserve",
    ),
    "bentoml": Peer(
        title="BentoML",
        distribution="bentoml",
        # Without --do-not-track it would call its maker.
        arguments=(
            *("-m", "bentoml", "serve", "on_bentoml:SleepingService", "--do-not-track"),
            *("--host", "127.0.0.1", "--port", "{port}"),
        ),
        perform="/perform",
        live="/livez",
        requirement="bentoml",
    ),
}


@dataclass(frozen=True)
class Installed:
    """A contender that can be started: under which interpreter, and in which version."""

    peer: Peer
    python: str
    version: str

    @property
    def title(self) -> str:
        """Name and version, as tables and plots have it."""
        return f"{self.peer.title} {self.version}"


@dataclass(frozen=True)
class Sleeping:
    """A contender that answers."""

    peer: Peer
    port: int
    tree: Tree


def installed(peer: Peer, environments: Path) -> Installed:
    """The contender, installed into an environment of its own if it was not. Raises `InstallError`."""
    if peer.requirement is None:
        return Installed(peer, sys.executable, _version(sys.executable, peer))
    folder = environments.resolve() / peer.distribution
    python = str(folder / "bin" / "python")
    done = folder / "installed"  # written last, so that a broken installation is begun anew
    if not done.exists() or done.read_text() != peer.requirement:
        sys.stderr.write(f"overload: installing {peer.requirement} into {folder}\n")
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(python, "-m", "pip", "install", "--quiet", peer.requirement)
        done.write_text(peer.requirement)
    return Installed(peer, python, _version(python, peer))


@contextmanager
def sleeping(contender: Installed, line: int) -> Iterator[Sleeping]:
    """The contender, freshly started with room for ``line`` waiting calls, and called a few times.

    Raises `StartError`.
    """
    peer, port = contender.peer, _free_port()
    arguments = [argument.format(port=port, line=line) for argument in peer.arguments]
    with tempfile.TemporaryDirectory(prefix="overload-") as folder, tempfile.NamedTemporaryFile() as output:
        shutil.copytree(SLEEPING, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        Path(folder, "job.yaml").write_text(MANIFEST.format(line=line))
        # BentoML reads LINE in its service, and keeps files in BENTOML_HOME.
        environment = plain_environment() | {"LINE": str(line), "BENTOML_HOME": f"{folder}/bentoml"}
        process = subprocess.Popen(
            [contender.python, *arguments],
            stdout=output.file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
        )
        server = Sleeping(peer, port, Tree(process))
        try:
            deadline = time.monotonic() + LONGEST_START
            while not _answers(server):
                if process.poll() is not None or time.monotonic() > deadline:
                    said = Path(output.name).read_text(errors="replace").split("\n")
                    raise StartError(next((line for line in reversed(said) if line.strip()), "not a word"))
                time.sleep(BETWEEN_LOOKS)
            yield server
        finally:
            server.tree.end()


def _answers(server: Sleeping) -> bool:
    try:
        for _ in range(WARM_UP):
            status, body = send(server.port, "POST", server.peer.perform, FIRST)
            alive, _ = send(server.port, "GET", server.peer.live)
            if status != 200 or alive != 200 or json.loads(body)["n"] != 0:
                return False
    except OSError:
        return False
    return True


def _version(python: str, peer: Peer) -> str:
    code = f"import importlib.metadata as m; print(m.version({peer.distribution!r}))"
    return _run(python, "-c", code).strip()


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=plain_environment(), timeout=LONGEST_INSTALL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(str(error)) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no word of it"]
        raise InstallError(lines[-1])
    return done.stdout


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
