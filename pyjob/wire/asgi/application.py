"""An ASGI application as a WSGI one, begun in the process that serves."""

from __future__ import annotations

import atexit
import functools
import inspect
import logging
import os
import threading
from collections.abc import Coroutine, Iterable
from contextvars import Context
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from pyjob.environment.mask import Mask
from pyjob.errors import EntryPointError, PyjobError
from pyjob.job.event_loop import EventLoop
from pyjob.logs.failure import log_failure
from pyjob.trace import CURRENT, Trace
from pyjob.wire.asgi.environ import readable
from pyjob.wire.asgi.exchange import Exchange
from pyjob.wire.asgi.lifespan import Failure, Lifespan
from pyjob.wire.asgi.protocol import Asgi

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Result = TypeVar("Result")

# How long shut-down may take where nobody says.
LAST_SECONDS = 5.0

logger = logging.getLogger(__name__)


def is_asgi(application: object) -> bool:
    """Whether ``application`` is called with scope, receive and send (ASGI 3), read off its signature.

    What takes any number of arguments counts as WSGI, unless it is ``async``.
    """
    if not callable(application) or not _takes(application, 3):
        return False
    while isinstance(application, functools.partial):
        application = application.func
    call = getattr(type(application), "__call__", None)  # noqa: B004  the method is what is looked at
    return any(map(inspect.iscoroutinefunction, (application, call))) or not _takes(application, 2)


def _takes(function: Any, count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):  # ValueError: a builtin without a signature
        return False
    return True


class AsgiApplication:
    """A WSGI application around an ASGI one, which sees ``SCRIPT_NAME`` as its root_path.

    It runs on ``event_loop``. Start-up is that of the lifespan protocol, once in every process, at the first
    request or before. Raises `EntryPointError` where a2wsgi is not installed.
    """

    def __init__(self, application: Asgi, event_loop: EventLoop, mask: Mask) -> None:
        if find_spec("a2wsgi") is None:  # not imported yet: it is heavy
            raise EntryPointError(
                "webview_app returned an ASGI application, and those need a2wsgi: "
                "pip install a2wsgi (pyjob's extra `asgi`)"
            )
        self._application = application
        self._event_loop = event_loop
        self._mask = mask
        self._processes: dict[int, _Process] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request; raises what the application raises before the first byte of its answer.

        What it raises later breaks the iterable; after the last byte (background tasks) it is logged here.
        """
        from a2wsgi import ASGIMiddleware

        self.start()
        process, loop = self._process(), self._event_loop.running()
        exchange = Exchange(self._application, process.lifespan.state, process.tasks, loop, self._mask)
        served = ASGIMiddleware(exchange, loop=loop)(readable(environ), exchange.begin)
        chunks = exchange.chunks(served, has_body=environ["REQUEST_METHOD"] != "HEAD")
        next(chunks)
        try:
            start_response(*exchange.head)
        except BaseException:
            chunks.close()
            raise
        return chunks

    def start(self) -> None:
        """Run the application's start-up, unless it has run in this process; others wait for the same one.

        Raises `PyjobError` if it fails, and is tried anew by the next call: what it needs may be back by
        then. An application without lifespan is served without.
        """
        process = self._process()
        with process.lock:
            attempt = process.attempt
            begins = attempt is None
            if attempt is None:
                process.lifespan = Lifespan(self._application, self._mask)
                # In a context of its own: start-up must not see the request that happens to be the first.
                attempt = process.attempt = Context().run(self._begun, process.lifespan.start())
        failure = attempt.result()
        if failure is None:
            if begins:
                # Most servers end without a word to their applications.
                atexit.register(self.close)
            return
        with process.lock:
            if process.attempt is attempt:
                process.attempt = None
        message, cause = failure
        raise PyjobError(f"the web application did not start: {message}") from cause

    def close(self, timeout: float = LAST_SECONDS) -> None:
        """Run its shut-down, if it was started in this process, within ``timeout`` seconds. Never raises.

        What the application still does for past requests has half of the time, and is cancelled then.
        """
        atexit.unregister(self.close)
        process = self._process()
        with process.lock:
            attempt, process.attempt = process.attempt, None
        if attempt is None:
            return
        closing = Context().run(self._begun, process.end(timeout / 2))
        try:
            closing.result(timeout)
        except BaseException as error:  # noqa: BLE001
            log_failure(
                logger, f"the web application did not shut down within {timeout:g} s", error, self._mask
            )

    def _begun(self, part: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Run ``part`` of the lifespan on the loop; its records belong to no request, but are the job's."""
        import asyncio

        CURRENT.set(Trace("", "", (self._mask,)))
        return asyncio.run_coroutine_threadsafe(part, self._event_loop.running())

    def _process(self) -> _Process:
        # A child has no use for what it inherits from its parent: threads are missing, locks may be held.
        return self._processes.get(os.getpid()) or self._processes.setdefault(os.getpid(), _Process())


class _Process:
    """What one process has of an application: its lifespan, and the tasks of its requests."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.attempt: Future[Failure | None] | None = None
        self.lifespan: Lifespan
        self.tasks: set[asyncio.Task[None]] = set()  # of the loop's thread

    async def end(self, seconds: float) -> None:
        import asyncio

        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=seconds)
            for task in late:
                task.cancel()
        await self.lifespan.end(seconds)
