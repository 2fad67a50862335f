"""Connections are bounded, and whoever wastes them stands in nobody's way (SPEC 5.3)."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.callers import (
    HELD,
    Answer,
    Caller,
    call,
    calling,
    connect,
    get,
    hold,
    numbers,
    pipe,
    release,
    until,
)
from tests.conftest import MakeJob
from tests.servers import Server, pyjob_run, started

# `pyjob run` with other numbers than its own: what it does after seconds is seen after less.
RUN = """
import sys
from pyjob.serving import limits, listener, server
from pyjob.serving.connection import channel
listener.LOOK_SECONDS = 0.05
listener.LEAST_PATIENCE = float(sys.argv[4])
channel.HEAD_SECONDS = float(sys.argv[1])
limits.USUAL_CONNECTIONS = int(sys.argv[2])
options = server._options
server._options = lambda application: options(application) | {"channel_timeout": int(sys.argv[3])}
from pyjob.cli import main
sys.exit(main(sys.argv[5:]))
"""


@contextmanager
def serving(
    folder: Path,
    *,
    head_seconds: float = 10.0,
    connections: int = 1000,
    channel_timeout: int = 60,
    patience: float = 0.05,
) -> Iterator[Server]:
    options = pyjob_run(folder)[4:]
    numbers = map(str, (head_seconds, connections, channel_timeout, patience))
    with started([sys.executable, "-c", RUN, *numbers, "run", *options]) as server:
        server.wait_until("/ready", 200)
        yield server


def descriptors_of(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"the system allows {hard} descriptors, the test needs {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_flood_of_calls_leaves_the_last_connections_to_probes(make_job: MakeJob, tmp_path: Path) -> None:
    async def scenario(server: Server, path: Path) -> None:
        before = descriptors_of(server)
        async with await hold(server, path) as holder:
            flood = [asyncio.create_task(call(server.port, n=n)) for n in range(1200)]
            refused, waiting = 0, 0.0
            while refused + waiting < 1200:
                assert (await get(server.port, "/live")).status == 200
                refused = sum(task.done() for task in flood)
                waiting = (await numbers(server.port))["pyjob_calls_waiting"]
            # What the log promises, and a few more where the loop has fewer sockets of its own than allowed.
            assert 949 <= waiting + 1 <= 960
            for answer in (task.result() for task in flood if task.done()):
                assert answer.status == 503
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.headers["Connection"] == "close"
                assert "too many connections" in answer.json["error"]
            release(path)
            assert (await holder.answer()).status == 200
            answers: list[Answer] = await asyncio.gather(*flood)
        assert Counter(answer.status for answer in answers) == {200: waiting, 503: refused}
        found = await until(server.port, lambda _: descriptors_of(server) <= before + 2)
        assert found['pyjob_calls_refused_total{reason="connections"}'] == refused
        assert (await call(server.port, n=1)).status == 200

    folder = make_job(HELD, extra={"max_concurrency": 1})
    # However slowly this machine sends: nobody counts as idle.
    with serving(folder, patience=3600) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server, path))
    assert "Traceback" not in server.output


HEAD = b"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"


@pytest.mark.parametrize("begun", [b"P", HEAD, HEAD + b"\r\n", HEAD + b'\r\n{"n": 1, "text": "'])
def test_a_request_that_does_not_come_to_its_end_is_408(make_job: MakeJob, begun: bytes) -> None:
    async def scenario(server: Server) -> None:
        late = [await connect(server.port) for _ in range(200)]
        for caller in late:
            caller.send(begun)
        assert (await call(server.port, n=1)).status == 200
        for caller in late:
            async with caller:
                answer = await caller.answer()
                assert (answer.status, answer.headers["Connection"]) == (408, "close")
                assert await caller.is_closed()

    with serving(make_job(HELD), head_seconds=0.2) as server:
        asyncio.run(scenario(server))


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
def test_a_body_that_breaks_off_leaves_no_file(make_job: MakeJob, tmp_path: Path, expect: str) -> None:
    # An object that collecting finds would be closed late, or never: here it never comes to that.
    code = "import gc\ngc.disable()\nclass Job:\n    def perform(self): ...\n"
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    async def scenario(server: Server) -> None:
        for _ in range(5):
            async with await connect(server.port) as caller:
                head = f"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n{expect}\r\n"
                caller.send(head.encode() + b"x" * 2_000_000)
                await asyncio.to_thread(server.wait_until_open_in, temporary)
        await asyncio.to_thread(server.assert_leaves_nothing_in, temporary)

    with started(pyjob_run(make_job(code)), env={"TMPDIR": str(temporary)}) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server))


def test_a_body_that_is_too_long_is_not_asked_for(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        async with await connect(server.port) as caller:
            caller.send(
                b"POST /perform HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n"
            )
            assert (await caller.answer()).status == 413  # and not 100

    with serving(make_job(HELD, extra={"max_body_size": "1k"})) as server:
        asyncio.run(scenario(server))


async def drip(caller: Caller, data: bytes) -> None:
    for byte in data:
        caller.send(bytes([byte]))
        await asyncio.sleep(0.01)


def test_a_head_that_drips_is_408_whatever_comes(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        async with await connect(server.port) as caller:
            dripping = asyncio.create_task(drip(caller, b"GET /live HTTP/1.1\r\nX: " + b"x" * 100_000))
            assert (await caller.answer()).status == 408
            dripping.cancel()

    with serving(make_job(HELD), head_seconds=0.2) as server:
        asyncio.run(scenario(server))


def test_a_body_that_comes_fast_enough_may_take_its_time(make_job: MakeJob) -> None:
    """At 500 bytes a second it has longer than a head, and what counts is the body's own time."""

    async def scenario(server: Server) -> None:
        text = "x" * 5000
        body = f'{{"text": "{text}"}}'.encode()
        head = f"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        async with await connect(server.port) as caller:
            caller.send(head + body[:4000])
            late = await connect(server.port)
            late.send(b"P")
            assert (await late.answer()).status == 408  # the time of a head is over
            late.hang_up()
            caller.send(body[4000:])
            assert (await caller.answer()).json["length"] == 5000

    with serving(make_job(HELD), head_seconds=0.2) as server:
        asyncio.run(scenario(server))


@pytest.mark.parametrize("begun", [b"", b"POST /perform HTT"])
def test_when_connections_run_out_those_that_wait_longest_for_a_request_are_closed(
    make_job: MakeJob, begun: bytes
) -> None:
    async def scenario(server: Server) -> None:
        idle = []
        for _ in range(300):
            caller = await connect(server.port)
            caller.send(begun)
            idle.append(caller)
            if len(idle) % 20 == 0:
                assert (await get(server.port, "/live")).status == 200
        for caller in idle[:100]:
            assert await caller.is_closed()
        # The newest are still there.
        idle[-1].send(
            (b"" if begun else b"POST /perform HTT") + b"P/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        )
        assert (await idle[-1].answer()).status in (200, 503)
        for caller in idle:
            caller.hang_up()

    folder = make_job(HELD, extra={"max_concurrency": 1})
    with serving(folder, connections=100) as server:
        asyncio.run(scenario(server))
    assert server.output.count("connections are as many as this server takes") == 1
    assert "connection limit" not in server.output


def test_a_call_that_waits_is_never_closed_for_others(make_job: MakeJob, tmp_path: Path) -> None:
    async def scenario(server: Server, path: Path) -> None:
        async with await hold(server, path) as holder, await calling(server.port, n=1) as waiting:
            await until(server.port, lambda found: found["pyjob_calls_waiting"] == 1)
            idle = [await connect(server.port) for _ in range(150)]
            assert (await numbers(server.port))["pyjob_calls_waiting"] == 1
            release(path)
            assert (await holder.answer()).status == (await waiting.answer()).status == 200
            for caller in idle:
                caller.hang_up()

    folder = make_job(HELD, extra={"max_concurrency": 1})
    with serving(folder, connections=100) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server, path))


def test_a_stream_that_nobody_reads_is_closed_and_gives_its_slot_back(make_job: MakeJob) -> None:
    code = """
        from werkzeug.wrappers import Response
        class Job:
            def perform(self, size: int):
                return Response(b"x" * 1_000_000 for _ in range(size))
        """

    async def scenario(server: Server) -> None:
        async with await calling(server.port, size=200) as caller:
            await until(server.port, lambda found: found["pyjob_calls_running"] == 1)
            caller.stop_reading()
            while await running(server.port):
                await asyncio.sleep(0.01)

    async def running(port: int) -> bool:
        try:
            return (await numbers(port))["pyjob_calls_running"] > 0
        except ConnectionError:  # on a slow machine, this one has been silent for as long
            return True

    folder = make_job(code, extra={"max_concurrency": 1})
    with serving(folder, channel_timeout=1) as server:
        asyncio.run(scenario(server))
