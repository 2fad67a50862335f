"""The files of a job that callers can read: what `static_endpoints` names (SPEC 1)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyjob.errors import EntryPointError
from pyjob.job.paths import endpoint_path

CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?: *;[\x20-\x7e]*)?\Z", re.ASCII)


@dataclass(frozen=True)
class StaticEndpoint:
    """``target`` is served at the short ``path``; a folder with everything below it.

    ``content_type`` is the author's, or None where it is to be guessed.
    """

    path: str
    target: Path
    is_folder: bool
    content_type: str | None = None


class StaticReader:
    """Reads what `static_endpoints` gave for the job in ``folder``; ``secret`` files are never served."""

    def __init__(
        self, place: str, warn: Callable[[str], None], *, folder: Path, secret: frozenset[Path]
    ) -> None:
        self._place = f"{place}: static_endpoints"
        self._warn = warn
        self._folder = folder
        self._secret = secret

    def read(self, given: object) -> Iterator[StaticEndpoint]:
        """Each endpoint. Raises `EntryPointError` for what can be no file of this job."""
        if not isinstance(given, Mapping):
            raise EntryPointError(
                f"{self._place}: expected a dict of path to file, found {type(given).__name__}"
            )
        for key, value in given.items():
            path = endpoint_path(key, self._place)
            file, content_type = self._file_and_type(value, f"{self._place}, GET {path}")
            target = self._target(file, f"{self._place}, GET {path}")
            yield StaticEndpoint(path.rstrip("/"), target, target.is_dir(), content_type)

    def _file_and_type(self, value: object, place: str) -> tuple[str, str | None]:
        content_type: object = None
        if isinstance(value, (tuple, list)) and len(value) == 2:
            value, content_type = value
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            raise EntryPointError(
                f"{place}: expected a file, a (file, mime type) or a folder, found {type(value).__name__}"
            )
        if content_type is not None and not (
            isinstance(content_type, str) and CONTENT_TYPE.match(content_type)
        ):
            raise EntryPointError(f"{place}: expected a mime type such as text/html, found {content_type!r}")
        return os.fsdecode(value), content_type

    def _target(self, file: str, place: str) -> Path:
        inside = Path(os.path.normpath(self._folder / file))
        if not inside.is_relative_to(self._folder) or "\0" in file:
            raise EntryPointError(f"{place}: expected a file inside {self._folder}, found {file!r}")
        if inside in self._secret or self._leads_to(inside, place) in self._secret:
            raise EntryPointError(f"{place}: {file!r} is a secret file of the manifest: it is never served")
        return inside

    def _leads_to(self, file: Path, place: str) -> Path | None:
        """The file behind all links, with a warning where it will be 404: none, or outside the folder."""
        try:
            resolved = Path(os.path.realpath(file, strict=True))
        except (OSError, ValueError, RecursionError) as error:
            why = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
            self._warn(f"{place}: {str(file)!r}: {why}: until there is one, the answer is 404")
            return None
        if not resolved.is_relative_to(self._folder.resolve()):
            self._warn(f"{place}: {str(file)!r} leads out of the job's folder: the answer is 404")
        return resolved
