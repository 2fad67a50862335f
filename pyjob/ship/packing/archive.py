"""The job's files as one archive, the same bytes for the same files."""

from __future__ import annotations

import os
import stat
import tarfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyjob.errors import BuildError, one_line


def write_archive(target: Path, root: Path, files: Sequence[Path], date: int) -> None:
    """Pack ``files``, all below ``root``, into ``target``; links among them lead to others of them.

    Their owners and dates are left out, but for ``date``, in seconds since 1970. Raises `BuildError` for what
    cannot be packed.
    """
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(files, key=lambda one: one.relative_to(root).as_posix()):
            _add(archive, file.relative_to(root).as_posix(), file, date)


def _add(archive: tarfile.TarFile, name: str, file: Path, date: int) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = date
    try:
        state = file.lstat()
        if stat.S_ISLNK(state.st_mode):
            # The shortest way, since an absolute one, or one by the outside, leads nowhere elsewhere.
            member.linkname = os.path.relpath(os.path.realpath(file), file.parent)
            member.type, member.mode = tarfile.SYMTYPE, 0o777
            archive.addfile(member)
            return
        if not stat.S_ISREG(state.st_mode):
            raise BuildError(f"{one_line(name)}: expected a file, found something that cannot be packed")
        member.mode = 0o755 if state.st_mode & stat.S_IXUSR else 0o644
        with file.open("rb") as stream:
            member.size = os.fstat(stream.fileno()).st_size
            archive.addfile(member, stream)
    except OSError as error:
        raise BuildError(f"{one_line(name)}: cannot be packed: {error.strerror or error}") from None


def names_in(archive: Path) -> set[str]:
    """The paths of the files in what :func:`write_archive` has written, one line each."""
    with tarfile.open(archive, "r") as packed:
        return {member.name for member in packed if member.name.isprintable()}


def read_archive(source: Path, folder: Path) -> None:
    """Unpack what :func:`write_archive` has written into ``folder``, over what is there."""
    # Debian 12 has a Python that knows no filters yet.
    options: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(source, "r") as archive:
        members = archive.getmembers()
        for member in members:
            # Without a date of its own it is new: browsers keep files by their dates.
            member.mtime = member.mtime or int(time.time())
            # What is there may be in use by another process, be a link, or not be writable.
            with suppress(IsADirectoryError, NotADirectoryError):
                (folder / member.name).unlink(missing_ok=True)
        archive.extractall(folder, members, **options)  # nosec B202 # written by this very module
