"""Access lines: what is told of calls, pages and refusals, and what is not (SPEC 7)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

import pyjob
from pyjob.errors import JobError
from tests.callers import HELD, calling, hold, release, released, until, until_waiting
from tests.callers import pipe as a_pipe
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import pyjob_run, started


class Clocked:
    """A job whose calls take as long as the test's clock says."""

    clock = 0.0

    def perform(self, n: int = 0, seconds: float = 0.0) -> Any:
        type(self).clock += seconds
        if n == 1:
            raise ValueError("one is wrong")
        if n == 2:
            raise JobError(418, "a teapot")
        if n == 3:
            return Response(iter([b"some", b" pieces"]))
        return {"n": n}


@pytest.fixture
def client(client_of: ClientOf, caplog: pytest.LogCaptureFixture) -> JobClient:
    caplog.set_level(logging.INFO, "pyjob.access")
    client = client_of(Clocked)
    client.application.gate.clock = lambda: Clocked.clock
    return client


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "pyjob.access"]


def test_a_call_has_one_line_with_all_that_is_known(
    client: JobClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.perform(n=7, seconds=0.25)
    assert lines(caplog) == ["POST /perform 200, ran 250.0 ms, waited 0.0 ms, 7 bytes"]
    [record] = [record for record in caplog.records if record.name == "pyjob.access"]
    told = vars(record)
    assert (told["method"], told["path"], told["status"]) == ("POST", "/perform", 200)
    assert (told["running_ms"], told["waiting_ms"], told["bytes"]) == (250.0, 0.0, 7)


def test_the_path_is_the_short_one_whatever_the_caller_used(
    client: JobClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.post("/pub/job/any/latest/api/v1/perform", json={})
    assert lines(caplog)[0].startswith("POST /perform 200")


@pytest.mark.parametrize(("n", "status"), [(1, 400), (2, 418)])
def test_what_the_job_raised_is_a_line_of_its_status_beside_the_error(
    client: JobClient, caplog: pytest.LogCaptureFixture, n: int, status: int
) -> None:
    client.perform(n=n)
    [line] = lines(caplog)
    assert line.startswith(f"POST /perform {status}, ran 0.0 ms")
    assert [record.name for record in caplog.records].count("pyjob.apps.call") == 1


def test_a_stream_has_its_line_at_its_end_with_all_its_bytes(
    client: JobClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/perform", json={"n": 3}, streamed=True)
    pieces = answer.iter_encoded()
    assert next(pieces) == b"some"
    assert lines(caplog) == []
    assert b"".join(pieces) == b" pieces"
    answer.close()
    assert lines(caplog) == ["POST /perform 200, ran 0.0 ms, waited 0.0 ms, 11 bytes"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"n": "x"}', 'n: expected int, got "x"'),
        (b"{", "the payload is not valid JSON"),
        (b'{"other": 1}', "other"),
    ],
)
def test_what_is_refused_is_told_with_the_reason(
    client: JobClient, caplog: pytest.LogCaptureFixture, body: bytes, why: str
) -> None:
    client.post("/perform", data=body, content_type="application/json")
    [line] = lines(caplog)
    assert line.startswith("POST /perform 400: ")
    assert why in line


def test_a_reason_is_one_line_and_no_longer_than_people_read(
    client: JobClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.post("/perform", json={"n": "x\nINFO forged\x1b[2J" + "y" * 10_000})
    [line] = lines(caplog)
    assert len(line) < 300
    assert line.isprintable()


@pytest.mark.parametrize(
    ("method", "path", "line"),
    [
        ("GET", "/nothing", "GET /nothing 404"),
        ("GET", "/perform", "GET /perform 405"),
        ("GET", "/a//b%0aINFO forged%1b", r"GET /a//b\nINFO forged\x1b 400"),
        ("GET", "/docs", None),
        ("GET", "/", None),
        ("GET", "/live", None),
        ("GET", "/health", None),
        ("POST", "/live", None),
        ("GET", "/metrics", None),
        ("GET", "/openapi.json", None),
    ],
)
def test_of_everything_else_only_what_is_refused_has_a_line(
    client: JobClient, caplog: pytest.LogCaptureFixture, method: str, path: str, line: str | None
) -> None:
    client.open(path, method=method)
    assert lines(caplog) == ([] if line is None else [line])


def test_a_probe_that_fails_has_none(client_of: ClientOf, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError("no model")

        def perform(self) -> None: ...

    caplog.set_level(logging.INFO, "pyjob.access")
    client = client_of(Broken, load="background")
    client.application.start()
    assert client.application.state.wait(60) == "failed"
    assert client.get("/live").status_code == client.get("/ready").status_code == 500
    assert lines(caplog) == []
    assert client.post("/perform", json={}).status_code == 503
    assert lines(caplog) == ["POST /perform 503: the job failed to start"]


def test_access_lines_can_be_switched_off(client_of: ClientOf, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pyjob.access")
    client = client_of(Clocked, settings=pyjob.Settings(access_log=False))
    client.perform(n=7)
    client.perform(n="wrong")
    client.get("/nothing")
    assert lines(caplog) == []


def test_a_page_of_the_web_view_has_a_line(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyjob.access")
    client = job_of(
        """
        def perform(self): ...
        def webview_app(self, base_url):
            def app(environ, start_response):
                if environ["PATH_INFO"].endswith("broken"):
                    raise RuntimeError("broken")
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [b"not here"] if environ["QUERY_STRING"] else iter([b"not", b"here"])
            return app
        """
    )
    client.get("/api/v1/webview/some%0apage?secret=1")
    client.get("/webview/other")
    client.get("/webview/broken")
    client.get("/webview")
    assert [line.partition(", ran")[0] for line in lines(caplog)] == [
        r"GET /webview/some\npage 404",
        "GET /webview/other 404",
        "GET /webview/broken 500",
    ]
    assert [line.rpartition(", ")[2] for line in lines(caplog)][:2] == ["8 bytes", "7 bytes"]


@pytest.mark.parametrize("option", [[], ["--no-access-log"]])
def test_whoever_leaves_has_one_line(make_job: MakeJob, tmp_path: Path, option: list[str]) -> None:
    folder = make_job(HELD, extra={"max_concurrency": 1})

    async def leave(port: int, pipe: Path) -> None:
        async with await hold(server, pipe) as runs, await calling(port, n=2) as waits:
            await until_waiting(port, 1)
            waits.hang_up()
            await until(port, lambda found: found["pyjob_calls_abandoned_total"] == 1)
            runs.hang_up()
            await until(port, lambda found: has_ended(found, pipe))

    def has_ended(found: dict[str, float], pipe: Path) -> bool:
        release(pipe)  # again, if nobody has come to it yet
        return found["pyjob_calls_abandoned_total"] == 2

    with started(pyjob_run(folder, *option)) as server, a_pipe(tmp_path) as pipe:
        server.wait_until("/ready", 200)
        asyncio.run(leave(server.port, pipe))
        server.wait_until("/live", 200)
    told = [line for line in server.lines if "/perform" in line]
    left = [line for line in told if "the caller left before the answer" in line]
    assert len(left) == 1
    assert "WARNING POST /perform 200, ran " in left[0]
    in_line = [line for line in told if "INFO POST /perform -, waited " in line]
    assert len(in_line) == (0 if option else 1)
    assert len(told) == len(left) + len(in_line)


def test_who_was_refused_at_the_gate_is_told_and_why(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(HELD, extra={"max_concurrency": 1, "max_concurrency_queue": 0, "stuck_after": 1000})

    async def refused(port: int, pipe: Path) -> None:
        async with await hold(server, pipe), await calling(port) as second:
            assert (await second.answer()).status == 429

    with started(pyjob_run(folder)) as server, a_pipe(tmp_path) as pipe:
        server.wait_until("/ready", 200)
        asyncio.run(refused(server.port, pipe))
    assert "INFO POST /perform 429: too many calls: 1 running and 0 waiting" in server.output


def test_a_call_that_has_waited_tells_how_long(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(HELD, extra={"max_concurrency": 1})

    async def wait(port: int, pipe: Path) -> None:
        async with await hold(server, pipe) as first, await calling(port, n=2) as second:
            await until_waiting(port, 1)
            await released(pipe, [first, second])

    with started(pyjob_run(folder), env={"LOG_STRUCTURED": "true"}) as server, a_pipe(tmp_path) as pipe:
        server.wait_until("/ready", 200)
        asyncio.run(wait(server.port, pipe))
    waits = [record["waiting_ms"] for record in server.records if record["logger"] == "pyjob.access"]
    assert sorted(wait > 0 for wait in waits) == [False, True]
