"""Static endpoints: files of the job's folder, looked up as the path says (SPEC 1).

Whatever is no readable regular file of that folder is 404, whichever way it was named.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.routing.links import PATH, redirect_to_slash
from pyjob.routing.table import REST
from pyjob.wire.content_type import guess_content_type, with_charset
from pyjob.wire.file import NO_SNIFFING, FileResponse, file_response
from pyjob.wire.response import Response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

INDEX = "index.html"
# The one name with a dot in front that is there to be asked for (RFC 8615).
WELL_KNOWN = ".well-known"
LONGEST_SHOWN = 100
# Beside what the system refuses: names with a NUL, or that cannot be written in its encoding.
UNSERVABLE = (OSError, ValueError)


class FileRoom:
    """Serves one file, which has to lie in ``within`` and is none of ``refused``.

    Without ``content_type`` its name tells.
    """

    def __init__(self, file: Path, content_type: str | None, within: Path, refused: frozenset[Path]) -> None:
        self._file = file.absolute()
        self._content_type = with_charset(content_type) if content_type else guess_content_type(file.name)
        self._within = within.resolve()
        self._refused = refused

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer: Response | FileResponse
        try:
            answer = file_response(
                environ, _resolved(self._file, self._within, self._refused), self._content_type
            )
        except UNSERVABLE:
            answer = _nothing(environ)
        return answer(environ, start_response)


class FolderRoom:
    """Serves what lies below ``folder`` and in ``within``, less the files ``refused`` and names with a dot.

    A folder is its index.html, under its path with a slash.
    """

    def __init__(self, folder: Path, within: Path, refused: frozenset[Path]) -> None:
        self._folder = folder.absolute()
        self._within = within.resolve()
        self._refused = refused

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer: Response | FileResponse
        try:
            answer = self._answer(environ, environ.get(REST, ""))
        except UNSERVABLE:
            answer = _nothing(environ)
        return answer(environ, start_response)

    def _answer(self, environ: WSGIEnvironment, rest: str) -> Response | FileResponse:
        if rest.endswith("/"):
            return file_response(environ, self._find(f"{rest}{INDEX}"), guess_content_type(INDEX))
        try:
            # By the name that was called, also where it is a link to something of another name.
            return file_response(environ, self._find(rest), guess_content_type(rest.rpartition("/")[2]))
        except IsADirectoryError:
            if not self._find(f"{rest}/{INDEX}").is_file():
                raise
        answer = redirect_to_slash(environ)
        answer.headers.append(NO_SNIFFING)
        return answer

    def _find(self, rest: str) -> Path:
        """The file at ``rest``, empty or from a slash on. Raises OSError or ValueError if none is served."""
        before, *names = rest.split("/")
        if before or any(not name or (name.startswith(".") and name != WELL_KNOWN) for name in names):
            raise _no_such_file(rest)
        return _resolved(Path(f"{self._folder}{rest}"), self._within, self._refused)


def _resolved(path: Path, within: Path, refused: frozenset[Path]) -> Path:
    """``path`` with its links followed.

    Raises OSError where that leads to nothing, out of ``within``, or to a file that is ``refused``.
    """
    try:
        # Not by Path.resolve(), whose error for links in a circle depends on the version of Python.
        resolved = Path(os.path.realpath(path, strict=True))
    except RecursionError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if not resolved.is_relative_to(within):
        raise _no_such_file(str(path))
    if any(_is_same(resolved, file) for file in refused):
        raise _no_such_file(str(path))
    return resolved


def _is_same(path: Path, other: Path) -> bool:
    """Whether both are one file, by whatever names: hard links and disks without case are seen through."""
    try:
        return path.samefile(other)
    except OSError:  # there is none, or nobody may look: then it is not what was found
        return False


def _no_such_file(name: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _nothing(environ: WSGIEnvironment) -> Response:
    shown = environ[PATH][:LONGEST_SHOWN]
    return error_response(404, f"there is nothing at {shown}", headers=[NO_SNIFFING])
