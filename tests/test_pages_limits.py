"""Pages where connections, threads or time run out (SPEC 5.3, 9, 10.4)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.callers import Caller, call, calling, connect, get, numbers, pipe, released, until
from tests.commands import WAYS
from tests.conftest import MakeJob
from tests.paged import FILES, PAGED, SLOTS, all_else_answers, asking, hold_all, serving, until_pages
from tests.servers import pyjob_run, started

# `pyjob run` with room for 54 connections, of which the last 16 are kept, and where nobody counts as idle.
SMALL = """
import sys
from pyjob.serving import limits, listener
limits.USUAL_CONNECTIONS = 54
listener.LEAST_PATIENCE = 3600
from pyjob.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_on_the_last_connections_pages_are_let_in_while_they_need_not_wait_and_what_is_short_always(
    make_job: MakeJob, tmp_path: Path
) -> None:
    async def scenario(port: int, path: Path) -> None:
        held = [await asking(port, f"/webview/?hold={path}") for _ in range(SLOTS - 1)]
        await until_pages(port, "running", SLOTS - 1)
        idle = [await connect(port) for _ in range(17)]
        assert (await call(port)).status == 503  # these are the last ones
        assert (await get(port, "/webview/")).status == 200
        held.append(await asking(port, f"/webview/?hold={path}"))
        await until_pages(port, "running", SLOTS)
        for method in ("GET", "POST"):
            async with await asking(port, "/webview/", method) as caller:
                answer = await caller.answer()
                assert (answer.status, answer.headers["Connection"]) == (503, "close")
                assert "too many connections" in answer.json["error"]
                assert int(answer.headers["Retry-After"]) >= 1
                assert await caller.is_closed()
        for quick in ("/live", "/metrics", "/docs", "/manifest", "/webview/static/style.css"):
            assert (await get(port, quick)).status == 200
        assert [answer.status for answer in await released(path, held)] == [200] * SLOTS
        assert (await numbers(port))["pages_began"] == SLOTS + 1
        for caller in (*held, *idle):
            caller.hang_up()
        while (await call(port)).status == 503:
            await asyncio.sleep(0)
        await all_else_answers(port)

    folder = make_job(PAGED, files=FILES)
    command = [sys.executable, "-c", SMALL, *pyjob_run(folder, "--threads", "4")[3:]]
    with started(command) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port, path))
    assert "Traceback" not in server.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_the_way_down_pages_that_run_and_wait_are_answered(
    make_job: MakeJob, tmp_path: Path, number: signal.Signals
) -> None:
    async def scenario(port: int, path: Path) -> None:
        callers = await hold_all(port, [path] * SLOTS)
        callers += [await asking(port, "/webview/", "POST", b"x" * 100_000) for _ in range(10)]
        await until_pages(port, "waiting", 10)
        server.process.send_signal(number)
        while "going down" not in server.output:
            await asyncio.sleep(0.005)
        for answer in await released(path, callers):
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
        for caller in callers:
            assert await caller.is_closed()
            caller.hang_up()

    with serving(make_job(PAGED)) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server.port, path))
        assert server.process.wait(60) == 0
    assert f"going down: {SLOTS} running, 10 waiting, 30 s left" in server.output
    assert server.output.rstrip().endswith("stopped")


def test_pages_that_outlast_the_grace_are_503(make_job: MakeJob, tmp_path: Path) -> None:
    async def scenario(port: int, path: Path) -> None:
        callers = await hold_all(port, [path] * SLOTS)
        callers += [await asking(port, "/webview/") for _ in range(5)]
        await until_pages(port, "waiting", 5)
        server.process.send_signal(signal.SIGTERM)
        for caller in callers:
            answer = await caller.answer()
            assert (answer.status, answer.json["error"]) == (503, "the service is going down")
            caller.hang_up()

    with started(pyjob_run(make_job(PAGED), "--grace", "0.2")) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port, path))
        assert server.process.wait(60) == 0
    assert "the grace is over: 32 running, 5 waiting" in server.output


FACTORY = """
import pyjob.app

def make():
    return pyjob.app.create(load="now", threads=4)
"""


def test_of_the_threads_of_gunicorn_pages_that_hang_leave_some_for_calls_and_both_one_for_probes(
    make_job: MakeJob, tmp_path: Path
) -> None:
    way = WAYS["gunicorn gthread"]
    reason = way.why_not()
    if reason is not None:
        pytest.skip(reason)

    async def no_page_but_what_is_short(port: int) -> None:
        for page in ("/webview/", "/webview/x"):
            answer = await get(port, page)
            assert (answer.status, "is kept for probes" in answer.json["error"]) == (503, True)
            assert int(answer.headers["Retry-After"]) >= 1
        for quick in ("/live", "/metrics", "/docs", "/manifest", "/webview/static/style.css"):
            assert (await get(port, quick)).status == 200

    async def all_go(held: list[Caller], path: Path) -> None:
        assert {answer.status for answer in await released(path, held)} == {200}
        for caller in held:
            caller.hang_up()

    async def scenario(port: int, path: Path, later: Path) -> None:
        held: list[Caller] = [await asking(port, f"/webview/?hold={path}")]
        await until_pages(port, "running", 1)
        await no_page_but_what_is_short(port)
        assert (await call(port)).status == 200
        held += [await calling(port, hold=str(path)) for _ in range(2)]
        await until(port, lambda found: found["pyjob_calls_running"] == 2)
        await no_page_but_what_is_short(port)
        assert (await call(port)).status == 503
        await all_go(held, path)
        await until(port, lambda found: found["pyjob_calls_running"] == found["pages_running"] == 0)
        held = [await calling(port, hold=str(later)) for _ in range(3)]
        await until(port, lambda found: found["pyjob_calls_running"] == 3)
        await no_page_but_what_is_short(port)
        await all_go(held, later)
        await until(port, lambda found: found["pyjob_calls_running"] == 0)
        assert (await get(port, "/webview/")).status == 200

    (tmp_path / "served.py").write_text(FACTORY)
    folder = make_job(PAGED, files=FILES)
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))}
    with (
        started(way.of(factory="served:make"), cwd=folder, env=environment) as server,
        pipe(tmp_path) as path,
        pipe(tmp_path, "later") as later,
    ):
        server.wait_until("/ready", 200)
        asyncio.run(scenario(server.port, path, later))
