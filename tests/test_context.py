"""What a job learns of the request being served, and how `async def` runs (SPEC 1.4, 1.5)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import ClientOf, JobClient


def test_a_job_reads_the_request_it_serves(job_of: Callable[..., JobClient]) -> None:
    client = job_of(
        """
        def perform(self):
            request = self.request_context.get()
            return {
                "header": request.headers.get("x-caller-name"),
                "missing": request.headers.get("X-Missing"),
                "method": request.method,
                "path": request.path,
                "args": request.args.getlist("a"),
                "remote_addr": request.remote_addr,
            }
        """
    )
    answer = client.post(
        "/pub/job/x/1/perform?a=1&a=%C3%A4",
        headers={"X-Caller-Name": "ann"},
        environ_overrides={"REMOTE_ADDR": "127.0.0.9"},
    )
    assert answer.json == {
        "header": "ann",
        "missing": None,
        "method": "POST",
        "path": "/pub/job/x/1/perform",
        "args": ["1", "ä"],
        "remote_addr": "127.0.0.9",
    }


def test_request_extra_is_a_fresh_dict_for_each_request(job_of: Callable[..., JobClient]) -> None:
    client = job_of(
        """
        def perform(self):
            extra = self.request_extra.get()
            extra["seen"] = extra.get("seen", 0) + 1
            return extra
        """
    )
    assert client.perform().json == {"seen": 1}
    assert client.perform().json == {"seen": 1}


def test_outside_a_request_there_is_no_context(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> str:
            return "done"

    job = Job()
    assert client_of(job).perform().json == "done"
    for name in ("request_context", "request_extra"):
        with pytest.raises(LookupError):
            getattr(job, name).get()


@pytest.mark.parametrize("slots", ["__slots__ = ()", "__slots__ = ('model',)"])
def test_a_class_with_slots_is_served(job_of: Callable[..., JobClient], slots: str) -> None:
    assert job_of(f"{slots}\ndef perform(self): return 1").perform().json == 1


def test_a_frozen_dataclass_is_served(job_of: Callable[..., JobClient]) -> None:
    client = job_of("def perform(self): return self.a", head="from dataclasses import dataclass")
    assert client.perform().status_code == 500
    head = "from dataclasses import dataclass\n@dataclass(frozen=True)"
    assert job_of("a: int = 7\ndef perform(self): return self.a", head=head, name="b").perform().json == 7


def test_contexts_of_concurrent_requests_never_mix(client_of: ClientOf) -> None:
    together = threading.Barrier(8, timeout=20)

    class Job:
        def perform(self) -> Any:
            name = self.request_context.get().headers["X-Caller-Name"]  # type: ignore[attr-defined]
            together.wait()
            return [name, self.request_context.get().headers["X-Caller-Name"]]  # type: ignore[attr-defined]

    client = client_of(Job)
    with ThreadPoolExecutor(8) as pool:
        names = [f"caller-{number}" for number in range(8)]
        answers = pool.map(lambda name: client.post("/perform", headers={"X-Caller-Name": name}).json, names)
        assert list(answers) == [[name, name] for name in names]


def test_a_failed_call_leaves_no_context_behind(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> None:
            raise RuntimeError

    job = Job()
    client_of(job).perform()
    with pytest.raises(LookupError):
        job.request_context.get()  # type: ignore[attr-defined]


def test_async_methods_are_awaited(job_of: Callable[..., JobClient]) -> None:
    client = job_of(
        """
        async def perform(self, x: float) -> float:
            await asyncio.sleep(0)
            return x * 2 + len(self.request_context.get().method)

        async def metrics(self):
            return [{"name": "awaited", "value": 1}]
        """,
        head="import asyncio",
    )
    assert client.perform(x=1).json == 6
    assert "awaited 1.0" in client.get("/metrics").text


def test_async_calls_of_several_threads_share_one_loop(client_of: ClientOf) -> None:
    import asyncio

    class Job:
        def __init__(self) -> None:
            self.together = asyncio.Barrier(4)
            self.loops: set[int] = set()

        async def perform(self) -> int:
            self.loops.add(id(asyncio.get_running_loop()))
            await self.together.wait()
            return len(self.loops)

    client = client_of(Job)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: client.perform().json, range(4))) == [1, 1, 1, 1]


@pytest.mark.parametrize("error", ["ValueError('told')", "SystemExit(3)", "KeyboardInterrupt()"])
def test_an_error_in_a_coroutine_is_answered_and_the_loop_lives_on(
    job_of: Callable[..., JobClient], error: str
) -> None:
    client = job_of(f"async def perform(self, fail: bool = False):\n    if fail: raise {error}\n    return 1")
    assert client.perform(fail=True).status_code in (400, 500)
    assert client.perform().json == 1
