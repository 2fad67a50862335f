"""Answers whose body is made while it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

from pyjob.errors import kind_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


# An error that has this has been logged already.
LOGGED = "pyjob_logged"


def mark_logged(error: Exception) -> Exception:
    """``error``, which the server need not log again."""
    with suppress(Exception):  # the author's class may take no attribute
        setattr(error, LOGGED, True)
    return error


class StreamedResponse:
    """``body`` sent item by item in ``context``; ``ended`` is called once, when it is over.

    Items are made after the application has returned, when the request's context variables are reset:
    so each runs in a copy of the context in which the call ran, and so does ``ended``, which is given the
    error that broke the stream, if one did. ``sent`` are the bytes so far, ``is_whole`` whether they are all.
    """

    def __init__(
        self, status: str, headers: list[tuple[str, str]], body: Iterable[bytes], context: Context
    ) -> None:
        self.status = status
        self.ended: Callable[[BaseException | None], None] | None = None
        self.sent = 0
        self.is_whole = False
        self._headers = headers
        self._body = body
        self._items = iter(body)
        length = next((value for name, value in headers if name.lower() == "content-length"), "")
        self._length = int(length) if length.isdecimal() else -1
        self._context = context

    @property
    def has_failed(self) -> bool:
        """Whether its body tells of a fault, such as by its last item."""
        return bool(getattr(self._body, "failed", False))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            start_response(self.status, self._headers)
        except BaseException:
            self.close()  # the server never gets it, so that nobody else would
            raise
        return self

    def __iter__(self) -> StreamedResponse:
        return self

    def __next__(self) -> bytes:
        try:
            item = self._context.run(next, self._items)
            self.sent += len(item)
            self.is_whole = self.sent == self._length
            return item
        except StopIteration:
            self.is_whole = not getattr(self._body, "is_cut", False)
            raise
        except Exception as error:
            self._end(error)
            mark_logged(error)
            raise
        except BaseException as error:
            # sys.exit() in a job is no reason for a thread of the server to end, or to forget the connection.
            self._end(error)
            raise mark_logged(RuntimeError(f"the stream ended by {kind_of(error)}")) from error

    def close(self) -> None:
        """Called by the server when everything is sent, or the client has gone."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._context.run(close)
        except Exception:
            raise
        except BaseException as error:
            raise RuntimeError(f"closing the stream ended by {kind_of(error)}") from error
        finally:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        ended, self.ended = self.ended, None
        if ended is not None:
            self._context.run(ended, error)
