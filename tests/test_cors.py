"""Pages of other origins: who may call the job and read its answers, and who may not (SPEC 4.9)."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Response

import pyjob
from pyjob import Settings
from pyjob.cli import main
from pyjob.errors import JobError
from tests.callers import HELD, Caller, connect, pipe, request, until
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import Server, ask, pyjob_run, started
from tests.stores import HEADER, Made

PAGE = "https://page.example"
OTHER = "https://other.example"
ALLOW = "Access-Control-Allow-Origin"
CREDENTIALS = "Access-Control-Allow-Credentials"


class Answering:
    """A job with every kind of answer."""

    def perform(self, fail: str = "", status: int = 0) -> Any:
        if status:
            raise JobError(status, "as was asked")
        if fail:
            raise RuntimeError(fail)
        return {"fine": True}

    def stream(self) -> Iterator[int]:
        yield from range(3)

    def odd(self) -> Any:
        return Response("mine", headers={"Vary": "Accept", "X-Request-ID": "its-own"})

    def own(self) -> Any:
        return Response("mine", headers={ALLOW: "https://mine.example", "Vary": "Cookie"})

    def auxiliary_endpoints(self) -> Any:
        return {"/stream": self.stream, "/odd": self.odd, "/own": self.own}

    def static_endpoints(self) -> Any:
        return {"/file": __file__}


def allowing(client_of: ClientOf, *origins: str, source: Any = Answering, **options: Any) -> JobClient:
    return client_of(source, manifest={"jobtype_extra": {"cors_origins": list(origins)}}, **options)


def preflight(client: JobClient, origin: str = PAGE, path: str = "/perform", **more: str) -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return client.open(path, method="OPTIONS", headers=headers)


def shared_with(answer: Any) -> dict[str, str]:
    """Those headers of an answer by which a browser decides."""
    return {name: value for name, value in answer.headers.items() if name.startswith("Access-Control-")}


@pytest.mark.parametrize("origin", [PAGE, "null", ""])
def test_without_origins_no_page_is_let_in(client_of: ClientOf, origin: str) -> None:
    client = client_of(Answering)
    answer = client.post("/perform", json={}, headers={"Origin": origin})
    assert answer.status_code == 200
    assert shared_with(answer) == {}
    assert "Vary" not in answer.headers
    assert preflight(client, origin).status_code == 405


ASKED: list[tuple[str, str, dict[str, Any], int]] = [
    ("POST", "/perform", {"json": {}}, 200),
    ("POST", "/perform", {"json": {"fail": "it is broken"}}, 500),
    ("POST", "/perform", {"json": {"status": 429}}, 429),
    ("POST", "/perform", {"json": {"unknown": 1}}, 400),
    ("POST", "/perform", {"data": "x", "content_type": "text/plain"}, 415),
    ("POST", "/stream", {"json": {}, "headers": {"Accept": "text/event-stream"}}, 200),
    ("POST", "/odd", {"json": {}}, 200),
    ("GET", "/file", {}, 200),
    ("HEAD", "/file", {}, 200),
    ("GET", "/file", {"headers": {"Range": "bytes=0-3"}}, 206),
    ("GET", "/live", {}, 200),
    ("HEAD", "/ready", {}, 200),
    ("OPTIONS", "/live", {}, 405),
    ("GET", "/metrics", {}, 200),
    ("HEAD", "/metrics", {}, 200),
    ("OPTIONS", "/metrics", {}, 405),
    ("GET", "/", {}, 307),
    ("GET", "/nothing", {}, 404),
    ("GET", "/x//y", {}, 400),
    ("GET", "/docs", {}, 200),
]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"), ASKED, ids=[f"{m} {p} {s}" for m, p, _, s in ASKED]
)
def test_a_page_reads_every_kind_of_answer(
    client_of: ClientOf, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    client = allowing(client_of, PAGE)
    headers = {**options.get("headers", {}), "Origin": PAGE}
    answer = client.open(path, method=method, **{**options, "headers": headers})
    assert answer.status_code == status
    assert shared_with(answer) == {
        ALLOW: PAGE,
        CREDENTIALS: "true",
        "Access-Control-Expose-Headers": (
            "X-Request-Tracing-Id, X-Request-ID, Retry-After, Content-Disposition"
        ),
    }
    assert len(answer.headers.getlist("Vary")) == 1
    assert "Origin" in answer.headers["Vary"].split(", ")
    assert answer.headers["X-Request-Tracing-Id"]


def test_what_varies_already_varies_by_the_origin_too(client_of: ClientOf) -> None:
    answer = allowing(client_of, PAGE).post("/odd", json={}, headers={"Origin": PAGE})
    assert answer.headers.getlist("Vary") == ["Accept, Origin"]
    assert answer.headers.getlist("X-Request-ID") == ["its-own"]


@pytest.mark.parametrize(
    ("value", "then"),
    [("*", "*"), ("origin", "origin"), ("Accept,ORIGIN", "Accept,ORIGIN"), ("Accept", "Accept, Origin")],
)
def test_what_names_the_origin_is_left_as_it_is(client_of: ClientOf, value: str, then: str) -> None:
    class Varying:
        def perform(self) -> Any:
            return Response("x", headers={"Vary": value})

    answer = allowing(client_of, PAGE, source=Varying).post("/perform", json={}, headers={"Origin": PAGE})
    assert answer.headers.getlist("Vary") == [then]


def test_to_an_answer_that_has_its_own_nothing_is_added(client_of: ClientOf) -> None:
    answer = allowing(client_of, PAGE).post("/own", json={}, headers={"Origin": PAGE})
    assert shared_with(answer) == {ALLOW: "https://mine.example"}
    assert answer.headers.getlist("Vary") == ["Cookie"]


def test_a_page_that_is_not_listed_reads_nothing(client_of: ClientOf) -> None:
    client = allowing(client_of, PAGE)
    answer = client.post("/perform", json={}, headers={"Origin": OTHER})
    assert answer.status_code == 200
    assert shared_with(answer) == {}
    assert answer.headers["Vary"] == "Origin"  # or a cache would answer the page with it
    assert preflight(client, OTHER).status_code == 405
    assert client.post("/perform", json={}).headers["Vary"] == "Origin"


def test_any_origin_never_goes_with_credentials(client_of: ClientOf) -> None:
    client = allowing(client_of, "*")
    for answer in (client.post("/perform", json={}, headers={"Origin": OTHER}), preflight(client, OTHER)):
        assert answer.headers[ALLOW] == "*"
        assert CREDENTIALS not in answer.headers


def test_a_listed_origin_beside_any_has_its_own_answer(client_of: ClientOf) -> None:
    client = allowing(client_of, "*", PAGE)
    assert shared_with(preflight(client, PAGE))[CREDENTIALS] == "true"
    assert shared_with(preflight(client, PAGE))[ALLOW] == PAGE
    assert shared_with(preflight(client, OTHER))[ALLOW] == "*"
    assert CREDENTIALS not in preflight(client, OTHER).headers


def test_a_preflight_says_what_a_page_may_send(client_of: ClientOf) -> None:
    names = "content-type,x-racetrack-auth"
    answer = preflight(allowing(client_of, PAGE), Access_Control_Request_Headers=names)
    assert answer.status_code == 204
    assert answer.data == b""
    assert shared_with(answer) == {
        ALLOW: PAGE,
        CREDENTIALS: "true",
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": names,
        "Access-Control-Max-Age": "600",
    }
    assert answer.headers.getlist("Vary") == [
        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    ]
    assert answer.headers["X-Request-Tracing-Id"]


@pytest.mark.parametrize("path", ["/perform", "/live", "/nothing", "/x//y", "/metrics", "/webview/x"])
def test_a_preflight_is_answered_whatever_the_path(client_of: ClientOf, path: str) -> None:
    assert preflight(allowing(client_of, PAGE), path=path).status_code == 204


@pytest.mark.parametrize(
    "names",
    ["", "x y", "x,,y", ",x", "x:y", "x\x00", "ü", "x\ty", "x" * 5000, "x," * 3000 + "x"],
    ids=lambda names: ascii(names[:10]),
)
def test_what_is_no_name_of_a_header_is_not_repeated(client_of: ClientOf, names: str) -> None:
    client = allowing(client_of, PAGE)
    environ = {"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": names}
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    answer = client.open("/perform", method="OPTIONS", headers=headers, environ_overrides=environ)
    assert answer.status_code == 204
    assert "Access-Control-Allow-Headers" not in answer.headers


def test_options_without_a_question_is_no_preflight(client_of: ClientOf) -> None:
    client = allowing(client_of, PAGE)
    answer = client.open("/perform", method="OPTIONS", headers={"Origin": PAGE})
    assert answer.status_code == 405
    assert answer.headers[ALLOW] == PAGE
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    assert client.post("/perform", json={}, headers=asked).json == {"fine": True}


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "page.example",
        "https://page.example/",
        "https://page.example:443",
        "http://page.example",
        "https://page.example.evil.example",
        "https://evil-page.example",
        "https://page.example, https://page.example",
        "https://page.example https://page.example",
        "https://page.example\x00",
        "https://user@page.example",
        "https://page.exampl\u00e9",
        "h" * 100_000,
        "https://" + "a" * 100_000,
        "*",
    ],
    ids=lambda origin: ascii(origin[:40]),
)
def test_no_other_spelling_is_the_listed_origin(client_of: ClientOf, origin: str) -> None:
    client = allowing(client_of, PAGE)
    for method in ("POST", "OPTIONS"):
        headers = {"Access-Control-Request-Method": "POST", "Content-Type": "application/json"}
        answer = client.open(
            "/perform", method=method, headers=headers, environ_overrides={"HTTP_ORIGIN": origin}
        )
        assert answer.status_code == {"POST": 200, "OPTIONS": 405}[method]
        assert shared_with(answer) == {}


@pytest.mark.parametrize(
    "origin", ["null", "NULL", "", "*", "evil", "https://a, https://b", "https://" + "a" * 500]
)
def test_what_is_no_origin_is_not_any_origin_either(client_of: ClientOf, origin: str) -> None:
    client = allowing(client_of, "*")
    answer = client.get("/live", environ_overrides={"HTTP_ORIGIN": origin})
    assert answer.status_code == 200
    assert shared_with(answer) == {}


@pytest.mark.parametrize("origin", ["HTTPS://Page.Example", "https://PAGE.example"])
def test_case_makes_no_other_origin(client_of: ClientOf, origin: str) -> None:
    assert preflight(allowing(client_of, PAGE), origin).headers[ALLOW] == PAGE
    assert (
        preflight(allowing(client_of, "https://Page.example:8443"), "https://page.example").status_code == 405
    )


def test_settings_add_to_the_manifest(client_of: ClientOf) -> None:
    client = allowing(client_of, PAGE, settings=Settings(cors_origins=(OTHER,)))
    assert preflight(client, PAGE).status_code == preflight(client, OTHER).status_code == 204


@pytest.mark.parametrize("origins", [("page.example",), (PAGE, "https://x/"), PAGE, (1,)])
def test_settings_refuse_what_is_no_origin(origins: Any) -> None:
    with pytest.raises(ValueError, match=r"^cors_origins.*: expected|^cors_origins: expected"):
        Settings(cors_origins=origins)


def test_a_page_is_answered_while_the_job_loads_and_when_it_has_failed(client_of: ClientOf) -> None:
    gate = threading.Event()

    class Slow:
        def __init__(self) -> None:
            gate.wait(60)
            raise RuntimeError("no model")

        def perform(self) -> None: ...

    client = allowing(client_of, PAGE, source=Slow, load="background")
    assert preflight(client).status_code == 204
    loading = client.post("/perform", json={}, headers={"Origin": PAGE})
    assert (loading.status_code, loading.headers[ALLOW]) == (503, PAGE)
    assert "Retry-After" in loading.headers["Access-Control-Expose-Headers"]
    gate.set()
    assert client.application.state.wait() == "failed"
    failed = client.post("/perform", json={}, headers={"Origin": PAGE})
    assert (failed.status_code, failed.headers[ALLOW]) == (503, PAGE)
    assert preflight(client).status_code == 204


def test_a_preflight_is_answered_before_a_token_is_asked_for(client_of: ClientOf) -> None:
    client = allowing(client_of, PAGE, access=lambda environ: False)
    assert preflight(client, Access_Control_Request_Headers="x-racetrack-auth").status_code == 204
    refused = client.post("/perform", json={}, headers={"Origin": PAGE})
    assert (refused.status_code, refused.headers[ALLOW]) == (403, PAGE)
    assert preflight(client, OTHER).status_code == 403


def test_a_listed_page_comes_in_by_a_token_and_never_by_a_cookie(client_of: ClientOf, store: Made) -> None:
    token = store.token()
    client = allowing(client_of, PAGE, access=store.path, cookies=False)
    assert preflight(client).status_code == 204
    for headers, status in (
        ({}, 401),
        ({HEADER: "wrong"}, 401),
        ({HEADER: token}, 200),
        ({"Cookie": f"{HEADER}={token}"}, 403),
        ({"Cookie": f"{HEADER}={token}", "Sec-Fetch-Site": "cross-site"}, 403),
    ):
        answer = client.post("/perform", json={}, headers={**headers, "Origin": PAGE})
        assert (answer.status_code, answer.headers[ALLOW]) == (status, PAGE)


def test_every_answer_is_the_same_as_without_but_for_these_headers(client_of: ClientOf) -> None:
    """For 200 requests at random: method, path, origin."""
    plain, open_to = client_of(Answering), allowing(client_of, PAGE)
    numbers = random.Random(49)
    for _ in range(200):
        method = numbers.choice(["GET", "HEAD", "POST", "PUT", "DELETE"])
        path = numbers.choice(["/perform", "/file", "/live", "/docs", "/x", "/openapi.json", "/odd"])
        headers = {"Origin": numbers.choice([PAGE, OTHER, "null"]), "X-Request-Tracing-Id": "1"}
        asked: dict[str, Any] = {"method": method, "headers": headers}
        asked |= {"json": {}} if method == "POST" else {}
        one, other = plain.open(path, **asked), open_to.open(path, **asked)
        assert (one.status, one.data) == (other.status, other.data)
        ours = {"Vary", "Date", *shared_with(other)}
        rest = [[pair for pair in answer.headers if pair[0] not in ours] for answer in (one, other)]
        assert rest[0] == rest[1]


def test_a_real_server_answers_pages(make_job: MakeJob) -> None:
    folder = make_job(
        "class Job:\n    def perform(self, x: int = 1):\n        return x\n", extra={"max_body_size": "1Ki"}
    )
    options = ("--cors-origin", PAGE, "--cors-origin", OTHER)
    with started(pyjob_run(folder, *options)) as server:
        server.wait_until("/ready", 200)
        for origin in (PAGE, OTHER):
            status, headers, body = ask(
                server, "OPTIONS", "/perform", Origin=origin, Access_Control_Request_Method="POST"
            )
            assert (status, headers[ALLOW], body) == (204, origin, b"")
            assert "Content-Length" not in headers
        status, headers, body = ask(server, "POST", "/perform", b'{"x": 5}', Origin=PAGE)
        assert (status, headers[ALLOW], body) == (200, PAGE, 5)
        assert asyncio.run(two_on_one_connection(server.port)) == [204, 200]
        # What the application never sees.
        status, headers, body = ask(server, "POST", "/perform", b"x" * 2000, Origin=PAGE)
        assert (status, headers[ALLOW]) == (413, PAGE)


async def two_on_one_connection(port: int) -> list[int]:
    """The statuses of a preflight and a request after it: the connection must stay in step."""
    head = f"Host: x\r\nOrigin: {PAGE}\r\n"
    async with await Caller.to(port) as caller:
        caller.send(
            f"OPTIONS /perform HTTP/1.1\r\n{head}Access-Control-Request-Method: POST\r\n\r\n".encode()
        )
        first = await caller.read_until(b"\r\n\r\n")
        caller.send(f"GET /live HTTP/1.1\r\n{head}\r\n".encode())
        return [int(first.split(b" ")[1]), (await caller.answer()).status]


def test_a_page_reads_that_its_call_has_outlasted_the_grace(make_job: MakeJob, tmp_path: Path) -> None:
    async def scenario(server: Server, path: Path) -> dict[str, str]:
        async with await connect(server.port) as caller:
            asked = request(hold=str(path)).replace(b"\r\n", f"\r\nOrigin: {PAGE}\r\n".encode(), 1)
            caller.send(asked)
            await until(server.port, lambda found: found["pyjob_calls_running"] == 1)
            server.process.send_signal(signal.SIGTERM)
            answer = await caller.answer()
            assert (answer.status, answer.json["error"]) == (503, "the service is going down")
            return answer.headers

    options = ("--cors-origin", PAGE, "--grace", "0")
    with started(pyjob_run(make_job(HELD), *options)) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        headers = asyncio.run(scenario(server, path))
    assert (headers[ALLOW], headers["Vary"]) == (PAGE, "Origin")


def test_the_command_says_what_an_origin_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("page.example", "https://page.example/", "null", ""):
        with pytest.raises(SystemExit) as ended:
            main(["run", str(tmp_path), "--cors-origin", text])
        assert ended.value.code == 2
        assert 'expected an origin such as "https://example.com"' in capsys.readouterr().err


def test_a_manifest_with_origins_has_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    application = pyjob.create(Answering, manifest={"jobtype_extra": {"cors_origins": [PAGE]}}, load="now")
    assert "cors_origins" not in caplog.text
    assert Client(application).get("/live", headers={"Origin": PAGE}).headers[ALLOW] == PAGE
