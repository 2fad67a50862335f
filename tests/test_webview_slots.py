"""Pages are no calls: they have slots, a context and numbers of their own (SPEC 1.4, 4.7, 5, 6)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

import pyjob
from tests.conftest import ClientOf, JobClient
from tests.servers import PATIENCE
from tests.views import BASE, HTML, Viewed, echo

NO_LINE = {"jobtype_extra": {"max_concurrency": 1, "max_concurrency_queue": 0}}


def samples(client: JobClient) -> list[str]:
    return [
        line for line in client.get("/metrics").text.splitlines() if line.startswith(("pyjob", "request"))
    ]


def html(start_response: Any, text: str) -> list[bytes]:
    start_response("200 OK", HTML)
    return [text.encode()]


def test_pages_are_not_counted_as_calls_neither_while_they_run_nor_after(client_of: ClientOf) -> None:
    inside: list[list[str]] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        inside.append(samples(client))
        assert (client.application.gate.running, client.application.gates.pages.running) == (0, 1)
        if environ["PATH_INFO"].endswith("bad"):
            raise ValueError
        return html(start_response, "")

    client = client_of(Viewed(application))
    client.perform()
    before = samples(client)
    assert "requests_done_total 1.0" in before
    assert [client.get(f"/webview/{path}").status_code for path in ("good", "bad")] == [200, 500]
    assert inside == [before, before]
    assert samples(client) == before


def test_a_page_is_served_while_the_only_slot_for_calls_is_taken(client_of: ClientOf) -> None:
    client = client_of(Viewed(echo, lambda: client.get("/webview/x").json), manifest=NO_LINE)
    assert client.perform().json[2] == f"{BASE}/x"


def test_a_call_made_by_a_page_takes_a_slot_of_its_own(client_of: ClientOf) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        try:
            result = client.application.call("/perform")
        except pyjob.BusyError as error:
            result = error.status
        return html(start_response, json.dumps(result))

    def perform() -> object:
        gates = client.application.gates
        if gates.pages.running:
            return [gates.calls.running, gates.pages.running]
        # The page that is asked for here finds the slot taken: it is not inside this call.
        return int(client.get("/webview/").text)

    client = client_of(Viewed(application, perform), manifest=NO_LINE)
    assert json.loads(client.get("/webview/").text) == [1, 1]
    assert "requests_done_total 1.0" in samples(client)
    assert client.perform().json == 429
    assert client.application.gates.running == 0


def test_a_page_sees_its_request_and_a_call_inside_it_another(client_of: ClientOf) -> None:
    def seen() -> bytes:
        request, extra = job.request_context.get(), job.request_extra.get()
        extra.setdefault("paths", []).append(request.path)
        return json.dumps(
            [request.method, request.args.get("a"), request.headers.get("X-Own"), extra]
        ).encode()

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HTML)
        yield seen() + b"\n"
        yield client.application.call("/perform") + b"\n"
        yield seen() + b"\n"

    job = Viewed(application, seen)
    client = client_of(job)
    for _ in range(2):
        text = client.get("/webview/x?a=%20b", headers={"X-Own": "yes"}).text
        first, inside, last = map(json.loads, text.splitlines())
        assert first == ["GET", " b", "yes", {"paths": [f"{BASE}/x"]}]
        assert inside == ["POST", None, None, {"paths": ["/api/v1/perform"]}]
        assert last == ["GET", " b", "yes", {"paths": [f"{BASE}/x"] * 2}]
    with pytest.raises(LookupError):
        job.request_context.get()


class Hanging:
    """An application whose pages, like a `perform`, run until they are let go."""

    def __init__(self) -> None:
        self.running = threading.Semaphore(0)
        self.may_go = threading.Semaphore(0)
        self.ran: list[str] = []

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        self.ran.append(environ["PATH_INFO"])
        self.hang()
        return html(start_response, "page")

    def hang(self) -> str:
        self.running.release()
        assert self.may_go.acquire(timeout=PATIENCE)
        return "call"

    def wait_for(self, count: int) -> None:
        """Wait until so many more hang."""
        for _ in range(count):
            assert self.running.acquire(timeout=PATIENCE)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.may_go.release(1000)


@pytest.fixture
def pool(hanging: Hanging) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        try:
            yield pool
        finally:
            hanging.may_go.release(1000)  # no failure ends in a hang


def until(holds: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    patience = threading.Event()
    for _ in range(int(PATIENCE / 0.005)):
        if holds():
            return
        patience.wait(0.005)
    raise AssertionError("it has not come to that")


def test_32_pages_run_later_ones_wait_in_order_and_nothing_else_does(
    client_of: ClientOf, hanging: Hanging, pool: ThreadPoolExecutor
) -> None:
    client = client_of(Viewed(hanging))
    pages = client.application.gates.pages

    def page(number: int) -> Future[int]:
        asking = JobClient(client.application, client.mount)
        return pool.submit(lambda: asking.get(f"/webview/{number}").status_code)

    asked = [page(number) for number in range(32)]
    hanging.wait_for(32)
    for number in (32, 33, 34):
        asked.append(page(number))
        until(lambda expected=number - 31: pages.waiting == expected)  # type: ignore[misc]
    assert len(hanging.ran) == 32
    for path in ("/live", "/ready", "/metrics", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200
    assert client.perform().json == 1
    for number in (32, 33, 34):
        hanging.may_go.release()
        hanging.wait_for(1)
        assert hanging.ran[-1] == f"{BASE}/{number}"
    hanging.may_go.release(32)
    assert [task.result(PATIENCE) for task in asked] == [200] * 35
    assert (pages.running, pages.waiting) == (0, 0)


def test_pages_that_wait_when_the_application_closes_are_sent_away(
    client_of: ClientOf, hanging: Hanging, pool: ThreadPoolExecutor
) -> None:
    client = client_of(Viewed(hanging))
    clients = [JobClient(client.application, client.mount) for _ in range(33)]
    held = [pool.submit(one.get, "/webview/") for one in clients[:32]]
    hanging.wait_for(32)
    waiting = pool.submit(clients[32].get, "/webview/")
    until(lambda: client.application.gates.pages.waiting == 1)
    assert not client.application.close(0)
    answer = waiting.result(PATIENCE)
    assert (answer.status_code, answer.json["error"]) == (503, "the service is going down")
    hanging.may_go.release(32)
    assert [task.result(PATIENCE).status_code for task in held] == [200] * 32


def test_hanging_pages_leave_threads_of_a_server_to_its_calls(
    client_of: ClientOf, hanging: Hanging, pool: ThreadPoolExecutor
) -> None:
    client = client_of(Viewed(hanging), threads=6)
    clients = [JobClient(client.application, client.mount) for _ in range(2)]
    held = [pool.submit(one.get, "/webview/") for one in clients]
    hanging.wait_for(2)
    refused = client.get("/webview/")
    assert (refused.status_code, "2 pages are running or waiting" in refused.json["error"]) == (503, True)
    assert client.perform().status_code == 200
    hanging.may_go.release(2)
    assert [task.result(PATIENCE).status_code for task in held] == [200] * 2


def test_of_the_threads_of_a_server_calls_and_pages_together_leave_one_free(
    client_of: ClientOf, hanging: Hanging, pool: ThreadPoolExecutor
) -> None:
    client = client_of(Viewed(hanging, hanging.hang), threads=4)
    clients = [JobClient(client.application, client.mount) for _ in range(3)]
    held = [pool.submit(clients[0].get, "/webview/"), *[pool.submit(c.perform) for c in clients[1:]]]
    hanging.wait_for(3)
    asks: tuple[Callable[[], Any], ...] = (
        lambda: client.get("/webview/"),
        client.perform,
        lambda: client.post("/webview/x"),
    )
    for ask in asks:
        answer = ask()
        assert (answer.status_code, "is kept for probes" in answer.json["error"]) == (503, True)
        assert int(answer.headers["Retry-After"]) >= 1
    assert client.get("/live").status_code == 200
    assert client.get("/webview").status_code == 307
    hanging.may_go.release(3)
    assert [task.result(PATIENCE).status_code for task in held] == [200] * 3
    hanging.may_go.release(1)
    assert client.get("/webview/").text == "page"
