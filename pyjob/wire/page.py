"""An answer that somebody else's WSGI application makes, watched from its first byte to its last."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import Context, copy_context
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waitress.buffers import ReadOnlyFileBasedBuffer

from pyjob.environment.mask import Mask
from pyjob.logs.failure import log_failure
from pyjob.wire.file import FileSection
from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)


class Page:
    """One request to ``application``, itself a WSGI application, to be called once.

    Until the first piece of the body has come, nothing is passed on to the server, so that an exception can
    still be answered; ``has_begun`` tells when that is over. ``asked`` names the request in the log.
    ``ended`` is called once, by `end` or at the end of the body, with the status, the bytes of the body (None
    where nobody has counted them), and whether it was sent whole.
    """

    def __init__(
        self,
        application: WSGIApplication,
        asked: str,
        ended: Callable[[str, int | None, bool], None],
        mask: Mask,
    ) -> None:
        self._application = application
        self._mask = mask
        self._asked = asked
        self._ended: Callable[[str, int | None, bool], None] | None = ended
        self._written = 0
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._start_response: StartResponse
        self._server_writes: Callable[[bytes], object]
        self._has_body = True
        self.has_begun = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._start_response = start_response
        self._has_body = environ["REQUEST_METHOD"] != "HEAD"
        # One for the whole answer: what the application sets at its beginning, it may take back at its end.
        context = copy_context()
        body: Any = context.run(self._application, environ, self._start)
        file = _file_of(body)
        if file is not None and self._status and not self.has_begun:
            # waitress sends it from its loop, and need not keep a thread for that.
            try:
                self._begin()
            except BaseException:
                _close(body)
                raise
            self.end(self._status)
            sent: Iterable[bytes] = ReadOnlyFileBasedBuffer(file, body.block_size)
            return sent
        if isinstance(body, (list, tuple)) and self._status and not self.has_begun:
            return self._whole(body)
        return self._stream(body, environ, context)

    def end(self, status: str, size: int | None = None, *, is_whole: bool = False) -> None:
        """It is over, also where it has failed and is answered ``status`` by somebody else."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(status, size if self._has_body else None, is_whole)

    def _whole(self, pieces: Sequence[bytes]) -> Iterable[bytes]:
        """A body that is there already: its length is known, and nothing more is to be done for it."""
        body = b"".join(pieces)
        headers = self._headers
        is_told = any(name.lower() == "content-length" for name, _ in headers)
        if self._has_body and not is_told and not self._status.startswith(("1", "204", "304")):
            headers = [*headers, ("Content-Length", str(len(body)))]
        self.has_begun = True
        self._start_response(self._status, headers)
        _close(pieces)
        self.end(self._status, len(body))
        return [body]

    def _stream(self, body: Iterable[bytes], environ: WSGIEnvironment, context: Context) -> Iterable[bytes]:
        try:
            pieces = iter(body)
            first = context.run(next, filter(None, pieces), b"")
            if not self._status:
                raise RuntimeError("the application has not called start_response")
            if not isinstance(first, bytes):
                raise TypeError(f"the application gave a body of {type(first).__name__}, not of bytes")
        except BaseException:
            context.run(_close, body)
            raise
        whole = _Body(body, chain((first,), pieces))
        stream = StreamedResponse(self._status, self._headers, whole, context)
        stream.ended = lambda error: self._tell_end(error, stream)
        if self.has_begun:  # by write()
            return stream
        self.has_begun = True
        return stream(environ, self._start_response)

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        if self.has_begun:
            # The server raises what exc_info holds: it is too late for another answer (PEP 3333).
            return self._start_response(status, headers, exc_info)
        self._status, self._headers = status, headers
        return self._write

    def _write(self, data: bytes) -> object:
        if not self.has_begun:
            self._begin()
        # Not every server takes the body away where HEAD asked.
        self._written += len(data)
        return self._server_writes(data) if self._has_body else None

    def _begin(self) -> None:
        self.has_begun = True
        self._server_writes = self._start_response(self._status, self._headers)

    def _tell_end(self, error: BaseException | None, stream: StreamedResponse) -> None:
        self.end(self._status, self._written + stream.sent, is_whole=stream.is_whole)
        if error is not None:
            log_failure(logger, f"the web view broke off its answer to {self._asked}", error, self._mask)


class _Body:
    """``pieces``, closed by closing the ``body`` that they are from."""

    def __init__(self, body: Iterable[bytes], pieces: Iterator[bytes]) -> None:
        self._body = body
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        _close(self._body)


def _file_of(body: Any) -> FileSection | None:
    """What is left of a regular file that the application handed to waitress's wrapper.

    Nothing else goes to waitress's loop: reading what is slow would hold it up, as would the end of a file
    that has become shorter.
    """
    if not isinstance(body, ReadOnlyFileBasedBuffer):
        return None
    try:
        state = os.fstat(body.file.fileno())
        at = body.file.tell()
    except (AttributeError, OSError, ValueError):
        return None
    name = Path(str(getattr(body.file, "name", "a file of the web view")))
    return FileSection(body.file, name, range(at, state.st_size)) if stat.S_ISREG(state.st_mode) else None


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
