"""Copies of a job's requirements files that pip may read: variables filled in, logins handed over apart."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from pyjob.environment import Environment
from pyjob.environment.mask import LEAST, Mask
from pyjob.errors import BuildError, ManifestError, Problem
from pyjob.manifest import Manifest
from pyjob.requirements.files import RequirementsFile, RequirementsFiles
from pyjob.requirements.line import Line
from pyjob.requirements.requirement import VARIABLE, LineError
from pyjob.ship.package import normalized
from pyjob.ship.requirements.copies import Copies
from pyjob.ship.requirements.handover import git_variables, netrc_variables
from pyjob.ship.requirements.login import Login, without_logins
from pyjob.ship.requirements.offline import by_name, is_elsewhere, needs_network

_COMMENT = re.compile(r"(^|\s)#")
# Of pip's own settings, those that hold URLs.
_URLS_OF_PIP = ("PIP_INDEX_URL", "PIP_PYPI_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
_EDITABLE = ("-e", "--editable")
_OF_REPOSITORY = re.compile(r"\b(git|hg|svn|bzr)\+", re.IGNORECASE)
_LOGIN_OF_VARIABLES = re.compile(r"://([^/?#\s]*)@")
_ENDS_LOGIN = re.compile(r"[/?#\s\"'\\]")


@dataclass(frozen=True)
class Prepared:
    """What pip needs to gather a job's requirements.

    ``file``: the copy to read, None where the job has none. ``folder``: where the copies are. ``cwd``: where
    pip works. ``variables``: its whole environment. ``wheelhouse``: a folder that must have everything, None
    where indexes are asked. ``names``: distributions that the job itself asks for, normalized (PEP 503).
    ``mask`` replaces secrets in what pip says, ``shown`` has names of files by the paths of their copies.
    ``is_secret``: whether a secret file or a login is involved. ``has_hashes``: whether pip asks for the hash
    of everything. ``is_checked``: whether the requirements must fit those of pyjob.
    """

    file: Path | None
    folder: Path
    cwd: Path
    variables: Mapping[str, str] = field(repr=False)
    wheelhouse: Path | None
    names: frozenset[str]
    mask: Mask
    shown: Mapping[str, str]
    is_secret: bool
    has_hashes: bool
    is_checked: bool


def prepared(
    manifest: Manifest, environment: Environment, folder: Path, *, wheelhouse: Path | None = None
) -> Prepared:
    """Write the copies and what holds the logins into ``folder``, which must be new and this user's alone.

    ``environment`` is that of the build. With a ``wheelhouse``, no line leads to the network. Raises
    `ManifestError` with all that is wrong with the files: lines that pip would not take, variables that are
    not set; `BuildError` where there is no such folder.
    """
    if wheelhouse is not None and not wheelhouse.is_dir():
        raise BuildError(f"{wheelhouse}: expected a folder of wheels, found none")
    rewriter = _Rewriter(environment, is_offline=wheelhouse is not None)
    variables = rewriter.without_logins_of_pip()
    files = _files(manifest, rewriter)
    problems = [*rewriter.problems, *(files.problems if files else ())]
    problems += _conflicts(rewriter.logins)
    if problems:
        raise ManifestError(problems[0].source, problems)
    copies = Copies(files, folder, rewriter.text_of)
    logins = [login for _, login in rewriter.logins]
    by_host = [one for one in logins if not one.is_git and (one.is_index or one.host not in rewriter.kept)]
    variables |= netrc_variables(by_host, folder, variables)
    variables |= git_variables([one for one in logins if one.is_git], folder, variables)
    lines = [line for one in (files.read if files else ()) for line in one.lines]
    return Prepared(
        file=copies.write(),
        folder=folder,
        cwd=manifest.folder,
        variables=variables,
        wheelhouse=wheelhouse,
        names=frozenset(normalized(one.name) for one in (files.requirements if files else ())),
        mask=Mask(_secrets(environment, logins)),
        shown=copies.shown,
        is_secret=bool(environment.secret or logins),
        has_hashes=bool(variables.get("PIP_REQUIRE_HASHES"))
        or any(line.options.hash or line.options.require_hashes for line in lines),
        is_checked=manifest.jobtype_extra.check_requirements is not False,
    )


def _files(manifest: Manifest, rewriter: _Rewriter) -> RequirementsFiles | None:
    if not manifest.jobtype_extra.requirements_path:
        return None
    files = RequirementsFiles(manifest, rewriter.line)
    if files.refused is not None:
        expected = f"{files.refused.expected} at {files.refused.source}"
        problem = Problem("jobtype_extra.requirements_path", expected, files.refused.found)
        raise ManifestError(manifest.source, [manifest.located(problem)])
    return files


def _secrets(environment: Environment, logins: Iterable[Login]) -> Iterable[str]:
    for name in environment.secret:
        # pip writes the percent-encoding of a URL anew.
        yield from (environment.variables[name], unquote(environment.variables[name]))
    for login in logins:
        yield from (login.password or login.user, login.encoded)
        yield b64encode(":".join(login.words).encode()).decode()  # as it is sent


class _Rewriter:
    """Fills in variables, takes logins out, and keeps what it found by file and line."""

    def __init__(self, environment: Environment, *, is_offline: bool) -> None:
        self.problems: list[Problem] = []
        self._environment = environment
        self._is_offline = is_offline
        self._expanded_lines: dict[tuple[str, int], str] = {}
        self._logins: dict[tuple[str, int], list[Login]] = {}

    @property
    def logins(self) -> list[tuple[tuple[str, int], Login]]:
        """All logins, each with file and line."""
        return [(place, login) for place, logins in self._logins.items() for login in logins]

    @cached_property
    def kept(self) -> frozenset[str]:
        """Hosts with several logins, which pip cannot tell apart unless URLs have them.

        They may where pip gives the URLs to no other program, as it does with those of indexes and of git.
        """
        words: dict[str, set[tuple[str, str]]] = {}
        for _, login in self.logins:
            if not login.is_git:
                words.setdefault(login.host, set()).add(login.words)
        return frozenset(host for host, those in words.items() if len(those) > 1)

    def line(self, text: str, shown: str, number: int) -> str:
        """A line as pip may read it. Raises `LineError`."""
        is_index = text.startswith("-") and not text.startswith(_EDITABLE)
        if self._is_offline:
            named = by_name(text)
            # Lines that are left out need no variables.
            return named if is_index and is_elsewhere(named) else self._expanded(named)
        expanded = self._expanded(text)
        rest, logins = without_logins(expanded, is_index=is_index)
        if is_index or _OF_REPOSITORY.search(rest):
            self._refuse_secret(text, rest)
        self._expanded_lines[shown, number], self._logins[shown, number] = expanded, logins
        return rest

    def text_of(self, file: RequirementsFile, line: Line) -> str:
        """What a line becomes in a copy."""
        if self._is_offline:
            return "" if needs_network(line) else line.text
        place = file.shown, line.number
        if any(one.host in self.kept and not (one.is_git or one.is_index) for one in self._logins[place]):
            return self._expanded_lines[place]
        return line.text

    def without_logins_of_pip(self) -> dict[str, str]:
        """The environment, with the logins taken out of pip's settings."""
        variables = dict(self._environment.variables)
        if self._is_offline:
            return variables
        for name in _URLS_OF_PIP:
            try:
                rest, logins = without_logins(variables.get(name, ""), is_index=True)
            except LineError as error:
                self.problems.append(Problem(name, error.expected, error.found, source="environment"))
                continue
            if logins:
                variables[name] = rest
                self._logins[name, 0] = logins
        return variables

    def _expanded(self, text: str) -> str:
        """``text`` with its variables filled in as pip does, once. Raises `LineError`."""
        in_logins = {name for login in _LOGIN_OF_VARIABLES.findall(text) for name in VARIABLE.findall(login)}
        for name in VARIABLE.findall(text):
            value = self._environment.variables.get(name)
            if not value:
                found = f"${{{name}}}, which is {'not set' if value is None else 'empty'}"
                raise LineError("a variable that is set (in build_env or the secret build file)", found)
            if name in in_logins and _ENDS_LOGIN.search(value):
                expected = f"the value of ${{{name}}} percent-encoded, as in URLs (%2F for a slash)"
                raise LineError(expected, "characters that end a user or a password")
        expanded = VARIABLE.sub(lambda match: self._environment.variables[match[1]], text)
        if expanded != text and _reads_differently(expanded):
            expected = "variables whose values are a part of a line"
            raise LineError(expected, "a line break, a comment, a backslash at the end or another ${NAME}")
        return expanded

    def _refuse_secret(self, text: str, rest: str) -> None:
        """Raise `LineError` for a secret that ``rest`` of a line would have programs show to everybody."""
        for name in VARIABLE.findall(_LOGIN_OF_VARIABLES.sub("://", text)):
            value = self._environment.variables[name]
            if name in self._environment.secret and len(value) >= LEAST and value in rest:
                expected = (
                    "secrets as user or password of a URL alone (what is no secret can be in build_env)"
                )
                raise LineError(expected, f"${{{name}}} elsewhere")


def _reads_differently(text: str) -> bool:
    is_broken = len(text.splitlines()) > 1 or text.endswith("\\")
    return is_broken or bool(_COMMENT.search(text) or VARIABLE.search(text))


def _conflicts(logins: Iterable[tuple[tuple[str, int], Login]]) -> Iterator[Problem]:
    """Indexes on one host with different logins: pip would give URLs that have them to other programs."""
    known: dict[str, tuple[str, str]] = {}
    for (source, number), login in logins:
        if login.is_index and not login.is_git and known.setdefault(login.host, login.words) != login.words:
            expected = f"one login for all indexes on {login.host}, since pip tells logins apart by host"
            yield Problem("", expected, "another one", number or None, source)
