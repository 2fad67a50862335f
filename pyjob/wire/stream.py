"""Answers whose body is made while it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import Context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class StreamedResponse:
    """``body`` sent item by item in ``context``; ``ended`` is called once, when it is over.

    Items are made after the application has returned, when the request's context variables are reset:
    so each runs in a copy of the context in which the call ran. ``ended`` is given the error that broke
    the stream, if one did.
    """

    def __init__(
        self, status: str, headers: list[tuple[str, str]], body: Iterable[bytes], context: Context
    ) -> None:
        self.status = status
        self.ended: Callable[[BaseException | None], None] | None = None
        # Bytes of the body, so far.
        self.sent = 0
        self._headers = headers
        self._body = body
        self._items = iter(body)
        self._context = context

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
            return item
        except StopIteration:
            raise
        except Exception as error:
            self._end(error)
            raise
        except BaseException as error:
            # sys.exit() in a job is no reason for a thread of the server to end, or to forget the connection.
            self._end(error)
            raise RuntimeError(f"the stream ended by {type(error).__name__}") from error

    def close(self) -> None:
        """Called by the server when everything is sent, or the client has gone."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._context.run(close)
        except Exception:
            raise
        except BaseException as error:
            raise RuntimeError(f"closing the stream ended by {type(error).__name__}") from error
        finally:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        ended, self.ended = self.ended, None
        if ended is not None:
            ended(error)
