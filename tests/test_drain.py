"""The way down: nobody new, and time for those who are there (SPEC 9, 10.5)."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pyjob
from tests.callers import (
    HELD,
    Caller,
    call,
    calling,
    connect,
    get,
    hold,
    pipe,
    release,
    request,
    until_waiting,
)
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import Server, pyjob_run, started

CAP = {"max_concurrency": 1, "max_concurrency_queue": 100}
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    with started(pyjob_run(folder, *options)) as server:
        server.wait_until("/ready", 200)
        yield server


async def until_told(server: Server, text: str) -> None:
    while text not in server.output:
        await asyncio.sleep(0.005)


async def until_refused(server: Server) -> None:
    """Wait until nobody can connect any more."""
    while True:
        try:
            (await connect(server.port)).hang_up()
        except ConnectionRefusedError:
            return
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("number", SIGNALS)
def test_running_and_waiting_calls_are_answered(
    make_job: MakeJob, tmp_path: Path, number: signal.Signals
) -> None:
    async def scenario(server: Server, path: Path) -> None:
        holder = await hold(server, path)
        callers = [await calling(server.port, n=n) for n in range(100)]
        await until_waiting(server.port, 100)
        server.process.send_signal(number)
        await asyncio.wait_for(until_refused(server), 60)
        release(path)
        answers = [await caller.answer() for caller in (holder, *callers)]
        assert {answer.status for answer in answers} == {200}
        assert {answer.headers["Connection"] for answer in answers} == {"close"}
        for caller in (holder, *callers):
            assert await caller.is_closed()
            caller.hang_up()

    with serving(make_job(HELD, extra=CAP)) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server, path))
        assert server.process.wait(60) == 0
    assert "going down: 1 running, 100 waiting, 30 s left" in server.output
    assert server.output.rstrip().endswith("stopped")


def test_what_outlasts_the_grace_is_503_and_the_status_is_0(make_job: MakeJob, tmp_path: Path) -> None:
    async def scenario(server: Server, path: Path) -> None:
        callers = [await hold(server, path), *[await calling(server.port, n=n) for n in range(20)]]
        await until_waiting(server.port, 20)
        server.process.send_signal(signal.SIGTERM)
        for caller in callers:
            answer = await caller.answer()
            assert answer.status == 503
            assert answer.json == {"error": "the service is going down", "type": "Service Unavailable"}
            assert int(answer.headers["Retry-After"]) >= 1
            assert await caller.is_closed()
            caller.hang_up()

    with serving(make_job(HELD, extra=CAP), "--grace", "0.2") as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server, path))
        assert server.process.wait(60) == 0
    assert "the grace is over: 1 running, 20 waiting" in server.output
    assert "stopped, 1 calls cut off" in server.output


def test_a_second_signal_stops_at_once(make_job: MakeJob, tmp_path: Path) -> None:
    async def scenario(server: Server, path: Path) -> None:
        async with await hold(server, path) as running, await calling(server.port) as waiting:
            await until_waiting(server.port, 1)
            server.process.send_signal(signal.SIGINT)
            await asyncio.wait_for(until_told(server, "going down"), 60)
            server.process.send_signal(signal.SIGINT)
            assert [(await caller.answer()).status for caller in (running, waiting)] == [503, 503]

    with serving(make_job(HELD, extra=CAP), "--grace", "3600") as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server, path))
        assert server.process.wait(60) == 0


def test_threads_that_a_job_has_made_do_not_keep_the_process(make_job: MakeJob, tmp_path: Path) -> None:
    code = """
        from concurrent.futures import ThreadPoolExecutor
        import threading
        pool = ThreadPoolExecutor(1)
        class Job:
            def perform(self, hold: str): pool.submit(threading.Event().wait).result()
        """

    async def scenario(server: Server, path: Path) -> None:
        async with await hold(server, path) as caller:
            server.process.send_signal(signal.SIGTERM)
            assert (await caller.answer()).status == 503

    with serving(make_job(code), "--grace", "0") as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server, path))
        assert server.process.wait(60) == 0


def test_on_the_way_down_it_is_unready_for_those_who_are_still_connected(
    make_job: MakeJob, tmp_path: Path
) -> None:
    async def ask(caller: Caller, path: str) -> int:
        caller.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return (await caller.answer()).status

    async def scenario(server: Server, path: Path) -> None:
        async with await hold(server, path) as holder, await connect(server.port) as prober:
            # A request that has begun keeps its connection.
            prober.send(b"GET /ready HTTP/1.1\r\n")
            assert (await get(server.port, "/ready")).status == 200
            server.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(until_refused(server), 60)
            prober.send(b"Host: x\r\n\r\n")
            answer = await prober.answer()
            assert (answer.status, answer.json) == (500, {"ready": False})
            assert await prober.is_closed()
            release(path)
            assert (await holder.answer()).status == 200

    with serving(make_job(HELD, extra=CAP)) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server, path))
        assert server.process.wait(60) == 0


def test_with_a_delay_it_goes_on_serving_unready_first(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        server.process.send_signal(signal.SIGTERM)
        while (await get(server.port, "/ready")).status == 200:
            await asyncio.sleep(0.005)
        assert (await call(server.port, n=1)).status == 200
        assert (await get(server.port, "/live")).status == 200
        server.process.send_signal(signal.SIGTERM)

    with serving(make_job(HELD), "--drain-delay", "3600") as server:
        asyncio.run(scenario(server))
        assert server.process.wait(60) == 0
    assert "unready, still serving" in server.output


def test_who_keeps_a_connection_is_let_go_during_the_delay(make_job: MakeJob) -> None:
    """He comes back by another, which a balancer leads elsewhere, before this one is closed."""

    async def scenario(server: Server) -> None:
        async with await connect(server.port) as caller:
            caller.send(request(n=1))
            assert "Connection" not in (await caller.answer()).headers
            server.process.send_signal(signal.SIGTERM)
            while (await get(server.port, "/ready")).status == 200:
                await asyncio.sleep(0.005)
            caller.send(request(n=2))
            answer = await caller.answer()
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
            assert await caller.is_closed()
        server.process.send_signal(signal.SIGTERM)

    with serving(make_job(HELD), "--drain-delay", "3600") as server:
        asyncio.run(scenario(server))
        assert server.process.wait(60) == 0


def test_connections_without_a_request_do_not_hold_it_up(make_job: MakeJob) -> None:
    with (
        serving(make_job(HELD), "--grace", "3600") as server,
        socket.create_connection(("127.0.0.1", server.port)) as silent,
        socket.create_connection(("127.0.0.1", server.port)) as kept,
    ):
        kept.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert silent.recv(1) == kept.recv(1) == b""


def test_who_stands_in_the_backlog_is_served(make_job: MakeJob) -> None:
    with serving(make_job(HELD)) as server:
        server.process.send_signal(signal.SIGSTOP)
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        for connection in connections:
            connection.sendall(b"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        for connection in connections:
            with connection:
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert server.process.wait(60) == 0


@contextmanager
def one_running_and_one_waiting(client: JobClient, path: Path) -> Iterator[list[int]]:
    """Both in threads; the list gets the status of the one that waits."""
    gate = client.application.gate
    statuses: list[int] = []
    with pipe(path):
        running = threading.Thread(target=client.perform, kwargs={"hold": str(path / "pipe")})
        running.start()
        while gate.running < 1:
            pass
        waiting = threading.Thread(target=lambda: statuses.append(client.perform(n=1).status_code))
        waiting.start()
        while gate.waiting < 1:
            pass
        yield statuses
        release(path / "pipe")
        running.join(60)
        waiting.join(60)


def test_a_closed_application_serves_its_line_and_refuses_new_calls(
    make_job: MakeJob, client_of: ClientOf, tmp_path: Path
) -> None:
    client = client_of(make_job(HELD, extra=CAP))
    outcome: list[bool] = []
    with one_running_and_one_waiting(client, tmp_path) as statuses:
        closing = threading.Thread(target=lambda: outcome.append(client.application.close(60)))
        closing.start()
        while client.get("/ready").status_code == 200:
            pass
        refused = client.perform(n=2)
        assert refused.status_code == 503
        assert refused.json == {"error": "the service is going down", "type": "Service Unavailable"}
        assert int(refused.headers["Retry-After"]) >= 1
    closing.join(60)
    assert (statuses, outcome) == ([200], [True])
    assert client.application.state.status == "draining"


def test_close_sends_the_line_away_after_the_grace_and_says_what_still_runs(
    make_job: MakeJob, client_of: ClientOf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(make_job(HELD, extra=CAP))
    with one_running_and_one_waiting(client, tmp_path) as statuses:
        assert client.application.close(0) is False
        while not statuses:
            pass
        assert statuses == [503]
    assert "1 calls still run after 0 s" in caplog.text
    assert client.application.close(0) is True


def test_an_application_that_was_never_used_can_be_closed() -> None:
    class Job:
        def perform(self) -> int:
            return 1

    app = pyjob.create(Job)
    assert app.close() is True
    assert app.state.status == "draining"
