"""The working directory of a job that came in one file (SPEC 1.2): unpacked anew, or kept where it was."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyjob.errors import BuildError
from pyjob.ship.packing.archive import names_in, read_archive
from pyjob.ship.packing.preamble import own_folder

# Of the job's files, in a folder that stays.
LISTING = ".pyjob-files"
_PREFIX = "job-"
_OF_NOBODY = {"lost+found"}  # of a file system that was just made
# One that is being made is not locked yet.
_BEING_MADE = 60.0


@contextmanager
def working_folder(archive: Path, workdir: Path | None) -> Iterator[Path]:
    """The folder that ``archive`` is unpacked into: ``workdir``, which stays, or a fresh one, which does not.

    In ``workdir``, files of the job are written anew, those of an earlier version are removed, others are
    left alone. Raises `BuildError`.
    """
    if workdir is not None:
        _unpack_over(archive, workdir)
        yield workdir.resolve()
        return
    own = own_folder()
    _remove_what_others_left(own)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=own))
    except OSError as error:
        raise _refused(own, error) from None
    lock = os.open(folder, os.O_RDONLY)  # until the end of the process, however that comes
    fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        _unpack(archive, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _unpack_over(archive: Path, folder: Path) -> None:
    listing = folder / LISTING
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if names - _OF_NOBODY and LISTING not in names:
            raise BuildError(
                f"--workdir {folder}: expected an empty folder, or one that a built file has been using: "
                "the job's files are written there"
            )
        before = set(listing.read_text().splitlines()) if LISTING in names else set()
        now = names_in(archive)
        for name in before - now:
            # The job may have written there, too.
            if not Path(name).is_absolute() and ".." not in Path(name).parts:
                (folder / name).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        _write_listing(listing, before | now)  # a process that is killed while it unpacks may begin again
        _unpack(archive, folder)
        _write_listing(listing, now)
    except OSError as error:
        raise _refused(folder, error) from None


def _write_listing(listing: Path, names: Iterable[str]) -> None:
    listing.write_text("".join(f"{name}\n" for name in sorted(names)))


def _unpack(archive: Path, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        read_archive(archive, folder)
    except OSError as error:
        raise _refused(folder, error) from None


def _refused(folder: Path, error: OSError) -> BuildError:
    return BuildError(f"{folder}: the job cannot be unpacked: {error.strerror or error}")


def _remove_what_others_left(own: Path) -> None:
    """Folders of processes that were killed: of one that lives, its folder is locked."""
    for folder in own.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_mtime > time.time() - _BEING_MADE:
                continue
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
