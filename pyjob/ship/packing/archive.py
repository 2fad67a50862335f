"""The job's files as one archive, the same bytes for the same files."""

from __future__ import annotations

import os
import stat
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyjob.errors import BuildError


def write_archive(target: Path, root: Path, files: Sequence[Path], date: int) -> None:
    """Pack ``files``, all below ``root``, into ``target``.

    Their owners and dates are left out, but for ``date``, in seconds since 1970. A link that stays among the
    files is kept, of another one what it leads to is packed. Raises `BuildError` for what cannot be packed.
    """
    packed = set(files)
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(files, key=lambda one: one.relative_to(root).as_posix()):
            for path, real in _opened(file, root, packed):
                _add(archive, path.relative_to(root).as_posix(), real, date)


def _opened(file: Path, root: Path, packed: set[Path]) -> list[tuple[Path, Path]]:
    """What is packed for ``file``: each path with what is read for it."""
    if not file.is_symlink():
        return [(file, file)]
    goal = Path(os.path.realpath(file))
    if not goal.exists():
        raise BuildError(f"{file.relative_to(root)}: a link that leads nowhere: remove it, or mend it")
    if goal in packed or any(one.is_relative_to(goal) for one in packed):
        return [(file, file)] if not file.readlink().is_absolute() else _followed(file, goal)
    if not goal.is_relative_to(root):
        raise BuildError(
            f"{file.relative_to(root)}: a link that leads out of the repository: put the file itself there"
        )
    return _followed(file, goal)


def _followed(file: Path, goal: Path) -> list[tuple[Path, Path]]:
    if goal.is_file():
        return [(file, goal)]
    inner = [Path(folder, name) for folder, _, names in os.walk(goal) for name in names]
    return [(file / one.relative_to(goal), one) for one in inner if one.is_file()]


def _add(archive: tarfile.TarFile, name: str, file: Path, date: int) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = date
    try:
        state = file.lstat()
        if stat.S_ISLNK(state.st_mode):
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, str(file.readlink()), 0o777
            archive.addfile(member)
            return
        if not stat.S_ISREG(state.st_mode):
            raise BuildError(f"{name}: expected a file, found something that cannot be packed")
        member.mode = 0o755 if state.st_mode & stat.S_IXUSR else 0o644
        with file.open("rb") as stream:
            member.size = os.fstat(stream.fileno()).st_size
            archive.addfile(member, stream)
    except OSError as error:
        raise BuildError(f"{name}: cannot be packed: {error.strerror or error}") from None


def read_archive(source: Path, folder: Path) -> None:
    """Unpack what :func:`write_archive` has written into ``folder``, over what is there."""
    # Debian 12 has a Python that knows no filters yet.
    options: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(source, "r") as archive:
        members = archive.getmembers()
        for member in members:
            # Without a date of its own it is new: browsers keep files by their dates.
            member.mtime = member.mtime or int(time.time())
        archive.extractall(folder, members, **options)  # nosec B202 # written by this very module
