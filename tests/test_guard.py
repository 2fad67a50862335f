"""Who is let in: tokens, public endpoints, hosts; and what becomes of callers' names (SPEC 8)."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

import pyjob
import pyjob.app
from pyjob.errors import ManifestError
from tests.callers import connect, hold, pipe, released, until_waiting
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import Server, ask, pyjob_run, started
from tests.stores import HEADER, Made, until

JOB = """
    class Job:
        def perform(self, x: int = 1) -> int:
            return x + 1

        def auxiliary_endpoints(self):
            return {"/told": self.told, "/performance": self.performance}

        def told(self):
            request = self.request_context.get()
            passed_on = request.trace_headers.get("X-Caller-Name")
            return {"name": request.caller_name, "headers": dict(request.headers), "passed_on": passed_on}

        def performance(self):
            return "performance"

        def static_endpoints(self):
            return {"/files": "files"}

        def webview_app(self, base_url):
            def page(environ, start_response):
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [environ["PATH_INFO"].removeprefix(base_url).encode()]
            return page
"""
LISTED = "public_endpoints: [/perform, /api/v1/webview/open, /api/v1/files/open]"
CLOSED = ("/", "/docs", "/openapi.json", "/metrics", "/status", "/status/data", "/favicon.ico", "/parameters")
PROBES = ("/live", "/ready", "/health")


@pytest.fixture
def folder(make_job: MakeJob) -> Path:
    return make_job(JOB, fields=LISTED, files={"files/open/a.txt": "open", "files/shut/a.txt": "shut"})


@pytest.fixture
def client(folder: Path, store: Made, client_of: ClientOf) -> JobClient:
    return client_of(folder, access=store.path, cookies=False)


def opens(client: JobClient, path: str = "/perform") -> bool:
    return bool(client.post(path, json={}).status_code == 200)


def test_everything_wants_a_token_before_it_says_whether_it_is_there(client: JobClient) -> None:
    for path in (*CLOSED, "/nowhere", "/api/v1/nowhere", "/pub/job/sample/1", "/webview/x"):
        for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"):
            answer = client.open(path, method=method)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["Cache-Control"] == "no-store"
            if method != "HEAD":
                assert answer.json["type"] == "Unauthorized"
                assert HEADER in answer.json["error"]


def test_probes_need_no_token(client: JobClient) -> None:
    for path in PROBES:
        assert client.get(path).status_code == 200
        assert client.open(path, method="HEAD").status_code == 200
        assert client.get(f"/pub/job/sample/latest{path}").status_code == 200
        assert client.get(f"{path}/x").status_code == 401


def test_a_token_lets_in_by_either_header(client: JobClient, store: Made) -> None:
    token = store.token()
    for name, value in (
        (HEADER, token),
        ("Authorization", f"Bearer {token}"),
        ("Authorization", f"bEARER  {token} "),
    ):
        headers = {name: value}
        until(lambda: client.get("/docs", headers=headers).status_code == 200)  # noqa: B023
        assert client.post("/api/v1/perform", json={"x": 2}, headers=headers).json == 3
        assert client.get("/nowhere", headers=headers).status_code == 404
        assert client.get("/perform", headers=headers).status_code == 405


BAD_TOKENS = [
    *("", " ", "x", "pyjob_", "{}x", "x{}", "pyjob_\x00", "{}\x00"),
    *("\u00e9" * 30, "a" * 100_000, "{},{}"),
]


@pytest.mark.parametrize("text", BAD_TOKENS, ids=lambda text: repr(text[:8]))
def test_what_is_no_token_lets_nobody_in(folder: Path, store: Made, text: str) -> None:
    token = store.token()
    application = pyjob.create(folder, access=store.path, load="now")
    for key, value in (
        ("HTTP_X_RACETRACK_AUTH", text),
        ("HTTP_AUTHORIZATION", f"Bearer {text}"),
        ("HTTP_AUTHORIZATION", text),
        ("HTTP_AUTHORIZATION", f"Basic {text}"),
        ("HTTP_COOKIE", f"X-Racetrack-Auth={text}"),
        ("HTTP_COOKIE", text),
        ("QUERY_STRING", f"X-Racetrack-Auth={token}&token={token}"),
    ):
        environ = {key: value.replace("{}", token)}
        answer = Client(application, use_cookies=False).get("/docs", environ_overrides=environ)
        assert answer.status_code == 401, (key, value[:40])
    good = {"HTTP_X_RACETRACK_AUTH": token}
    assert Client(application).get("/docs", environ_overrides=good).status_code == 200


def test_two_headers_that_differ_are_no_token(client: JobClient, store: Made) -> None:
    one, other = store.token("one"), store.token("other")
    until(lambda: client.get("/docs", headers={HEADER: one}).status_code == 200)
    both = {HEADER: one, "Authorization": f"Bearer {other}"}
    assert client.get("/docs", headers=both).status_code == 401
    assert client.get("/docs", headers={HEADER: one, "Authorization": f"Bearer {one}"}).status_code == 200
    # What is no bearer is the job's own affair.
    assert client.get("/docs", headers={HEADER: one, "Authorization": "Basic YTpi"}).status_code == 200


def test_a_header_that_is_no_token_wins_over_a_cookie_that_is(client: JobClient, store: Made) -> None:
    cookie = {"Cookie": f"{HEADER}={store.token()}"}
    until(lambda: client.get("/docs", headers=cookie).status_code == 200)
    assert client.get("/docs", headers={**cookie, HEADER: "wrong"}).status_code == 401


@pytest.fixture(scope="module")
def cookie_judge(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, dict[str, str]], int]:
    """The status of a request with a good cookie, by method and headers."""
    made = Made(tmp_path_factory.mktemp("store") / "access.db")
    cookie = {"Cookie": f"a=b; {HEADER}={made.token()}; c=d"}
    client = Client(pyjob.create(Answering, access=made.path, load="now"), use_cookies=False)
    return lambda method, headers: (
        client.open("/perform", method=method, json={}, headers={**cookie, **headers}).status_code
    )


class Answering:
    def perform(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Sec-Fetch-Site": "same-origin"}, 200),
        ("POST", {"Sec-Fetch-Site": "none"}, 200),
        ("POST", {"Origin": "http://localhost"}, 200),
        ("POST", {"Sec-Fetch-Site": "same-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ("POST", {"Sec-Fetch-Site": ""}, 403),
        ("POST", {"Origin": "https://localhost"}, 403),
        ("POST", {"Origin": "http://localhost:8080"}, 403),
        ("POST", {"Origin": "http://localhost.example.com"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {}, 403),
        ("GET", {}, 405),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {"Origin": "http://example.com"}, 403),
    ],
)
def test_a_cookie_counts_for_pages_of_this_service(
    cookie_judge: Callable[[str, dict[str, str]], int], method: str, headers: dict[str, str], status: int
) -> None:
    assert cookie_judge(method, headers) == status


def test_cookies_of_others_may_be_in_any_encoding(client: JobClient, store: Made) -> None:
    cookie = {"HTTP_COOKIE": f"caf\u00e9=\u00e9; {HEADER}={store.token()}"}
    until(lambda: client.get("/docs", environ_overrides=cookie).status_code == 200)


def test_no_job_sees_a_token_and_every_job_sees_the_caller(client: JobClient, store: Made) -> None:
    token = store.token("Ålice")
    for headers in (
        {HEADER: token},
        {"Authorization": f"Bearer {token}"},
        {"Cookie": f"{HEADER}={token}", "Sec-Fetch-Site": "same-origin"},
        {"Cookie": f"a=b; {HEADER}={token};c=d", "Sec-Fetch-Site": "same-origin"},
    ):
        own = {"X-Caller-Name": "somebody else"}
        until(lambda: client.post("/told", json={}, headers=headers).status_code == 200)  # noqa: B023
        told = client.post("/told", json={}, headers={**headers, **own}).json
        assert told["name"] == "Ålice"
        assert told["headers"]["X-Caller-Name"].encode("latin-1").decode() == "Ålice"
        assert told["passed_on"] == told["headers"]["X-Caller-Name"]  # as the next job is to get it
        assert token not in str(told)
        if "a=b" in headers.get("Cookie", ""):
            assert told["headers"]["Cookie"] == "a=b;c=d"


def test_no_job_sees_a_token_in_the_second_of_two_cookie_headers(
    make_job: MakeJob, store: Made, client_of: ClientOf
) -> None:
    token = store.token()
    store.approve("/api/v1/told")
    folder = make_job(JOB, fields="public_endpoints: [/told]")
    client = client_of(folder, access=store.path, cookies=False)
    for joined in (f"a=b, {HEADER}={token}", f"a=b,{HEADER}={token}; c=d, e=f", f"{HEADER}={token}, a=b"):
        told = client.post("/told", json={}, environ_overrides={"HTTP_COOKIE": joined})
        assert told.status_code == 200
        assert token not in told.get_data(as_text=True)


def test_who_needs_no_token_has_no_name_either(make_job: MakeJob, store: Made, client_of: ClientOf) -> None:
    store.approve("/api/v1/told")
    token = store.token()
    folder = make_job(JOB, fields="public_endpoints: [/told]")
    client = client_of(folder, access=store.path, cookies=False)
    answer = client.post("/told", json={}, headers={"X-Caller-Name": "somebody else"}).json
    assert answer["name"] == ""
    assert "X-Caller-Name" not in answer["headers"]
    assert answer["passed_on"] is None
    assert client.post("/told", json={}, headers={HEADER: token}).json["name"] == "alice"
    assert client.post("/told", json={}, headers={HEADER: "wrong"}).json["name"] == ""
    # Nor by a cookie that the page of another site has made a browser send.
    foreign = {"Cookie": f"{HEADER}={token}", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/told", json={}, headers=foreign).json["name"] == ""


def test_the_header_of_callers_may_have_another_name(
    folder: Path, store: Made, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLER_NAME_HEADER", "X-Who")
    token = store.token()
    client = client_of(folder, access=store.path)
    headers = {HEADER: token, "X-Who": "somebody", "X-Caller-Name": "somebody else"}
    told = client.post("/told", json={}, headers=headers).json
    assert told["name"] == told["headers"]["X-Who"] == told["headers"]["X-Caller-Name"] == "alice"


def test_what_is_listed_and_approved_is_open_with_what_is_below_it(client: JobClient, store: Made) -> None:
    assert not opens(client)
    store.approve("/api/v1/perform")
    store.approve("/api/v1/webview/open")
    store.approve("/api/v1/files/open")
    store.approve("/api/v1/performance")  # not listed
    until(lambda: opens(client))
    assert opens(client, "/api/v1/perform")
    assert opens(client, "/pub/job/sample/latest/api/v1/perform")
    assert client.get("/perform").status_code == 405
    assert client.get("/perform/x").status_code == 404
    assert client.post("/performance", json={}).status_code == 401
    assert client.get("/webview/open").get_data() == b"/open"
    assert client.get("/webview/open/x").get_data() == b"/open/x"
    assert client.get("/webview/opened").status_code == 401
    assert client.get("/webview/").status_code == 401
    assert client.get("/files/open/a.txt").get_data() == b"open"
    assert client.get("/files/shut/a.txt").status_code == 401
    assert client.get("/files/open/../shut/a.txt").status_code == 400
    assert client.get("/files/open/%2e%2e/shut/a.txt").status_code == 400


def test_an_approval_is_taken_back_while_it_serves(client: JobClient, store: Made) -> None:
    store.approve("/api/v1/perform")
    until(lambda: opens(client))
    store.ledger.revoke_approval("sample", "0.0.1", "/api/v1/perform")
    until(lambda: not opens(client))


@pytest.mark.parametrize(("name", "version"), [("sample", "0.0.2"), ("other", "0.0.1"), ("sample", "latest")])
def test_an_approval_of_another_job_or_version_opens_nothing(
    folder: Path, store: Made, client_of: ClientOf, name: str, version: str
) -> None:
    store.approve("/api/v1/perform", name=name, version=version)
    assert not opens(client_of(folder, access=store.path))


def test_what_the_manifest_lists_no_more_is_closed(
    make_job: MakeJob, store: Made, client_of: ClientOf
) -> None:
    store.approve("/api/v1/perform")
    assert opens(client_of(make_job(JOB, fields=LISTED), access=store.path))
    assert not opens(client_of(make_job(JOB), access=store.path))


def test_an_endpoint_that_waits_is_told_with_the_command_and_once(
    folder: Path, store: Made, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    store.approve("/api/v1/perform")
    client = client_of(folder, access=store.path)
    for _ in range(2):
        client.get("/webview/open")
        client.get("/nowhere")
    told = [one.getMessage() for one in caplog.records if "pyjob access approve" in one.getMessage()]
    assert [one.partition("approval: ")[2] for one in told] == [
        f"pyjob access approve sample 0.0.1 /api/v1/files/open --file {store.path}",
        f"pyjob access approve sample 0.0.1 /api/v1/webview/open --file {store.path}",
    ]


def test_the_log_says_that_tokens_are_asked_for_and_where_a_store_had_better_not_be(
    folder: Path, store: Made, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client_of(folder, access=store.path)
    assert f"job sample: callers need a token, by {store.path}" in caplog.text
    assert "in the folder of the job" not in caplog.text
    inner = Made(folder / "access.db")
    client_of(folder, access=inner.path)
    assert f"{inner.path}: lies in the folder of the job, whose files may be served" in caplog.text


def test_a_token_is_revoked_while_it_serves(client: JobClient, store: Made) -> None:
    headers = {HEADER: store.token()}
    until(lambda: client.get("/docs", headers=headers).status_code == 200)
    store.ledger.revoke_token("alice")
    until(lambda: client.get("/docs", headers=headers).status_code == 401)


def test_a_token_that_has_expired_lets_nobody_in(client: JobClient, store: Made) -> None:
    now = int(time.time())
    late, good = (
        {HEADER: store.token("late", expires=now - 1)},
        {HEADER: store.token("good", expires=now + 9999)},
    )
    until(lambda: client.get("/docs", headers=good).status_code == 200)
    assert client.get("/docs", headers=late).status_code == 401


def test_without_a_store_nobody_is_let_in_and_health_and_log_say_so(
    folder: Path, store: Made, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {HEADER: store.token()}
    store.approve("/api/v1/perform")
    aside = store.path.rename(store.path.with_suffix(".aside"))
    client = client_of(folder, access=store.path)
    for _ in range(2):
        answer = client.get("/docs", headers=headers)
        assert answer.status_code == 401
        assert answer.json["error"] == "nobody can be let in now: see /health"
        assert not opens(client)
    assert client.get("/live").status_code == 200
    assert client.get("/ready").status_code == 500
    health = client.get("/health")
    assert health.status_code == 500
    assert (health.json["status"], health.json["live"], health.json["ready"]) == ("fail", True, False)
    assert "nobody is let in" in health.json["error"]
    assert str(store.path) not in health.get_data(as_text=True)  # everybody may read it
    [told] = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert str(store.path) in told
    assert "pyjob access init" in told
    aside.rename(store.path)
    until(lambda: client.get("/docs", headers=headers).status_code == 200)
    assert opens(client)
    assert client.get("/health").status_code == client.get("/ready").status_code == 200


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_store_that_is_broken_while_it_serves_closes_everything(
    client: JobClient, store: Made, content: bytes
) -> None:
    headers = {HEADER: store.token()}
    store.approve("/api/v1/perform")
    until(lambda: opens(client) and client.get("/docs", headers=headers).status_code == 200)
    store.path.write_bytes(content)
    until(lambda: not opens(client))
    until(lambda: client.get("/docs", headers=headers).status_code == 401)
    assert client.get("/live").status_code == 200


def test_a_wide_mode_of_the_store_is_a_warning(
    folder: Path, store: Made, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    store.path.chmod(0o644)
    client_of(folder, access=store.path)
    assert "wider than need be" in caplog.text


def refusals(client: JobClient, token: str) -> dict[str, float]:
    page = client.get("/metrics", headers={HEADER: token}).get_data(as_text=True)
    assert "requests_started_total 0.0" in page  # none of them is a call
    return {
        reason: float(count)
        for reason, count in re.findall(r'^pyjob_access_refused_total{reason="(\w+)"} (\S+)$', page, re.M)
    }


def test_refusals_are_counted_and_logged_without_the_token(
    client: JobClient, store: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyjob.access")
    token = store.token()
    cookie = {"Cookie": f"{HEADER}={token}"}
    until(lambda: client.get("/docs", headers=cookie).status_code == 200)
    before = refusals(client, token)
    caplog.clear()
    client.post("/perform", json={}, environ_overrides={"REMOTE_ADDR": "10.1.2.3"})
    client.post(
        "/perform", json={}, headers={HEADER: f"{token}x"}, environ_overrides={"REMOTE_ADDR": "10.1.2.4"}
    )
    client.post("/perform", json={}, headers=cookie, environ_overrides={"REMOTE_ADDR": "::1"})
    client.get("/metrics", environ_overrides={"REMOTE_ADDR": "10.1.2.5"})
    told = [one.getMessage() for one in caplog.records if one.name == "pyjob.access"]
    assert told == [
        "POST /perform 401: no token, from 10.1.2.3",
        "POST /perform 401: invalid token, from 10.1.2.4",
        "POST /perform 403: foreign page, from ::1",
        "GET /metrics 401: no token, from 10.1.2.5",
    ]
    assert token not in caplog.text
    counts = {"no_token": 2, "invalid_token": 1, "foreign_page": 1, "no_store": 0, "host": 0}
    assert refusals(client, token) == {reason: before[reason] + count for reason, count in counts.items()}


def test_the_name_of_the_caller_is_in_every_line_of_a_request(
    make_job: MakeJob, store: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    token = store.token("alice")
    folder = make_job(
        "import logging\nclass Job:\n    def perform(self): logging.getLogger('job').warning('hello')\n"
    )
    env = {"LOG_CALLER_NAME": "true", "LOG_STRUCTURED": "true", "PYJOB_ACCESS": str(store.path)}
    with started(pyjob_run(folder), env=env) as server:
        server.wait_until("/ready", 200)
        status, _, _ = ask(
            server, "POST", "/perform", b"{}", X_Racetrack_Auth=token, X_Caller_Name="somebody"
        )
        assert status == 200
        assert ask(server, "POST", "/perform", b"{}", X_Caller_Name="somebody")[0] == 401
    told = [one for one in server.records if one["msg"] == "hello" or one["logger"] == "pyjob.access"]
    assert [one.get("caller_name") for one in told] in (["alice", "alice", None], ["alice", "alice", ""])
    assert token not in server.output
    assert "somebody" not in server.output


# A call that waits is the same call when it comes again.


HELD = """
    class Job:
        def perform(self, hold=""):
            if hold:
                with open(hold) as pipe:
                    pipe.read()
            request = self.request_context.get()
            return [request.caller_name, dict(request.headers)]
"""


def test_a_call_that_waits_is_let_in_once_when_it_comes(
    make_job: MakeJob, store: Made, tmp_path: Path
) -> None:
    token = store.token()
    for endpoint in ("/metrics", "/api/v1/perform"):
        store.approve(endpoint)
    folder = make_job(HELD, fields="public_endpoints: [/metrics, /perform]", extra={"max_concurrency": 1})

    async def scenario(server: Server, path: Path) -> list[Any]:
        async with await hold(server, path) as first, await connect(server.port) as second:
            head = f"POST /perform HTTP/1.1\r\nHost: x\r\n{HEADER}: {token}\r\nX-Caller-Name: x\r\n"
            second.send(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
            await until_waiting(server.port, 1)
            store.ledger.revoke_token("alice")
            store.ledger.revoke_approval("sample", "0.0.1", "/api/v1/perform")
            while ask(server, "POST", "/perform", b"no JSON", X_Racetrack_Auth=token)[0] != 401:
                await asyncio.sleep(0.02)
            return [json.loads(one.body) for one in await released(path, (first, second))]

    with (
        started(pyjob_run(folder, "--access", str(store.path))) as server,
        pipe(tmp_path) as path,
    ):
        server.wait_until("/ready", 200)
        [first, second] = asyncio.run(scenario(server, path))
    assert first[0] == ""
    assert (second[0], second[1]["X-Caller-Name"]) == ("alice", "alice")
    assert token not in str(second)


def test_a_host_decides_in_place_of_tokens(folder: Path, client_of: ClientOf) -> None:
    asked: list[str] = []

    def decide(environ: dict[str, Any]) -> bool:
        asked.append(environ["pyjob.path"])
        return environ.get("HTTP_X_HOST_USER") is not None

    client = client_of(folder, access=decide, caller=lambda environ: environ.get("HTTP_X_HOST_USER"))
    answer = client.post("/told", json={}, headers={"X-Caller-Name": "somebody", "X-Racetrack-Auth": "kept"})
    assert answer.status_code == 403
    answer = client.post("/told", json={}, headers={"X-Host-User": "bob", "X-Caller-Name": "somebody"})
    assert answer.json["name"] == answer.json["headers"]["X-Caller-Name"] == "bob"
    assert client.get("/live").status_code == 200
    assert client.get("/sign-in", headers={"X-Host-User": "bob"}).status_code == 404
    assert asked == ["/told", "/told", "/sign-in"]
    assert 'pyjob_access_refused_total{reason="host"} 1.0' in client.get(
        "/metrics", headers={"X-Host-User": "bob"}
    ).get_data(as_text=True)


@pytest.mark.parametrize("answer", [None, 1, "yes", [1]])
def test_only_true_lets_in_where_a_host_decides(folder: Path, client_of: ClientOf, answer: Any) -> None:
    client = client_of(folder, access=lambda environ: answer)
    assert client.post("/perform", json={}).status_code == 403


def test_a_host_whose_decision_fails_lets_nobody_in(
    folder: Path, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(environ: dict[str, Any]) -> bool:
        raise RuntimeError("no database")

    client = client_of(folder, access=fail)
    answer = client.post("/perform", json={})
    assert answer.status_code == 500
    assert "no database" not in answer.get_data(as_text=True)
    assert "no database" in caplog.text


def test_without_a_name_from_the_host_nobody_has_one(folder: Path, client_of: ClientOf) -> None:
    client = client_of(folder, access=lambda environ: True)
    told = client.post("/told", json={}, headers={"X-Caller-Name": "somebody"}).json
    assert told["name"] == ""
    assert "X-Caller-Name" not in told["headers"]


def test_the_environment_switches_access_on(
    folder: Path, store: Made, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYJOB_ACCESS", str(store.path))
    assert not opens(client_of(folder))
    monkeypatch.setenv("PYJOB_ACCESS", str(store.path.with_name("other.db")))
    assert not opens(client_of(folder))
    token = store.token()
    client = client_of(folder, access=store.path)  # what is said in the code wins
    assert client.post("/perform", json={}, headers={HEADER: token}).status_code == 200


def test_an_empty_name_of_a_store_is_an_error_and_lets_in_nobody(
    folder: Path, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYJOB_ACCESS", "")
    with pytest.raises(ManifestError, match="PYJOB_ACCESS: expected the path of a store"):
        client_of(folder)
    monkeypatch.chdir(folder)
    answer = Client(pyjob.app._OwnApplication()).get("/docs")
    assert answer.status_code == 403
    with pytest.raises(ValueError, match="access: expected the path of a store"):
        client_of(folder, access="")
    with pytest.raises(ValueError, match="access: expected the path of a store"):
        client_of(folder, access=5)


def test_tokens_and_a_host_cannot_both_name_callers(folder: Path, store: Made, client_of: ClientOf) -> None:
    with pytest.raises(ValueError, match="tokens name the callers"):
        client_of(folder, access=store.path, caller=lambda environ: "bob")


def test_no_job_chooses_who_is_let_in(make_job: MakeJob, client_of: ClientOf) -> None:
    with pytest.raises(ManifestError, match="PYJOB_ACCESS: expected a name that is not reserved"):
        client_of(make_job(JOB, fields="runtime_env:\n  PYJOB_ACCESS: mine.db"))
    secret = make_job(JOB, fields="secret_runtime_env_file: .env", files={".env": "PYJOB_ACCESS=mine.db"})
    with pytest.raises(ManifestError, match="PYJOB_ACCESS"):
        client_of(secret)


def test_a_self_test_needs_no_token(make_job: MakeJob, store: Made) -> None:
    folder = make_job(
        "class Job:\n    def perform(self, x): return x\n    def docs_input_example(self): return {'x': 1}"
    )
    application = pyjob.create(folder, access=store.path, settings=pyjob.Settings(self_test=30.0), load="now")
    assert application.call("/perform", {"x": 3}) == 3  # nor does the host's own code
    assert Client(application).post("/perform", json={"x": 3}).status_code == 401


def test_two_jobs_of_a_process_have_stores_of_their_own(make_job: MakeJob, tmp_path: Path) -> None:
    stores = [Made(tmp_path / f"{name}.db") for name in "ab"]
    tokens = [one.token() for one in stores]
    jobs = [
        Client(pyjob.create(make_job(JOB, name=name, entry=f"{name}.py"), access=one.path, load="now"))
        for name, one in zip("ab", stores, strict=True)
    ]
    for at, job in enumerate(jobs):
        for other, token in enumerate(tokens):
            status = job.post("/perform", json={}, headers={HEADER: token}).status_code
            assert status == (200 if at == other else 401)


def test_what_does_not_load_is_closed_too(make_job: MakeJob, store: Made, client_of: ClientOf) -> None:
    token = store.token()
    client = client_of(make_job("raise RuntimeError('secret plan')"), access=store.path, load="background")
    client.application.start()
    until(lambda: client.get("/live").status_code == 500)
    assert client.get("/docs").status_code == client.post("/perform", json={}).status_code == 401
    assert client.post("/perform", json={}, headers={HEADER: token}).status_code == 503


# Servers.


@pytest.fixture
def approved(folder: Path, store: Made) -> Iterator[Any]:
    with started(pyjob_run(folder, "--access", str(store.path))) as server:
        server.wait_until("/ready", 200)
        yield server


def test_a_running_server_follows_approvals_and_tokens_20_times_of_20(approved: Any, store: Made) -> None:
    def status(path: str, **headers: str) -> int:
        return ask(approved, "POST", path, b"{}", **headers)[0]

    opened, closed = "/api/v1/perform", "/api/v1/webview/open"
    store.approve(closed)
    last, name = store.token("the first"), "the first"
    for at in range(20):
        store.approve(opened)
        store.ledger.revoke_approval("sample", "0.0.1", closed)
        token = store.token(f"token {at}")
        store.ledger.revoke_token(name)
        until(lambda: (status(opened), status(closed)) == (200, 401))  # noqa: B023
        until(lambda: [status("/told", X_Racetrack_Auth=one) for one in (token, last)] == [200, 401])  # noqa: B023
        opened, closed = closed, opened
        last, name = token, f"token {at}"


def test_a_body_that_is_not_let_in_is_not_read(approved: Any) -> None:
    status, _, _ = ask(approved, "POST", "/perform", b"[" * 100_000)
    assert status == 401


@pytest.mark.parametrize(
    ("host", "options", "is_told"),
    [
        ("127.0.0.1", (), False),
        ("127.0.0.1", ("--trusted-proxy", "127.0.0.1"), True),  # it lets others in
        ("0.0.0.0", (), True),
        ("0.0.0.0", ("--access",), False),
    ],
)
def test_who_lets_everybody_in_is_warned_where_others_can_reach_it(
    folder: Path, store: Made, host: str, options: tuple[str, ...], is_told: bool
) -> None:
    command = [*pyjob_run(folder), *options, *([str(store.path)] if options == ("--access",) else ())]
    command[command.index("--host") + 1] = host
    with started(command) as server:
        server.wait_until("/ready", 200)
    assert ("--access FILE asks for tokens" in server.output) == is_told


def test_a_class_at_hand_and_waitress_serve_ask_for_tokens_too(
    folder: Path, store: Made, tmp_path: Path
) -> None:
    token = store.token()
    script = tmp_path / "served.py"
    script.write_text(
        "import pyjob\n\n\nclass Job:\n    def perform(self, x: int = 1) -> int:\n        return x + 1\n\n\n"
        "pyjob.serve(Job, port=0)\n"
    )
    waitress = [sys.executable, "-m", "waitress", "--listen", "127.0.0.1:0"]
    for command, cwd in (
        ([sys.executable, str(script)], tmp_path),
        ([*waitress, "pyjob.app:create"], folder),
        ([*waitress, "--call", "pyjob.app:create"], folder),
    ):
        with started(command, cwd=cwd, env={"PYJOB_ACCESS": str(store.path)}) as server:
            server.wait_until("/ready", 200)
            assert ask(server, "POST", "/perform", b"{}")[0] == 401
            assert ask(server, "POST", "/perform", b"{}", X_Racetrack_Auth=token)[2] == 2


def test_no_cache_between_keeps_what_a_token_has_opened_for_others(client: JobClient, store: Made) -> None:
    token = {HEADER: store.token()}
    for endpoint in ("/api/v1/files/open", "/api/v1/perform"):
        store.approve(endpoint)
    until(lambda: client.get("/files/open/a.txt").status_code == 200)
    until(lambda: client.get("/files/shut/a.txt", headers=token).status_code == 200)
    for path in ("/openapi.json", "/parameters", "/metrics", "/webview/x"):
        assert client.get(path, headers=token).headers["Cache-Control"] == "private"
    # They ask again, and are refused then.
    for path in ("/docs", "/files/shut/a.txt"):
        assert client.get(path, headers=token).headers["Cache-Control"] == "no-cache"
    # What everybody may have, caches may keep.
    assert "Cache-Control" not in client.get("/live").headers


def test_a_page_that_says_how_long_it_lasts_is_kept_for_nobody_else(
    make_job: MakeJob, store: Made, client_of: ClientOf
) -> None:
    job = """
        class Job:
            def webview_app(self, base_url):
                def page(environ, start_response):
                    said = environ["HTTP_X_SAID"]
                    start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", said)])
                    return [b"a page"]
                return page
    """
    folder = make_job(job, fields="public_endpoints: [/webview/open]")
    store.approve("/api/v1/webview/open")
    token = store.token()
    client = client_of(folder, access=store.path, cookies=False)
    for said, told in {
        "max-age=60": "max-age=60, private",
        "Max-Age=60, Must-Revalidate": "Max-Age=60, Must-Revalidate, private",
        'no-cache="Set-Cookie"': 'no-cache="Set-Cookie", private',
        "private, max-age=60": "private, max-age=60",
        "max-age=60,Public": "max-age=60,Public",
        "s-maxage=60": "s-maxage=60",
        "no-cache": "no-cache",
        "no-store": "no-store",
    }.items():
        for method in ("GET", "HEAD"):
            answer = client.open("/webview/x", method=method, headers={HEADER: token, "X-Said": said})
            assert answer.headers.getlist("Cache-Control") == [told], method
        # Who came without a token has what everybody may have.
        assert client.get("/webview/open", headers={"X-Said": said}).headers["Cache-Control"] == said


def test_a_form_of_somebody_who_is_signed_out_leads_to_the_page_to_sign_in_at(client: JobClient) -> None:
    answer = client.post("/webview/form", data={"a": "b"}, headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 401
    assert answer.mimetype == "text/html"
    page = answer.get_data(as_text=True)
    assert f'name="next" type="hidden" value="{client.mount}/"' in page
    assert client.post("/perform", json={}, headers={"Accept": "application/json"}).is_json
