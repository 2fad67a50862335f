"""One request and its answer, between a thread of the server and the event loop."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any
from wsgiref.util import is_hop_by_hop

from pyjob.environment.mask import Mask
from pyjob.errors import kind_of
from pyjob.logs.failure import log_failure
from pyjob.wire.asgi.environ import ENDLESS
from pyjob.wire.asgi.protocol import Asgi, Message, Receive, Send

if TYPE_CHECKING:
    import asyncio

# Since 2.4, `send` raises where the client has left.
VERSIONS = {"version": "3.0", "spec_version": "2.5"}

logger = logging.getLogger(__name__)


class Exchange:
    """One request, as a2wsgi's application: runs the real one in a task of its own.

    So a2wsgi is done with the last byte of the answer, and holds no thread of the server for background
    tasks; errors go to the server's thread as they are; and whatever ends first, nothing waits for ever.
    """

    def __init__(
        self,
        application: Asgi,
        state: dict[str, Any],
        tasks: set[asyncio.Task[None]],
        loop: asyncio.AbstractEventLoop,
        mask: Mask,
    ) -> None:
        self.head: tuple[str, list[tuple[str, str]]]
        self._application = application
        self._state = state
        self._tasks = tasks
        self._loop = loop
        self._mask = mask
        self._error: BaseException | None = None
        # Whether the answer is complete; cancelled where the client has left.
        self._over: asyncio.Future[None] = loop.create_future()
        self._steps: set[asyncio.Future[Any]] = set()
        self._reading: asyncio.Future[Message] | None = None
        self._has_begun = self._is_whole = self._has_read = False

    # On the thread of the server:

    def begin(self, status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
        """a2wsgi's start_response. The server's is called with the first byte: until then, all may fail."""
        self.head = (status, headers)

    def chunks(self, served: Iterable[bytes], *, has_body: bool) -> Generator[bytes, None, None]:
        """Nothing, when the head is known for good; then the body."""
        head_is_due = True
        try:
            for chunk in chain(served, [b""]):
                error = self._error
                if error is not None and (head_is_due or isinstance(error, Exception)):
                    raise error
                if error is not None:  # it would end a thread of the server
                    raise RuntimeError(f"the answer ended by {kind_of(error)}") from error
                if head_is_due:
                    head_is_due = False
                    yield b""
                if chunk and has_body:
                    yield chunk
        finally:
            self._loop.call_soon_threadsafe(self._end)

    # On the loop:

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        import asyncio

        self._a2wsgi = (receive, send)
        scope.update(asgi=VERSIONS, state=self._state.copy())
        if scope["wsgi_environ"].get("CONTENT_LENGTH") == ENDLESS:
            scope["headers"] = [header for header in scope["headers"] if header[0] != b"content-length"]
        task = asyncio.create_task(self._run(scope))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if self._error is not None:
            await self._unless_over(asyncio.ensure_future(send({"type": "http.response.disconnect"})))
        for step in self._steps:
            step.cancel()

    async def _run(self, scope: Message) -> None:
        try:
            await self._application(scope, self._receive, self._send)
            if not self._over.done():
                raise RuntimeError("the web application returned before its answer was complete")
        except BaseException as error:  # noqa: BLE001  also SystemExit, which would end the loop
            if not self._over.done():
                self._error = error
            elif self._over.cancelled():
                logger.info("the web application ended by %r after its client had left", kind_of(error))
            else:
                log_failure(logger, "the web application failed after its answer", error, self._mask)

    async def _receive(self) -> Message:
        import asyncio

        while not (self._has_read or self._over.done()):
            # Kept if who waits for it is cancelled (as by `is_disconnected`): a2wsgi would lose the bytes.
            reading = self._reading = self._reading or asyncio.ensure_future(self._a2wsgi[0]())
            if await self._unless_over(reading) and self._reading is reading:
                self._reading = None
                message = reading.result()
                # Empty is the end of a body whose length was not known; a2wsgi would go on for ever.
                more = bool(message["body"]) and message["more_body"]
                self._has_read = not more
                return {**message, "more_body": more}
        await asyncio.wait({self._over})
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        import asyncio

        if self._over.done():
            raise OSError("the answer is over")
        kind = message["type"]
        if self._is_whole or kind != f"http.response.{'body' if self._has_begun else 'start'}":
            raise RuntimeError(f"the web application sent {kind!r} out of turn")
        if kind == "http.response.start":
            self._has_begun = True
            # WSGI leaves connections to the server (PEP 3333), and waitress refuses such headers.
            headers = [
                (name, value)
                for name, value in message.get("headers", ())
                if not is_hop_by_hop(name.decode("latin-1"))
            ]
            sent = {"type": kind, "status": message["status"], "headers": headers}
        else:
            self._is_whole = not message.get("more_body", False)
            sent = {"type": kind, "body": bytes(message.get("body", b"")), "more_body": not self._is_whole}
        step = asyncio.ensure_future(self._a2wsgi[1](sent))
        if self._is_whole:
            step.add_done_callback(self._end)
        if not await self._unless_over(step) and self._over.cancelled():
            raise OSError("the client has left")

    async def _unless_over(self, step: asyncio.Future[Any]) -> bool:
        """Whether ``step`` is done before the end. Not cancelled with its waiter: a2wsgi has no way back."""
        import asyncio

        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        await asyncio.wait({step, self._over}, return_when=asyncio.FIRST_COMPLETED)
        return step.done() and not step.cancelled()

    def _end(self, _step: object = None) -> None:
        if self._over.done():
            return
        if self._is_whole:
            self._over.set_result(None)
        else:
            self._over.cancel()
