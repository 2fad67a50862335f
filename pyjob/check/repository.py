"""The rules about the job's repository: what belongs into it, what must stay out, where the job is in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pyjob.check.code.code import files_referred_to
from pyjob.check.code.reading.project import Project
from pyjob.check.code.reading.reach import reach_of
from pyjob.check.finding import Finding, Severity, quoted
from pyjob.git.command import GitError
from pyjob.git.work_tree import WorkTree
from pyjob.manifest import Manifest

RULES = ("secrets-in-git", "files-in-git", "git-directory")
_MOST = 20
_URL = re.compile(r"(?:[a-z+]+://)?(?:[^/@]*@)?([^/:]+)(?::\d+(?=/))?[:/]+(.+?)(?:\.git)?/*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Needed:
    """A file or folder that the job needs, and where it says so."""

    path: Path
    file: str
    line: int | None = None


def check_repository(manifest: Manifest, cwd: Path) -> list[Finding] | None:
    """Hold the rules about git (SPEC 3.4); None where the job is in no work tree, so that there is nothing
    to hold. ``cwd`` is where the commands of the remedies work.
    """
    try:
        tree = WorkTree.around(manifest.folder)
        if tree is None:
            return None
        return [*_secrets(manifest, tree, cwd), *_directory(manifest, tree), *_files(manifest, tree, cwd)]
    except GitError as error:
        text = f"not looked at: {error}"
        if manifest.secret_build_env_file or manifest.secret_runtime_env_file:
            return [Finding("secrets-in-git", Severity.WARNING, text, error.remedy)]
        return [Finding("files-in-git", Severity.ADVICE, text, error.remedy)]


def _secrets(manifest: Manifest, tree: WorkTree, cwd: Path) -> Iterator[Finding]:
    for name in dict.fromkeys((manifest.secret_build_env_file, manifest.secret_runtime_env_file)):
        if not name:
            continue
        file = manifest.folder / name
        # Behind a link, what it leads to holds the secrets.
        holder = Path(os.path.realpath(file))
        if tree.tracked([holder]):
            yield Finding(
                "secrets-in-git",
                Severity.ERROR,
                "a secret file is in git, so whoever has the repository has its secrets",
                f"git rm --cached {quoted(holder, cwd)}, add it to .gitignore, and replace the secrets: "
                "the history keeps them",
                name,
            )
        elif holder.exists() and tree.holds(holder) and not tree.ignored([holder]):
            yield Finding(
                "secrets-in-git",
                Severity.WARNING,
                "a secret file that git does not ignore: `git add .` would take it",
                f"add {holder.name} to .gitignore",
                name,
            )


def _directory(manifest: Manifest, tree: WorkTree) -> Iterator[Finding]:
    remote = _host_and_path(manifest.git.remote)
    # In the work tree of another repository (a fork, a collection of examples), it says nothing.
    if not remote or remote not in map(_host_and_path, tree.remotes()):
        return
    real = manifest.folder.relative_to(tree.root).as_posix()
    given = PurePosixPath(os.path.normpath(manifest.git.directory or ".")).as_posix()
    if given != real:
        yield Finding(
            "git-directory",
            Severity.WARNING,
            f"the job is in the folder {real!r} of its repository, but git.directory is {given!r}",
            f"write `directory: {real}` below git",
            _own_file(manifest),
        )


def _files(manifest: Manifest, tree: WorkTree, cwd: Path) -> Iterator[Finding]:
    own = manifest.files[0] if manifest.files else manifest.folder / manifest.jobtype_extra.entrypoint_path
    if not tree.tracked([own]):
        if own.exists():
            yield Finding(
                "files-in-git",
                Severity.ADVICE,
                "this job is not in git yet",
                f"git add {quoted(manifest.folder, cwd)}",
            )
        return
    secret = {
        Path(os.path.realpath(manifest.folder / name))
        for name in (manifest.secret_build_env_file, manifest.secret_runtime_env_file)
        if name
    }
    needed = {
        one.path: one
        for one in _needed(manifest)
        if os.path.lexists(one.path) and Path(os.path.realpath(one.path)) not in secret
    }
    # Of a link, git must have both the link and what it leads to.
    places = {path: {path, Path(os.path.realpath(path))} for path in needed}
    everything = {place for several in places.values() for place in several}
    tracked = tree.tracked(everything)
    lacking = [path for path in needed if not places[path] <= tracked]
    ignored = tree.ignored(everything - tracked)
    for path in lacking[:_MOST]:
        yield from _lack(needed[path], sorted(places[path] - tracked), tree, ignored, cwd)
    if len(lacking) > _MOST:
        yield Finding("files-in-git", Severity.WARNING, f"{len(lacking) - _MOST} more files are not in git")


def _lack(
    one: _Needed, places: list[Path], tree: WorkTree, ignored: set[Path], cwd: Path
) -> Iterator[Finding]:
    """What is wrong with a file of which git does not have all ``places``."""
    for place in places:
        what = os.path.relpath(place, cwd) if place.is_relative_to(cwd) else str(place)
        if not place.is_relative_to(tree.root):
            message, remedy = f"{what} is outside of the repository", "move it into the job's folder"
        elif not tree.holds(place):
            continue  # another repository's, such as a submodule's
        elif place in ignored:
            message, remedy = f"{what} is ignored by git", f"git add -f {quoted(place, cwd)}"
        elif place.is_dir():
            message, remedy = f"nothing in {what} is in git", f"git add {quoted(place, cwd)}"
        else:
            message, remedy = f"{what} is not in git", f"git add {quoted(place, cwd)}"
        told = f"{message}, but the job needs it"
        yield Finding("files-in-git", Severity.WARNING, told, remedy, one.file, one.line)


def _needed(manifest: Manifest) -> Iterator[_Needed]:
    """What the job needs, as far as manifest and code tell."""
    extra, source = manifest.jobtype_extra, _own_file(manifest)
    yield from (_Needed(file, source) for file in manifest.files)
    for name in (extra.entrypoint_path, extra.requirements_path):
        if name:
            yield _Needed(Path(os.path.normpath(manifest.folder / name)), source)
    for name in ("templates", "static"):
        yield _Needed(manifest.folder / name, name)
    references = files_referred_to(manifest)
    yield from (_Needed(one.path, one.file, one.line) for one in references)
    for path in reach_of(Project(manifest)).modules:
        yield _Needed(path, os.path.relpath(path, manifest.folder))


def _own_file(manifest: Manifest) -> str:
    return os.path.relpath(manifest.files[0].resolve(), manifest.folder) if manifest.files else ""


def _host_and_path(url: str) -> str:
    """What two spellings of one remote have in common: `git@host:team/job.git`, `https://host/team/job`."""
    match = _URL.fullmatch(url)
    return f"{match[1]}/{match[2]}".lower() if match else ""
