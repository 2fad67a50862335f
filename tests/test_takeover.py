"""A plain waitress is taken over at the first request, and any other is left as it is (SPEC 5.3)."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher
from werkzeug.test import Client

import pyjob
from pyjob.lanes.lanes import Lanes
from pyjob.serving.connection.channel import Channel
from tests.callers import HELD, call, calling, get, hold, pipe, release, until, until_waiting
from tests.conftest import MakeJob
from tests.servers import started


class Adder:
    def perform(self, x: int = 1, y: int = 2) -> int:
        return x + y


CAP = {"jobtype_extra": {"max_concurrency": 1}}


@contextmanager
def serving(application: Any, **options: Any) -> Iterator[Any]:
    """waitress's own server in a thread."""
    sockets: dict[int, Any] = {}
    if "listen" not in options:
        options |= {"host": "127.0.0.1", "port": 0}
    server: Any = create_server(application, map=sockets, **options)
    ended = threading.Event()

    def loop() -> None:
        while not ended.is_set():
            wasyncore.poll2(0.01, sockets)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield server
    finally:
        ended.set()
        thread.join()
        server.task_dispatcher.shutdown()
        wasyncore.close_all(sockets)


def ask(port: int) -> int:
    """The result of a call, after a first request that begins to load the job."""

    async def asking() -> int:
        while (await get(port, "/ready")).status != 200:
            pass
        result: int = (await call(port, x=20)).json
        return result

    return asyncio.run(asking())


def test_a_plain_waitress_is_taken_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving(pyjob.create(Adder, manifest=CAP)) as server:
        assert ask(server.effective_port) == 22
        assert server.channel_class is Channel
        assert isinstance(server.task_dispatcher, Lanes)
    assert "waitress serves up to 1 calls at once, the others wait" in caplog.text
    assert "hold threads" not in caplog.text


@pytest.mark.parametrize("clear", [False, True], ids=["as it is", "in waitress's own wrapper"])
def test_the_wrapper_for_proxies_is_seen_through(clear: bool) -> None:
    with serving(pyjob.create(Adder, load="now"), clear_untrusted_proxy_headers=clear) as server:
        assert ask(server.effective_port) == 22
        assert server.channel_class is Channel


def test_all_sockets_of_a_server_are_taken_over() -> None:
    application = pyjob.create(Adder)
    with serving(application, listen="127.0.0.1:0 127.0.0.1:0") as server:
        for _, port in server.effective_listen:
            assert ask(int(port)) == 22
        listening = [one for one in server.map.values() if hasattr(one, "channel_class")]
        assert [one.channel_class for one in listening] == [Channel, Channel]
        assert len({id(one.task_dispatcher) for one in listening}) == 1


def test_a_server_that_comes_later_is_taken_over_at_its_first_call() -> None:
    """After a test's client, and after another server of the same application."""
    application = pyjob.create(Adder, load="now")
    assert Client(application).get("/ready").status_code == 200
    for _ in range(2):
        with serving(application) as server:
            assert ask(server.effective_port) == 22
            assert server.channel_class is Channel


def behind(application: Any) -> Callable[..., Any]:
    return lambda environ, start_response: application(environ, start_response)


class OtherDispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    pass


class OtherChannel(HTTPChannel):  # type: ignore[misc]
    pass


@pytest.mark.parametrize("what", ["middleware", "dispatcher", "channel"])
def test_what_is_not_known_is_left_as_it_is_and_told_once(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    application: Any = pyjob.create(Adder, manifest=CAP)
    options: dict[str, Any] = {}
    if what == "dispatcher":
        options["_dispatcher"] = OtherDispatcher()
        options["_dispatcher"].set_thread_count(4)
    with serving(behind(application) if what == "middleware" else application, **options) as server:
        if what == "channel":
            server.channel_class = OtherChannel
        dispatcher = server.task_dispatcher
        assert ask(server.effective_port) == 22
        assert server.task_dispatcher is dispatcher
        assert server.channel_class is not Channel
    why = {
        "middleware": "the job stands behind another application",
        "dispatcher": "its threads are of an unknown kind",
        "channel": "its sockets are of an unknown kind",
    }
    assert caplog.text.count(f"this waitress is left as it is, since {why[what]}") == 1
    assert caplog.text.count("create(..., threads=N)") == 1


def test_behind_another_application_calls_wait_in_threads(make_job: MakeJob, tmp_path: Path) -> None:
    application = pyjob.create(make_job(HELD, extra={"max_concurrency": 1}), load="now")

    async def scenario(port: int, path: Path) -> None:
        async with await calling(port, hold=str(path)):
            await until(port, lambda found: found["pyjob_calls_running"] == 1)
            caller = await calling(port, n=1)
            await until_waiting(port, 1)
            release(path)
            assert (await caller.answer()).json["n"] == 1
            caller.hang_up()

    with serving(behind(application)) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(server.effective_port, path))


def test_numbers_that_somebody_has_chosen_are_kept() -> None:
    application = pyjob.create(Adder)
    with serving(application, threads=3, connection_limit=77) as server:
        assert ask(server.effective_port) == 22
        assert (application.gate.slots, server.adj.connection_limit) == (3, 77)
    application = pyjob.create(Adder)
    with serving(application) as server:
        assert ask(server.effective_port) == 22
        assert (application.gate.slots, server.adj.connection_limit) == (500, 460)
    application = pyjob.create(Adder)
    with serving(application, asyncore_use_poll=True) as server:
        assert ask(server.effective_port) == 22
        assert server.adj.connection_limit == 1010
    with serving(pyjob.create(Adder), connection_limit=20) as server:
        assert ask(server.effective_port) == 22  # a few of few are kept for probes, not all


def test_what_stood_in_the_queue_is_served_after_the_take_over() -> None:
    """All four threads of waitress, and more requests than those, come before anything is known."""

    async def scenario(port: int) -> None:
        answers = await asyncio.gather(*[get(port, "/live") for _ in range(50)])
        assert {answer.status for answer in answers} == {200}

    for _ in range(5):
        with serving(pyjob.create(Adder)) as server:
            asyncio.run(scenario(server.effective_port))
            assert server.channel_class is Channel


@pytest.mark.parametrize("form", [["pyjob.app:create"], ["--call", "pyjob.app:create"]])
@pytest.mark.parametrize("sockets", [1, 2])
def test_waitress_serve_still_ends_at_ctrl_c(make_job: MakeJob, form: list[str], sockets: int) -> None:
    folder = make_job(HELD, extra={"max_concurrency": 1})
    command = [sys.executable, "-m", "waitress", *["--listen", "127.0.0.1:0"] * sockets, *form]
    with started(command, cwd=folder) as server:
        server.wait_until("/ready", 200)
        assert asyncio.run(call(server.port)).status == 200
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0
    assert "Traceback" not in server.output


def test_a_connection_from_before_the_take_over_goes_on(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(HELD, extra={"max_concurrency": 1})
    command = [sys.executable, "-m", "waitress", "--listen", "127.0.0.1:0", "--call", "pyjob.app:create"]

    async def scenario(path: Path) -> None:
        # The connection of the first request of all: it keeps the blocking door.
        async with await calling(server.port) as first:
            await first.answer()
            while (await get(server.port, "/ready")).status != 200:
                pass
            async with await hold(server, path):
                first.send(b'POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{"n": 5}')
                await until_waiting(server.port, 1)
                async with await calling(server.port, n=6) as other:
                    await until_waiting(server.port, 2)
                    assert (await get(server.port, "/live")).status == 200
                    release(path)
                    assert (await first.answer()).json["n"] == 5
                    assert (await other.answer()).json["n"] == 6

    with started(command, cwd=folder) as server, pipe(tmp_path) as path:
        asyncio.run(scenario(path))
