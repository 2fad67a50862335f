"""The page at `/status` and the numbers behind it; what a reader sees is in tests/browser/test_status.py."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyjob
from tests.callers import HELD, call, calling, get, hold, pipe, released, until_waiting
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import Server, ask, pyjob_run, started

JobOf = Callable[..., JobClient]
PREFIXES = ["", "/pub/job/any-name/latest", "/pub/fatman/b/1.2.3"]
LIMITS = {"max_concurrency": 1, "max_concurrency_queue": 1}


class Adder:
    def perform(self, x: float, y: float = 2.0) -> float:
        if x < 0:
            raise ArithmeticError(f"{x} is below nothing")
        return x + y


def data_of(client: JobClient) -> Any:
    answer = client.get("/status/data")
    assert answer.status_code == 200
    # As browsers read it: NaN and infinities are none of it.
    return json.loads(answer.text, parse_constant=pytest.fail)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", ["/status", "/status/data"])
def test_page_and_numbers_answer_get_and_head_below_every_prefix(
    client_of: ClientOf, prefix: str, path: str
) -> None:
    client = client_of(Adder)
    got, head = client.get(prefix + path), client.open(prefix + path, method="HEAD")
    assert (got.status_code, head.status_code, head.data) == (200, 200, b"")
    assert head.content_type == got.content_type
    assert client.post(prefix + path).headers["Allow"] == "GET, HEAD"


def test_page_and_assets_let_nothing_in_from_elsewhere(client_of: ClientOf) -> None:
    client = client_of(Adder)
    page = client.get("/status")
    assert page.headers["Cache-Control"] == "no-cache"
    addresses = set(re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"', page.text))
    assert {Path(address).suffix for address in addresses} == {".css", ".js", ".svg"}
    for answer in (page, *(client.get(f"/{address}") for address in addresses)):
        assert answer.status_code == 200
        policy = answer.headers["Content-Security-Policy"]
        assert policy == client.get("/docs").headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for address in addresses:
        assert re.fullmatch(r"status/_assets/[0-9a-f]{12}/[a-z]+\.(css|js|svg)", address)
        assert "immutable" in client.get(f"/{address}").headers["Cache-Control"]


def test_page_and_docs_link_to_each_other_relative_to_where_they_are(client_of: ClientOf) -> None:
    client = client_of(Adder)
    assert '<a href="docs">Docs</a>' in client.get("/status").text
    assert '<a href="status">Status</a>' in client.get("/docs").text


def test_numbers_are_never_taken_from_a_cache(client_of: ClientOf) -> None:
    answer = client_of(Adder).get("/status/data")
    assert (answer.content_type, answer.headers["Cache-Control"]) == ("application/json", "no-store")


def test_a_job_that_nobody_has_called_tells_nothing_but_its_state(client_of: ClientOf) -> None:
    data = data_of(client_of(Adder, manifest={"name": "adder", "version": "1.2.3"}))
    assert data["job"] == {"name": "adder", "version": "1.2.3"}
    assert (data["state"], data["error"]) == ("ready", None)
    assert (data["running"], data["waiting"], data["slots"], data["queue"]) == (0, 0, None, None)
    assert data["longest"] == 0
    assert data["uptime"] > 0
    assert data["totals"] == {"calls": 0, "errors": 0, "refused": 0, "abandoned": 0}
    assert not any(data["history"]["calls"])
    assert set(data["history"]["p50"]) == {None}
    assert (data["errors"], data["metrics"], data["more_metrics"]) == ([], None, 0)
    assert data["metrics_faults"] == 0


def test_calls_are_counted_and_have_a_place_in_the_history(client_of: ClientOf) -> None:
    client = client_of(Adder)
    for x in (1, 2, -1):
        client.perform(x=x)

    data = data_of(client)

    assert data["totals"] == {"calls": 3, "errors": 1, "refused": 0, "abandoned": 0}
    history = data["history"]
    assert (sum(history["calls"]), sum(history["errors"]), sum(history["refused"])) == (3, 1, 0)
    assert all(p50 <= p99 for p50, p99 in zip(history["p50"], history["p99"], strict=True) if p50 is not None)
    assert {len(column) for name, column in history.items() if name != "width"} == {len(history["end"])}
    assert all(abs(end - data["now"]) <= 15 * 60 + history["width"] for end in history["end"])


def test_the_last_errors_are_told_with_their_tracing_ids_and_no_payload(client_of: ClientOf) -> None:
    client = client_of(Adder)
    client.post("/perform", json={"x": -41.5}, headers={"X-Request-Tracing-Id": "first"})
    client.post("/perform", json={"x": -1}, headers={"X-Request-Tracing-Id": "second"})

    data = data_of(client)

    assert [error["tracing_id"] for error in data["errors"]] == ["second", "first"]
    for error in data["errors"]:
        assert (error["endpoint"], error["status"], error["kind"]) == ("/perform", 500, "ArithmeticError")
    assert all(data["now"] - 60 < error["time"] <= data["now"] for error in data["errors"])
    assert "41.5" not in json.dumps(data)


def test_errors_are_told_without_secrets(make_job: MakeJob, client_of: ClientOf) -> None:
    secret = "Tr0ub4dor-and-3"
    code = f"class Job:\n    def perform(self): raise type({secret!r}, (Exception,), {{}})()\n"
    files = {".env": f"TOKEN={secret}\n"}
    client = client_of(make_job(code, fields="secret_runtime_env_file: .env", files=files))
    client.post("/perform", headers={"X-Request-Tracing-Id": secret})

    [error] = data_of(client)["errors"]

    assert (error["kind"], error["tracing_id"]) == ("***", "***")


def test_the_jobs_own_metrics_are_told_whatever_their_values(job_of: JobOf) -> None:
    client = job_of(
        """
        def perform(self): return 1
        def metrics(self):
            return [
                {"name": "age", "value": 1.5},
                {"name": "odd", "value": float("nan"), "labels": {"of": "<b>"}},
                {"name": "most", "value": float("inf")},
            ]
        """
    )
    assert data_of(client)["metrics"] == [
        {"name": "age", "labels": {}, "value": 1.5},
        {"name": "odd", "labels": {"of": "<b>"}, "value": "NaN"},
        {"name": "most", "labels": {}, "value": "+Inf"},
    ]


def test_of_very_many_metrics_the_first_are_told_and_the_others_counted(job_of: JobOf) -> None:
    client = job_of(
        """
        def perform(self): return 1
        def metrics(self): return [{"name": f"number_{n}", "value": n} for n in range(1234)]
        """
    )
    data = data_of(client)
    assert [each["value"] for each in data["metrics"]] == list(range(200))
    assert data["more_metrics"] == 1034


def test_when_a_counter_was_created_is_not_told_but_what_the_job_calls_so_is(job_of: JobOf) -> None:
    client = job_of(
        """
        def perform(self): return 1
        def metrics(self):
            from prometheus_client import CollectorRegistry, Counter, Histogram
            registry = CollectorRegistry()
            Counter("hits", "Hits", registry=registry).inc(2)
            Histogram("age", "Age", registry=registry).observe(3)
            return [registry, {"name": "file_created", "value": 4}]
        """
    )
    assert "hits_created" in client.get("/metrics").text
    told = {each["name"]: each["value"] for each in data_of(client)["metrics"]}
    assert told == {"hits_total": 2, "age_count": 1, "age_sum": 3, "file_created": 4}


def test_metrics_that_fail_are_counted_and_leave_the_rest_as_it_is(job_of: JobOf) -> None:
    client = job_of("def perform(self): return 1\ndef metrics(self): raise SystemExit")
    assert client.post("/perform").json == 1
    data = data_of(client)
    assert (data["metrics"], data["metrics_faults"], data["totals"]["calls"]) == ([], 1, 1)


def test_it_answers_before_while_and_after_a_job_loads_and_when_it_goes_down(client_of: ClientOf) -> None:
    may_load = threading.Event()

    class Job(Adder):
        def __init__(self) -> None:
            may_load.wait()

    client = client_of(Job, load="background")
    assert client.get("/status").status_code == 200
    assert data_of(client)["state"] == "loading"
    may_load.set()
    client.application.state.wait()
    assert data_of(client)["state"] == "ready"
    client.application.close(0)
    assert data_of(client)["state"] == "draining"


def test_a_job_that_failed_to_load_tells_why_in_one_line(client_of: ClientOf) -> None:
    class Job(Adder):
        def __init__(self) -> None:
            raise RuntimeError("no\nmodel")

    client = client_of(Job, load="background")
    client.get("/live")
    client.application.state.wait()

    data = data_of(client)

    assert client.get("/status").status_code == 200
    assert (data["state"], data["metrics"]) == ("failed", None)
    assert data["error"] == client.get("/live").json["error"]
    assert "model" in data["error"]
    assert "\n" not in data["error"]


def test_a_stuck_call_is_told(client_of: ClientOf) -> None:
    begun, may_end = threading.Event(), threading.Event()

    class Job:
        def perform(self) -> None:
            begun.set()
            may_end.wait()

    client = client_of(Job, manifest={"jobtype_extra": {"stuck_after": 0.000001}})
    caller = threading.Thread(target=client.perform)
    caller.start()
    begun.wait()
    data = data_of(client)
    may_end.set()
    caller.join()
    assert (data["state"], data["running"]) == ("ready", 1)
    assert "longer than stuck_after" in data["error"]


def test_under_a_full_queue_it_answers_and_tells_who_runs_waits_and_was_refused(
    make_job: MakeJob, tmp_path: Path
) -> None:
    async def fill(server: Server, held: Path) -> tuple[list[int], Any]:
        async with await hold(server, held) as first, await calling(server.port) as second:
            await until_waiting(server.port, 1)
            refused = await call(server.port)
            page, data = await get(server.port, "/status"), await get(server.port, "/status/data")
            answers = [refused, page, *await released(held, [first, second])]
        return [answer.status for answer in answers], data.json

    with pipe(tmp_path) as held, started(pyjob_run(make_job(HELD, extra=LIMITS))) as server:
        server.wait_until("/ready", 200)
        statuses, data = asyncio.run(fill(server, held))
    assert statuses == [429, 200, 200, 200]
    assert (data["running"], data["waiting"], data["slots"], data["queue"]) == (1, 1, 1, 1)
    assert data["longest"] > 0
    assert (data["totals"]["refused"], sum(data["history"]["refused"])) == (1, 1)


def test_it_can_be_switched_off(client_of: ClientOf) -> None:
    client = client_of(Adder, settings=pyjob.Settings(status=False))
    assert client.get("/status").status_code == 404
    assert client.get("/status/data").status_code == 404
    assert 'href="status"' not in client.get("/docs").text


def test_it_can_be_switched_off_on_the_command_line(make_job: MakeJob) -> None:
    with started(pyjob_run(make_job(HELD), "--no-status")) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "GET", "/status")[0] == 404


def test_the_page_of_a_job_that_loads_does_not_link_to_what_is_switched_off(client_of: ClientOf) -> None:
    class Job(Adder):
        def __init__(self) -> None:
            raise RuntimeError

    client = client_of(Job, load="background", settings=pyjob.Settings(status=False))
    client.get("/live")
    client.application.state.wait()
    assert (client.get("/status").status_code, client.get("/docs").status_code) == (503, 503)
    assert 'href="status"' not in client.get("/docs").text


def test_an_endpoint_of_that_name_answers_at_its_whole_path(make_job: MakeJob, client_of: ClientOf) -> None:
    client = client_of(
        make_job(
            """
            class Job:
                def auxiliary_endpoints(self): return {"/status/data": lambda: "called"}
                def static_endpoints(self): return {"/status": "file.txt"}
            """,
            files={"file.txt": "file"},
        )
    )
    assert client.get("/status").text.startswith("<!doctype html>")
    assert client.get("/api/v1/status").text == "file"
    assert client.get("/status/data").json["state"] == "ready"
    assert client.post("/api/v1/status/data").json == "called"
