"""Threads under waitress: as many as are held, and some that are always free (SPEC 5.1, 5.3)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from pyjob.gate.row import Row
from pyjob.lanes import pool as pools
from pyjob.lanes.lanes import Lanes
from pyjob.lanes.pool import Pool
from pyjob.lanes.warden import Warden
from pyjob.routing.table import Lane


class Request:
    """What waitress would bring: a channel whose first request has a method."""

    def __init__(
        self,
        method: str = "POST",
        work: Callable[[], object] = lambda: None,
        path: str = "/",
        url_prefix: str = "",
    ) -> None:
        self.requests = [self]
        self.lane: Lane = "quick"
        self.adj = SimpleNamespace(url_prefix=url_prefix)
        self.path = path
        self.command = method
        self._work = work
        self.served = threading.Event()
        self.is_cancelled = False

    def service(self) -> None:
        try:
            self._work()
        finally:
            self.served.set()

    def cancel(self) -> None:
        self.is_cancelled = True


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What a request can wait for; it is set in the end."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def warden() -> Iterator[Warden]:
    warden = Warden()
    yield warden
    warden.end()


def lanes_of(row: Row) -> Lanes:
    return Lanes(row, lambda method, path: None)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_only_reads_is_served_while_all_threads_of_the_calls_are_held(held: threading.Event) -> None:
    lanes = lanes_of(Row(2, None, None))
    calls = [Request(work=held.wait) for _ in range(50)]
    for call in calls:
        lanes.add_task(call)
    for method in ("GET", "HEAD", "OPTIONS"):
        probe = Request(method)
        lanes.add_task(probe)
        assert probe.served.wait(60)
    held.set()
    for call in calls:
        assert call.served.wait(60)
    lanes.shutdown()


def test_a_pool_grows_by_what_is_held_up_to_its_bound_and_shrinks_again(
    warden: Warden, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.1)
    pool = Pool(2, 10, warden)
    assert pool.size == 0
    for _ in range(5):
        pool.add_task(Request(work=held.wait))
    until(lambda: pool.size == 7)
    for _ in range(20):
        pool.add_task(Request(work=held.wait))
    until(lambda: pool.size == 10)
    held.set()
    until(lambda: pool.size == 2)
    pool.stop()
    until(lambda: pool.size == 0)


def test_where_requests_should_hold_no_thread_only_held_ones_are_replaced(held: threading.Event) -> None:
    class Asleep(Warden):
        def stir(self) -> None:
            """The test looks by itself."""

    def work(begun: threading.Event) -> None:
        begun.set()
        held.wait()

    sizes = {}
    for is_eager in (True, False):
        pool, begun = Pool(1, 10, Asleep(), is_eager=is_eager), threading.Event()
        for _ in range(9):
            pool.add_task(Request(work=partial(work, begun)))
        assert begun.wait(60)
        pool.adapt()
        pool.adapt()
        sizes[is_eager] = pool.size
        pool.stop()
    held.set()
    assert sizes[True] == 10
    assert sizes[False] <= 3


def test_requests_that_come_back_with_a_slot_go_first(warden: Warden, held: threading.Event) -> None:
    order: list[str] = []
    pool = Pool(1, 1, warden)
    pool.add_task(Request(work=held.wait))
    fresh = Request(work=lambda: order.append("fresh"))
    resumed = Request(work=lambda: order.append("resumed"))
    pool.add_task(fresh)
    pool.put_back(resumed)
    held.set()
    assert fresh.served.wait(60)
    assert order == ["resumed", "fresh"]
    pool.stop()


def test_a_fault_while_serving_ends_no_thread(warden: Warden, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise SystemExit(3)

    pool = Pool(1, 1, warden)
    pool.add_task(Request(work=fail))
    after = Request()
    pool.add_task(after)
    assert after.served.wait(60)
    assert "a fault of pyjob itself, or of waitress" in caplog.text
    pool.stop()


def test_a_system_without_more_threads_is_told_once_and_served_with_those_there_are(
    warden: Warden, held: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool = Pool(2, 10, warden)
    pool.add_task(Request())
    until(lambda: warden_is_awake())

    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pools.Worker, "start", refuse)
    waiting = [Request(work=held.wait) for _ in range(5)]
    for request in waiting:
        pool.add_task(request)
    until(lambda: "the system allows no more than 2 threads" in caplog.text)
    assert pool.size == 2
    held.set()
    for request in waiting:
        assert request.served.wait(60)
    assert caplog.text.count("the system allows no more than 2 threads") == 1
    pool.stop()


def warden_is_awake() -> bool:
    return any(thread.name == "pyjob-warden" for thread in threading.enumerate())


def test_what_nobody_has_begun_to_serve_is_cancelled_at_the_end(
    warden: Warden, held: threading.Event
) -> None:
    pool = Pool(1, 1, warden)
    begun = threading.Event()
    pool.add_task(Request(work=lambda: begun.set() or held.wait()))  # type: ignore[func-returns-value]
    assert begun.wait(60)
    late = [Request() for _ in range(5)]
    for request in late:
        pool.add_task(request)
    pool.stop()
    pool.join(time.monotonic())
    pool.cancel()
    assert all(request.is_cancelled for request in late)


def test_threads_take_turns_more_often_while_a_call_runs_for_long() -> None:
    usual = sys.getswitchinterval()
    row = Row(1, None, None)
    gate = row.calls
    lanes = lanes_of(row)
    ticket = gate.enter(lambda: None)
    lanes.add_task(Request())
    until(lambda: sys.getswitchinterval() < usual)
    gate.leave(ticket)
    until(lambda: sys.getswitchinterval() == usual)
    ticket = gate.enter(lambda: None)
    lanes.add_task(Request())
    until(lambda: sys.getswitchinterval() < usual)
    lanes.shutdown()
    assert sys.getswitchinterval() == usual


def test_the_warden_sleeps_when_nothing_happens_and_wakes_when_something_does(
    warden: Warden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyjob.lanes.warden.TICK", 0.001)
    looks: list[int] = []

    def look() -> bool:
        looks.append(1)
        return False

    warden.watch(look)
    assert looks == []
    for _ in range(3):
        before = len(looks)
        warden.stir()
        until(lambda before=before: len(looks) > before)  # type: ignore[misc]
        until(lambda: warden.sleeps)


def test_a_chore_that_fails_is_told_and_the_others_are_done(
    warden: Warden, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    def fail() -> bool:
        raise KeyError("x")

    def look() -> bool:
        done.set()
        return False

    warden.watch(fail)
    warden.watch(look)
    warden.stir()
    assert done.wait(60)
    assert "a fault of pyjob itself" in caplog.text


@pytest.mark.parametrize(("path", "url_prefix"), [("/slow", ""), ("//slow", ""), ("/p/slow", "/p")])
def test_the_lane_goes_by_the_path_as_the_application_will_see_it(
    held: threading.Event, path: str, url_prefix: str
) -> None:
    asked: list[tuple[str, str]] = []

    def lane_of(method: str, path: str) -> Lane | None:
        asked.append((method, path))
        return "pages"

    lanes = Lanes(Row(1, None, None), lane_of)
    request = Request("get", path=path, url_prefix=url_prefix)
    lanes.add_task(request)
    assert request.served.wait(60)
    assert asked == [("GET", "/slow")]
    lanes.shutdown()


def test_hanging_pages_hold_up_neither_calls_nor_what_is_short(held: threading.Event) -> None:
    lanes = Lanes(Row(1, None, None), lambda _, path: "pages" if path == "/page" else None)
    for _ in range(100):
        lanes.add_task(Request("GET", held.wait, "/page"))
    for method in ("GET", "POST"):
        request = Request(method)
        lanes.add_task(request)
        assert request.served.wait(60)
    held.set()
    lanes.shutdown()
