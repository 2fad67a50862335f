"""Many callers at once, each with a connection of its own, and jobs that they can hold."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import PATIENCE, Server

# `hold` names a pipe: the call runs until somebody opens it for writing. `ran` is who ran, in order.
HELD = """
    import threading

    class Held:
        def __init__(self):
            self.ran = []
            self.together = threading.Barrier(200)

        def perform(self, n: int = 0, hold: str = "", text: str = "", together: bool = False):
            self.ran.append(n)
            if hold:
                with open(hold) as pipe:
                    pipe.read()
            if together:
                self.together.wait(60)
            return {"n": n, "length": len(text)}

        def metrics(self):
            return [{"name": "ran", "value": len(self.ran)}]
    """


@dataclass(frozen=True)
class Answer:
    """What a caller got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """One connection with one call on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def answer(self) -> Answer:
        """The next answer on this connection."""
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.title(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["Content-Length"])
        body = await asyncio.wait_for(self._reader.readexactly(length), PATIENCE)
        return Answer(int(first.split(" ")[1]), headers, body)

    @classmethod
    async def to(cls, port: int) -> Caller:
        """One that has said nothing yet."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def until(self, text: bytes) -> bytes:
        """Head and body of the answer, up to the first ``text`` of its body."""
        return await self.read_until(b"\r\n\r\n") + await self.read_until(text)

    async def read_until(self, text: bytes) -> bytes:
        """Bytes up to ``text``."""
        return await asyncio.wait_for(self._reader.readuntil(text), PATIENCE)

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        return await self._reader.read()

    async def is_closed(self) -> bool:
        """Wait until the server has closed the connection: True, or False if it says something instead."""
        return await asyncio.wait_for(self._reader.read(1), PATIENCE) == b""

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._writer.write_eof()

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def hang_up(self) -> None:
        self._writer.transport.abort()

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()


async def connect(port: int) -> Caller:
    return await Caller.to(port)


def request(path: str = "/perform", **arguments: Any) -> bytes:
    body = json.dumps(arguments).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def calling(port: int, path: str = "/perform", **arguments: Any) -> Caller:
    """A caller whose request is on its way."""
    caller = await connect(port)
    caller.send(request(path, **arguments))
    return caller


async def call(port: int, path: str = "/perform", **arguments: Any) -> Answer:
    """One call on a connection of its own."""
    async with await calling(port, path, **arguments) as caller:
        return await caller.answer()


async def get(port: int, path: str) -> Answer:
    async with await connect(port) as caller:
        caller.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return await caller.answer()


async def numbers(port: int) -> dict[str, float]:
    """The samples of /metrics, by name and labels as they are written."""
    text = (await get(port, "/metrics")).body.decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


async def until(port: int, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """Ask for /metrics until what they say ``holds``."""
    deadline = time.monotonic() + PATIENCE
    while not holds(found := await numbers(port)):
        assert time.monotonic() < deadline, f"it does not hold: {found}"
        await asyncio.sleep(0.005)
    return found


async def until_counted(port: int, counts: Mapping[str, float]) -> dict[str, float]:
    """Ask for /metrics until they have ``counts``: an answer is out before all of its call is counted."""
    return await until(port, lambda found: counts.items() <= found.items())


async def until_waiting(port: int, count: int) -> None:
    await until(port, lambda found: found["pyjob_calls_waiting"] == count)


@contextmanager
def pipe(folder: Path, name: str = "pipe") -> Iterator[Path]:
    """A named pipe for jobs to wait at, until `release`."""
    path = folder / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    try:
        yield path
    finally:
        release(path)


def release(path: Path) -> None:
    """Let the calls go on that wait at the pipe, and those that run but have not come to it yet."""
    writing = os.open(path, os.O_RDWR)  # which waits for no reader, unlike O_WRONLY
    try:
        # Who opens it from now on finds a file that is at its end.
        (released := path.with_name(f"{path.name}.released")).touch()
        released.rename(path)
    finally:
        os.close(writing)


def knock(path: Path) -> None:
    """Let the call go on that waits at the pipe, if one has come to it: the next one waits again."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:  # nobody waits there
        return


async def released(path: Path, callers: Iterable[Caller]) -> list[Answer]:
    """The answers of ``callers`` that have waited at the pipe."""
    release(path)
    return [await caller.answer() for caller in callers]


async def hold(server: Server, path: Path, **arguments: Any) -> Caller:
    """A caller whose call runs alone, and goes on until `release`."""
    await until_counted(server.port, {"pyjob_calls_running": 0})  # one of before may be ending
    caller = await calling(server.port, hold=str(path), **arguments)
    await until_counted(server.port, {"pyjob_calls_running": 1})
    return caller
