"""A cap, a line and 429 on real servers of waitress: ours, and a plain waitress-serve (SPEC 5)."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.callers import (
    HELD,
    Answer,
    call,
    calling,
    connect,
    get,
    hold,
    numbers,
    pipe,
    release,
    request,
    until,
    until_counted,
    until_waiting,
)
from tests.conftest import MakeJob
from tests.servers import Server, pyjob_run, started

WAITRESS = [sys.executable, "-m", "waitress", "--listen", "127.0.0.1:0"]
LEFT = ": the caller left before the answer"
GROUNDS = ["pyjob run", "waitress-serve", "waitress-serve --call"]
CAP = {"max_concurrency": 1, "max_concurrency_queue": 100}


def command(ground: str, folder: Path, *options: str) -> list[str]:
    return {
        "pyjob run": pyjob_run(folder, *options),
        "waitress-serve": [*WAITRESS, "pyjob.app:create"],
        "waitress-serve --call": [*WAITRESS, "--call", "pyjob.app:create"],
    }[ground]


@pytest.fixture(params=GROUNDS)
def server(request: pytest.FixtureRequest, make_job: MakeJob) -> Iterator[Server]:
    """A job that runs one call at a time, with a line of 100."""
    folder = make_job(HELD, extra=CAP)
    with started(command(request.param, folder), cwd=folder) as server:
        server.wait_until("/ready", 200)
        yield server


def threads_of(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def descriptors_of(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_of_a_burst_exactly_as_many_are_accepted_as_the_line_holds(server: Server, tmp_path: Path) -> None:
    async def burst(path: Path) -> Counter[int]:
        async with await hold(server, path):
            answers = [asyncio.create_task(call(server.port, n=n)) for n in range(300)]
            refused: set[asyncio.Task[Answer]] = set()
            while len(refused) < 200:
                refused, _ = await asyncio.wait(answers, timeout=0.01)
            await until_waiting(server.port, 100)
            release(path)
            got = await asyncio.gather(*answers)
        for answer in got:
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.json == {
                    "error": "too many calls: 1 running and 100 waiting",
                    "type": "Too Many Requests",
                }
        return Counter(answer.status for answer in got)

    async def bursts() -> None:
        for number in range(20):
            with pipe(tmp_path, f"pipe{number}") as path:
                assert await burst(path) == {200: 100, 429: 200}, number
            await until(server.port, lambda found: found["pyjob_calls_running"] == 0)
        assert (await numbers(server.port))["ran"] == 20 * 101

    asyncio.run(bursts())


def test_calls_are_served_in_the_order_of_arrival_and_those_who_leave_are_never_run(
    server: Server, tmp_path: Path
) -> None:
    async def scenario(path: Path) -> None:
        leaving = {10, 11, 40, 77, 99}
        async with await hold(server, path, n=-1):
            callers = []
            for number in range(100):
                callers.append(await calling(server.port, n=number))
                await until_waiting(server.port, number + 1)
            for number in leaving:
                callers[number].hang_up()
            await until_waiting(server.port, 95)
            release(path)
            for number, caller in enumerate(callers):
                if number not in leaving:
                    assert (await caller.answer()).json["n"] == number
                caller.hang_up()
        counts = {"requests_done_total": 101, "pyjob_calls_abandoned_total": 5}
        found = await until_counted(server.port, counts)
        assert found['request_duration_count{endpoint="/perform"}'] == 96
        assert found["ran"] == 96

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))


def test_a_half_closed_caller_counts_as_gone(server: Server, tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with await hold(server, path) as holder, await calling(server.port, n=1) as caller:
            await until_waiting(server.port, 1)
            caller.half_close()
            await until_waiting(server.port, 0)
            release(path)
            assert (await holder.answer()).status == 200
        found = await until_counted(server.port, {"pyjob_calls_abandoned_total": 1})
        assert found["ran"] == 1

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))


def test_with_the_line_full_everything_else_is_answered_and_takes_no_thread(
    server: Server, tmp_path: Path
) -> None:
    async def scenario(path: Path) -> None:
        async with await hold(server, path):
            waiting = [await calling(server.port, n=n) for n in range(100)]
            await until_waiting(server.port, 100)
            for _ in range(200):
                for probe in ("/live", "/ready", "/metrics", "/docs"):
                    assert (await get(server.port, probe)).status == 200
            assert (await call(server.port)).status == 429
            assert (await call(server.port, x=1)).status == 400
            # Nine: the loop, the warden, four spare ones for calls, two for the rest, and one that is held. A
            # slow machine may have seen the need for some more, but not for one a call.
            assert threads_of(server) <= 30
            release(path)
            for caller in waiting:
                assert (await caller.answer()).status == 200
                caller.hang_up()

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))


def test_a_wrong_call_takes_no_place(server: Server, tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with await hold(server, path):
            for _ in range(3):
                assert (await call(server.port, n="x")).status == 400
                assert (await call(server.port, "/nothing")).status == 404
            assert (await numbers(server.port))["pyjob_calls_waiting"] == 0
            release(path)

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))


@pytest.mark.parametrize("size", [1000, 100_000, 2_000_000])
def test_a_call_that_waits_comes_back_with_its_arguments(server: Server, tmp_path: Path, size: int) -> None:
    async def scenario(path: Path) -> None:
        async with await hold(server, path), await calling(server.port, n=7, text="x" * size) as caller:
            await until_waiting(server.port, 1)
            release(path)
            assert (await caller.answer()).json == {"n": 7, "length": size}

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))


def test_pipelined_calls_wait_one_after_the_other(server: Server, tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with await hold(server, path), await connect(server.port) as caller:
            caller.send(request(n=1) + request(n=2))
            await until_waiting(server.port, 1)
            release(path)
            assert [(await caller.answer()).json["n"] for _ in range(2)] == [1, 2]

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))


@pytest.mark.parametrize("leave", ["hang_up", "half_close"])
def test_a_caller_that_leaves_after_pipelining_is_not_run(server: Server, tmp_path: Path, leave: str) -> None:
    async def scenario(path: Path) -> None:
        async with await hold(server, path) as holder, await connect(server.port) as caller:
            caller.send(request(n=1) + request(n=2) + request(n=3))
            await until_waiting(server.port, 1)
            getattr(caller, leave)()
            # One after the other joins the line, and leaves it.
            await until(server.port, lambda found: found["pyjob_calls_abandoned_total"] >= 1)
            await until_waiting(server.port, 0)
            release(path)
            assert (await holder.answer()).status == 200
            assert (await numbers(server.port))["ran"] == 1

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))


def test_a_caller_that_leaves_while_its_call_runs_keeps_the_slot_until_the_end(
    server: Server, tmp_path: Path
) -> None:
    async def scenario(path: Path) -> None:
        leaving = await hold(server, path)
        leaving.hang_up()
        async with await calling(server.port, n=2) as caller:
            await until_waiting(server.port, 1)
            found = await numbers(server.port)
            assert (found["ran"], found["pyjob_calls_running"]) == (1, 1)
            release(path)
            assert (await caller.answer()).json["n"] == 2
        await until_counted(server.port, {"pyjob_calls_abandoned_total": 1})

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))
    server.wait_until_told(LEFT)
    server.stop()
    left = [line for line in server.lines if line.rstrip().partition(", tracing_id")[0].endswith(LEFT)]
    assert len(left) == 1
    assert "WARNING POST /perform 200, ran " in left[0]


@pytest.mark.parametrize("ground", GROUNDS)
def test_without_a_cap_200_calls_run_at_once(make_job: MakeJob, ground: str) -> None:
    folder = make_job(HELD)

    async def scenario(port: int) -> None:
        # Each waits until 200 are there.
        answers = [asyncio.create_task(call(port, n=n, together=True)) for n in range(200)]
        assert (await get(port, "/live")).status == 200
        assert {answer.status for answer in await asyncio.gather(*answers)} == {200}

    with started(command(ground, folder), cwd=folder) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port))


def test_a_call_that_waits_too_long_is_503_and_not_run(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(HELD, extra={"max_concurrency": 1, "queue_timeout": 0.1})

    async def scenario(server: Server, path: Path) -> None:
        port = server.port
        async with await hold(server, path):
            answer = await call(port, n=1)
            assert answer.status == 503
            assert answer.json["error"] == "the call has waited for 0.1 s, the queue_timeout of this job"
            assert int(answer.headers["Retry-After"]) >= 1
            found = await numbers(port)
            assert found['pyjob_calls_refused_total{reason="queue_timeout"}'] == 1
            assert (found["ran"], found["requests_done_total"]) == (1, 1)
            release(path)

    with started(pyjob_run(folder)) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server, path))


def test_a_stuck_call_turns_live_500_until_it_ends(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(HELD, extra={"stuck_after": 0.05})

    async def scenario(server: Server, path: Path) -> None:
        port = server.port
        assert (await get(port, "/live")).status == 200
        async with await hold(server, path):
            found = await until(port, lambda found: found["pyjob_longest_call_seconds"] > 0.05)
            assert found["pyjob_calls_running"] == 1
            answer = await get(port, "/live")
            assert (answer.status, answer.json["live"]) == (500, False)
            assert "longer than stuck_after (0.05 s)" in answer.json["error"]
            assert (await get(port, "/health")).json["status"] == "fail"
            assert (await get(port, "/ready")).status == 200
            release(path)
        await until(port, lambda found: found["pyjob_calls_running"] == 0)
        assert (await get(port, "/live")).status == 200

    with started(pyjob_run(folder)) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server, path))


def test_a_caller_that_never_reads_its_answer_holds_no_slot(make_job: MakeJob) -> None:
    code = "class Job:\n    def perform(self, size: int): return b'x' * size\n"
    folder = make_job(code, extra={"max_concurrency": 1})

    async def scenario(port: int) -> None:
        lazy = [await calling(port, size=30_000_000) for _ in range(3)]
        await until(port, lambda found: found["requests_done_total"] == 3)
        assert (await call(port, size=1)).body == b"x"
        for caller in lazy:
            caller.hang_up()

    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port))


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"max_concurrency": 1}, "any number of calls may wait, but this server can hold 949"),
        ({"max_concurrency": 9, "max_concurrency_queue": 10_000}, "10000 calls wait, but this server"),
        ({"max_concurrency": 1, "max_concurrency_queue": 949}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_a_line_longer_than_the_server_can_hold_is_told_once(
    make_job: MakeJob, extra: dict[str, object], told: str | None
) -> None:
    with started(pyjob_run(make_job(HELD, extra=extra))) as server:
        server.wait_until("/ready", 200)
    assert server.output.count("this server can hold") == (told is not None)
    assert (told or "") in server.output


def test_no_more_calls_run_than_threads_are_allowed(make_job: MakeJob, tmp_path: Path) -> None:
    async def scenario(server: Server, path: Path) -> None:
        async with await hold(server, path), await calling(server.port, n=1) as caller:
            await until_waiting(server.port, 1)
            release(path)
            assert (await caller.answer()).status == 200

    with started(pyjob_run(make_job(HELD), "--threads", "1")) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server, path))


def test_descriptors_come_back_after_callers_have_left_the_line(server: Server, tmp_path: Path) -> None:
    async def scenario(path: Path) -> None:
        async with await hold(server, path):
            before = descriptors_of(server)
            # Bodies of this size wait in files.
            waiting = [await calling(server.port, text="x" * 700_000) for _ in range(20)]
            await until_waiting(server.port, 20)
            assert descriptors_of(server) >= before + 20
            for caller in waiting:
                caller.hang_up()
            # Nobody asks for metrics meanwhile, which would look for them, too.
            while descriptors_of(server) > before + 1:
                await asyncio.sleep(0.01)
            release(path)

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))
