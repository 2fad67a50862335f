"""Chain calls that are awaited: each waits in a thread of its own, and the event loop goes on."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Self

from pyjob.client.answer import Items
from pyjob.client.chain import Chained, Payload
from pyjob.client.transport.deadline import Deadline

if TYPE_CHECKING:
    import asyncio


async def call_job_coroutine(
    job: object,
    name: str,
    path: str,
    payload: Payload = None,
    version: str = "latest",
    method: str = "POST",
    timeout: float | None = 10,
) -> Any:
    """`call_job` to be awaited: as many at once as are asked for; a stream is an async iterator.

    Cancelled, it closes its connection, and the other job sees its caller leave.
    """
    chained, deadline = Chained(job, name, path, version, method), Deadline(timeout)
    value = await _awaited(lambda: chained.answer(payload, deadline).value(), deadline)
    return AsyncItems(value, deadline) if isinstance(value, Items) else value


async def stream_job_coroutine(
    job: object,
    name: str,
    path: str,
    payload: Payload = None,
    version: str = "latest",
    method: str = "POST",
    timeout: float | None = 10,
) -> AsyncItems:
    """`stream_job` to be awaited: the items of an endpoint that yields, by ``async for``."""
    chained, deadline = Chained(job, name, path, version, method), Deadline(timeout)
    return AsyncItems(await _awaited(lambda: chained.stream(payload, deadline), deadline), deadline)


class AsyncItems(AsyncIterator[Any]):
    """The items of a stream; closed, dropped or cancelled, it makes the other job stop."""

    def __init__(self, items: Items, deadline: Deadline) -> None:
        self._items = items
        self._deadline = deadline

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        item = await _awaited(lambda: next(self._items, _END), self._deadline)
        if item is _END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Read no further."""
        self._deadline.cancel()
        self._items.close()


_END = object()


async def _awaited(work: Callable[[], Any], deadline: Deadline) -> Any:
    """What ``work`` returns or raises in a thread; cancelled, the deadline ends it there.

    Not in the executor of the loop, whose few threads are also those of others.
    """
    import asyncio  # there is a loop, so that it is loaded

    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Any] = loop.create_future()

    def run() -> None:
        try:
            value, error = work(), None
        except BaseException as raised:  # noqa: BLE001  raised where it is awaited
            value, error = None, raised
        with suppress(RuntimeError):  # the loop has been closed meanwhile: nobody waits
            loop.call_soon_threadsafe(_settle, outcome, value, error)

    thread = threading.Thread(target=copy_context().run, args=(run,), name="pyjob-call", daemon=True)
    thread.start()
    try:
        return await outcome
    except asyncio.CancelledError:
        deadline.cancel()
        raise


def _settle(outcome: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if outcome.done():  # cancelled
        if isinstance(value, Items):
            value.close()
    elif error is None:
        outcome.set_result(value)
    else:
        outcome.set_exception(error)
