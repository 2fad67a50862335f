"""The documents of the project as something to follow: every fenced block is run, or says why not.

What a block is, its language says:

python   is executed; all of a document share one namespace
pycon    is a doctest in the same namespace
console  holds commands (``$ ...``) and what they print; a server is there for the commands that follow, until
         the next server
yaml     is a manifest or a part of one, and must be valid; json must be JSON; text is not looked at

A comment before the fence says more: ``<!-- file: NAME -->`` writes it as a file, ``<!-- needs: MODULE -->``
skips it where the module is not installed, ``<!-- server: COMMAND -->`` starts one for it, and
``<!-- not run: REASON -->`` leaves it alone. In what is expected, ``...`` stands for anything, and JSON is
compared as JSON. Port 7000 becomes a free one.
"""

from __future__ import annotations

import doctest
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO

import yaml

from pyjob.manifest import manifest_of

REPO = Path(__file__).parents[1]
LANGUAGES = ("python", "pycon", "console", "yaml", "json", "text")
NOTES = ("file", "needs", "server", "not run")
BLOCK = re.compile(r"^((?:<!--[^\n]*-->\n)*)```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOTE = re.compile(r"<!-- ([a-z ]+): (\S.*?) -->")
SERVER = re.compile(
    r"(\w+=(\$\(.+?\)|\S+) )*(pyjob run|waitress-serve|gunicorn|granian|uwsgi|flask|python -m django"
    r"|python \w*serve\w*\.py)"
)
PATIENCE = 60.0


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its text, and what the comments before it say."""

    place: str
    language: str
    text: str
    notes: dict[str, str]


def documents() -> list[Path]:
    return [REPO / "README.md", *sorted(REPO.glob("docs/*.md")), *sorted(REPO.glob("examples/*/README.md"))]


def blocks_of(document: Path) -> list[Block]:
    """All blocks of a document. Raises ValueError for a comment or a fence that is not understood."""
    text = document.read_text(encoding="utf-8")
    blocks = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        place = f"{document.relative_to(REPO)}:{line}"
        blocks.append(Block(place, match[2], match[3], _notes(match[1], place)))
    if text.count("```") != 2 * len(blocks):
        raise ValueError(f"{document.name}: a fence that is indented, not closed or inside another")
    return blocks


def _notes(comments: str, place: str) -> dict[str, str]:
    notes = {}
    for comment in comments.splitlines():
        match = NOTE.fullmatch(comment)
        if match is None or match[1] not in NOTES:
            raise ValueError(f"{place}: expected one of {', '.join(NOTES)}, each with a value: {comment}")
        notes[match[1]] = match[2]
    return notes


def is_as_expected(expected: str, actual: str) -> bool:
    """Whether ``actual`` is what a document shows: as JSON, or as text in which ``...`` is anything."""
    pattern = ".*".join(map(re.escape, expected.strip().split("...")))
    if re.fullmatch(pattern, actual.strip(), re.DOTALL):
        return True
    try:
        return bool(json.loads(expected) == json.loads(actual))
    except ValueError:
        return False


def sessions(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    for part in re.split(r"^\$ ", text.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


class Reader:
    """Does what a document says, in a folder of its own, with ``examples`` beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.home = folder
        self.port = _free_port()
        # A real module, since dataclasses look theirs up.
        self._module = sys.modules["document"] = ModuleType("document")
        self._server: Process | None = None
        (folder / "examples").symlink_to(REPO / "examples")

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        del sys.modules["document"]
        self._stop_server()

    def follow(self, block: Block) -> None:
        """Raises AssertionError where the block is wrong, and whatever its code raises."""
        needed = block.notes.get("needs", "").split()
        if "not run" in block.notes or any(importlib.util.find_spec(name) is None for name in needed):
            return
        if "server" in block.notes:
            self._start(block.notes["server"], "...listening on...is ready...", block.place)
        text = self._with_port(block.text)
        if "file" in block.notes:
            target = self.home / block.notes["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        elif block.language == "console":
            for command, expected in sessions(text):
                self._follow_command(command, expected, block.place)
        else:
            self._check(block.language, text, block.place)

    def _check(self, language: str, text: str, place: str) -> None:
        if language == "python":
            with _working_in(self.home):
                exec(compile(text, place, "exec"), vars(self._module))
        elif language == "pycon":
            self._run_doctest(text, place)
        elif language == "yaml":
            manifest_of(yaml.safe_load(text), name="part", folder=self.home)
        elif language == "json":
            json.loads(text)
        elif language != "text":
            raise AssertionError(f"{place}: {language!r} is none of {', '.join(LANGUAGES)}")

    def _run_doctest(self, text: str, place: str) -> None:
        said: list[str] = []
        names = vars(self._module)
        test = doctest.DocTestParser().get_doctest(text, names, place, place, 0)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        with _working_in(self.home):
            failed = runner.run(test, out=said.append, clear_globs=False).failed
        names.update(test.globs)
        assert not failed, "".join(said)

    def _follow_command(self, command: str, expected: str, place: str) -> None:
        if command.startswith("cd "):
            self.folder = Path(os.path.normpath(self.folder / command.removeprefix("cd ")))
        elif SERVER.match(command):
            self._start(command, expected, place)
        else:
            _compare(place, command, expected, self._run(command))

    def _run(self, command: str) -> str:
        quiet = re.sub(r"^curl ", "curl --silent --max-time 30 ", command)
        done = subprocess.run(
            quiet,
            shell=True,
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        return done.stdout

    def _start(self, command: str, expected: str, place: str) -> None:
        """Run ``command`` until it ends, or goes on after printing what is expected of it."""
        self._stop_server()
        local = command.replace("pyjob run", "pyjob run --host 127.0.0.1")
        process = Process(self._with_port(local), self.folder, self._environment())
        self._server = process
        expected = expected.replace("0.0.0.0", "127.0.0.1")
        deadline = time.monotonic() + PATIENCE
        while not process.has_ended() and time.monotonic() < deadline:
            output = process.output()
            said = bool(expected.strip()) and is_as_expected(expected, output)
            # Some say that they listen before they do.
            if said and (f":{self.port}" not in output or _accepts(self.port)):
                return
            time.sleep(0.02)
        output = process.output()
        self._stop_server()
        _compare(place, command, expected, output)

    def _stop_server(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _with_port(self, text: str) -> str:
        return re.sub(r"\b7000\b", str(self.port), text)

    def _environment(self) -> dict[str, str]:
        """What a reader's shell has, and the environment in which this runs as an activated one."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PORT": str(self.port),
            "NO_PROXY": "*",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


class Process:
    """A command in a process group of its own, since a shell may stand before the server."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop()
        self._process = subprocess.Popen(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def output(self) -> str:
        length = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), length, 0).decode()

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(20)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()
        self._output.close()


def _compare(place: str, command: str, expected: str, actual: str) -> None:
    assert is_as_expected(expected, actual), f"{place}: {command}\nexpected:\n{expected}\ngot:\n{actual}"


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
