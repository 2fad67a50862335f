"""A requirements file and those that it includes, read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pyjob.errors import ManifestError, Problem
from pyjob.job.job import secret_files
from pyjob.manifest import Manifest
from pyjob.manifest.file import read_bytes
from pyjob.manifest.layers import repository_of
from pyjob.requirements.line import Line, LineReader, logical_lines
from pyjob.requirements.login import login_in_line
from pyjob.requirements.requirement import URL, VARIABLE, LineError, Requirement, requirement_of
from pyjob.requirements.requirement import shown as shown_text

_LARGEST = 2 * 1024 * 1024  # lists of hashes are long: each package has one for every platform
_MOST_FILES = 50
_MOST_LINES = 2000

Rewrite = Callable[[str, str, int], str]


@dataclass(frozen=True, slots=True)
class Include:
    """A file to read: what asks for it, and whether it only constrains what others ask for."""

    file: Path
    constrains: bool = False
    asked_at: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class RequirementsFile:
    """What was read of one file; ``shown`` is its name in messages."""

    file: Path
    constrains: bool
    shown: str
    lines: tuple[Line, ...]


class RequirementsFiles:
    """Reads the file that a manifest names and those that it includes, each once.

    ``problems`` are of lines, and ``refused`` is one of the file as a whole. ``logins``: lines with a login
    that everybody can read who has the file, which pip takes nevertheless. ``requirements`` are those that
    concern this interpreter and have a name. ``rewrite`` may change a line before it is read: of that it gets
    text, file and number. It may raise `LineError`.
    """

    def __init__(self, manifest: Manifest, rewrite: Rewrite | None = None) -> None:
        self.read: list[RequirementsFile] = []
        self.requirements: list[Requirement] = []
        self.problems: list[Problem] = []
        self.logins: list[Problem] = []
        self.refused: Problem | None = None
        self._folder = manifest.folder
        self._root = repository_of(manifest.folder, {"git": {"directory": manifest.git.directory}})
        self._secret = secret_files(manifest)
        self._line_reader = LineReader()
        self._rewrite = rewrite
        self._count = 0
        file = Path(os.path.normpath(manifest.folder / manifest.jobtype_extra.requirements_path))
        self._read_all(Include(file))

    def _read_all(self, first: Include) -> None:
        includes, seen = [first], set[tuple[Path, bool]]()
        while includes:
            include = includes.pop()
            if (include.file, include.constrains) in seen:
                continue
            if len(seen) == _MOST_FILES and include.asked_at:
                self._wrong(f"at most {_MOST_FILES} files", "more", *include.asked_at)
                break
            seen.add((include.file, include.constrains))
            if (file := self._read(include)) is not None:
                self.read.append(file)
                includes += _includes(file)

    def _read(self, include: Include) -> RequirementsFile | None:
        shown = os.path.relpath(include.file, self._folder)
        try:
            self._refuse_strange(include.file, shown)
            text = _text_of(include.file, shown)
        except ManifestError as error:
            problem = error.problems[0]
            if include.asked_at:
                source, line = include.asked_at
                self.problems.append(replace(problem, path=shown, line=line, source=source))
            else:
                self.refused = replace(problem, source=shown)
            return None
        return RequirementsFile(
            include.file, include.constrains, shown, tuple(self._lines(include, shown, text))
        )

    def _lines(self, include: Include, shown: str, text: str) -> Iterator[Line]:
        for number, whole in logical_lines(text):
            self._count += 1
            if self._count > _MOST_LINES:
                self._wrong(f"at most {_MOST_LINES} lines", "more", shown, number)
                break
            self.logins += login_in_line(whole, shown, number)
            filled = whole
            try:
                filled = self._rewrite(whole, shown, number) if self._rewrite else whole
                line = self._line_reader.read(number, filled)
                for one in line.requirements:
                    requirement = requirement_of(one)
                    self.requirements += [requirement] if requirement and not include.constrains else []
            except LineError as error:
                # What is no requirements file by its name may hold anything, which is not repeated; nor are
                # values that were filled in.
                is_usual = include.file.suffix in (".txt", ".in")
                found = error.found if filled == whole else shown_text(whole)
                self._wrong(error.expected, found if is_usual else "something else", shown, number)
                continue
            yield line

    def _refuse_strange(self, file: Path, shown: str) -> None:
        """Raise `ManifestError` for a file that is no business of the job's requirements."""
        real = Path(os.path.realpath(file))
        if real in self._secret:
            raise ManifestError(shown, [Problem("", "a requirements file", "a secret file of the manifest")])
        if not real.is_relative_to(os.path.realpath(self._root)):
            expected = f"a file of the repository, which is {self._root} by git, or else by git.directory"
            raise ManifestError(shown, [Problem("", expected, "one outside of it")])

    def _wrong(self, expected: str, found: str, shown: str, number: int) -> None:
        self.problems.append(Problem("", expected, found, number, shown))


def _includes(file: RequirementsFile) -> Iterator[Include]:
    for line in file.lines:
        for name, constrains in line.includes:
            if include := include_of(file, line, name, constrains=constrains):
                yield include


def include_of(file: RequirementsFile, line: Line, name: str, *, constrains: bool) -> Include | None:
    """What a line includes by ``name``; None where that cannot be known before pip runs."""
    if URL.match(name) or VARIABLE.search(name):
        return None
    target = Path(os.path.normpath(file.file.parent / name))
    return Include(target, constrains, (file.shown, line.number))


def _text_of(file: Path, shown: str) -> str:
    data = read_bytes(file, shown, _LARGEST)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x}"
    raise ManifestError(shown, [Problem("", "UTF-8 text", found, line)])
