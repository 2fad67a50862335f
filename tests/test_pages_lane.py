"""Pages on real servers: whatever hangs, everything else answers as before (SPEC 4.7, 5.1, 5.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.callers import call, calling, get, numbers, pipe, released, until, until_counted, until_waiting
from tests.conftest import MakeJob
from tests.paged import (
    FILES,
    GROUNDS,
    PAGED,
    QUICK,
    SLOTS,
    all_else_answers,
    asking,
    hold_all,
    serving,
    until_pages,
)
from tests.servers import Server


@pytest.fixture(params=GROUNDS)
def server(request: pytest.FixtureRequest, make_job: MakeJob) -> Iterator[Server]:
    # With one slot for calls, their lane has few threads: none of them may be a page's.
    folder = make_job(PAGED, files=FILES, extra={"max_concurrency": 1})
    with serving(folder, request.param) as server:
        yield server


@pytest.fixture
def pipes(tmp_path: Path) -> Iterator[list[Path]]:
    with ExitStack() as stack:
        yield [stack.enter_context(pipe(tmp_path, f"pipe{number}")) for number in range(SLOTS)]


def test_with_all_slots_held_by_pages_that_hang_everything_else_answers_and_the_line_keeps_its_order(
    server: Server, pipes: list[Path]
) -> None:
    async def scenario(port: int) -> None:
        held = await hold_all(port, pipes)
        await all_else_answers(port)
        waiting = []
        for number in range(20):
            waiting.append(await asking(port, f"/webview/{number}", "POST", b"x" * (number * 10_000)))
            await until_pages(port, "waiting", number + 1)
        for _ in range(3):
            await all_else_answers(port)
        assert (await numbers(port))["pages_began"] == SLOTS
        for number in (3, 11, 19):
            waiting[number].hang_up()
        await until_pages(port, "waiting", 17)
        # They go through this one's slot, one after the other.
        staying = [number for number in range(20) if number not in (3, 11, 19)]
        first, *answers = await released(pipes[0], (held[0], *(waiting[number] for number in staying)))
        bodies = [answer.body for answer in answers]
        assert bodies == [b"%d %d" % (SLOTS + at, 10_000 * number) for at, number in enumerate(staying)]
        assert first.status == 200
        for path, caller in zip(pipes[1:], held[1:], strict=True):
            assert [answer.status for answer in await released(path, [caller])] == [200]
        await until_pages(port, "running", 0)
        found = await until_counted(port, {"requests_done_total": 8})
        assert found["pages_began"] == SLOTS + 17
        for caller in (*held, *waiting):
            caller.hang_up()

    asyncio.run(scenario(server.port))
    server.stop()
    assert "Traceback" not in server.output


@pytest.mark.parametrize("ground", GROUNDS)
def test_with_the_line_of_the_calls_full_pages_and_files_answer(
    make_job: MakeJob, tmp_path: Path, ground: str
) -> None:
    folder = make_job(PAGED, files=FILES, extra={"max_concurrency": 1, "max_concurrency_queue": 10})

    async def scenario(port: int, path: Path) -> None:
        held = await calling(port, hold=str(path))
        await until(port, lambda found: found["pyjob_calls_running"] == 1)
        waiting = [await calling(port) for _ in range(10)]
        await until_waiting(port, 10)
        assert (await call(port)).status == 429
        for _ in range(50):
            for quick in (*QUICK, "/webview/"):
                assert (await get(port, quick)).status == 200, quick
        assert (await call(port, "/webview/x")).status == 200
        assert [answer.status for answer in await released(path, (held, *waiting))] == [200] * 11
        for caller in (held, *waiting):
            caller.hang_up()

    with serving(folder, ground) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server.port, path))


@pytest.mark.parametrize("target", ["/hang?", "/api/v1/hang?", "/pub/job/sample/latest/hang/5?"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_get_calls_that_hang_keep_nothing_else_from_answering(
    make_job: MakeJob, tmp_path: Path, ground: str, target: str
) -> None:
    async def scenario(port: int, path: Path) -> None:
        held = [await asking(port, f"{target}hold={path}") for _ in range(40)]
        await until(port, lambda found: found["pyjob_calls_running"] == 40)
        await all_else_answers(port)
        assert (await get(port, "/webview/")).status == 200
        assert [answer.status for answer in await released(path, held)] == [200] * 40
        for caller in held:
            caller.hang_up()

    with serving(make_job(PAGED, files=FILES), ground) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server.port, path))


def test_a_caller_that_leaves_a_stream_ends_it_and_frees_its_slot(server: Server) -> None:
    async def scenario(port: int) -> None:
        callers = [await asking(port, "/webview/stream") for _ in range(3)]
        await until_pages(port, "running", 3)
        await all_else_answers(port)
        for caller in callers:
            caller.hang_up()
        await until_pages(port, "closed", 3)
        await until_pages(port, "running", 0)
        assert (await get(port, "/webview/")).status == 200

    asyncio.run(scenario(server.port))


def test_a_file_that_a_page_sends_in_the_servers_own_way_comes_whole(
    server: Server, make_job: MakeJob
) -> None:
    answer = asyncio.run(get(server.port, "/webview/file"))
    assert answer.status == 200
    assert b"class Paged" in answer.body
