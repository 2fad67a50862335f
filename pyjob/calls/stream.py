"""A call that answers item by item (SPEC 4.8, 5.5)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any

from pyjob.calls.record import is_failure
from pyjob.wire.downloads.download import UNHELD
from pyjob.wire.failure import Failure
from pyjob.wire.results.formats import Format
from pyjob.wire.results.items import Items, Sign
from pyjob.wire.stream import StreamedResponse

# A quiet event stream says so often that it is still there: proxies close what is silent for a minute.
HEARTBEAT_SECONDS = 15.0

# Notes that the stream failed, and says how that is told.
Fail = Callable[[BaseException], Failure]


class ItemBody:
    """The body of a stream: ``items``, written in ``format``. A fault is its last item, told by ``fail``.

    ``progress`` is called with each item; ``failed``: whether there was a fault, ``is_cut``: whether it was
    cancelled.
    """

    def __init__(self, items: Items, format: Format, fail: Fail, progress: Callable[[], None]) -> None:  # noqa: A002
        self._items = items
        self._format = format
        self._fail = fail
        self._progress = progress
        self._first = b""
        self._is_over = self._is_closed = False
        self.failed = self.is_cut = False

    def begin(self) -> None:
        """Make the first item. Raises what goes wrong: nothing has been answered yet."""
        try:
            item = self._items.take()
            self._progress()
            if item is not Sign.END:
                self._first = self._format.item(item)
                return
        except BaseException:
            self.close()
            raise
        self._first = self._end()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, b""
        if first:
            return first
        if self._is_over:
            raise StopIteration
        try:
            item = self._items.take(HEARTBEAT_SECONDS if self._format.pause else None)
            if item is Sign.QUIET:
                return self._format.pause
            self._progress()
            if item is not Sign.END:
                return self._format.item(item)
        except BaseException as error:  # noqa: BLE001  sys.exit() in a generator ends no thread of the server
            return self._break_off(error)
        end = self._end()
        if not end:
            raise StopIteration
        return end

    def close(self) -> None:
        """End the generator, and wait until it has ended; what that raises is noted, and no more."""
        self._is_over = True
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._items.close()
        except BaseException as error:  # noqa: BLE001
            self._note(error)

    def _end(self) -> bytes:
        self._is_over = True
        return self._format.end()

    def _break_off(self, error: BaseException) -> bytes:
        failure = self._note(error)
        self.close()
        return self._format.error(failure.message, failure.kind) + self._format.end()

    def _note(self, error: BaseException) -> Failure:
        if is_failure(error):
            self.failed = True
        else:
            self.is_cut = True
        return self._fail(error)


def stream_response(body: ItemBody, content_type: str) -> StreamedResponse:
    """The answer whose body is ``body``, begun here. Raises what goes wrong before its first item."""
    context = copy_context()
    context.run(body.begin)
    headers = [
        ("Content-Type", content_type),
        ("Cache-Control", "no-cache"),
        ("Vary", "Accept"),
        *UNHELD,
    ]
    return StreamedResponse("200 OK", headers, body, context)


class ItemIterator:
    """The items of a call in process, for whoever made it; ``ended`` is called once, with what went wrong.

    To be exhausted or closed: until then, the call keeps its slot. For one thread at a time.
    """

    def __init__(self, items: Items, context: Context, ended: Callable[[BaseException | None], None]) -> None:
        self._items = items
        self._context = context
        self._ended: Callable[[BaseException | None], None] | None = ended
        self._in_use = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._use()
        try:
            item = Sign.END if self._ended is None else self._take()
        finally:
            self._in_use.release()
        if item is Sign.END:
            raise StopIteration
        return item

    def close(self) -> None:
        """Let the generator end before its time. Raises what its clean-up raises."""
        self._use()
        try:
            self._end(None)
        finally:
            self._in_use.release()

    def __del__(self) -> None:
        """Forgotten half-way, perhaps: it ends in a thread of its own.

        What is forgotten may be found anywhere: where a lock is held that is needed here, or on the loop.
        """
        if self._ended is not None:
            with suppress(RuntimeError):  # the interpreter ends, or has no more threads
                threading.Thread(target=self._end_forgotten, name="pyjob-forgotten", daemon=True).start()

    def _end_forgotten(self) -> None:
        with suppress(BaseException):  # nobody hears of it
            self._end(None)

    def _use(self) -> None:
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError("an item of this stream is being taken already, perhaps by another thread")

    def _take(self) -> object:
        try:
            item = self._context.run(self._items.take)
        except BaseException as error:
            self._end(error)
            raise
        if item is Sign.END:
            self._end(None)
        return item

    def _end(self, error: BaseException | None) -> None:
        """Close the generator, and tell of ``error``, or else of what that raises, which is raised here."""
        ended, self._ended = self._ended, None
        if ended is None:
            return
        try:
            self._context.run(self._items.close)
        except BaseException as second:
            if error is None:
                error = second
                raise
        finally:
            ended(error)
