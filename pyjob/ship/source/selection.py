"""Which files of a job's folder are packed: those that git tracks, or all but what no job is made of."""

from __future__ import annotations

import fnmatch
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyjob.git.command import GitError, run_git
from pyjob.git.work_tree import WorkTree

# What tools and interpreters leave behind; outside of git there may be no rule against it.
_FOLDERS = (
    *(".git", ".hg", ".svn", "__pycache__", ".venv", "venv", "node_modules", ".tox", ".nox", ".idea"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints", "*.egg-info"),
)
_FILES = ("*.py[co]", ".DS_Store", "*.swp", "*.pex.log")
# Secrets by their names, unless git tracks them; what ends so is a template.
_SECRET = (".env", ".env.*", ".netrc", ".pypirc", ".git-credentials")
_TEMPLATES = (".dist", ".example", ".sample", ".template")
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Selection:
    """``files`` are packed, absolute; the rest is to be told.

    ``is_untracked``: git tracks nothing of the folder, so all files are taken. ``untracked`` and ``secret``
    are left out; ``changed`` differ from the last commit; ``submodules`` are folders of other repositories;
    ``pointers`` are files whose content git LFS has elsewhere.
    """

    files: tuple[Path, ...]
    is_untracked: bool = False
    untracked: tuple[Path, ...] = ()
    changed: tuple[Path, ...] = ()
    secret: tuple[Path, ...] = ()
    submodules: tuple[Path, ...] = ()
    pointers: tuple[Path, ...] = ()


def selected(folder: Path, tree: WorkTree | None, left_out: Collection[Path]) -> Selection:
    """Choose among the files below ``folder``, which is in ``tree``, if in any.

    ``left_out`` are never taken, neither by name nor behind a link. Raises `GitError`.
    """
    tracked = [file for file in tree.files(folder) if os.path.lexists(file)] if tree else []
    if tree is not None and tracked:
        return _of_tracked(folder, tree, tracked, left_out)
    found = _visible(folder) if tree is None else tree.untracked(folder)
    kept, secret = _parted(_without_leftovers(folder, found))
    files = _allowed(kept, left_out)
    return Selection(files, tree is not None, secret=secret, pointers=tuple(filter(_is_pointer, files)))


def _of_tracked(
    folder: Path, tree: WorkTree, tracked: Iterable[Path], left_out: Collection[Path]
) -> Selection:
    files, submodules = list[Path](), list[Path]()
    for file in tracked:
        (submodules if file.is_dir() and not file.is_symlink() else files).append(file)
    packed = _allowed(files, left_out)
    return Selection(
        packed,
        untracked=_allowed(_without_leftovers(folder, tree.untracked(folder)), left_out),
        changed=tuple(sorted(tree.changed(tree.files(folder)) - set(submodules))),
        submodules=tuple(sorted(submodules)),
        pointers=tuple(filter(_is_pointer, packed)),
    )


def _allowed(files: Iterable[Path], left_out: Collection[Path]) -> tuple[Path, ...]:
    return tuple(sorted(file for file in files if not _is_left_out(file, left_out)))


def _is_left_out(file: Path, left_out: Collection[Path]) -> bool:
    return file in left_out or Path(os.path.realpath(file)) in left_out


def _visible(folder: Path) -> Iterator[Path]:
    """The files of a folder outside of git, by the rules of its `.gitignore`, where git is at hand."""
    with tempfile.TemporaryDirectory(prefix="pyjob-") as repository:
        try:
            run_git(folder, "init", "--quiet", "--bare", repository)
            ended = run_git(
                folder,
                *(f"--git-dir={repository}", f"--work-tree={folder}", "-c", "core.bare=false"),
                *("ls-files", "-z", "--others", "--exclude-standard"),
            )
        except GitError:
            yield from _all(folder)
            return
    if ended.returncode:
        yield from _all(folder)
        return
    for name in filter(None, os.fsdecode(ended.stdout).split("\0")):
        # With a slash at its end, a repository of its own inside of this folder.
        yield from _all(folder / name) if name.endswith("/") else (folder / name,)


def _all(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        links = [name for name in folders if Path(path, name).is_symlink()]
        yield from (Path(path, name) for name in (*files, *links))


def _without_leftovers(folder: Path, files: Iterable[Path]) -> Iterator[Path]:
    for file in files:
        *folders, name = file.relative_to(folder).parts
        if _matches(name, _FILES) or any(_matches(one, _FOLDERS) for one in (*folders, name)):
            continue
        inner = folder
        for part in folders:
            inner /= part
            if (inner / "pyvenv.cfg").is_file():  # a virtual environment, whatever it is called
                break
        else:
            yield file


def _parted(files: Iterable[Path]) -> tuple[list[Path], tuple[Path, ...]]:
    """The files, and those that look like secrets."""
    kept, secret = list[Path](), list[Path]()
    for file in files:
        is_secret = _matches(file.name, _SECRET) and not file.name.endswith(_TEMPLATES)
        (secret if is_secret else kept).append(file)
    return kept, tuple(sorted(secret))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _is_pointer(file: Path) -> bool:
    try:
        if file.is_symlink() or not 0 < file.stat().st_size < 1024:
            return False
        return file.read_bytes().startswith(_POINTER)
    except OSError:  # told when it is packed
        return False
