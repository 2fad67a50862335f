"""``async def`` methods: no thread while they wait, ended with callers and service (SPEC 1.5, 5.5)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import pyjob
from tests.callers import Caller, call, calling, numbers, until
from tests.conftest import ClientOf, MakeJob
from tests.servers import PATIENCE, Server, pyjob_run, started

TOGETHER = 500

# `go_on` ends who waits; `cancelled` and `ended` count, told by metrics.
JOB = f"""
    import asyncio
    import os
    import threading

    class Job:
        def __init__(self):
            self.go_on = None
            self.cancelled = self.ended = self.entered = 0
            self.together = asyncio.Barrier({TOGETHER})

        async def perform(self, n: int = 0, how: str = "wait"):
            self.go_on = self.go_on or asyncio.Event()
            self.entered += 1
            try:
                if how == "together":
                    await self.together.wait()
                elif how == "wait":
                    await self.go_on.wait()
                elif how == "stubborn":
                    try:
                        await self.go_on.wait()
                    except asyncio.CancelledError:
                        while not os.path.exists("let_go"):
                            await asyncio.sleep(0.01)
                else:
                    await asyncio.sleep(float(how))
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self.ended += 1
            return {{"n": n, "caller": self.request_context.get().headers.get("x-n"), "threads": threading.active_count()}}

        async def stream(self, how: str = "wait"):
            self.go_on = self.go_on or asyncio.Event()
            try:
                yield 1
                await self.go_on.wait()
                yield 2
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self.ended += 1

        async def release(self):
            self.go_on = self.go_on or asyncio.Event()
            self.go_on.set()
            self.go_on = None

        def auxiliary_endpoints(self):
            return {{"/stream": self.stream, "/release": self.release}}

        def metrics(self):
            return [{{"name": name, "value": getattr(self, name)}} for name in ("cancelled", "ended", "entered")]
    """  # noqa: E501


def threads_of(server: Server) -> int:
    return len([*Path(f"/proc/{server.process.pid}/task").iterdir()])


def descriptors_of(server: Server) -> int:
    return len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])


async def open_call(port: int, n: int = 0, how: str = "wait", path: str = "/perform") -> Caller:
    return await calling(port, path, how=how, **({"n": n} if path == "/perform" else {}))


def run(folder: Path, scenario: Any, *options: str) -> Server:
    with started(pyjob_run(folder, *options)) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server))
    return server


def test_500_coroutines_wait_at_once_without_a_thread_each(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        await call(server.port, "/release")
        before = threads_of(server)
        answers = await asyncio.gather(*(call(server.port, n=n, how="together") for n in range(TOGETHER)))
        assert sorted(answer.json["n"] for answer in answers) == [*range(TOGETHER)]
        # None passed the barrier before all were there.
        assert max(answer.json["threads"] for answer in answers) <= before + 10

    run(make_job(JOB), scenario)


def test_a_caller_who_leaves_ends_its_coroutine_and_frees_its_slot(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        caller = await open_call(server.port)
        await until(server.port, lambda found: found["entered"] == 1)
        caller.hang_up()
        found = await until(server.port, lambda found: found["pyjob_calls_running"] == 0)
        assert (found["cancelled"], found["pyjob_calls_abandoned_total"]) == (1, 1)
        assert found['request_internal_errors_total{endpoint="/perform"}'] == 0
        assert (await call(server.port, n=1, how="0")).json["n"] == 1

    server = run(make_job(JOB, extra={"max_concurrency": 1}), scenario)
    assert "POST /perform -, ran" in server.output
    assert "the caller left before the answer" in server.output
    assert "Traceback" not in server.output


def test_an_asynchronous_stream_is_ended_at_once(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        caller = await open_call(server.port, path="/stream")
        await caller.until(b"1")
        caller.hang_up()
        found = await until(server.port, lambda found: found["ended"] == 1)
        assert found["cancelled"] == 1
        await until(server.port, lambda found: found["pyjob_calls_running"] == 0)

    server = run(make_job(JOB, extra={"max_concurrency": 1}), scenario)
    assert "Traceback" not in server.output


def test_a_manifest_can_let_coroutines_run_to_their_end(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        caller = await open_call(server.port)
        await until(server.port, lambda found: found["entered"] == 1)
        caller.hang_up()
        other = await open_call(server.port, path="/stream")
        await other.until(b"1")
        other.hang_up()
        assert (await numbers(server.port))["pyjob_calls_running"] == 2
        await call(server.port, "/release")
        found = await until(server.port, lambda found: found["pyjob_calls_running"] == 0)
        assert (found["cancelled"], found["ended"]) == (0, 2)
        assert found["pyjob_calls_abandoned_total"] == 2

    run(make_job(JOB, extra={"cancel_on_disconnect": "false"}), scenario)


def test_what_takes_no_notice_of_being_cancelled_keeps_its_slot(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        caller = await open_call(server.port, how="stubborn")
        await until(server.port, lambda found: found["entered"] == 1)
        caller.hang_up()
        async with await open_call(server.port, n=2, how="0") as waiting:
            await until(server.port, lambda found: found["pyjob_calls_waiting"] == 1)
            for _ in range(20):
                found = await numbers(server.port)
                assert (found["pyjob_calls_running"], found["entered"]) == (1, 1)
            # Only its own end lets the next one in.
            (folder / "let_go").touch()
            assert (await waiting.answer()).json["n"] == 2

    folder = make_job(JOB, extra={"max_concurrency": 1})
    run(folder, scenario)


def test_coroutines_that_wait_in_line_run_in_order(make_job: MakeJob) -> None:
    code = """
        class Job:
            def __init__(self):
                self.ran = []

            async def perform(self, n: int, hold: str = ""):
                import asyncio
                self.ran.append(n)
                if hold:
                    def wait():
                        with open(hold) as pipe:
                            pipe.read()
                    await asyncio.to_thread(wait)
                return self.ran
        """
    folder = make_job(code, extra={"max_concurrency": 1})
    os.mkfifo(folder / "pipe")

    async def scenario(server: Server) -> None:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(
                await calling(server.port, n=0, hold=str(folder / "pipe"))
            )
            await until(server.port, lambda found: found["pyjob_calls_running"] == 1)
            others = []
            for n in range(1, 20):
                others.append(await stack.enter_async_context(await calling(server.port, n=n)))
                await until(server.port, lambda found, n=n: found["pyjob_calls_waiting"] == n)  # type: ignore[misc]
            os.close(await asyncio.to_thread(os.open, folder / "pipe", os.O_WRONLY))
            assert (await first.answer()).json == [0]
            for n, other in enumerate(others, 1):
                assert (await other.answer()).json == [*range(n + 1)]

    run(folder, scenario)


def test_each_coroutine_has_the_context_of_its_own_request(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        async def one(n: int) -> None:
            async with await Caller.to(server.port) as caller:
                body = json.dumps({"n": n, "how": "0.01"}).encode()
                fields = f"Host: x\r\nX-N: caller {n}\r\nContent-Length: {len(body)}"
                caller.send(f"POST /perform HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body)
                answer = await caller.answer()
                assert (answer.json["n"], answer.json["caller"]) == (n, f"caller {n}")

        await asyncio.gather(*(one(n) for n in range(100)))

    run(make_job(JOB), scenario)


def test_at_the_end_of_the_grace_coroutines_are_cancelled_and_answered(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        async with (
            await open_call(server.port) as caller,
            await open_call(server.port, path="/stream") as streaming,
        ):
            await streaming.until(b"1")
            await until(server.port, lambda found: found["pyjob_calls_running"] == 2)
            server.process.terminate()
            answer = await caller.answer()
            assert answer.status == 503
            assert answer.json["error"] == "the service is going down"
            # The stream says so too, as its last item, and ends as it should.
            rest = await streaming.rest()
            assert b'{"error": "the service is going down", "type": "Service Unavailable"}]' in rest
            assert rest.endswith(b"\r\n0\r\n\r\n")
            assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0

    server = run(make_job(JOB), scenario, "--grace", "0.2")
    assert "Traceback" not in server.output
    assert "cut off" not in server.output


def test_a_coroutine_that_ends_within_the_grace_is_answered(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        async with await open_call(server.port, how="0.3", n=5) as caller:
            await until(server.port, lambda found: found["entered"] == 1)
            server.process.terminate()
            assert (await caller.answer()).json["n"] == 5
            assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0

    run(make_job(JOB), scenario, "--grace", "20")


def test_callers_who_come_and_go_leave_nothing_behind(make_job: MakeJob) -> None:
    chance = random.Random(7)

    async def scenario(server: Server) -> None:
        await call(server.port, how="0")
        before = descriptors_of(server)

        async def one(n: int) -> None:
            how = chance.choice(["0", "0.001", "0.01", "5"])
            path = chance.choice(["/perform", "/stream"])
            caller = await open_call(server.port, n, how, path)
            await asyncio.sleep(chance.random() * 0.05)
            caller.hang_up()

        await asyncio.gather(*(one(n) for n in range(300)))
        await until(
            server.port,
            lambda found: (
                found["requests_started_total"] == found["requests_done_total"]
                and not found["pyjob_calls_running"]
                and not found["pyjob_calls_waiting"]
            ),
        )
        assert (await call(server.port, n=9, how="0")).json["n"] == 9
        assert descriptors_of(server) <= before + 1

    server = run(make_job(JOB, extra={"max_concurrency": 10}), scenario)
    assert "Traceback" not in server.output


def test_at_the_end_of_close_coroutines_are_cancelled(client_of: ClientOf) -> None:
    class Job:
        def __init__(self) -> None:
            self.entered = threading.Event()
            self.cancelled = threading.Event()

        async def perform(self) -> None:
            self.entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()

    job = Job()
    client = client_of(job)
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(client.perform()))
    asking.start()
    assert job.entered.wait(PATIENCE)
    assert client.application.close(0.01)
    asking.join(PATIENCE)
    assert job.cancelled.is_set()
    assert (answers[0].status_code, answers[0].json["error"]) == (503, "the service is going down")
    assert 'request_internal_errors_total{endpoint="/perform"} 0.0' in client.get("/metrics").text


def test_a_coroutine_that_cancels_itself_is_a_failure_of_the_job(client_of: ClientOf) -> None:
    class Job:
        async def perform(self) -> None:
            raise asyncio.CancelledError("by myself")

    answer = client_of(Job).perform()
    assert (answer.status_code, answer.json) == (500, {"error": "by myself", "type": "CancelledError"})


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopAsyncIteration()])
def test_no_exception_ends_the_loop(client_of: ClientOf, error: BaseException) -> None:
    class Job:
        async def perform(self, fails: bool) -> str:
            if fails:
                raise error
            return "fine"

    client = client_of(Job)
    assert client.perform(fails=True).status_code == 500
    assert client.perform(fails=False).json == "fine"


def test_any_awaitable_is_awaited(client_of: ClientOf) -> None:
    class Soon:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "came"

    class Job:
        def perform(self) -> Soon:
            return Soon()

    assert client_of(Job).perform().json == "came"


def test_what_a_stream_opens_and_closes_belongs_to_one_task(client_of: ClientOf) -> None:
    class Job:
        async def perform(self) -> AsyncIterator[bool]:
            me = asyncio.current_task()
            try:
                async with asyncio.timeout(60):
                    yield me is asyncio.current_task()
                    yield me is asyncio.current_task()
            finally:
                assert me is asyncio.current_task()

    assert client_of(Job).perform().json == [True, True]


def test_a_job_in_another_thread_can_be_called_while_a_coroutine_waits(client_of: ClientOf) -> None:
    class Job:
        async def perform(self, n: int) -> int:
            await asyncio.sleep(0)
            return n

    application = client_of(Job).application
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(application.call("/perform", {"n": n})))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(results) == [*range(20)]


def test_a_loop_that_waits_for_itself_says_so(client_of: ClientOf) -> None:
    class Job:
        application: pyjob.Application

        async def perform(self, n: int) -> Any:
            return self.application.call("/perform", {"n": n - 1}) if n else 0

    job = Job()
    client = client_of(job)
    job.application = client.application
    answer = client.perform(n=1)
    assert answer.status_code == 500
    assert "inside an `async def`, await the method instead" in answer.json["error"]
