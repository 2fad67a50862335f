"""Ids and callers of requests: where they come from, where they go (SPEC 7)."""

from __future__ import annotations

import logging
import os
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

import pyjob
from pyjob.environment.mask import Mask
from pyjob.gate.door import SEAT, Parked
from pyjob.serving.connection.seat import Seat
from pyjob.trace import IdSource, TraceHeaders, Tracer
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.hosts import host_log

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


class Telling:
    """Tells what it is told of its request."""

    request_context: Any

    def perform(self) -> Any:
        context = self.request_context.get()
        return [context.tracing_id, context.caller_name, context.trace_headers]


@pytest.fixture
def client(client_of: ClientOf) -> JobClient:
    return client_of(Telling)


def test_a_callers_own_id_comes_back_under_both_names(client: JobClient) -> None:
    answer = client.post("/perform", headers={"X-Request-Tracing-Id": "order-66"})
    assert answer.json[0] == "order-66"
    assert answer.headers["X-Request-Tracing-Id"] == answer.headers["X-Request-ID"] == "order-66"


def test_a_request_without_one_takes_the_request_id_of_a_proxy(client: JobClient) -> None:
    answer = client.post("/perform", headers={"X-Request-ID": "proxy-1"})
    assert answer.headers["X-Request-Tracing-Id"] == answer.json[0] == "proxy-1"


def test_every_other_request_has_a_new_id(client: JobClient) -> None:
    ids = [client.post("/perform").headers["X-Request-Tracing-Id"] for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in ids)


def test_processes_that_were_forked_make_other_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    new_id = IdSource().new
    before = new_id()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert new_id()[:16] != before[:16]


def test_the_trace_of_w3c_trace_context_is_kept_and_passed_on(client: JobClient) -> None:
    headers = {"traceparent": PARENT, "tracestate": "vendor=1"}
    tracing_id, _, passed_on = client.post("/perform", headers=headers).json
    assert tracing_id == TRACE_ID
    assert passed_on == {"X-Request-Tracing-Id": TRACE_ID, **headers}


def test_an_id_of_its_own_goes_before_that_of_the_trace(client: JobClient) -> None:
    headers = {"traceparent": PARENT, "X-Request-Tracing-Id": "order-66"}
    tracing_id, _, passed_on = client.post("/perform", headers=headers).json
    assert tracing_id == "order-66"
    assert passed_on == headers


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "nonsense",
        PARENT.upper(),
        PARENT.replace(TRACE_ID, "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        f"ff{PARENT[2:]}",
        PARENT[:-1],
        f"{PARENT}-more",
        f"{PARENT}-",
        f"01{PARENT[2:]}-{'x' * 200}",
    ],
)
def test_a_traceparent_that_is_none_counts_for_nothing(client: JobClient, parent: str) -> None:
    tracing_id, _, passed_on = client.post("/perform", headers={"traceparent": parent}).json
    assert tracing_id != TRACE_ID
    assert passed_on == {"X-Request-Tracing-Id": tracing_id}


def test_a_later_version_of_traceparent_may_say_more(client: JobClient) -> None:
    answer = client.post("/perform", headers={"traceparent": f"01{PARENT[2:]}-more"})
    assert answer.json[0] == TRACE_ID


def test_a_trace_that_is_a_secret_comes_back_masked(make_job: MakeJob, client_of: ClientOf) -> None:
    folder = make_job(
        """
        class Job:
            def perform(self):
                return self.request_context.get().tracing_id
        """,
        fields="secret_runtime_env_file: .env",
        files={".env": f"TOKEN={TRACE_ID}"},
    )
    client = client_of(folder)
    for headers in ({"traceparent": PARENT}, {"X-Request-Tracing-Id": TRACE_ID}):
        answer = client.post("/perform", headers=headers)
        assert answer.json == "***"
        assert answer.headers.getlist("X-Request-Tracing-Id") == ["***"]
        assert TRACE_ID not in str(answer.headers)


@pytest.mark.parametrize("first", ["", ",b", " , b", ","])
def test_a_header_whose_first_value_is_empty_is_none(client: JobClient, first: str) -> None:
    headers = {"X-Request-Tracing-Id": first, "X-Request-ID": "proxy-1"}
    assert client.post("/perform", headers=headers).json[0] == "proxy-1"
    headers = {"X-Request-Tracing-Id": first, "X-Request-ID": first, "traceparent": PARENT}
    assert client.post("/perform", headers=headers).json[0] == TRACE_ID
    del headers["traceparent"]
    answer = client.post("/perform", headers=headers)
    assert len(answer.json[0]) == 32
    assert answer.headers["X-Request-ID"] == answer.json[0]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("alice", "alice"),
        ("Łukasz Żak", "Łukasz Żak"),
        ("first, second", "first"),
        ("", ""),
        ("a" * 10_000, "a" * 100),
        ("evil\x1b[31m", r"evil\x1b[31m"),
        ("left\u202eright", r"left\u202eright"),
    ],
)
def test_a_callers_name_is_the_first_one_cut_and_without_control_characters(sent: str, kept: str) -> None:
    assert trace_of(HTTP_X_CALLER_NAME=sent.encode().decode("latin-1")).caller == kept


def test_a_name_that_is_no_utf8_is_still_a_name() -> None:
    assert trace_of(HTTP_X_CALLER_NAME="M\xfcller").caller == "M\ufffdller"


def test_a_name_that_a_server_has_decoded_itself_is_taken_as_it_is() -> None:
    assert trace_of(HTTP_X_CALLER_NAME="Łukasz").caller == "Łukasz"


@pytest.mark.parametrize(
    "sent", ["a" * 10_000, "x\r\nSet-Cookie: a=b", "Żak".encode().decode("latin-1"), "\x1b[2J" * 1000]
)
def test_an_id_that_no_header_could_send_back_is_escaped_and_cut(sent: str) -> None:
    told = trace_of(HTTP_X_REQUEST_TRACING_ID=sent).tracing_id
    assert told.isascii()
    assert told.isprintable()
    assert 0 < len(told) <= 100


def trace_of(**environ: str) -> Any:
    return Tracer(TraceHeaders(), Mask()).trace_of(environ)


class Connection:
    """A server that keeps requests, for a seat."""

    def __init__(self) -> None:
        self.is_back = threading.Event()

    def has_left(self) -> bool:
        return False

    def come_back(self) -> None:
        self.is_back.set()


def test_a_call_that_waits_has_one_id_from_its_arrival_to_its_end() -> None:
    """It comes in twice: at first it is parked, and it goes on when its turn has come."""
    entered, leave = threading.Event(), threading.Event()

    class Waiting:
        def perform(self, n: int) -> None:
            if n == 1:
                entered.set()
                assert leave.wait(60)
                return
            logging.getLogger("of.job").warning("after the wait")
            raise ValueError("two is wrong")

    def named(environ: Any) -> str:
        logging.getLogger("of.host").warning("before the wait")
        return "alice"

    manifest = {"name": "waiting", "jobtype_extra": {"max_concurrency": 1}}
    client = JobClient(pyjob.create(Waiting, manifest=manifest, load="now", caller=named), "")
    first = threading.Thread(target=client.perform, kwargs={"n": 1})
    connection = Connection()
    seat = Seat(connection, in_reserve=False)
    environ = EnvironBuilder("/perform", method="POST", json={"n": 2}).get_environ()
    environ[SEAT] = seat
    first.start()
    assert entered.wait(60)
    with host_log() as log:
        with pytest.raises(Parked):
            run_wsgi_app(client.application, environ)
        seat.unwound()
        leave.set()
        first.join()
        assert connection.is_back.wait(60)
        environ[SEAT] = seat
        _, status, headers = run_wsgi_app(client.application, environ)
    assert status.startswith("400")
    [tracing_id] = headers.getlist("X-Request-Tracing-Id")
    assert headers.getlist("X-Request-ID") == [tracing_id]
    own = [one for one in log.records if one.get("path") != "/perform" or one["status"] == 400]
    assert [one["logger"] for one in own] == ["of.host", "of.job", "pyjob.calls", "pyjob.access"]
    assert {one["tracing_id"] for one in own} == {tracing_id}
    assert {one["caller_name"] for one in own[1:]} == {"alice"}  # the first names it
    [error] = client.get("/status/data").json["errors"]
    assert error["tracing_id"] == tracing_id
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    assert f'"{tracing_id}"' in client.get("/metrics", headers=accept).text


@pytest.mark.parametrize("where", ["environment", "manifest"])
def test_the_names_of_the_headers_can_be_chosen(
    make_job: MakeJob, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    names = {"REQUEST_TRACING_HEADER": "X-Trace", "CALLER_NAME_HEADER": "X-User"}
    fields = ""
    if where == "environment":
        for name, value in names.items():
            monkeypatch.setenv(name, value)
    else:
        fields = "runtime_env:\n" + "".join(f"  {name}: {value}\n" for name, value in names.items())
    code = """
        class Job:
            def perform(self):
                context = self.request_context.get()
                return [context.tracing_id, context.caller_name, context.trace_headers]
    """
    client = client_of(make_job(code, fields=fields))
    answer = client.post("/perform", headers={"X-Trace": "order-66", "X-User": "alice"})
    assert answer.json == ["order-66", "alice", {"X-Trace": "order-66", "X-User": "alice"}]
    assert answer.headers["X-Trace"] == answer.headers["X-Request-ID"] == "order-66"
    assert "X-Request-Tracing-Id" not in answer.headers


def test_what_is_no_name_of_a_header_is_told_and_not_used(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REQUEST_TRACING_HEADER", "X Trace\r\n")
    answer = client_of(Telling).post("/perform", headers={"X-Request-Tracing-Id": "order-66"})
    assert answer.json[0] == "order-66"
    assert "REQUEST_TRACING_HEADER: expected the name of a header" in caplog.text


@pytest.mark.parametrize("variable", ["REQUEST_TRACING_HEADER", "CALLER_NAME_HEADER"])
@pytest.mark.parametrize(
    "name", ["Transfer-Encoding", "connection", "Set-Cookie", "CONTENT-LENGTH", "Content-Type", "Date"]
)
def test_a_header_that_means_something_else_carries_neither(
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    name: str,
) -> None:
    monkeypatch.setenv(variable, name)
    answer = client_of(Telling).post("/perform", headers={"X-Request-Tracing-Id": "order-66"})
    assert answer.json[0] == "order-66"
    assert f"{variable}: expected the name of a header" in caplog.text
    assert "order-66" not in answer.headers.get(name, "")


def test_where_both_names_are_one_the_answer_has_one_header(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUEST_TRACING_HEADER", "x-request-id")
    answer = client_of(Telling).post("/perform", headers={"X-Request-ID": "order-66"})
    assert answer.json[0] == "order-66"
    assert answer.headers.getlist("X-Request-ID") == ["order-66"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/perform", 200),
        ("GET", "/perform", 405),
        ("GET", "/nothing", 404),
        ("GET", "/a//b", 400),
        ("GET", "/", 307),
        ("GET", "/live", 200),
        ("GET", "/docs", 200),
    ],
)
def test_every_answer_has_the_id(client: JobClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method, headers={"X-Request-Tracing-Id": "order-66"})
    assert answer.status_code == status
    assert answer.headers.getlist("X-Request-Tracing-Id") == ["order-66"]


def test_an_id_that_the_job_gives_its_answer_itself_is_not_doubled(client_of: ClientOf) -> None:
    from werkzeug.wrappers import Response

    class Own:
        def perform(self) -> Any:
            return Response("fine", headers={"x-request-id": "its own"})

    answer = client_of(Own).post("/perform", headers={"X-Request-Tracing-Id": "order-66"})
    assert answer.headers.getlist("X-Request-ID") == ["its own"]
    assert answer.headers.getlist("X-Request-Tracing-Id") == ["order-66"]


def test_pages_of_a_web_view_have_it_too(job_of: Callable[..., JobClient]) -> None:
    client = job_of(
        """
        def perform(self): ...
        def webview_app(self, base_url):
            def app(environ, start_response):
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [self.request_context.get().tracing_id.encode()]
            return app
        """
    )
    answer = client.get("/webview/", headers={"X-Request-Tracing-Id": "order-66"})
    assert (answer.text, answer.headers["X-Request-ID"]) == ("order-66", "order-66")


@pytest.mark.parametrize("headers", [{}, {"X-Request-Tracing-Id": "order-66", "X-Caller-Name": "alice"}])
def test_a_web_view_that_is_another_job_has_the_id_of_the_outer_one(
    client_of: ClientOf, headers: dict[str, str]
) -> None:
    class Inner:
        request_context: Any

        def perform(self) -> Any:
            logging.getLogger("of.inner").warning("inner")
            context = self.request_context.get()
            return [context.tracing_id, context.caller_name]

    inner = pyjob.create(Inner, load="now")

    class Outer:
        def perform(self) -> None: ...

        def webview_app(self, base_url: str) -> Any:
            def mounting(environ: Any, start_response: Any) -> Any:
                logging.getLogger("of.outer").warning("outer")
                path = environ["PATH_INFO"].removeprefix(base_url)
                return inner({**environ, "PATH_INFO": path}, start_response)

            return mounting

    client = client_of(Outer)
    with host_log() as log:
        answer = client.post("/webview/perform", headers=headers)
    tracing_id, caller = answer.json
    assert (tracing_id, caller) == (("order-66", "alice") if headers else (tracing_id, ""))
    assert tracing_id
    for name in ("X-Request-Tracing-Id", "X-Request-ID"):
        assert answer.headers.getlist(name) == [tracing_id]
    records = log.of("of.outer") + log.of("of.inner") + log.of("pyjob.access")
    assert len(records) == 4
    assert {record["tracing_id"] for record in records} == {tracing_id}


def test_a_host_can_name_the_callers_itself(client_of: ClientOf) -> None:
    client = client_of(Telling, caller=lambda environ: environ.get("REMOTE_USER"))
    named = client.post("/perform", environ_overrides={"REMOTE_USER": "Doe, Jane\n"})
    assert named.json[1] == r"Doe, Jane\n"
    assert client.post("/perform", headers={"X-Caller-Name": "mallory"}).json[1] == ""


def test_a_hosts_function_that_fails_costs_nobody_an_answer(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(Telling, caller=lambda environ: environ["no such key"])
    assert client.post("/perform").json[1] == ""
    assert "the function that names callers failed" in caplog.text


class Speechless:
    """A name that cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no name")


@pytest.mark.parametrize(
    "caller",
    [lambda environ: Speechless(), lambda environ: environ["no such key"], lambda environ: str(Speechless())],
)
def test_a_hosts_function_that_fails_is_told_of_once_by_the_id_of_the_request(
    client_of: ClientOf, caller: Callable[[Any], Any]
) -> None:
    client = client_of(Telling, caller=caller)
    with host_log() as log:
        answer = client.post("/perform", headers={"X-Request-Tracing-Id": "order-66"})
    assert answer.json[:2] == ["order-66", ""]
    [record] = log.of("pyjob.trace")
    assert record["msg"] == "the function that names callers failed"
    assert record["tracing_id"] == "order-66"


@pytest.mark.parametrize(
    ("name", "kept"), [("Doe, Jane", "Doe, Jane"), (", ", ", "), (7, "7"), (None, ""), ("", "")]
)
def test_what_a_hosts_function_names_is_taken_as_it_is(client_of: ClientOf, name: Any, kept: str) -> None:
    assert client_of(Telling, caller=lambda _: name).post("/perform").json[1] == kept


def test_a_call_in_process_may_be_told_whose_it_is(client_of: ClientOf) -> None:
    class Logging:
        request_context: Any

        def perform(self) -> Any:
            logging.getLogger("of.job").warning("said")
            context = self.request_context.get()
            return [context.tracing_id, context.caller_name]

    application = client_of(Logging).application
    with host_log() as log:
        told = [
            application.call("/perform", tracing_id="order-66", caller="Doe, Jane"),
            application.call(
                "/perform", tracing_id="x\r\nSet-Cookie: a=b\u202e" + "y" * 1000, caller="\x1b[2J"
            ),
            application.call("/perform", tracing_id="Żak", caller=""),
        ]
    records = log.of("of.job")
    assert [[one.get("tracing_id"), one.get("caller_name", "")] for one in records] == told
    assert told[0] == ["order-66", "Doe, Jane"]
    assert all(one.isascii() and one.isprintable() and len(one) <= 100 for one, _ in told)
    assert told[1][0].startswith(r"x\r\nSet-Cookie: a=b\u202ey")
    assert told[1][1] == r"\x1b[2J"
    assert told[2] == [r"\u017bak", ""]


def test_what_a_call_in_process_is_told_holds_no_secret(make_job: MakeJob) -> None:
    folder = make_job(
        """
        class Job:
            def perform(self):
                context = self.request_context.get()
                return [context.tracing_id, context.caller_name]
        """,
        fields="secret_runtime_env_file: .env",
        files={".env": "TOKEN=planted-value"},
    )
    application = pyjob.create(folder, load="now")
    told = application.call("/perform", tracing_id="planted-value", caller="by planted-value")
    assert told == ["***", "by ***"]


def test_a_call_in_process_has_an_id_of_its_own_or_that_of_the_request_it_is_made_in() -> None:
    application = pyjob.create(Telling, load="now")

    class Outer:
        def perform(self) -> Any:
            return application.call("/perform")

    assert len(application.call("/perform")[0]) == 32
    outer = JobClient(pyjob.create(Outer, load="now"), "")
    answer = outer.post("/perform", headers={"X-Request-Tracing-Id": "order-66", "X-Caller-Name": "alice"})
    assert answer.json[:2] == ["order-66", "alice"]


def test_outside_of_requests_there_is_neither(make_job: MakeJob, client_of: ClientOf) -> None:
    code = textwrap.dedent(
        """
        from pyjob.trace import CURRENT
        class Job:
            def __init__(self):
                self.at_start = CURRENT.get().tracing_id
            def perform(self):
                return self.at_start
        """
    )
    assert client_of(make_job(code)).post("/perform").json == ""


def test_variables_that_are_empty_name_no_header() -> None:
    headers = TraceHeaders.from_environment({"REQUEST_TRACING_HEADER": "", "CALLER_NAME_HEADER": ""})
    assert headers == TraceHeaders("X-Request-Tracing-Id", "X-Caller-Name")
