"""The requirements file, read as pip reads it, and what of it is not installed here (principle 12).

A line may hold a password in a URL: of such a line, messages show only what stands before the URL.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from optparse import SUPPRESS_USAGE, OptionParser, Values
from pathlib import Path
from typing import NoReturn

from pyjob.check.finding import Finding, Severity, quoted
from pyjob.errors import ManifestError, Problem, one_line
from pyjob.job.job import secret_files
from pyjob.manifest import Manifest
from pyjob.manifest.file import read_bytes
from pyjob.manifest.layers import repository_of

RULE = "requirements"
_LARGEST = 256 * 1024
_MOST_FILES = 50
_LONGEST = 2000  # characters of one requirement; regular expressions read it
_LONGEST_LINE = 20_000  # with its options, such as many hashes
_MOST_LINES = 2000
_MOST = 20
_COMMENT = re.compile(r"(^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_URL = re.compile(r"(https?|ftp|file|(git|hg|svn|bzr)\+[a-z]+):/", re.IGNORECASE)
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][-._A-Za-z0-9]*)")
_PATH = re.compile(
    r"\.{1,2}(\[|$)|[^@\s;]*(/|\.(whl|zip|tgz|tbz|txz|tar(\.(gz|bz2|xz|lz|lzma))?)(\s|[;\[]|$))",
    re.IGNORECASE,
)
_VERSION = r"(===|~=|==|!=|<=|>=|<|>)\s*[^\s,;()<>=!~]+"
_VERSIONS = rf"{_VERSION}(\s*,\s*{_VERSION})*(\s*,)?"
# What packaging would read, as far as a regular expression can tell.
_PLAIN = re.compile(
    r"(?P<name>[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?) ?(\[[-._, A-Za-z0-9]*\])? ?"
    rf"(@ ?{_URL.pattern}\S+|{_VERSIONS}|\(\s*{_VERSIONS}\s*\))?\s*(?P<marker>;.*)?"
)
_WITH_VALUE = (
    *(("-r", "--requirement"), ("-c", "--constraint"), ("-e", "--editable")),
    *(("-i", "--index-url"), ("--extra-index-url",), ("-f", "--find-links"), ("--trusted-host",)),
    *(("--no-binary",), ("--only-binary",), ("--use-feature",)),
    *(("--hash",), ("--global-option",), ("-C", "--config-settings")),
)
_FLAGS = ("--no-index", "--prefer-binary", "--require-hashes", "--pre")


class LineError(Exception):
    """A line that pip would not take."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A distribution that a line asks for; ``accepts`` is None where versions cannot be compared."""

    text: str
    name: str
    accepts: Callable[[str], bool] | None

    def lack(self) -> str:
        """What this interpreter lacks of it, empty where nothing."""
        try:
            version = metadata.distribution(self.name).metadata["Version"]
        except metadata.PackageNotFoundError:
            return self.text
        try:
            is_enough = version is None or self.accepts is None or self.accepts(version)
        except ValueError:  # a version of before there were rules
            is_enough = True
        return "" if is_enough else f"{self.text} ({version} is installed)"


@dataclass(frozen=True, slots=True)
class _Source:
    """A file to read: what asks for it, and whether it only constrains what others ask for."""

    file: Path
    asked_at: tuple[str, int] | None = None
    constrains: bool = False


def check_requirements(manifest: Manifest, cwd: Path | None = None) -> list[Finding]:
    """Hold the rule for the file that the manifest names and those that it includes.

    ``cwd`` is where the command of the remedy works: by default in the job's folder.
    """
    path = manifest.jobtype_extra.requirements_path
    if not path:
        return []
    file, shown = os.path.normpath(manifest.folder / path), os.path.normpath(path)
    reader = _Reader(manifest)
    reader.read(Path(file))
    findings = reader.findings[:_MOST]
    if len(reader.findings) > _MOST:
        more = f"{len(reader.findings) - _MOST} more lines are wrong"
        findings.append(Finding(RULE, Severity.ERROR, more, file=shown))
    lacks = list(dict.fromkeys(lack for one in reader.requirements if (lack := one.lack())))
    if lacks:
        named = ", ".join(lacks[:_MOST]) + (f" and {len(lacks) - _MOST} more" if len(lacks) > _MOST else "")
        command = f"pip install -r {quoted(Path(file), cwd or manifest.folder)}"
        findings.append(Finding(RULE, Severity.WARNING, f"not installed here: {named}", command, shown))
    if any(one.accepts is None for one in reader.requirements):
        text = "versions are not compared, since the library packaging is not installed"
        findings.append(Finding(RULE, Severity.ADVICE, text, "pip install packaging", shown))
    return findings


class _Reader:
    """Reads a file and those that it includes, each once."""

    def __init__(self, manifest: Manifest) -> None:
        self.findings: list[Finding] = []
        self.requirements: list[Requirement] = []
        self._folder = manifest.folder
        self._root = repository_of(manifest.folder, {"git": {"directory": manifest.git.directory}})
        self._secret = secret_files(manifest)
        self._options = _options()
        self._lines = 0

    def read(self, file: Path) -> None:
        """Read ``file`` and what it includes."""
        sources, seen = [_Source(file)], set[tuple[Path, bool]]()
        while sources and len(seen) < _MOST_FILES:
            source = sources.pop()
            if (source.file, source.constrains) not in seen:
                seen.add((source.file, source.constrains))
                sources += self._read(source)

    def _read(self, source: _Source) -> list[_Source]:
        shown = os.path.relpath(source.file, self._folder)
        try:
            self._refuse_strange(source.file, shown)
            text = _text_of(source.file, shown)
        except ManifestError as error:
            self._refuse(error.problems[0], shown, source.asked_at)
            return []
        included: list[_Source] = []
        for number, line in _logical_lines(text):
            self._lines += 1
            if self._lines > _MOST_LINES:
                self._wrong(f"expected at most {_MOST_LINES} lines, found more", shown, number)
                break
            try:
                content, options = self._split(line)
                for one in [content] if content else options.editable or []:
                    requirement = _requirement(one)
                    self.requirements += [requirement] if requirement and not source.constrains else []
            except LineError as error:
                # What is no requirements file by its name may hold anything, which is not repeated.
                is_usual = source.file.suffix in (".txt", ".in")
                self._wrong(str(error) if is_usual else str(error).partition(", found ")[0], shown, number)
                continue
            for name, constrains in _included(options):
                target = Path(os.path.normpath(source.file.parent / name))
                included.append(_Source(target, (shown, number), source.constrains or constrains))
        return included

    def _refuse_strange(self, file: Path, shown: str) -> None:
        """Raise `ManifestError` for a file that is no business of the job's requirements."""
        real = Path(os.path.realpath(file))
        if real in self._secret:
            raise ManifestError(shown, [Problem("", "a requirements file", "a secret file of the manifest")])
        if not real.is_relative_to(os.path.realpath(self._root)):
            expected = f"a file of the repository, which is {self._root} by git, or else by git.directory"
            raise ManifestError(shown, [Problem("", expected, "one outside of it")])

    def _split(self, line: str) -> tuple[str, Values]:
        """What is asked for, and the options behind it. Raises `LineError`."""
        if len(line) > _LONGEST_LINE:
            raise LineError(f"expected a line of at most {_LONGEST_LINE} characters, found more")
        words = line.split(" ")
        at = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
        try:
            options, rest = self._options.parse_args(shlex.split(" ".join(words[at:])))
        except ValueError:
            raise LineError(f"expected quotes in pairs, found {_shown(line)}") from None
        if rest:
            raise LineError(f"expected options alone behind an option, found {_shown(rest[0])}")
        return " ".join(words[:at]).strip(), options

    def _refuse(self, problem: Problem, shown: str, asked_at: tuple[str, int] | None) -> None:
        if asked_at:
            self._wrong(f"{shown}: {problem}", *asked_at)
        else:
            remedy = "write it, or correct jobtype_extra.requirements_path"
            self.findings.append(Finding(RULE, Severity.ERROR, str(problem), remedy, shown, problem.line))

    def _wrong(self, message: str, file: str, line: int) -> None:
        self.findings.append(Finding(RULE, Severity.ERROR, one_line(message), "", file, line))


def _text_of(file: Path, shown: str) -> str:
    data = read_bytes(file, shown, _LARGEST)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x}"
    raise ManifestError(shown, [Problem("", "UTF-8 text", found, line)])


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers: those that a backslash continues as one, without comments and empty ones."""
    first, parts = 1, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        first = first if parts else number
        is_comment = line.lstrip().startswith("#")
        # A comment ends a continued line, too.
        parts.append(f" {line}" if is_comment else line.rstrip("\\"))
        if line.endswith("\\") and not is_comment:
            continue
        if whole := _COMMENT.sub("", "".join(parts)).strip():
            yield first, whole
        parts = []


class _Options(OptionParser):
    def error(self, msg: str) -> NoReturn:
        raise LineError(f"pip does not take this line: {_shown(msg)}")


def _options() -> OptionParser:
    parser = _Options(add_help_option=False, usage=SUPPRESS_USAGE)
    for names in _WITH_VALUE:
        parser.add_option(*names, action="append")
    for name in _FLAGS:
        parser.add_option(name, action="store_true")
    return parser


def _included(options: Values) -> Iterator[tuple[str, bool]]:
    """Files that are included, and whether they are constraints; what cannot be known here is left out."""
    for names, constrains in ((options.requirement, False), (options.constraint, True)):
        for name in names or ():
            if not _URL.match(name) and not _VARIABLE.search(name):
                yield name, constrains


def _requirement(text: str) -> Requirement | None:
    """What a line asks for; None where it does not concern this interpreter, or no name is known.

    Raises `LineError`.
    """
    if len(text) > _LONGEST:
        raise LineError(f"expected a requirement of at most {_LONGEST} characters, found more")
    if _URL.match(text):
        egg = _EGG.search(text)
        return Requirement(egg[1], egg[1], lambda _: True) if egg else None
    if _PATH.match(text) and "://" not in text:
        return None
    if _VARIABLE.search(text) and "@" not in text:  # what it stands for may be anything
        return None
    try:
        from packaging.requirements import InvalidRequirement
        from packaging.requirements import Requirement as Parsed
    except ImportError:
        return _plain_requirement(text)
    try:
        parsed = Parsed(text)
        is_asked = parsed.marker is None or parsed.marker.evaluate({"extra": ""})
    except (InvalidRequirement, ValueError):  # ValueError: a marker compares what cannot be compared
        raise _not_understood(text) from None
    if parsed.url and not _URL.match(parsed.url):
        raise _not_understood(text)
    if not is_asked:
        return None
    versions = parsed.specifier
    return Requirement(
        f"{parsed.name}{versions}", parsed.name, lambda version: versions.contains(version, prereleases=True)
    )


def _plain_requirement(text: str) -> Requirement | None:
    """The same without the library that knows versions and markers."""
    match = _PLAIN.fullmatch(" ".join(text.split()))
    if match is None:
        raise _not_understood(text)
    return None if match["marker"] else Requirement(match["name"], match["name"], None)


def _not_understood(text: str) -> LineError:
    return LineError(f"expected a requirement such as flask>=3, a URL or a path, found {_shown(text)}")


def _shown(text: str) -> str:
    """``text`` as messages may have it: without what may be a user or a password."""
    text = text.partition("://")[0] + "://..." if "://" in text else re.sub(r"\S+@", "...@", text)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
