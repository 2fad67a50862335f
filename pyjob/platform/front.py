"""The port: each connection brings one request, for a job or for a page of our own."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from email.utils import formatdate

from pyjob.errors import JobError
from pyjob.platform.child import Child
from pyjob.platform.directory import Directory
from pyjob.platform.head import END, LARGEST, Head, head_of
from pyjob.platform.pages import Pages
from pyjob.platform.relay import PIECE, Relay, hang_up
from pyjob.wire.response import Response, error_response

# How long a head may take, in seconds, as `pyjob run` has it.
PATIENCE = 10.0
# Descriptors that are kept for other things; a connection takes two.
RESERVE = 64
MOST_CONNECTIONS = 5000
# A pause where descriptors have run out all the same, in seconds.
PAUSE = 0.1
# What a process that ends with a call takes until its end is known, in seconds.
LONGEST_END = 1.0

logger = logging.getLogger(__name__)


class Front:
    """Passes requests on to the children of a ``directory``, and answers those for ``pages``.

    It holds no thread for a request, so that jobs that call one another through it cannot wait for one.
    """

    def __init__(self, directory: Directory, pages: Pages) -> None:
        self._directory = directory
        self._pages = pages
        self._open: set[asyncio.Task[None]] = set()
        # Callers that have not asked for anything yet.
        self._idle: set[socket.socket] = set()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else (soft - RESERVE) // 2
        self._most = max(1, min(limit, MOST_CONNECTIONS))

    async def accept(self, listening: socket.socket) -> None:
        """Take connections until this is cancelled."""
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        while True:
            try:
                caller, address = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(PAUSE)
                continue
            task = loop.create_task(self._serve(caller, address[0]))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def drain(self) -> None:
        """Close the connections that have not asked for anything, and wait for the end of the others."""
        for caller in self._idle:
            with suppress(OSError):
                caller.shutdown(socket.SHUT_RD)
        if self._open:
            await asyncio.wait(self._open)

    async def cut_off(self) -> None:
        """End those that are open."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, caller: socket.socket, address: str) -> None:
        with caller:
            caller.setblocking(False)
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            method = ""
            try:
                if len(self._open) > self._most:
                    message = f"{self._most} connections are as many as this server takes"
                    raise _unavailable(message)
                found = await self._first(caller)
                if found is None:
                    return
                head, rest = found
                method = head.method
                child = await self._directory.find(head.path)
                if child is not None:
                    await self._relay(caller, child, head.forwarded(address) + rest)
                    return
                answer = await self._pages.answer(head)
            except JobError as error:
                answer = error_response(error.status, error.message, error.kind, error.headers.items())
            except Exception:
                logger.exception("a fault of the platform")
                answer = error_response(500, "a fault of the platform: its log has more")
            await _send(caller, answer, method)

    async def _first(self, caller: socket.socket) -> tuple[Head, bytes] | None:
        self._idle.add(caller)
        try:
            return await _read_head(caller)
        finally:
            self._idle.discard(caller)

    async def _relay(self, caller: socket.socket, child: Child, request: bytes) -> None:
        with await child.connect() as job:
            relay = Relay(caller, job)
            await relay.run(request)
        if relay.answered:
            await hang_up(caller)
        elif not relay.caller_has_left:
            raise await _unanswered(child)


async def _read_head(caller: socket.socket) -> tuple[Head, bytes] | None:
    """The head, and what came with it; None where the caller has gone. Raises `JobError`."""
    loop = asyncio.get_running_loop()
    data = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while END not in data:
                if len(data) > LARGEST:
                    message = f"the head is longer than {LARGEST} bytes"
                    raise JobError(431, message, kind="Request Header Fields Too Large")
                piece = await loop.sock_recv(caller, PIECE)
                if not piece:
                    return None
                # Empty lines before a request are to be ignored (RFC 9112, 2.2).
                data = (data + piece).lstrip(b"\r\n") if not data else data + piece
    except TimeoutError:
        raise JobError(408, f"no complete head in {PATIENCE:g} s", kind="Request Timeout") from None
    except OSError:
        return None
    text, _, rest = data.partition(END)
    return head_of(text), rest


async def _unanswered(child: Child) -> JobError:
    """What is told of a call that was not answered: most often its process has ended."""
    try:
        await asyncio.wait_for(child.ended.wait(), LONGEST_END)
    except TimeoutError:
        return JobError(502, f"job {child.title} closed the connection without an answer", kind="Bad Gateway")
    return JobError(502, child.told_end_and_why(), kind="Bad Gateway")


def _unavailable(message: str) -> JobError:
    return JobError(503, message, kind="Service Unavailable", headers={"Retry-After": "1"})


async def _send(caller: socket.socket, answer: Response, method: str) -> None:
    loop = asyncio.get_running_loop()
    own = (("Date", formatdate(usegmt=True)), ("Server", "pyjob"), ("Connection", "close"))
    head = _head(answer.status, (*answer.headers, *own))
    try:
        async with asyncio.timeout(PATIENCE):
            await loop.sock_sendall(caller, head if method == "HEAD" else head + answer.body)
    except (OSError, TimeoutError):
        return
    await hang_up(caller)


def _head(status: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines: Sequence[str] = (f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields))
    return "\r\n".join(lines).encode("latin-1") + END
