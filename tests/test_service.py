"""What a server meets in its life: forks, full tables, sockets handed on, odd answers (SPEC 5, 9)."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.callers import HELD, call, calling, connect, get, hold, pipe, release, until, until_waiting
from tests.conftest import ClientOf, MakeJob
from tests.servers import PATIENCE, pyjob_run, started


def test_processes_that_a_job_has_forked_end_at_sigterm(make_job: MakeJob) -> None:
    code = """
        import multiprocessing, threading
        class Job:
            def perform(self):
                fork = multiprocessing.get_context("fork")
                lives = fork.Event()
                child = fork.Process(target=lambda: (lives.set(), threading.Event().wait()), daemon=True)
                child.start()
                lives.wait(60)
                child.terminate()
                child.join(60)
                return child.exitcode
        """
    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/ready", 200)
        assert asyncio.run(call(server.port)).json == -signal.SIGTERM
        assert server.stop() == 0


def test_signals_do_in_a_forked_process_what_they_did_before(make_job: MakeJob) -> None:
    code = """
        import multiprocessing, signal
        def told(pipe):
            pipe.send([str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)])
            pipe.send(signal.set_wakeup_fd(-1))
        class Job:
            def perform(self):
                fork = multiprocessing.get_context("fork")
                ours, theirs = fork.Pipe()
                child = fork.Process(target=told, args=(theirs,))
                child.start()
                handlers, descriptor = ours.recv(), ours.recv()
                child.join()
                return [*handlers, descriptor]
        """
    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/ready", 200)
        of_term, of_int, descriptor = asyncio.run(call(server.port)).json
        assert (of_term, descriptor) == (str(signal.SIG_DFL), -1)
        assert "default_int_handler" in of_int


def ask_unix(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET /live HTTP/1.0\r\n\r\n")
        return connection.makefile("rb").readline()


def test_a_unix_socket_is_left_to_the_successor(make_job: MakeJob, tmp_path: Path) -> None:
    path = tmp_path / "job.socket"
    command = [sys.executable, "-m", "pyjob", "run", str(make_job(HELD)), "--unix-socket", str(path)]

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert any("is ready" in line for line in process.stdout)
        return process

    first = start()
    with socket.socket(socket.AF_UNIX) as begun:
        # A request that has begun keeps the first one alive.
        begun.connect(str(path))
        begun.sendall(b"GET /live HTTP/1.0\r\n")
        assert ask_unix(path).startswith(b"HTTP/1.0 200")
        first.send_signal(signal.SIGTERM)
        while path.exists():
            pass
        second = start()
        begun.sendall(b"\r\n")
        assert begun.makefile("rb").readline().startswith(b"HTTP/1.0 200")
    assert first.wait(PATIENCE) == 0
    assert ask_unix(path).startswith(b"HTTP/1.0 200")
    second.terminate()
    assert second.wait(PATIENCE) == 0
    assert not path.exists()
    for process in (first, second):
        assert process.stdout is not None
        process.stdout.close()


def test_without_descriptors_idle_connections_make_room_and_the_log_stays_short(make_job: MakeJob) -> None:
    code = """
        class Job:
            def __init__(self): self.files = [open(__file__) for _ in range(95)]
            def perform(self): return 1
        """
    command = ["sh", "-c", 'ulimit -n 120; exec "$@"', "sh", *pyjob_run(make_job(code))]

    async def scenario(port: int) -> None:
        idle = [await connect(port) for _ in range(100)]
        for _ in range(3):
            assert (await get(port, "/live")).status == 200
        for caller in idle:
            caller.hang_up()

    with started(command) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port))
        assert len(server.lines) < 30
    assert "for want of descriptors (ulimit -n)" in server.output


def test_an_answer_of_unknown_length_ends(make_job: MakeJob) -> None:
    code = """
        from werkzeug.wrappers import Response
        class Unmeasured(Response):
            automatically_set_content_length = False
        class Job:
            def perform(self): return Unmeasured("abc")
        """
    request = b"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/ready", 200)
        for version in (b"1.1", b"1.0"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
                connection.sendall(request.replace(b"1.1", version))
                answer = connection.makefile("rb").read() if version == b"1.0" else connection.recv(65536)
        assert b"abc" in answer
        assert b"Content-Length: 3" in answer or b"chunked" in answer or version == b"1.0"


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "KeyError"])
def test_a_stream_that_breaks_closes_its_connection(make_job: MakeJob, error: str) -> None:
    code = f"""
        from werkzeug.wrappers import Response
        class Job:
            def perform(self):
                def items():
                    yield b"abc"
                    raise {error}
                return Response(items())
        """

    async def scenario(port: int) -> None:
        async with await calling(port) as caller:
            assert await asyncio.wait_for(caller.rest(), PATIENCE) != b""
        found = await until(port, lambda found: found["requests_done_total"] == 1)
        assert found['request_internal_errors_total{endpoint="/perform"}'] == 1
        assert found["pyjob_calls_running"] == 0

    with started(pyjob_run(make_job(code), "--grace", "3600")) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port))
        assert server.stop() == 0
    assert "/perform failed" in server.output


def test_metrics_of_a_job_that_hang_hold_one_scrape(client_of: ClientOf) -> None:
    asked, answered = threading.Event(), threading.Event()

    class Job:
        def perform(self) -> None: ...

        def metrics(self) -> list[dict[str, Any]]:
            asked.set()
            answered.wait(60)
            return [{"name": "slow", "value": 1}]

    client = client_of(Job)
    first = threading.Thread(target=client.get, args=("/metrics",))
    first.start()
    assert asked.wait(60)
    assert "slow" not in client.get("/metrics").text
    answered.set()
    first.join()
    assert "slow 1.0" in client.get("/metrics").text


def test_who_asks_on_without_reading_loses_the_connection_and_holds_no_thread(make_job: MakeJob) -> None:
    code = "class Job:\n    def perform(self, size: int = 1): return b'x' * size\n"
    body = b'{"size": 30000000}'
    twice = 2 * (b"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async def scenario(port: int) -> None:
        lazy = [await connect(port) for _ in range(8)]
        for caller in lazy:
            caller.stop_reading()
            caller.send(twice)
        await until(port, lambda found: found["requests_done_total"] >= 8)
        assert (await call(port)).body == b"x"
        for caller in lazy:
            caller.hang_up()

    with started(pyjob_run(make_job(code, extra={"max_concurrency": 1}))) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port))


def test_what_the_job_passes_its_environ_on_to_cannot_park_the_request(make_job: MakeJob) -> None:
    code = """
        import pyjob
        from werkzeug.test import run_wsgi_app
        class Inner:
            def perform(self): return "inner"
        inner = pyjob.create(Inner, manifest={"jobtype_extra": {"max_concurrency": 1}}, load="now")
        class Job:
            def perform(self):
                environ = self.request_context.get().environ
                ticket = inner.gate.enter(lambda: None)
                import threading
                threading.Timer(0.05, inner.gate.leave, [ticket]).start()
                environ["wsgi.input"].seek(0)
                body, status, _ = run_wsgi_app(inner, environ)
                return [status, b"".join(body).decode()]
        """

    async def scenario(port: int) -> None:
        assert (await call(port)).json == ["200 OK", '"inner"']

    with started(pyjob_run(make_job(code, extra={"entrypoint_class": "Job"}))) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port))


def test_a_call_behind_one_that_waits_is_not_late(make_job: MakeJob, tmp_path: Path) -> None:
    """Its head has come in part, and it is the server that does not read on."""

    async def scenario(port: int, path: Path) -> None:
        async with await hold(server, path), await connect(port) as caller:
            one = b'POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{"n": 1}'
            caller.send(one + one + one[:20])
            await until_waiting(port, 1)
            late = await connect(port)
            late.send(b"P")
            assert (await late.answer()).status == 408
            late.hang_up()
            release(path)
            assert [(await caller.answer()).status for _ in range(2)] == [200, 200]
            caller.send(one[20:])
            assert (await caller.answer()).status == 200

    run = "import sys; from pyjob.serving.connection import channel; channel.HEAD_SECONDS = 0.2; "
    command = [sys.executable, "-c", run + "from pyjob import cli; sys.exit(cli.main())"]
    folder = make_job(HELD, extra={"max_concurrency": 1})
    with started([*command, *pyjob_run(folder)[3:]]) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port, path))


def test_urgent_data_closes_the_connection_and_nothing_spins(make_job: MakeJob, tmp_path: Path) -> None:
    async def scenario(port: int, path: Path) -> None:
        async with await hold(server, path):
            urgent = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            with urgent:
                urgent.sendall(b"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                await until_waiting(port, 1)
                urgent.send(b"!", socket.MSG_OOB)
                await until_waiting(port, 0)
            release(path)

    folder = make_job(HELD, extra={"max_concurrency": 1})
    with started(pyjob_run(folder)) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port, path))
    assert "urgent" not in server.output
    assert "priority event" not in server.output


def test_a_path_cannot_forge_a_line_of_the_log(make_job: MakeJob) -> None:
    code = """
        import time
        class Job:
            def perform(self):
                has_left = self.request_context.get().environ["waitress.client_disconnected"]
                while not has_left():
                    time.sleep(0.001)
        """

    async def scenario(port: int) -> None:
        async with await connect(port) as caller:
            forged = "/pub/job/a%0d%0a[2030-01-01%2000:00:00]%20INFO%20FORGED%1b[31m/1/perform"
            caller.send(f"POST {forged} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            await until(port, lambda found: found["pyjob_calls_running"] == 1)
        await until(port, lambda found: found["pyjob_calls_running"] == 0)

    with started(pyjob_run(make_job(code)), env={"LOG_LEVEL": "debug"}) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port))
        server.stop()
    assert "FORGED" in server.output
    assert not any(line.startswith("[2030") or "\x1b" in line for line in server.lines)


@pytest.mark.parametrize("how", ["asyncio.get_running_loop().stop()", "asyncio.create_task(leave())"])
def test_the_loop_of_async_methods_outlives_what_a_job_does_to_it(client_of: ClientOf, how: str) -> None:
    source = f"""
import asyncio
async def leave():
    raise SystemExit(3)
tasks = []
class Job:
    async def perform(self, harm: bool = False):
        if harm:
            tasks.append({how})
        return 1
"""
    names: dict[str, Any] = {}
    exec(source, names)
    client = client_of(names["Job"])
    for _ in range(3):
        assert client.perform(harm=True).json == 1
        assert client.perform().json == 1
    for task in names["tasks"]:
        assert task is None or isinstance(task.exception(), SystemExit)
