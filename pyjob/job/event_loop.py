"""A job's ``async def`` methods: one event loop, and what runs on it (SPEC 1.5)."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from pyjob.errors import AbandonedError
from pyjob.trace import CURRENT, NONE, Trace, traced

if TYPE_CHECKING:
    import asyncio

# How often those are looked for whose callers have left.
LOOK_SECONDS = 0.05
LEFT = "the caller has left"

logger = logging.getLogger(__name__)

Outcome = tuple[Any, BaseException | None]


class LoopTask:
    """An awaitable that runs on ``loop``, in ``context``; any thread but that of the loop may wait for it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, thread: threading.Thread | None, context: Context
    ) -> None:
        self.context = context
        self.loop = loop
        self._thread = thread
        # Its outcome is a value: a task that ends by an exception of its own choice must not end the loop.
        self._outcome: Future[Outcome] = Future()
        self._task: asyncio.Task[Outcome] | None = None
        self._cancelled_for: str | None = None

    def when_done(self, done: Callable[[], None]) -> None:
        """Call ``done`` once it is over: in the loop's thread, or here and now."""
        self._outcome.add_done_callback(lambda _: done())

    def result(self) -> Any:
        """Wait for it: what it returned, or raise what it raised; `AbandonedError` where it was cancelled.

        Raises RuntimeError in the loop's own thread, as `stay_out` does.
        """
        self.stay_out()
        try:
            result, error = self._outcome.result()
        except BaseException:  # of this thread, such as a server's time limit: nobody waits any more
            self.cancel(LEFT)
            raise
        if error is None:
            return result
        if self._cancelled_for is not None and _is_cancellation(error):
            raise AbandonedError(self._cancelled_for)
        raise error

    def stay_out(self) -> None:
        """Raises RuntimeError where the caller runs on the loop itself, which it would hold up for ever."""
        _stay_out_of(self._thread)

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._cancelled_for is not None

    def cancel(self, why: str) -> None:
        """Cancel it, if it is not over. What it does then is its own affair: it may go on."""
        self._cancelled_for = why
        self.call(self._cancel)

    def call(self, function: Callable[[], object]) -> None:
        """Call ``function`` in the loop's thread, soon."""
        self.loop.call_soon_threadsafe(function)

    def begin(self, awaitable: Awaitable[Any], done: Callable[[LoopTask], None]) -> None:
        """In the loop's thread: run, and call ``done`` at the end."""
        coroutine = _outcome(awaitable)
        try:
            self._task = self.loop.create_task(coroutine, context=self.context)
        except Exception as error:  # noqa: BLE001  of a task factory that the job has set
            _give_up(coroutine)
            _give_up(awaitable)
            done(self)
            self._outcome.set_result((None, error))
        else:
            self._task.add_done_callback(lambda task: self._end(task, awaitable, done))

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end(
        self, task: asyncio.Task[Outcome], awaitable: Awaitable[Any], done: Callable[[LoopTask], None]
    ) -> None:
        done(self)
        if task.cancelled():  # before its first step
            _give_up(awaitable)
            self._outcome.set_result((None, _cancellation()))
        else:
            self._outcome.set_result(task.result())


class EventLoop:
    """One asyncio loop in a daemon thread of its own, begun on first use in the process that uses it.

    Jobs may keep clients and locks that belong to a loop, so every awaitable runs on the same one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0
        # Of calls, and whether their callers have left, where that is to end them. Changed by the loop alone.
        self._calls: dict[LoopTask, Callable[[], bool] | None] = {}
        self._is_looking = False
        # Why `cancel_all` was called, where it was: what begins after it is cancelled, too.
        self._over_for: str | None = None

    def stay_out(self) -> None:
        """Raises RuntimeError where the caller runs on the loop itself, which it would hold up for ever."""
        _stay_out_of(self._thread)

    def wait_for(self, awaitable: Awaitable[Any]) -> Any:
        """Run ``awaitable`` in the caller's context and return its result, or raise what it raised.

        Raises RuntimeError as `stay_out` does.
        """
        return self._begin(awaitable, lambda task: task.begin(awaitable, lambda _: None)).result()

    def start(self, awaitable: Awaitable[Any], is_gone: Callable[[], bool] | None) -> LoopTask:
        """Run ``awaitable``, which is (of) a call of the job, in a copy of the caller's context.

        It is cancelled by `cancel_all`, and once ``is_gone`` says that its caller has left. Raises
        RuntimeError as `stay_out` does.
        """

        def begin(task: LoopTask) -> None:
            self._calls[task] = is_gone
            task.begin(awaitable, self._forget)
            if is_gone is not None and not self._is_looking:
                self._is_looking = True
                self._look_later(task.loop)
            if self._over_for is not None:
                task.cancel(self._over_for)

        return self._begin(awaitable, begin)

    def cancel_all(self, why: str) -> bool:
        """Cancel all that `start` has begun, or begins later; whether there was any."""
        self._over_for = why
        calls = list(self._calls)
        for task in calls:
            task.cancel(why)
        return bool(calls)

    def running(self) -> asyncio.AbstractEventLoop:
        """The loop of this process, begun if it has none yet."""
        import asyncio  # heavy, and most jobs have no `async def`

        with self._lock:
            # Threads do not survive a fork: a child begins a loop of its own.
            # One that the job has closed is lost, with all that ran on it.
            if self._loop is None or self._loop.is_closed() or self._pid != os.getpid():
                # In no context, which it would keep: that is of whatever request came first.
                self._loop = Context().run(asyncio.new_event_loop)
                self._loop.set_exception_handler(_tell)
                self._pid = os.getpid()
                self._calls, self._is_looking = {}, False
                is_over = threading.Event()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop, is_over), name="pyjob-async", daemon=True
                )
                self._thread.start()
                # With its application; not with the interpreter, which has no time for that.
                weakref.finalize(self, _end, self._loop, is_over, self._pid).atexit = False
            return self._loop

    def _begin(self, awaitable: Awaitable[Any], begin: Callable[[LoopTask], None]) -> LoopTask:
        try:
            self.stay_out()
        except RuntimeError:
            _give_up(awaitable)
            raise
        task = LoopTask(self.running(), self._thread, copy_context())
        task.call(lambda: begin(task))
        return task

    def _forget(self, task: LoopTask) -> None:
        self._calls.pop(task, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        for task, is_gone in list(self._calls.items()):
            if is_gone is not None and is_gone():
                self._calls[task] = None
                task.cancel(LEFT)
        self._is_looking = any(is_gone is not None for is_gone in self._calls.values())
        if self._is_looking:
            self._look_later(loop)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        # In no context, for the same reason as the loop.
        loop.call_later(LOOK_SECONDS, self._look, loop, context=Context())


def _run(loop: asyncio.AbstractEventLoop, is_over: threading.Event) -> None:
    """Run ``loop`` until ``is_over``: a job that stops it, or exits in a task, ends nobody else's call."""
    while not (loop.is_closed() or is_over.is_set()):
        try:
            loop.run_forever()
        except BaseException:
            logger.exception("the job's event loop was interrupted, and goes on")
    with suppress(BaseException):  # what a job has left on it
        loop.close()


def _end(loop: asyncio.AbstractEventLoop, is_over: threading.Event, pid: int) -> None:
    """Nobody can use ``loop`` any more: it gives its descriptors back."""
    if pid == os.getpid():  # a child that was forked has no thread for it
        is_over.set()
        with suppress(RuntimeError):  # closed already
            loop.call_soon_threadsafe(loop.stop)


def _tell(loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
    """Log what asyncio has to say: of a task, this is run in its context; of anything else, in any."""
    about = told.get("task") or told.get("future") or told.get("handle")
    if hasattr(about, "get_context"):  # of tasks since Python 3.12
        loop.default_exception_handler(told)
        return
    # No id is better than a wrong one.
    with traced(Trace("", "", (CURRENT.get() or NONE).masks)):
        loop.default_exception_handler(told)


def _stay_out_of(thread: threading.Thread | None) -> None:
    if threading.current_thread() is thread:
        raise RuntimeError("this would wait for itself: inside an `async def`, await the method instead")


async def _outcome(awaitable: Awaitable[Any]) -> Outcome:
    # As a value, because asyncio lets SystemExit and KeyboardInterrupt of a task end the whole loop.
    try:
        return await awaitable, None
    except BaseException as error:  # noqa: BLE001
        return None, error


def _give_up(awaitable: Awaitable[Any]) -> None:
    """Nobody will await it: a coroutine would warn of that."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()


def _cancellation() -> BaseException:
    import asyncio

    return asyncio.CancelledError()


def _is_cancellation(error: BaseException) -> bool:
    import asyncio

    return issubclass(type(error), asyncio.CancelledError)
