"""What a generator of the job yields, taken item by item wherever it has to run (SPEC 4.8, 5.5).

Nothing is produced ahead: an item is asked for when the one before it has been sent.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from pyjob.errors import AbandonedError
from pyjob.job.event_loop import LEFT

if TYPE_CHECKING:
    from pyjob.job.event_loop import LoopTask

# Runs an awaitable on the event loop of the job.
Start = Callable[[Awaitable[Any]], "LoopTask"]


class Sign(Enum):
    """What is taken where there is no item."""

    QUIET = "none has come in time"
    END = "there will be no more"


class Items(Protocol):
    """The items of one stream; for one thread at a time, in whose context they run unless it is said."""

    def take(self, patience: float | None = None) -> object:
        """The next one, or a `Sign`: `QUIET` after ``patience`` seconds, where that can be told.

        Raises what the generator raises.
        """

    def close(self) -> None:
        """End the generator, and wait for that. Raises what its clean-up raises."""


class Pieces:
    """``items`` as an iterator, for what sends them as they are; ``progress`` is called with each.

    ``is_gone``: whether nobody waits for them any more. A server finds that out when it sends, which it does
    not do where items are empty. ``afterwards`` is called once they are closed.
    """

    def __init__(
        self,
        items: Items,
        progress: Callable[[], None],
        is_gone: Callable[[], bool],
        afterwards: Callable[[], object] | None = None,
    ) -> None:
        self._afterwards = afterwards
        self._items = items
        self._progress = progress
        self._is_gone = is_gone

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        item = self._items.take()
        self._progress()
        if item is Sign.END:
            raise StopIteration
        if self._is_gone():
            raise AbandonedError(LEFT)
        return item

    def close(self) -> None:
        """End the generator."""
        afterwards, self._afterwards = self._afterwards, None
        try:
            self._items.close()
        finally:
            if afterwards is not None:
                afterwards()


def is_stream(result: object) -> bool:
    """Whether ``result`` is sent item by item: an iterator of either kind, but no file."""
    return isinstance(result, (Iterator, AsyncIterable)) and not hasattr(result, "read")


def items_of(stream: Any, start: Start, *, patient: bool) -> Items:
    """The items of ``stream``, which `is_stream`; those of an async one are made on the loop, by ``start``.

    ``patient``: whether somebody waits for them with patience, for which others need a thread.
    """
    if isinstance(stream, AsyncIterable):
        return LoopItems(stream, start)
    return ThreadItems(stream) if patient else OwnItems(stream)


class OwnItems:
    """Items that are made in the thread which takes them."""

    def __init__(self, iterator: Iterator[object]) -> None:
        self._iterator = iterator

    def take(self, patience: float | None = None) -> object:
        """The next item, however long it takes."""
        return next(self._iterator, Sign.END)

    def close(self) -> None:
        """End the generator."""
        _close(self._iterator)


class ThreadItems:
    """Items that are made in a thread of their own, and in a copy of the context that they were begun in."""

    def __init__(self, iterator: Iterator[object]) -> None:
        self._iterator = iterator
        self._orders: SimpleQueue[bool] = SimpleQueue()
        self._made: SimpleQueue[tuple[object, BaseException | None]] = SimpleQueue()
        self._is_ordered = False
        context = copy_context()
        threading.Thread(target=context.run, args=(self._make,), name="pyjob-stream", daemon=True).start()

    def take(self, patience: float | None = None) -> object:
        """The next item, or that there is none yet."""
        if not self._is_ordered:
            self._is_ordered = True
            self._orders.put(True)
        try:
            item, error = self._made.get(timeout=patience)
        except Empty:
            return Sign.QUIET
        self._is_ordered = False
        if error is not None:
            raise error
        return item

    def close(self) -> None:
        """End the generator, once it has made the item that was asked for."""
        self._orders.put(False)
        errors = [self._made.get()[1] for _ in range(1 + self._is_ordered)]
        for error in errors:
            if error is not None:
                raise error

    def _make(self) -> None:
        while self._orders.get():
            self._made.put(_outcome(lambda: next(self._iterator, Sign.END)))
        self._made.put(_outcome(lambda: _close(self._iterator)))


class LoopItems:
    """Items that are made on the event loop, all by one task: what they open and close belongs to it."""

    def __init__(self, stream: AsyncIterable[object], start: Start) -> None:
        import asyncio  # on whose loop they run

        self._made: SimpleQueue[object] = SimpleQueue()
        self._asked = asyncio.Event()
        self._is_ordered = self._is_over = False
        self._task = start(self._make(stream))
        self._task.when_done(lambda: self._made.put(Sign.END))

    def take(self, patience: float | None = None) -> object:
        """The next item, or that there is none yet. Raises `AbandonedError` where it was cancelled."""
        if self._is_over:
            return Sign.END
        self._task.stay_out()
        if not self._is_ordered:
            self._is_ordered = True
            self._task.call(self._asked.set)
        try:
            item = self._made.get(timeout=patience)
        except Empty:
            return Sign.QUIET
        self._is_ordered = False
        if item is Sign.END:
            self._is_over = True
            self._task.result()
        return item

    def close(self) -> None:
        """Cancel the generator at once, wherever it waits."""
        if self._is_over:
            return
        self._is_over = True
        self._task.cancel("the stream was closed")
        with suppress(AbandonedError):  # which says that it was cancelled
            self._task.result()

    async def _make(self, stream: AsyncIterable[object]) -> None:
        import asyncio

        iterator: Any = aiter(stream)
        has_begun, unasked = False, list[object]()
        try:
            while not self._is_over:  # a generator may take no notice of being cancelled
                try:
                    await self._asked.wait()
                except asyncio.CancelledError as error:
                    if not has_begun or self._task.is_cancelled or not hasattr(iterator, "athrow"):
                        raise
                    # By a time-out or a task group that it has entered, and that waits to hear of this.
                    unasked.append(await iterator.athrow(error))
                    continue
                self._asked.clear()
                has_begun = True
                self._made.put(unasked.pop(0) if unasked else await anext(iterator))
        except StopAsyncIteration:
            return
        finally:
            await _aclose(iterator)


def _outcome(make: Callable[[], object]) -> tuple[object, BaseException | None]:
    try:
        return make(), None
    except BaseException as error:  # noqa: BLE001  raised where the item is taken
        return None, error


def _close(iterator: Any) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()


async def _aclose(iterator: AsyncIterator[object]) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()
