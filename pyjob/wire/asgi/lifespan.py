"""Start-up and shut-down of an ASGI application; a2wsgi has neither."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pyjob.environment.mask import Mask
from pyjob.errors import kind_of, message_of
from pyjob.logs.failure import log_failure
from pyjob.wire.asgi.protocol import Asgi, Message

if TYPE_CHECKING:
    import asyncio

VERSIONS = {"version": "3.0", "spec_version": "2.0"}
ANSWERS = frozenset(
    f"lifespan.{phase}.{end}" for phase in ("startup", "shutdown") for end in ("complete", "failed")
)
# How long an application that has said that it cannot start may take to raise the reason.
AFTERTHOUGHT = 1.0

# What it says, and the error behind it.
Failure = tuple[str, BaseException | None]

logger = logging.getLogger(__name__)


class Lifespan:
    """One run of the lifespan protocol (https://asgi.readthedocs.io/en/latest/specs/lifespan.html)."""

    def __init__(self, application: Asgi, mask: Mask) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._mask = mask
        self._is_up = self._has_listened = False
        self._error: BaseException | None = None

    async def start(self) -> Failure | None:
        """The reason why it did not start, or nothing."""
        import asyncio

        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._task = asyncio.create_task(self._run())
        answer = await self._ask("startup", None)
        if answer is not None and not answer["type"].endswith(".failed"):
            self._is_up = True
            return None
        if answer is not None:
            # Starlette's own message is a traceback; the error that it raises next says the same in a line.
            await asyncio.wait({self._task}, timeout=AFTERTHOUGHT)
            self._task.cancel()
        elif self._error is None or not self._has_listened:
            return None  # it does not know the protocol, as uvicorn's "auto" has it
        if self._error is None:
            return str((answer or {}).get("message") or "it gave no reason"), None
        return f"{kind_of(self._error)}: {message_of(self._error)}", self._error

    async def end(self, seconds: float) -> None:
        if self._is_up and not self._task.done():
            answer = await self._ask("shutdown", seconds)
            self._is_up = False
            if answer is not None and answer["type"].endswith(".failed"):
                logger.error("the web application's shut-down failed: %s", answer.get("message", ""))
            elif not (answer or self._task.done()):
                logger.error("the web application's shut-down took longer than %g s", seconds)
        self._task.cancel()

    async def _ask(self, phase: str, seconds: float | None) -> Message | None:
        import asyncio

        self._answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait({"type": f"lifespan.{phase}"})
        ways: set[asyncio.Future[Any]] = {self._task, self._answer}
        await asyncio.wait(ways, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return self._answer.result() if self._answer.done() else None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": VERSIONS, "state": self.state}
        try:
            await self._application(scope, self._receive, self._send)
        except BaseException as error:  # noqa: BLE001  also SystemExit, which would end the loop
            self._error = error
            if self._is_up:
                log_failure(logger, "the web application's lifespan ended with an error", error, self._mask)

    async def _receive(self) -> Message:
        self._has_listened = True
        return await self._inbox.get()

    async def _send(self, message: Message) -> None:
        if message["type"] not in ANSWERS:
            self._has_listened = False  # it takes this for a request
            raise RuntimeError(f"{message['type']!r} is no answer to a lifespan message")
        if not self._answer.done():
            self._answer.set_result(message)
