"""An answer that somebody else's WSGI application makes, watched from its first byte to its last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from itertools import chain
from typing import TYPE_CHECKING, Any

from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)


class Page:
    """One request to ``application``, itself a WSGI application, to be called once.

    Until the first piece of the body has come, nothing is passed on to the server, so that an exception can
    still be answered; ``has_begun`` tells when that is over. ``ended`` is called once, by `end` or at the
    end of the body.
    """

    def __init__(self, application: WSGIApplication, ended: Callable[[], None]) -> None:
        self._application = application
        self._ended: Callable[[], None] | None = ended
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._start_response: StartResponse
        self._server_writes: Callable[[bytes], object]
        self._has_body = True
        self.has_begun = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._start_response = start_response
        self._has_body = environ["REQUEST_METHOD"] != "HEAD"
        body = self._application(environ, self._start)
        wrapper = environ.get("wsgi.file_wrapper")
        is_file = isinstance(wrapper, type) and isinstance(body, wrapper)
        if is_file and self._status and not self.has_begun:
            # The server sends a file in its own way, and need not keep a thread for that.
            try:
                self._begin()
            except BaseException:
                _close(body)
                raise
            self.end()
            return body
        return self._stream(body, environ)

    def end(self) -> None:
        """It is over, also where it has failed."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def _stream(self, body: Iterable[bytes], environ: WSGIEnvironment) -> Iterable[bytes]:
        try:
            pieces = iter(body)
            first = next(filter(None, pieces), b"")
            if not self._status:
                raise RuntimeError("the application has not called start_response")
        except BaseException:
            _close(body)
            raise
        whole = _Body(body, chain((first,), pieces))
        stream = StreamedResponse(self._status, self._headers, whole, copy_context())
        stream.ended = self._tell_end
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
        return self._server_writes(data) if self._has_body else None

    def _begin(self) -> None:
        self.has_begun = True
        self._server_writes = self._start_response(self._status, self._headers)

    def _tell_end(self, error: BaseException | None) -> None:
        self.end()
        if error is not None:
            logger.error("the web view broke off an answer that had begun", exc_info=error)


class _Body:
    """``pieces``, closed by closing the ``body`` that they are from."""

    def __init__(self, body: Iterable[bytes], pieces: Iterator[bytes]) -> None:
        self._body = body
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        _close(self._body)


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
