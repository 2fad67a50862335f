"""What is built: a job in a folder, or in a git repository that is cloned for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pyjob.errors import BuildError
from pyjob.git.clone import clone, is_repository_url
from pyjob.git.command import GitError
from pyjob.git.work_tree import WorkTree
from pyjob.job.job import secret_files
from pyjob.manifest import Manifest, find_manifest
from pyjob.manifest.layers import repository_of
from pyjob.manifest.source import FILE_NAME, OLD_FILE_NAME
from pyjob.requirements.files import RequirementsFiles
from pyjob.requirements.requirement import LineError
from pyjob.ship.requirements.handover import git_variables
from pyjob.ship.requirements.login import without_logins
from pyjob.ship.source.selection import Selection, named, selected

CLONE = "clone"
_MOST_NAMED = 8


@dataclass(frozen=True)
class Wanted:
    """What somebody asks to have built.

    ``target``: a folder, a manifest, a Python file, or the URL of a git repository; of the latter, ``branch``
    (by default the remote's own) and ``directory``. ``from_git``: what the manifest's `git` section names is
    built, not what is in the folder. ``beside``: files and folders that are none of the job's, wherever they
    are.
    """

    target: str
    branch: str = ""
    directory: str = ""
    from_git: bool = False
    beside: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Source:
    """A job and the files that are packed, which are all below ``root``.

    ``run``: what `pyjob run` is given. ``secrets``: the folder of the job's secret files, which no repository
    has. ``commit`` is empty outside of git, and ends in ``-dirty`` where what
    is packed differs from it; ``date`` is the commit's, in seconds since 1970, 0 where it says nothing.
    """

    manifest: Manifest
    root: Path
    run: Path
    secrets: Path
    files: tuple[Path, ...]
    commit: str
    date: int
    warnings: tuple[str, ...]


def source_of(wanted: Wanted, folder: Path, *, cwd: Path, target_of: Callable[[Manifest], Path]) -> Source:
    """Find out what is to be built; a repository is cloned below ``folder``, which is this user's alone.

    ``target_of`` says which file is to be built, which is none of the job's. Raises `BuildError` and
    `ManifestError`.
    """
    target, secrets = wanted.target, cwd
    if wanted.from_git:
        beside = find_manifest(cwd / target, environ={}, cwd=cwd)
        named, secrets = beside.git, beside.folder
        if not named.remote:
            raise BuildError(f"{target}: --from-git: expected git.remote in the manifest, found nothing")
        wanted = Wanted(named.remote, wanted.branch or named.branch, wanted.directory or named.directory)
    elif not is_repository_url(target) and not _is_bare(cwd / target):
        if wanted.branch or wanted.directory:
            raise BuildError(
                f"{target}: --branch and --directory are for a git repository, and this is a folder (its "
                "manifest names one: --from-git)"
            )
        return _in_folder(cwd / target, cwd, target_of, wanted.beside)
    source = _in_folder(_cloned(wanted, folder, cwd), folder / CLONE, target_of)
    return replace(source, secrets=secrets)


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir()


def _cloned(wanted: Wanted, folder: Path, cwd: Path) -> Path:
    """The folder of the job in a fresh clone."""
    url = wanted.target
    if not is_repository_url(url):
        url = (cwd / url).resolve().as_uri()  # of a path, git takes the whole history
    directory = PurePosixPath(os.path.normpath(wanted.directory or "."))
    if directory.is_absolute() or ".." in directory.parts:
        raise BuildError(f"--directory: expected a folder of the repository, found {wanted.directory!r}")
    root = folder / CLONE
    try:
        # A login in the URL would be on the command line of git, which everybody here can see.
        plain, logins = without_logins(f"git+{url}", is_index=False)
        variables = git_variables(logins, folder, os.environ)
        clone(plain.removeprefix("git+"), wanted.branch, root, variables)
    except LineError as error:
        raise BuildError(f"the URL of the repository: {error}") from None
    except GitError as error:
        raise BuildError(f"{error}{f' ({error.remedy})' if error.remedy else ''}") from None
    job = root / directory
    if not job.is_dir() or not job.resolve().is_relative_to(root.resolve()):
        raise BuildError(f"there is no folder {str(directory)!r} in that repository (--directory names it)")
    below = sorted(file.parent.relative_to(root) for file in root.rglob(FILE_NAME))
    if below and not any((job / name).exists() for name in (FILE_NAME, OLD_FILE_NAME)):
        folders = ", ".join(map(str, below[:_MOST_NAMED]))
        raise BuildError(
            f"{directory} in that repository: expected a {FILE_NAME}, found none there, but in {folders} "
            "(--directory names one)"
        )
    return job


def _in_folder(
    target: Path, cwd: Path, target_of: Callable[[Manifest], Path], beside: Iterable[Path] = ()
) -> Source:
    manifest = find_manifest(target, environ={}, cwd=cwd)
    _check_entry(manifest)
    run = _run(target, manifest)
    others = _others(manifest, run)
    made = (target_of(manifest), *(cwd / one for one in beside))
    left_out = {*secret_files(manifest), *(one.resolve() for one in made)}
    try:
        tree = WorkTree.around(manifest.folder)
        root = _root(manifest, tree, others)
        selection = selected(manifest.folder, others, tree, root, left_out)
        last = tree.commit() if tree else None
    except GitError as error:
        raise BuildError(f"{error}{f': {error.remedy}' if error.remedy else ''}") from None
    _check_packed(manifest, others, selection, tree)
    commit, seconds = last or ("", 0)
    if selection.changed or selection.missing or selection.is_untracked:
        commit, seconds = f"{commit}-dirty" if commit else "", 0
    warnings = tuple(_warnings(selection, manifest))
    return Source(manifest, root, run, manifest.folder, selection.files, commit, seconds, warnings)


def _check_entry(manifest: Manifest) -> None:
    """Fail before minutes of work where nothing could run."""
    path = manifest.jobtype_extra.entrypoint_path
    if not (manifest.folder / path).is_file():
        raise BuildError(
            f"{manifest.source}: jobtype_extra.entrypoint_path: expected an existing file, found nothing at "
            f"{path!r}"
        )


def _run(target: Path, manifest: Manifest) -> Path:
    """What the built file gives to `pyjob run`, as somebody gave it here."""
    return target.parent.resolve() / target.name if target.is_file() else manifest.folder


def _others(manifest: Manifest, run: Path) -> list[Path]:
    """Files that the job needs beside its code, some of them elsewhere in the repository."""
    files = [*manifest.files, *([run] if run.is_file() else ())]
    if manifest.jobtype_extra.requirements_path:
        files += [one.file for one in RequirementsFiles(manifest).read]
    return [file.parent.resolve() / file.name for file in files]


def _root(manifest: Manifest, tree: WorkTree | None, others: Sequence[Path]) -> Path:
    """The folder above all files: of the repository, or of those alone."""
    if tree is not None:
        return tree.root
    root = repository_of(manifest.folder, {"git": {"directory": manifest.git.directory}})
    if all(file.is_relative_to(root) for file in others):
        return root
    return Path(os.path.commonpath([manifest.folder, *others]))


def _check_packed(
    manifest: Manifest, others: Iterable[Path], selection: Selection, tree: WorkTree | None
) -> None:
    """A job without its code, its manifest or its requirements is none."""
    entry = manifest.folder / manifest.jobtype_extra.entrypoint_path
    packed = {*selection.files}
    for file in (Path(os.path.normpath(entry)), *others):
        # It may be a link, or in a folder that is one.
        if packed.isdisjoint((file, *file.parents)) or file.resolve() not in packed:
            name = named(file, manifest.folder)
            why = f"git does not track it: git add {name}" if tree else "it is left out by an ignore rule"
            raise BuildError(f"{name}: expected among the files to be packed, but {why}")


def _warnings(selection: Selection, manifest: Manifest) -> Iterable[str]:
    def told(files: Sequence[Path]) -> str:
        names = [named(file, manifest.folder) for file in files]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return ", ".join(names[:_MOST_NAMED]) + more

    if selection.is_untracked:
        files = told(selection.files)
        yield f"git tracks nothing in this folder: packing all that it does not ignore ({files})"
    if selection.untracked:
        yield f"not in git, so not packed: {told(selection.untracked)}"
    if selection.ignored:
        yield f"ignored by git, so not packed: {told(selection.ignored)} (git add -f packs it)"
    if selection.changed:
        yield f"packed as they are here, which is not what the last commit has: {told(selection.changed)}"
    if selection.secret:
        yield f"never packed, since they look like secrets: {told(selection.secret)}"
    if selection.missing:
        yield f"in git, but removed here, so not packed: {told(selection.missing)}"
    if selection.repositories:
        yield f"submodules are not packed, nor other repositories: {told(selection.repositories)}"
    if selection.pointers:
        yield (
            "pointers of git LFS in place of their files, so the job will not find what it expects: "
            f"{told(selection.pointers)} (git lfs pull)"
        )
