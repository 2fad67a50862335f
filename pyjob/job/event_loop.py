"""Awaiting a job's ``async def`` methods from threads (SPEC 1.5)."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from pyjob.trace import CURRENT, NONE, Trace, traced

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable


logger = logging.getLogger(__name__)


class EventLoop:
    """One asyncio loop in a daemon thread of its own, begun on first use in the process that uses it.

    Jobs may keep clients and locks that belong to a loop, so every awaitable runs on the same one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def wait_for(self, awaitable: Awaitable[Any]) -> Any:
        """Run ``awaitable`` in the caller's context and return its result, or raise what it raised.

        Raises RuntimeError where the caller runs on the loop itself, which it would hold up for ever.
        """
        import asyncio  # heavy, and most jobs have no `async def`

        if threading.current_thread() is self._thread:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("this would wait for itself: inside an `async def`, await the method instead")
        future = asyncio.run_coroutine_threadsafe(_outcome(awaitable), self.running())
        result, error = future.result()
        if error is not None:
            raise error
        return result

    def running(self) -> asyncio.AbstractEventLoop:
        """The loop of this process, begun if it has none yet."""
        import asyncio

        with self._lock:
            # Threads do not survive a fork: a child begins a loop of its own.
            if self._loop is None or self._pid != os.getpid():
                self._loop = asyncio.new_event_loop()
                self._loop.set_exception_handler(_tell)
                self._pid = os.getpid()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name="pyjob-async", daemon=True
                )
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run ``loop`` for good: a job that stops it, or exits in a task of its own, ends nobody else's call."""
    while not loop.is_closed():
        try:
            loop.run_forever()
        except BaseException:
            logger.exception("the job's event loop was interrupted, and goes on")


def _tell(loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
    """Log what asyncio has to say: of a task, this is run in its context; of anything else, in any."""
    about = told.get("task") or told.get("future") or told.get("handle")
    if hasattr(about, "get_context"):  # of tasks since Python 3.12
        loop.default_exception_handler(told)
        return
    # No id is better than a wrong one.
    with traced(Trace("", "", (CURRENT.get() or NONE).masks)):
        loop.default_exception_handler(told)


async def _outcome(awaitable: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    # As a value, because asyncio lets SystemExit and KeyboardInterrupt of a task end the whole loop.
    try:
        return await awaitable, None
    except BaseException as error:  # noqa: BLE001
        return None, error
