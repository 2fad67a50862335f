"""``async def`` methods: no thread while they wait, ended with callers and service (SPEC 1.5, 5.5)."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import json
import os
import random
import signal
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import pyjob
from pyjob.job.event_loop import LOOK_SECONDS, EventLoop, LoopTask
from pyjob.wire.results.items import LoopItems, Sign
from tests.callers import Caller, call, calling, connect, numbers, request, until, until_counted
from tests.conftest import ClientOf, MakeJob
from tests.servers import PATIENCE, Server, ask, pyjob_run, started

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
                elif how == "spoilt":
                    try:
                        await self.go_on.wait()
                    finally:
                        raise KeyError("spoilt")
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

        async def callers(self):
            await asyncio.sleep(0)
            return (self.request_context.get().headers.get("x-n") for _ in range(2))

        async def release(self):
            self.go_on = self.go_on or asyncio.Event()
            self.go_on.set()
            self.go_on = None

        def auxiliary_endpoints(self):
            return {{"/stream": self.stream, "/release": self.release, "/callers": self.callers}}

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
        # None passed the barrier before all were there. A machine that is busy takes a few threads for held
        # ones: how many there are on a quiet one is counted in benchmarks/streaming.py.
        assert max(answer.json["threads"] for answer in answers) <= before + TOGETHER // 10

    run(make_job(JOB), scenario)


def test_a_caller_who_leaves_ends_its_coroutine_and_frees_its_slot(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        caller = await open_call(server.port)
        await until(server.port, lambda found: found["entered"] == 1)
        caller.hang_up()
        # Its slot is free a moment before it is counted.
        counts = {"requests_done_total": 1, "pyjob_calls_abandoned_total": 1}
        found = await until_counted(server.port, counts)
        assert found["cancelled"] == 1
        assert found["pyjob_calls_running"] == 0
        assert found['request_internal_errors_total{endpoint="/perform"}'] == 0
        assert (await call(server.port, n=1, how="0")).json["n"] == 1

    server = run(make_job(JOB, extra={"max_concurrency": 1}), scenario)
    (line,) = [line for line in server.lines if "POST /perform -, ran" in line]
    assert "the caller left before the answer, tracing_id=" in line
    assert "Traceback" not in server.output


def test_a_clean_up_that_fails_though_nobody_hears_of_it_is_told_of(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        caller = await open_call(server.port, how="spoilt")
        await until(server.port, lambda found: found["entered"] == 1)
        caller.hang_up()
        found = await until(server.port, lambda found: found["requests_done_total"] == 1)
        assert found['request_internal_errors_total{endpoint="/perform"}'] == 1

    server = run(make_job(JOB), scenario)
    assert "/perform failed: no such key: 'spoilt'" in server.output


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


def test_a_caller_with_more_to_ask_who_leaves_a_stream_is_told_of(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        caller = await connect(server.port)
        caller.send(request("/stream") + request("/perform", how="0"))
        await caller.until(b"1")
        caller.hang_up()
        await until_counted(server.port, {"requests_done_total": 1, "pyjob_calls_abandoned_total": 1})

    server = run(make_job(JOB), scenario)
    assert "the caller left before the answer" in server.output
    assert "Traceback" not in server.output


def test_a_manifest_can_let_coroutines_run_to_their_end(make_job: MakeJob) -> None:
    async def scenario(server: Server) -> None:
        caller = await open_call(server.port)
        await until(server.port, lambda found: found["entered"] == 1)
        caller.hang_up()
        other = await open_call(server.port, path="/stream")
        await other.until(b"1")
        other.hang_up()
        # The loop has looked for callers who left several times when this one is over.
        await call(server.port, how=str(4 * LOOK_SECONDS))
        assert (await numbers(server.port))["pyjob_calls_running"] == 2
        await call(server.port, "/release")
        found = await until(server.port, lambda found: found["pyjob_calls_abandoned_total"] == 2)
        assert (found["cancelled"], found["ended"]) == (0, 3)
        assert found["pyjob_calls_running"] == 0

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
        # So has what it returns, though that is made after it has ended.
        told = await asyncio.to_thread(ask, server, "POST", "/callers", b"{}", X_N="the last")
        assert told[2] == ["the last", "the last"]

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


@pytest.mark.parametrize("is_caught", [False, True])
def test_a_time_out_inside_a_generator_strikes_while_nobody_reads(
    client_of: ClientOf, *, is_caught: bool
) -> None:
    class Job:
        def __init__(self) -> None:
            self.struck = threading.Event()

        async def perform(self) -> AsyncIterator[int]:
            try:
                async with asyncio.timeout(None) as limit:
                    asyncio.get_running_loop().call_later(0.01, self.strike, limit)
                    yield 1
                    yield 2
            except TimeoutError:
                if not is_caught:
                    raise
                yield 3
                yield 4

        def strike(self, limit: asyncio.Timeout) -> None:
            limit.reschedule(0)
            asyncio.get_running_loop().call_later(0.01, self.struck.set)

    job = Job()
    client = client_of(job)
    answer = client.post("/perform", streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"[1"
    assert job.struck.wait(PATIENCE)
    rest = b"".join(chunks)
    answer.close()
    assert rest == (b",3,4]" if is_caught else b',{"error": "TimeoutError", "type": "TimeoutError"}]')


def test_an_iterator_that_is_cancelled_between_its_items_says_so(client_of: ClientOf) -> None:
    class Job:
        def __init__(self) -> None:
            self.cancelled = threading.Event()

        def perform(self) -> Any:
            return self

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> int:
            task, loop = asyncio.current_task(), asyncio.get_running_loop()
            assert task is not None
            loop.call_later(0.01, lambda: task.cancel() and loop.call_soon(self.cancelled.set))
            return 1

    job = Job()
    client = client_of(job)
    answer = client.post("/perform", streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"[1"
    assert job.cancelled.wait(PATIENCE)
    rest = b"".join(chunks)
    answer.close()
    assert rest == b',{"error": "CancelledError", "type": "CancelledError"}]'


def test_a_stream_that_is_cancelled_before_its_first_item_is_told_of() -> None:
    event_loop = EventLoop()

    async def make() -> AsyncIterator[int]:
        yield 1

    def start(awaitable: Awaitable[Any]) -> LoopTask:
        task, over = event_loop.start(awaitable, lambda: True), threading.Event()
        task.when_done(over.set)
        assert over.wait(PATIENCE)
        return task

    items = LoopItems(make(), start)
    with pytest.raises(pyjob.JobError, match="the caller has left"):
        items.take()
    assert items.take() is Sign.END
    items.close()


def test_calls_are_looked_at_in_turns_however_many_there_are() -> None:
    event_loop, looks = EventLoop(), threading.Semaphore(0)

    def is_gone() -> bool:
        looks.release()
        return False

    began = time.monotonic()
    tasks = [event_loop.start(asyncio.sleep(10 * PATIENCE), is_gone) for _ in range(20)]
    for _ in range(5 * len(tasks)):
        assert looks.acquire(timeout=PATIENCE)
    assert time.monotonic() - began > 4 * LOOK_SECONDS
    assert event_loop.cancel_all("it is over")
    for task in tasks:
        with pytest.raises(pyjob.JobError, match="it is over"):
            task.result()
    assert not event_loop.cancel_all("it is over")


def test_a_call_that_is_over_leaves_nothing_of_its_request(client_of: ClientOf) -> None:
    class Thing:
        """May be referred to weakly."""

    class Job:
        request_extra: Any

        def __init__(self) -> None:
            self.entered = threading.Event()
            self.go_on = False
            self.thing: weakref.ref[Thing] | None = None

        async def perform(self) -> None:
            thing = self.request_extra.get()["thing"] = Thing()
            self.thing = weakref.ref(thing)

        async def stay(self) -> None:
            self.entered.set()
            while not self.go_on:
                await asyncio.sleep(0.01)

        async def first(self) -> None:
            await self.perform()
            while not self.entered.is_set():
                await asyncio.sleep(0.01)

        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/stay": self.stay, "/first": self.first}

    job = Job()
    client = client_of(job)
    first = threading.Thread(target=client.post, args=("/first",))
    first.start()
    while job.thing is None:
        time.sleep(0.01)
    # From now on there is always one that is looked at.
    staying = threading.Thread(target=client.post, args=("/stay",), daemon=True)
    staying.start()
    first.join(PATIENCE)
    gc.collect()
    assert job.thing() is None
    job.go_on = True
    staying.join(PATIENCE)
    assert not client.application.send_away()


def test_a_task_of_a_group_that_fails_while_nobody_reads_ends_the_stream(client_of: ClientOf) -> None:
    class Job:
        def __init__(self) -> None:
            self.failed = threading.Event()

        async def perform(self) -> AsyncIterator[int]:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.fail())
                yield 1
                yield 2

        async def fail(self) -> None:
            asyncio.get_running_loop().call_later(0.01, self.failed.set)
            raise OSError("one of us")

    job = Job()
    client = client_of(job)
    answer = client.post("/perform", streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"[1"
    assert job.failed.wait(PATIENCE)
    rest = b"".join(chunks)
    answer.close()
    # With no GeneratorExit among its errors.
    assert b'"unhandled errors in a TaskGroup (1 sub-exception)", "type": "ExceptionGroup"' in rest


@pytest.mark.parametrize("is_stream", [False, True])
def test_what_is_cancelled_is_no_error_of_the_job(client_of: ClientOf, *, is_stream: bool) -> None:
    class Job:
        async def perform(self) -> AsyncIterator[str]:
            yield "a"
            client.application.send_away()
            await asyncio.Event().wait()

        async def pieces(self) -> pyjob.Response:
            return pyjob.Response(self.perform(), "text/plain")

        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/pieces": self.pieces}

    client: Any = client_of(Job)
    path = "/perform" if is_stream else "/pieces"
    answer = client.post(path, streamed=True)
    chunks = answer.iter_encoded()
    assert b"a" in next(chunks)
    if is_stream:
        assert b"the service is going down" in b"".join(chunks)
    else:
        with pytest.raises(pyjob.JobError, match="the service is going down"):
            next(chunks)
    answer.close()
    assert f'request_internal_errors_total{{endpoint="{path}"}} 0.0' in client.get("/metrics").text


def test_in_process_what_is_cancelled_is_no_error_of_the_job(client_of: ClientOf) -> None:
    class Job:
        async def perform(self) -> None:
            client.application.send_away()
            await asyncio.Event().wait()

    client: Any = client_of(Job)
    with pytest.raises(pyjob.JobError, match="the service is going down"):
        client.application.call("/perform")
    assert 'request_internal_errors_total{endpoint="/perform"} 0.0' in client.get("/metrics").text


def test_what_begins_to_await_after_the_grace_is_cancelled_too(client_of: ClientOf) -> None:
    class Job:
        def __init__(self) -> None:
            self.entered = threading.Event()
            self.go_on = threading.Event()

        def perform(self) -> Any:
            self.entered.set()
            self.go_on.wait(PATIENCE)
            return asyncio.sleep(10 * PATIENCE)

    job = Job()
    client = client_of(job)
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(client.perform()))
    asking.start()
    assert job.entered.wait(PATIENCE)
    assert not client.application.close(0.01)
    job.go_on.set()
    asking.join(PATIENCE)
    assert (answers[0].status_code, answers[0].json["error"]) == (503, "the service is going down")


@pytest.mark.parametrize("ending", ["next", "close", "forget"])
def test_a_stream_of_the_loop_that_is_ended_on_the_loop_does_not_hold_it_up(
    client_of: ClientOf, ending: str
) -> None:
    class Job:
        def __init__(self) -> None:
            self.closed = threading.Event()

        async def perform(self) -> str:
            items = [await asyncio.to_thread(client.application.call, "/items")]
            await asyncio.to_thread(next, items[0])
            if ending == "forget":
                items.clear()
                return "forgotten"
            try:
                next(items[0]) if ending == "next" else items[0].close()
            except RuntimeError as error:
                return str(error)
            return ""

        async def items(self) -> AsyncIterator[int]:
            try:
                yield 1
                await asyncio.sleep(10 * PATIENCE)
            finally:
                self.closed.set()

        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/items": self.items}

    job = Job()
    client = client_of(job)
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(client.perform()), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    assert answers, "the loop is held up"
    assert ("wait for itself" in answers[0].json) is (ending != "forget")
    assert job.closed.wait(PATIENCE)


def test_a_child_looks_for_callers_who_left_though_its_parent_did(client_of: ClientOf) -> None:
    class Job:
        def __init__(self) -> None:
            self.entered = threading.Event()
            self.go_on = False

        async def perform(self) -> None:
            self.entered.set()
            while not self.go_on:
                await asyncio.sleep(0.01)

    job = Job()
    client = client_of(job)
    options: Any = {"environ_overrides": {"waitress.client_disconnected": lambda: True}}
    stays: Any = {"environ_overrides": {"waitress.client_disconnected": lambda: False}}
    asking = threading.Thread(target=client.post, args=("/perform",), kwargs=stays)
    asking.start()
    assert job.entered.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(int(PATIENCE))
            os._exit(0 if client.post("/perform", **options).status_code == 503 else 1)
        finally:
            os._exit(2)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    job.go_on = True
    asking.join(PATIENCE)
    assert ended == 0


def test_a_task_factory_that_fails_is_an_error_and_no_hang(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    class Job:
        async def perform(self) -> None:
            # As they were written before Python 3.11.
            asyncio.get_running_loop().set_task_factory(lambda loop, coro: asyncio.Task(coro, loop=loop))

        async def items(self) -> AsyncIterator[int]:
            yield 1

        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/items": self.items}

    client = client_of(Job)
    assert client.perform().status_code == 200
    items = client.application.call("/items")
    with pytest.raises(TypeError, match="context"):
        items.close()
    answer = client.perform()
    assert (answer.status_code, answer.json["type"]) == (500, "TypeError")
    assert not client.application.send_away()
    assert "Exception in callback" not in caplog.text


def test_a_coroutine_that_is_cancelled_before_it_begins_never_does() -> None:
    async def never() -> None:
        raise AssertionError("it has begun")

    event_loop, go_on = EventLoop(), threading.Event()
    event_loop.running().call_soon_threadsafe(go_on.wait, PATIENCE)
    coroutine = never()
    task = event_loop.start(coroutine, None)
    task.cancel("nobody wants it")
    go_on.set()
    with pytest.raises(pyjob.JobError, match="nobody wants it"):
        task.result()
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_a_server_that_gives_up_on_a_thread_cancels_what_it_waits_for(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Job:
        def __init__(self) -> None:
            self.entered = threading.Event()
            self.cancelled = threading.Event()

        async def perform(self) -> None:
            self.entered.set()
            try:
                await asyncio.sleep(10 * PATIENCE)
            finally:
                self.cancelled.set()

    def give_up(_: object) -> None:
        assert job.entered.wait(PATIENCE)
        raise SystemExit("the time of this worker is over")

    job = Job()
    client = client_of(job)
    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", give_up)  # what a signal does to the thread that waits there
        assert client.perform().status_code == 500
    assert job.cancelled.wait(PATIENCE)


def test_a_task_beside_the_calls_cannot_hold_up_the_loop(client_of: ClientOf) -> None:
    class Job:
        def __init__(self) -> None:
            self.told: asyncio.Future[BaseException | None] | None = None

        async def perform(self) -> None:
            self.told = asyncio.get_running_loop().create_future()
            contextvars.Context().run(asyncio.get_running_loop().call_later, 0.01, self.beside)

        def beside(self) -> None:
            assert self.told is not None
            try:
                client.application.call("/sync")
            except RuntimeError as error:
                self.told.set_result(error)
            else:
                self.told.set_result(None)

        async def ask(self) -> str:
            assert self.told is not None
            return str(await self.told)

        def sync(self) -> None:
            """Would have to wait for a slot that a coroutine may hold."""

        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/ask": self.ask, "/sync": self.sync}

    client = client_of(Job())
    client.perform()
    assert "this would wait for itself" in client.post("/ask").json


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


def test_a_loop_ends_with_its_application() -> None:
    class Job:
        async def perform(self) -> int:
            return len(asyncio.all_tasks())

    before = set(threading.enumerate())
    application = pyjob.create(Job, load="now")
    assert application.call("/perform") == 1
    (thread,) = (one for one in set(threading.enumerate()) - before if one.name == "pyjob-async")
    del application
    gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive()
