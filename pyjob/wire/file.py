"""A file as an answer: conditions, ranges, and a body that the server may send by itself (RFC 9110)."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import stat
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, cast

from werkzeug.http import http_date, parse_date, parse_etags, parse_range_header
from werkzeug.wsgi import wrap_file

from pyjob.errors import one_line
from pyjob.wire.response import Response, error_response, status_line

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NO_CACHE = (("Cache-Control", "no-cache"),)
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
# Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
# Links have been followed and judged before: one that has come since is not followed.
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW
# The most that is read at once. waitress asks for as much as the socket's buffer may hold, megabytes, sends a
# part of it, and asks for the rest again.
BLOCK = 128 * 1024
# What is no longer is read at once, and keeps no descriptor until somebody has fetched it.
LARGEST_AT_ONCE = 64 * 1024
# werkzeug's versions differ about "the last 0 bytes", which no file has.
NOTHING_AT_THE_END = re.compile(r"\s*bytes\s*=\s*-0+\s*", re.IGNORECASE)

logger = logging.getLogger(__name__)


class OpenFile(Protocol):
    """What is asked of the file itself."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


class FileSection:
    """The bytes ``part`` of an open file, as a file of their own: for a `wsgi.file_wrapper`.

    There is no `fileno`, so that no server sends the file past its end or from its beginning.
    """

    def __init__(self, file: OpenFile, path: Path, part: range) -> None:
        self._file = file
        self._path = path
        self._part = part
        self._at = 0
        self._is_told = False

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return len(self._part)

    def narrowed(self, part: range) -> FileSection:
        """``part`` of this file."""
        return FileSection(self._file, self._path, part)

    def read(self, size: int = -1) -> bytes:
        """Some bytes, ``size`` at most; all of them where it is negative.

        Raises OSError if the file has become shorter: waitress would ask again and again, without a pause.
        """
        left = len(self._part) - self._at
        wanted = left if size < 0 else min(size, left, BLOCK)
        if wanted <= 0:
            return b""
        data = os.pread(self._file.fileno(), wanted, self._part.start + self._at)
        if not data:
            self._tell_of_end()
            raise OSError(errno.EIO, "the file has become shorter while it was sent", str(self._path))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to ``offset``, counted as files do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._part)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where the next `read` begins."""
        return self._at

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _tell_of_end(self) -> None:
        # A server may read once more before it gives up.
        if not self._is_told:
            self._is_told = True
            message = "%s has become shorter while it was sent: the connection is closed"
            logger.warning(message, one_line(str(self._path)))


class FileResponse:
    """An answer, to be given once, whose body is ``section``; who does not give it closes that."""

    __slots__ = ("headers", "section", "status")

    def __init__(self, status: str, headers: list[tuple[str, str]], section: FileSection) -> None:
        self.status = status
        self.headers = headers
        self.section = section

    @property
    def sent(self) -> int:
        """How many bytes it sends."""
        return self.section.length

    @property
    def is_whole(self) -> bool:
        """Whether all of them are known to have been sent: the server does not tell."""
        return False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            start_response(self.status, self.headers)
            # waitress sends such a body from its loop: a slow reader holds no thread.
            return wrap_file(environ, cast(IO[bytes], self.section), BLOCK)
        except BaseException:
            self.section.close()
            raise


class Validators:
    """By what a caller knows one state of a file from another (RFC 9110, 8.8)."""

    def __init__(self, state: os.stat_result) -> None:
        self.tag = f"{state.st_mtime_ns:x}-{state.st_size:x}"
        # No date of the future (RFC 9110, 8.8.2.1), nor one from before all calendars.
        self.date = datetime.fromtimestamp(min(max(0, int(state.st_mtime)), int(time.time())), UTC)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """ETag and Last-Modified."""
        return [("ETag", f'"{self.tag}"'), ("Last-Modified", http_date(self.date))]

    def verdict(self, environ: WSGIEnvironment) -> int:
        """200, 304 or 412, as the conditions of the request say, in their order (RFC 9110, 13.2.2)."""
        # werkzeug's is_resource_modified() takes "If-Match: *" for a mismatch, and knows no 412.
        if "HTTP_IF_MATCH" in environ:
            if not parse_etags(environ["HTTP_IF_MATCH"]).contains(self.tag):
                return 412
        elif (limit := _date(environ, "HTTP_IF_UNMODIFIED_SINCE")) and self.date > limit:
            return 412
        if "HTTP_IF_NONE_MATCH" in environ:
            return 304 if parse_etags(environ["HTTP_IF_NONE_MATCH"]).contains_weak(self.tag) else 200
        since = _date(environ, "HTTP_IF_MODIFIED_SINCE")
        return 304 if since and self.date <= since else 200

    def hold_for_range(self, environ: WSGIEnvironment) -> bool:
        """Whether If-Range, where there is one, names this state (RFC 9110, 13.1.5)."""
        value = environ.get("HTTP_IF_RANGE")
        if value is None:
            return True
        if '"' in value[:3]:
            return parse_etags(value).is_strong(self.tag)
        return _date(environ, "HTTP_IF_RANGE") == self.date


def file_response(
    environ: WSGIEnvironment,
    path: Path,
    content_type: str,
    headers: Iterable[tuple[str, str]] = NO_CACHE,
) -> Response | FileResponse:
    """The answer to GET or HEAD for the file at ``path``, which is no link; it is not judged here.

    Raises OSError where there is no regular file that can be read, and ValueError where there can be none.
    """
    file, state = open_file(path)
    try:
        answer = _answer(environ, FileSection(file, path, range(state.st_size)), state, content_type, headers)
    except BaseException:
        file.close()
        raise
    if isinstance(answer, Response):
        file.close()
    return answer


def section_response(
    status: str, headers: list[tuple[str, str]], section: FileSection
) -> Response | FileResponse:
    """All of ``section``: what is short is read at once, and closed. Raises OSError as reading does."""
    if section.length > LARGEST_AT_ONCE:
        return FileResponse(status, headers, section)
    try:
        return Response(status, headers, b"".join(iter(section.read, b"")))
    finally:
        section.close()


def open_file(path: Path) -> tuple[io.FileIO, os.stat_result]:
    """The regular file at ``path``, which is no link. Raises OSError, and ValueError for what is no path."""
    descriptor = os.open(path, FLAGS)
    try:
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(state.st_mode):
            raise FileNotFoundError(errno.ENOENT, "no regular file", str(path))
        return io.FileIO(descriptor), state
    except BaseException:
        os.close(descriptor)
        raise


def _answer(
    environ: WSGIEnvironment,
    whole: FileSection,
    state: os.stat_result,
    content_type: str,
    headers: Iterable[tuple[str, str]],
) -> Response | FileResponse:
    size = state.st_size
    validators = Validators(state)
    lasting = [*validators.headers, *headers, NO_SNIFFING]
    verdict = validators.verdict(environ)
    if verdict == 304:
        return Response(status_line(304), lasting, b"")
    if verdict == 412:
        return error_response(412, "the file is not as the request expects it", headers=[NO_SNIFFING])
    part = None
    if environ["REQUEST_METHOD"] == "GET" and validators.hold_for_range(environ):
        part = _part(environ.get("HTTP_RANGE"), size)
    if part is not None and not part:
        unsatisfied = ("Content-Range", f"bytes */{size}")
        return error_response(416, f"the file has {size} bytes", headers=[unsatisfied, NO_SNIFFING])
    section = whole if part is None else whole.narrowed(part)
    fields = [("Content-Type", content_type), ("Content-Length", str(section.length))]
    fields += [("Accept-Ranges", "bytes"), *lasting]
    if part is not None:
        fields.append(("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}"))
    status = status_line(200 if part is None else 206)
    if environ["REQUEST_METHOD"] == "HEAD":
        return Response(status, fields, b"")
    return section_response(status, fields, section)


def _part(value: str | None, size: int) -> range | None:
    """What of ``size`` bytes a Range header asks for; None: everything, and empty: none of them.

    Everything is the answer, too, to what is no range, to several (RFC 9110, 14.2), and for an empty file,
    of which no part could be named.
    """
    if not value or not size:
        return None
    if NOTHING_AT_THE_END.fullmatch(value):
        return range(0)
    asked = parse_range_header(value)
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    first, end = asked.ranges[0]
    if first < 0:
        # Not by Range.range_for_length(): it refuses "the last 10" of 5 bytes.
        first = max(0, first + size)
    return range(first, size if end is None else min(end, size))


def _date(environ: WSGIEnvironment, name: str) -> datetime | None:
    try:
        return parse_date(environ.get(name))
    except OverflowError:  # a time zone of any number of digits
        return None
