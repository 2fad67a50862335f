"""Which files of a job's folder are packed: those that git tracks, or all but what no job is made of."""

from __future__ import annotations

import fnmatch
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyjob.errors import BuildError, one_line
from pyjob.git.command import GitError, run_git
from pyjob.git.work_tree import WorkTree

# What tools and interpreters leave behind; outside of git there may be no rule against it.
_FOLDERS = (
    *(".git", ".hg", ".svn", "__pycache__", ".venv", "venv", "node_modules", ".tox", ".nox", ".idea"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints", "*.egg-info"),
)
_FILES = ("*.py[co]", ".DS_Store", "*.swp", "*.pex", "*.build.log", ".pyjob-files")
# Secrets by their names, unless git tracks them; what ends so is a template.
_SECRET = (".env", ".env.*", ".netrc", ".pypirc", ".git-credentials")
_TEMPLATES = (".dist", ".example", ".sample", ".template")
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Selection:
    """``files`` are packed, absolute; the rest is to be told.

    ``is_untracked``: git tracks nothing of the folder, so all files are taken. ``missing`` are in git, but
    not here; ``untracked`` and ``secret`` are left out; ``changed`` differ from the last commit;
    ``repositories`` are folders of others, submodules and the like; ``ignored`` is what git ignores, but for
    what tools leave behind.
    """

    files: tuple[Path, ...]
    is_untracked: bool = False
    missing: tuple[Path, ...] = ()
    untracked: tuple[Path, ...] = ()
    changed: tuple[Path, ...] = ()
    secret: tuple[Path, ...] = ()
    repositories: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()

    @property
    def pointers(self) -> tuple[Path, ...]:
        """Files whose content git LFS has elsewhere."""
        return tuple(filter(_is_pointer, self.files))


def selected(
    folder: Path, others: Iterable[Path], tree: WorkTree | None, root: Path, left_out: Collection[Path]
) -> Selection:
    """Choose among the files below ``folder``, take ``others``, and what links lead to, all below ``root``.

    They are in ``tree``, if in any. ``left_out`` are never taken, neither by name nor behind a link. Raises
    `GitError`, and `BuildError` for a link to what is not packed.
    """
    is_tracked = tree is not None and any(map(_is_there, tree.files(folder)))
    parts = dict[Path, Selection]()
    pending = [folder, *others]
    while pending:
        place = pending.pop(0)
        if any(place.is_relative_to(one) for one in parts):
            continue
        if tree is not None and is_tracked:
            part = _of_tracked(place, tree, left_out)
        else:
            part = _of_all(place, tree, left_out)
        parts[place] = part
        pending += (_goal(link, root) for link in part.files if link.is_symlink())
    whole = Selection(
        _joined(part.files for part in parts.values()),
        tree is not None and not is_tracked,
        _joined(part.missing for part in parts.values()),
        _joined(part.untracked for part in parts.values()),
        _joined(part.changed for part in parts.values()),
        _joined(part.secret for part in parts.values()),
        _joined(part.repositories for part in parts.values()),
        _joined(part.ignored for part in parts.values()),
    )
    _check_links(whole.files, root)
    return whole


def _joined(parts: Iterable[Iterable[Path]]) -> tuple[Path, ...]:
    return tuple(sorted({path for part in parts for path in part}))


def _goal(link: Path, root: Path) -> Path:
    """What a link leads to in the end. Raises `BuildError` where that is nothing to pack."""
    goal = Path(os.path.realpath(link))
    if not goal.exists():
        raise BuildError(f"{named(link, root)}: a link that leads nowhere: remove it, or mend it")
    if not goal.is_relative_to(root):
        raise BuildError(
            f"{named(link, root)}: a link that leads out of the repository: put the file itself there"
        )
    return goal


def _check_links(files: Iterable[Path], root: Path) -> None:
    packed = {place for file in files for place in (file, *file.parents)}
    for link in files:
        if link.is_symlink() and (goal := _goal(link, root)) not in packed:
            raise BuildError(
                f"{named(link, root)}: a link to {named(goal, root)}, which is not packed, since git does "
                "not track it, or a rule leaves it out: add it, or remove the link"
            )


def named(path: Path, folder: Path) -> str:
    """How messages call a file: names may have anything in them."""
    return one_line(os.path.relpath(path, folder))


def _of_tracked(place: Path, tree: WorkTree, left_out: Collection[Path]) -> Selection:
    tracked, changed = {*tree.files(place)}, {*tree.changed(place)}
    missing = {file for file in tracked | changed if file not in tracked or not _is_there(file)}
    repositories = {file for file in tracked - missing if file.is_dir() and not file.is_symlink()}
    return Selection(
        _allowed(tracked - missing - repositories, left_out),
        missing=_allowed(missing, left_out),
        untracked=_allowed(_without_leftovers(place, tree.untracked(place)), left_out),
        ignored=_allowed(_parted(_without_leftovers(place, tree.ignored_below(place)))[0], left_out),
        changed=_allowed(changed - missing - repositories, left_out),
        repositories=tuple(repositories),
    )


def _of_all(place: Path, tree: WorkTree | None, left_out: Collection[Path]) -> Selection:
    if tree is not None:
        found: Iterable[Path] = (*filter(_is_there, tree.files(place)), *tree.untracked(place))
    else:
        found = _visible(place) if place.is_dir() else (place,)
    files, repositories = list[Path](), list[Path]()
    for file in _without_leftovers(place, found):
        (repositories if file.is_dir() and not file.is_symlink() else files).append(file)
    kept, secret = _parted(files)
    return Selection(
        _allowed(kept, left_out), secret=_allowed(secret, left_out), repositories=tuple(repositories)
    )


def _is_there(file: Path) -> bool:
    """Whether git would find what it tracks: it does not look behind links."""
    return os.path.lexists(file) and os.path.realpath(file.parent) == str(file.parent)


def _allowed(files: Iterable[Path], left_out: Collection[Path]) -> tuple[Path, ...]:
    return tuple(sorted(file for file in files if not _is_left_out(file, left_out)))


def _is_left_out(file: Path, left_out: Collection[Path]) -> bool:
    real = Path(os.path.realpath(file))
    return any(place in left_out for place in (file, real, *real.parents))


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
        yield from _visible(folder / name) if name.endswith("/") else (folder / name,)


def _all(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        links = [name for name in folders if Path(path, name).is_symlink()]
        yield from (Path(path, name) for name in (*files, *links))


def _without_leftovers(place: Path, files: Iterable[Path]) -> Iterator[Path]:
    folder = place if place.is_dir() else place.parent
    for file in files:
        *folders, name = file.relative_to(folder).parts
        if _matches(name, _FILES) or any(_matches(one, _FOLDERS) for one in (*folders, name)):
            continue
        inner = folder
        for part in (*folders, name):
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
