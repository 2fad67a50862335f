"""Streams and coroutines under real servers: at once, bounded, and nothing left behind (SPEC 4.8, 5.5)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tests.callers import Caller, call, knock, numbers, until, until_counted
from tests.commands import WAYS
from tests.conftest import MakeJob
from tests.servers import PATIENCE, Server, ask, pyjob_run, started
from tests.test_every_server import Serving, serving

__all__ = ["serving"]

# The second item is made once the pipe is opened for writing.
GATED = """
    import asyncio

    def wait():
        with open("pipe") as pipe:
            pipe.read()

    class Job:
        def perform(self):
            yield "first"
            wait()
            yield "second"

        async def items(self):
            yield "first"
            await asyncio.to_thread(wait)
            yield "second"

        async def value(self, n: int):
            await asyncio.sleep(0)
            return n

        def auxiliary_endpoints(self):
            return {"/items": self.items, "/value": self.value}
    """
# Endless streams, each told of when it begins and when it has ended.
ENDLESS = """
    import asyncio
    import threading
    import time

    class Job:
        def __init__(self):
            self.lock = threading.Lock()
            self.begun = self.ended = self.made = 0

        def perform(self, size: int = 1, pause: float = 0.001):
            with self.lock:
                self.begun += 1
            try:
                while True:
                    self.made += 1
                    yield "x" * size
                    time.sleep(pause)
            finally:
                with self.lock:
                    self.ended += 1

        async def items(self, size: int = 1, pause: float = 0.001):
            with self.lock:
                self.begun += 1
            try:
                while True:
                    self.made += 1
                    yield "x" * size
                    await asyncio.sleep(pause)
            finally:
                with self.lock:
                    self.ended += 1

        def auxiliary_endpoints(self):
            return {"/items": self.items}

        def metrics(self):
            return [{"name": name, "value": getattr(self, name)} for name in ("begun", "ended", "made")]
    """
FORMATS = ["application/json", "text/event-stream", "application/x-ndjson"]


def post(path: str, accept: str, body: bytes = b"{}") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("name", WAYS)
def test_every_server_sends_an_item_before_the_next_one_is_made(
    serving: Serving, make_job: MakeJob, name: str
) -> None:
    folder = make_job(GATED)
    pipe = folder / "pipe"
    os.mkfifo(pipe)

    async def scenario(server: Server) -> None:
        for path in ("/perform", "/items"):
            for accept in FORMATS:
                async with await Caller.to(server.port) as caller:
                    caller.send(post(path, accept))
                    await caller.until(b"first")
                    rest = asyncio.create_task(caller.read_until(b"second"))
                    while not rest.done():
                        knock(pipe)  # again, where nobody waits there yet
                        await asyncio.wait([rest], timeout=0.01)
                    rest.result()

    with serving(WAYS[name], folder) as server:
        asyncio.run(scenario(server))
        assert ask(server, "POST", "/value", b'{"n": 3}')[::2] == (200, 3)
    assert "Traceback" not in server.output


def held(server: Server) -> tuple[int, int]:
    """How many threads and descriptors it has."""
    process = Path(f"/proc/{server.process.pid}")
    return len([*(process / "task").iterdir()]), len([*(process / "fd").iterdir()])


@pytest.mark.parametrize("command", ["pyjob run", "waitress-serve --call"])
def test_200_streams_that_are_dropped_midway_leave_nothing_behind(
    serving: Serving, make_job: MakeJob, command: str
) -> None:
    async def drop(server: Server, n: int) -> None:
        async with await Caller.to(server.port) as caller:
            caller.send(post("/items" if n % 2 else "/perform", FORMATS[n % 3]))
            await caller.until(b"x")

    async def scenario(server: Server) -> None:
        threads, descriptors = held(server)
        await asyncio.gather(*(drop(server, n) for n in range(200)))
        found = await until(server.port, lambda found: found["ended"] == 201)
        assert found["begun"] == 201
        found = await until(server.port, lambda found: found["pyjob_calls_abandoned_total"] == 201)
        assert found["pyjob_calls_running"] == 0
        await until(server.port, lambda found: found["requests_done_total"] == 201)
        for _ in range(int(PATIENCE / 0.05)):
            now = held(server)
            if now[0] <= threads + 1 and now[1] <= descriptors + 1:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"before: {threads} threads, {descriptors} descriptors; after: {now}")

    with serving(WAYS[command], make_job(ENDLESS)) as server:
        asyncio.run(warm_up(server))
        asyncio.run(scenario(server))
    assert "Traceback" not in server.output


async def warm_up(server: Server) -> None:
    """One stream, so that the loop has begun."""
    async with await Caller.to(server.port) as caller:
        caller.send(post("/items", FORMATS[0]))
        await caller.until(b"x")
    await until(server.port, lambda found: found["ended"] == 1)


@pytest.mark.parametrize("path", ["/perform", "/items"])
@pytest.mark.parametrize("accept", FORMATS)
def test_a_caller_who_does_not_read_stops_the_generator(make_job: MakeJob, path: str, accept: str) -> None:
    async def scenario(server: Server) -> None:
        async with await Caller.to(server.port) as caller:
            caller.stop_reading()
            caller.send(post(path, accept, b'{"size": 1000000, "pause": 0}'))
            before = -1.0
            for _ in range(int(PATIENCE / 0.2)):
                made = (await numbers(server.port))["made"]
                if made == before > 2:
                    break
                before = made
                await asyncio.sleep(0.2)
            # What waitress keeps of an answer (16 MB, most of it on disk), and what the system keeps of it.
            assert made < 40
            assert (await numbers(server.port))["pyjob_calls_running"] == 1
        found = await until(server.port, lambda found: found["ended"] == 1)
        assert found["made"] <= made + 1

    with started(pyjob_run(make_job(ENDLESS))) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server))


def test_a_stream_that_goes_on_is_not_stuck(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        async with await Caller.to(server.port) as caller:
            caller.send(post("/perform", FORMATS[1], b'{"pause": 0.01}'))
            await until(server.port, lambda found: found["pyjob_longest_call_seconds"] > 4)
            assert ask(server, "GET", "/live")[0] == 200
        async with await Caller.to(server.port) as caller:
            caller.send(post("/perform", FORMATS[1], b'{"pause": 6}'))
            await asyncio.to_thread(server.wait_until, "/live", 500)

    with started(pyjob_run(make_job(ENDLESS, extra={"stuck_after": 3}))) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server))


def test_a_stream_holds_one_of_the_slots_until_its_caller_leaves(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        async with await Caller.to(server.port) as caller:
            caller.send(post("/perform", FORMATS[0]))
            await caller.until(b"x")
            answer: Any = await call(server.port, size=1)
            assert answer.status == 429
        await until(server.port, lambda found: found["pyjob_calls_running"] == 0)

    folder = make_job(ENDLESS, extra={"max_concurrency": 1, "max_concurrency_queue": 0})
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server))


def test_one_connection_carries_streams_and_calls_one_after_the_other(make_job: MakeJob) -> None:
    code = """
        class Job:
            def perform(self, n: int):
                yield from range(n)

            def plain(self, n: int):
                return n

            def auxiliary_endpoints(self):
                return {"/plain": self.plain}
        """

    async def scenario(server: Server) -> None:
        async with await Caller.to(server.port) as caller:
            caller.send(post("/plain", "", b'{"n": 1}') + post("/perform", "", b'{"n": 3}'))
            assert (await caller.answer()).json == 1
            assert b"[0" in await caller.rest()

    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server))


def test_head_of_a_stream_is_a_head_and_no_more(make_job: MakeJob) -> None:
    code = """
        from pyjob import EndpointConfig

        class Job:
            def items(self):
                yield 1
                yield 2

            def auxiliary_endpoints_v2(self):
                return [EndpointConfig("/items", "GET", self.items)]
        """

    async def scenario(server: Server) -> None:
        async with await Caller.to(server.port) as caller:
            caller.send(b"HEAD /items HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            head, _, body = (await caller.rest()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert body == b""

    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server))


@pytest.mark.parametrize("is_async", ["false", "true"])
def test_a_caller_who_leaves_ends_a_generator_of_empty_pieces(make_job: MakeJob, is_async: str) -> None:
    code = """
        import asyncio
        import time
        import pyjob

        class Job:
            ended = 0

            def perform(self, is_async: bool):
                return pyjob.Response(self.later() if is_async else self.pieces(), "text/plain")

            def pieces(self):
                try:
                    yield b"first"
                    while True:
                        time.sleep(0.01)
                        yield b""
                finally:
                    self.ended += 1

            async def later(self):
                try:
                    yield b"first"
                    while True:
                        await asyncio.sleep(0.01)
                        yield b""
                finally:
                    self.ended += 1

            def metrics(self):
                return [{"name": "ended", "value": self.ended}]
        """

    async def scenario(server: Server) -> None:
        async with await Caller.to(server.port) as caller:
            caller.send(post("/perform", "", f'{{"is_async": {is_async}}}'.encode()))
            await caller.until(b"first")
        counts = {"ended": 1, "pyjob_calls_running": 0, "pyjob_calls_abandoned_total": 1}
        found = await until_counted(server.port, counts)
        assert found['request_internal_errors_total{endpoint="/perform"}'] == 0

    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server))
    assert "Traceback" not in server.output
