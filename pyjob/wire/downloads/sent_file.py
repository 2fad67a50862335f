"""Files of a job's own as answers: by their path, or opened; the server sends them by itself (SPEC 4.8)."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path, PurePath
from tempfile import _TemporaryFileWrapper
from typing import TYPE_CHECKING, Any

from pyjob.errors import ResultError, message_of
from pyjob.wire.downloads.response import Response as JobResponse
from pyjob.wire.downloads.response import head_of
from pyjob.wire.file import NO_CACHE, FileResponse, FileSection, file_response, open_file, section_response
from pyjob.wire.response import Response, status_line

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# A job that says one of these of a file knows better which state of it is sent, or which part.
OWN_CONDITIONS = frozenset(("etag", "last-modified", "accept-ranges", "content-range"))
BUFFERED = (io.BufferedReader, io.BufferedRandom)


def path_answer(
    given: PurePath, folder: Path, response: JobResponse, content_type: str, environ: WSGIEnvironment
) -> Response | FileResponse:
    """The file at ``given``, relative to ``folder``; with conditions and ranges where GET asked.

    Links are followed: the author chose the path. Raises `ResultError` where there is no file.
    """
    names = {name.lower() for name, _ in response.headers}
    try:
        path = Path(os.path.realpath(folder / os.fspath(given), strict=True))
        if response.status == 200 and environ["REQUEST_METHOD"] != "POST" and not names & OWN_CONDITIONS:
            fields = [*response.headers, *(() if "cache-control" in names else NO_CACHE)]
            return file_response(environ, path, content_type, fields)
        file, state = open_file(path)
        return section_answer(FileSection(file, path, range(state.st_size)), response, content_type)
    except (OSError, ValueError, RecursionError) as error:
        # Without its cause: all of it is said, and the author's line is not in that traceback.
        reason = getattr(error, "strerror", None) or message_of(error)
        raise ResultError(f"result: no file can be sent from {given}: {reason}") from None


def section_of(file: Any) -> FileSection | None:
    """What is left of ``file``, where that is a regular one; None where it has to be read by its `read`.

    The section has a descriptor of its own: ``file`` may be closed. Raises what a closed one raises.
    """
    inner: Any = file.file if isinstance(file, _TemporaryFileWrapper) else file
    # By exact types: what unpacks or changes a file has its descriptor, too.
    is_plain = type(inner) is io.FileIO or (type(inner) in BUFFERED and type(inner.raw) is io.FileIO)
    if not is_plain or not inner.readable():
        return None
    state = os.fstat(inner.fileno())
    if not stat.S_ISREG(state.st_mode):
        return None
    part = range(inner.tell(), state.st_size)
    return FileSection(io.FileIO(os.dup(inner.fileno())), Path(str(inner.name)), part)


def section_answer(section: FileSection, response: JobResponse, content_type: str) -> Response | FileResponse:
    """All of ``section``, without conditions: nobody knows whether the next call would give the same."""
    fields = head_of(response, content_type, section.length)
    return section_response(status_line(response.status), fields, section)
