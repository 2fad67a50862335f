"""A slot is given back on every way out, and in process the gate is the same (SPEC 5.5, 10.4, 10.5)."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.wrappers import Response

import pyjob
from tests.conftest import ClientOf, JobClient


class Ending:
    """A job whose calls end in every way."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.released = threading.Semaphore(0)

    def perform(self, how: str = "result") -> Any:
        return getattr(self, f"end_by_{how}")()

    def end_by_result(self) -> int:
        return 1

    def end_by_waiting(self) -> int:
        self.entered.release()
        self.released.acquire()
        return 1

    def end_by_value_error(self) -> None:
        raise ValueError("no")

    def end_by_exception(self) -> None:
        raise KeyError("no")

    def end_by_status(self) -> None:
        raise pyjob.JobError(418, "no")

    def end_by_exit(self) -> None:
        raise SystemExit(3)

    def end_by_interrupt(self) -> None:
        raise KeyboardInterrupt

    def end_by_what_cannot_be_encoded(self) -> object:
        return object()

    async def end_by_awaiting(self) -> int:
        return 1

    def end_by_response(self) -> Response:
        return Response("x")

    def end_by_stream(self) -> Response:
        return Response(iter(["x", "y"]))

    def end_by_broken_stream(self) -> Response:
        def items() -> Any:
            yield "x"
            raise KeyError("no")

        return Response(items())


WAYS = sorted(name.removeprefix("end_by_") for name in vars(Ending) if name.startswith("end_by_"))
CAP = {"jobtype_extra": {"max_concurrency": 1}}


def manifest(**extra: Any) -> dict[str, Any]:
    return {"jobtype_extra": {"max_concurrency": 1, **extra}}


def counts(client: JobClient) -> tuple[float, float]:
    lines = client.get("/metrics").text.splitlines()
    found = {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}
    return found["requests_started_total"], found["requests_done_total"]


@pytest.mark.parametrize("how", [way for way in WAYS if way != "waiting"])
def test_the_slot_is_free_after_every_end(client_of: ClientOf, how: str) -> None:
    client = client_of(Ending, manifest=manifest())
    for _ in range(2):
        try:
            client.perform(how=how)
        except KeyError:
            assert how == "broken_stream"
        assert client.application.gate.running == 0
    assert client.perform().json == 1
    assert counts(client) == (3, 3)


def test_a_stream_holds_its_slot_until_it_is_closed(client_of: ClientOf) -> None:
    client = client_of(Ending, manifest=manifest())
    answer = client.post("/perform", json={"how": "stream"}, streamed=True)
    assert client.application.gate.running == 1
    assert next(answer.iter_encoded()) == b"x"
    assert client.application.gate.running == 1
    answer.close()
    assert client.application.gate.running == 0


def test_a_stream_that_the_server_never_gets_gives_its_slot_back() -> None:
    closed = []

    class Body(Response):
        def close(self) -> None:
            closed.append(True)

    class Job:
        def perform(self) -> Response:
            return Body(iter(["x"]))

    def start_response(*_: Any) -> Any:
        raise OSError("the client has gone")

    app = pyjob.create(Job, manifest=manifest(), load="now")
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/perform", "SCRIPT_NAME": "", "CONTENT_LENGTH": "0"}
    with pytest.raises(OSError, match="the client has gone"):
        app({**environ, "wsgi.input": io.BytesIO()}, start_response)
    assert closed == [True]
    assert app.gate.running == 0


def in_thread(function: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """A thread that runs ``function``, and a list that gets its result or error."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def until(holds: Callable[[], bool]) -> None:
    while not holds():
        pass


def test_calls_in_process_wait_in_the_same_line(client_of: ClientOf) -> None:
    job = Ending()
    client = client_of(job, manifest=manifest(max_concurrency_queue=1))
    app = client.application
    first, _ = in_thread(lambda: client.perform(how="waiting"))
    job.entered.acquire()
    second, result = in_thread(lambda: app.call("/perform"))
    until(lambda: app.gate.waiting == 1)
    with pytest.raises(pyjob.BusyError, match="too many calls: 1 running and 1 waiting") as refused:
        app.call("/perform")
    assert refused.value.status == 429
    assert client.perform().status_code == 429
    assert client.perform(how=1).status_code == 400
    job.released.release()
    first.join()
    second.join()
    assert result == [1]
    assert app.gate.running == app.gate.waiting == 0


def test_a_call_in_process_that_waits_too_long_is_refused(client_of: ClientOf) -> None:
    job = Ending()
    client = client_of(job, manifest=manifest(queue_timeout=0.01))
    first, _ = in_thread(lambda: client.perform(how="waiting"))
    job.entered.acquire()
    with pytest.raises(pyjob.BusyError, match=r"has waited for 0\.01 s") as refused:
        client.application.call("/perform")
    assert refused.value.status == 503
    answer = client.perform()
    assert (answer.status_code, answer.json["type"]) == (503, "Service Unavailable")
    job.released.release()
    first.join()
    assert counts(client) == (3, 3)


def test_a_job_that_calls_itself_does_not_wait_for_its_own_slot(client_of: ClientOf) -> None:
    class Nested:
        def perform(self, depth: int = 3) -> int:
            return 1 + app.call("/perform", {"depth": depth - 1}) if depth else 0

    client = client_of(Nested, manifest=CAP)
    app = client.application
    assert client.perform().json == 3
    assert app.call("/perform") == 3
    assert counts(client) == (8, 8)
    assert app.gate.running == 0


def test_a_stream_that_calls_its_job_does_not_wait_for_its_own_slot(client_of: ClientOf) -> None:
    class Streaming:
        def perform(self, depth: int = 0) -> Any:
            inner = (str(app.call("/perform", {"depth": n})) for n in (1, 2))
            return depth or Response(inner)

    client = client_of(Streaming, manifest=manifest(queue_timeout=30))
    app = client.application
    assert client.perform().text == "12"
    assert app.gate.running == 0


def test_calls_are_served_in_order_under_a_server_with_threads(client_of: ClientOf) -> None:
    order = []

    class Job(Ending):
        def perform(self, how: str = "result", n: int = 0) -> Any:
            order.append(n)
            return super().perform(how)

    job = Job()
    client = client_of(job, manifest=manifest())
    first, _ = in_thread(lambda: client.perform(how="waiting", n=-1))
    job.entered.acquire()
    threads = []
    for number in range(20):
        threads.append(in_thread(lambda number=number: client.perform(n=number))[0])  # type: ignore[misc]
        until(lambda number=number: client.application.gate.waiting == number + 1)  # type: ignore[misc]
    job.released.release()
    for thread in (first, *threads):
        thread.join()
    assert order == list(range(-1, 20))


@pytest.mark.parametrize("threads", [2, 4])
def test_with_the_number_of_threads_known_one_is_kept_free(client_of: ClientOf, threads: int) -> None:
    job = Ending()
    client = client_of(job, manifest=manifest(), threads=threads)
    gate = client.application.gate
    first, _ = in_thread(lambda: client.perform(how="waiting"))
    job.entered.acquire()
    waiting = [in_thread(client.perform)[0] for _ in range(threads - 2)]
    until(lambda: gate.waiting == threads - 2)
    refused = client.perform()
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert f"{threads - 1} calls are running or waiting" in refused.json["error"]
    assert 'pyjob_calls_refused_total{reason="threads"} 1.0' in client.get("/metrics").text
    job.released.release()
    for thread in (first, *waiting):
        thread.join()
    assert client.perform().status_code == 200


@pytest.mark.parametrize("threads", [0, -1])
def test_a_server_has_at_least_one_thread(threads: int) -> None:
    with pytest.raises(ValueError, match="threads: expected a number from 1"):
        pyjob.create(Ending, threads=threads)


def test_never_more_run_than_the_cap_allows(client_of: ClientOf) -> None:
    lock = threading.Lock()

    class Counting:
        running = most = 0

        def perform(self) -> None:
            with lock:
                self.running += 1
                self.most = max(self.most, self.running)
            with lock:
                self.running -= 1

    job = Counting()
    client = client_of(job, manifest={"jobtype_extra": {"max_concurrency": 3}})
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.perform().status_code, range(400)))
    assert answers == [200] * 400
    assert 1 <= job.most <= 3
