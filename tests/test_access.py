"""Access lines: what is told of calls, pages and refusals, and what is not (SPEC 7)."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response

import pyjob
from pyjob.errors import JobError
from tests.callers import HELD, calling, connect, get, hold, release, released, until, until_waiting
from tests.callers import pipe as a_pipe
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.hosts import bare_root
from tests.servers import ask, pyjob_run, started
from tests.views import Body, Viewed, answering


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
    assert [record.name for record in caplog.records].count("pyjob.calls") == 1


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
        ("GET", "/api/v1/nothing", "GET /nothing 404"),
        ("GET", "/pub/job/any/latest/api/v1/nothing", "GET /nothing 404"),
        ("GET", "/a\u202eb\u200bc\ufeff", r"GET /a\u202eb\u200bc\ufeff 404"),
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


def in_pieces(environ: Any, start_response: Any) -> Any:
    """A page that is sent by write(), as a list or one by one, as its path says."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if "write" in environ["PATH_INFO"]:
        write(b"some")
    return [b" pieces"] if "list" in environ["PATH_INFO"] else Body(b"", b" pieces")


@pytest.mark.parametrize(
    ("path", "size"), [("write,list", 11), ("write,stream", 11), ("list", 7), ("stream", 7)]
)
def test_the_bytes_of_a_page_are_counted_however_they_are_sent(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, path: str, size: int
) -> None:
    caplog.set_level(logging.INFO, "pyjob.access")
    client = client_of(Viewed(in_pieces))
    for method, expected in (("GET", size), ("HEAD", 0)):
        # A client of werkzeug that reads to the end at once forgets what was written.
        answer = client.open(f"/webview/{path}", method=method, streamed=True)
        assert sum(map(len, answer.iter_encoded())) == expected
        answer.close()
    got, head = lines(caplog)
    assert re.fullmatch(rf"GET /webview/{path} 200, ran \S+ ms, waited 0.0 ms, {size} bytes", got)
    assert re.fullmatch(rf"HEAD /webview/{path} 200, ran \S+ ms, waited 0.0 ms", head)


def test_the_head_of_a_get_endpoint_has_no_bytes(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    class Told:
        def tell(self) -> str:
            return "told"

        def auxiliary_endpoints_v2(self) -> Any:
            return [pyjob.EndpointConfig("/tell", "GET", self.tell)]

    caplog.set_level(logging.INFO, "pyjob.access")
    client = client_of(Told)
    client.get("/tell")
    client.open("/tell", method="HEAD")
    got, head = lines(caplog)
    assert re.fullmatch(r"GET /tell 200, ran \S+ ms, waited 0.0 ms, 6 bytes", got)
    assert re.fullmatch(r"HEAD /tell 200, ran \S+ ms, waited 0.0 ms", head)


class Sending:
    """A job that sends eleven bytes in two pieces, as a call and as a page."""

    SIZE = {"Content-Length": "11"}  # noqa: RUF012

    def perform(self) -> Any:
        return Response(Body(b"some", b" pieces"), headers=self.SIZE)

    def webview_app(self, base_url: str) -> Any:
        return answering(Body(b"some", b" pieces"), **self.SIZE)


@pytest.mark.parametrize(("method", "path"), [("POST", "/perform"), ("GET", "/webview/")])
@pytest.mark.parametrize(("taken", "has_left"), [(1, True), (2, False)])
def test_a_stream_is_left_only_where_its_caller_has_not_got_all_of_it(
    client_of: ClientOf,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    taken: int,
    has_left: bool,
) -> None:
    """Who has the last byte may go before the server asks for more."""
    gone = threading.Event()
    caplog.set_level(logging.INFO, "pyjob.access")
    answer = client_of(Sending).open(
        path,
        method=method,
        streamed=True,
        environ_overrides={"waitress.client_disconnected": lambda: gone.is_set()},
    )
    pieces = answer.iter_encoded()
    for _ in range(taken):
        next(pieces)
    gone.set()
    answer.close()
    [line] = lines(caplog)
    assert line.startswith(f"{method} {path} 200")
    assert line.endswith(": the caller left before the answer" if has_left else ", 11 bytes")


def test_a_status_without_a_number_is_served_and_has_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """The rules of WSGI forbid it; who breaks them is served as far as that goes."""

    class Odd:
        def perform(self) -> Any:
            return Response("x", status="fine")

        def webview_app(self, base_url: str) -> Any:
            return answering([b"x"], "OK")

    caplog.set_level(logging.INFO, "pyjob.access")
    client = Client(pyjob.create(Odd, load="now"))
    for method, path in (("POST", "/perform"), ("GET", "/webview/")):
        answer = client.open(path, method=method)
        assert answer.text == "x"
        assert answer.headers["X-Request-ID"]
    call, page = lines(caplog)
    assert call.startswith("POST /perform ")
    assert page.startswith("GET /webview/ OK, ran ")
    assert call.endswith("1 bytes")
    assert page.endswith("1 bytes")


def test_a_path_that_a_server_has_decoded_itself_is_refused_as_any_other(
    client: JobClient, caplog: pytest.LogCaptureFixture
) -> None:
    environ = EnvironBuilder("/").get_environ()
    environ["PATH_INFO"] = "/Łódź"
    body, status, headers = run_wsgi_app(client.application, environ)
    assert status.startswith("400")
    assert "error" in json.loads(b"".join(body))
    assert headers["X-Request-ID"]
    assert len(lines(caplog)) == 1


def test_a_call_that_waited_for_nothing_in_a_thread_tells_how_long(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Holding:
        def perform(self) -> None:
            entered.set()
            assert leave.wait(60)

    caplog.set_level(logging.INFO, "pyjob.access")
    client = client_of(Holding, manifest={"jobtype_extra": {"max_concurrency": 1, "queue_timeout": 0.05}})
    first = threading.Thread(target=client.perform)
    first.start()
    assert entered.wait(60)
    assert client.perform().status_code == 503
    leave.set()
    first.join()
    told = re.match(r"POST /perform 503, waited (\S+) ms: the call has waited for 0.05 s", lines(caplog)[0])
    assert told is not None
    assert float(told[1]) >= 50


# What a host's logging does.

ASKED = [
    ("POST", "/perform", b'{"n": 7}', 200),
    ("POST", "/perform", b'{"n": 1}', 400),
    ("POST", "/perform", b'{"n": 3}', 200),
    ("POST", "/perform", b'{"n": 4}', 500),
    ("POST", "/perform", b'{"n": "x"}', 400),
    ("POST", "/perform", b"{", 400),
    ("GET", "/nothing", b"", 404),
    ("GET", "/webview/", b"", 500),
    ("GET", "/a//b", b"", 400),
]


class Hosted(Clocked):
    """One that fails in every way."""

    def perform(self, n: int = 0, seconds: float = 0.0) -> Any:
        if n == 4:
            raise RuntimeError("a fault")
        return super().perform(n, seconds)

    def webview_app(self, base_url: str) -> Any:
        def failing(environ: Any, start_response: Any) -> Any:
            raise RuntimeError("a fault")

        return failing


def statuses_of(client: JobClient) -> list[int]:
    return [
        client.open(path, method=method, data=body, content_type="application/json").status_code
        for method, path, body, _ in ASKED
    ]


@pytest.fixture
def set_factory() -> Iterator[Callable[[Any], None]]:
    """Sets the factory of records, for a while."""
    before = logging.getLogRecordFactory()
    yield logging.setLogRecordFactory
    logging.setLogRecordFactory(before)


def test_a_hosts_factory_of_records_may_use_the_names_of_our_fields(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, set_factory: Callable[[Any], None]
) -> None:
    names = ("path", "method", "status", "remark", "bytes", "running_ms", "waiting_ms", "tracing_id")

    def factory(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = logging.LogRecord(*arguments, **options)
        record.__dict__.update(dict.fromkeys(names, "theirs"))
        return record

    caplog.set_level(logging.INFO, "pyjob.access")
    client = client_of(Hosted)
    set_factory(factory)
    assert statuses_of(client) == [status for *_, status in ASKED]
    told = [vars(record) for record in caplog.records if record.name == "pyjob.access"]
    assert [(one["method"], one["status"]) for one in told] == [
        (method, status) for method, *_, status in ASKED
    ]
    assert told[0]["path"] == "/perform"


@pytest.mark.parametrize("where", ["factory", "filter", "handler"])
def test_logging_of_a_host_that_raises_costs_nobody_an_answer(
    client_of: ClientOf, set_factory: Callable[[Any], None], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault of the host's")

    client = client_of(Hosted)
    root, handler = logging.getLogger(), logging.NullHandler()
    with bare_root():
        root.setLevel(logging.INFO)
        root.addHandler(handler)
        if where == "factory":
            set_factory(failing)
        elif where == "filter":
            logging.getLogger("pyjob.access").addFilter(failing)
        else:
            handler.handle = failing  # type: ignore[method-assign]
        try:
            assert statuses_of(client) == [status for *_, status in ASKED]
        finally:
            logging.getLogger("pyjob.access").removeFilter(failing)
    assert "cannot be logged" in capsys.readouterr().err


@pytest.mark.parametrize("option", [[], ["--no-access-log"]])
def test_what_the_server_refuses_before_the_application_sees_it_has_a_line(
    make_job: MakeJob, option: list[str]
) -> None:
    folder = make_job("class Job:\n    def perform(self): ...\n", extra={"max_body_size": "1Ki"})

    async def malformed(port: int) -> None:
        async with await connect(port) as caller:
            caller.send(b"NON\x1bSENSE\r\n\r\n")
            assert b" 400 " in (await caller.rest()).partition(b"\r\n")[0]

    with started(pyjob_run(folder, *option)) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/perform", b" " * 2000)[0] == 413
        asyncio.run(malformed(server.port))
    told = [line.partition(" INFO ")[2] for line in server.lines if " 413: " in line or " 400: " in line]
    if option:
        assert told == []
        return
    no_request, too_long = sorted(told)  # each is told once its answer is out
    assert too_long.startswith("POST /perform 413: ")
    assert no_request.startswith("- - 400: ")


@pytest.mark.parametrize("option", [[], ["--no-access-log"]])
def test_whoever_leaves_has_one_line(make_job: MakeJob, tmp_path: Path, option: list[str]) -> None:
    folder = make_job(HELD, extra={"max_concurrency": 1})

    async def leave(port: int, pipe: Path) -> None:
        async with await hold(server, pipe) as runs, await calling(port, n=2) as waits:
            await until_waiting(port, 1)
            waits.hang_up()
            await until(port, lambda found: found["pyjob_calls_abandoned_total"] == 1)
            runs.hang_up()
            await get(port, "/live")  # the loop that hangs up for us does so before that
            release(pipe)
            await until(port, lambda found: found["pyjob_calls_abandoned_total"] == 2)

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

    async def wait(port: int, pipe: Path) -> list[Any]:
        async with await hold(server, pipe) as first, await calling(port, n=2) as second:
            await until_waiting(port, 1)
            return await released(pipe, [first, second])

    with started(pyjob_run(folder), env={"LOG_STRUCTURED": "true"}) as server, a_pipe(tmp_path) as pipe:
        server.wait_until("/ready", 200)
        answers = asyncio.run(wait(server.port, pipe))
    told = [record for record in server.records if record["logger"] == "pyjob.access"]
    assert sorted(record["waiting_ms"] > 0 for record in told) == [False, True]
    # Nobody has sent an id: each has got one, and the one that has waited has no second one.
    ids = [answer.headers["X-Request-Tracing-Id"] for answer in answers]
    assert sorted(record["tracing_id"] for record in told) == sorted(ids)
