"""Responses of Starlette and FastAPI as results of a job (SPEC 4.5, 5.5)."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import JobClient, MakeJob
from tests.servers import pyjob_run, started
from tests.stores import until

pytest.importorskip("starlette")

IMPORT = """
import asyncio
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.responses import (
    FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response,
    StreamingResponse,
)

ENDED = []
"""
JobOf = Callable[..., JobClient]


@pytest.fixture
def mount() -> str:
    """Links below a mount are looked at where they are made."""
    return ""


@pytest.mark.parametrize(
    ("made", "status", "content_type", "body"),
    [
        ("Response(b'\\x00\\xff', 201, media_type='image/x-raw')", 201, "image/x-raw", b"\x00\xff"),
        ("JSONResponse({'a': [1]}, status_code=202)", 202, "application/json", b'{"a":[1]}'),
        ("HTMLResponse('<p>ä')", 200, "text/html; charset=utf-8", "<p>ä".encode()),
        ("PlainTextResponse('ä')", 200, "text/plain; charset=utf-8", "ä".encode()),
        ("Response(status_code=404)", 404, None, b""),
    ],
)
def test_a_response_is_answered_as_it_is(
    job_of: JobOf, made: str, status: int, content_type: str | None, body: bytes
) -> None:
    answer = job_of(f"def perform(self): return {made}", head=IMPORT).perform()
    assert (answer.status_code, answer.data) == (status, body)
    if content_type is not None:
        assert answer.content_type == content_type
    assert answer.headers.getlist("Content-Length") == [str(len(body))]


def test_headers_and_all_cookies_are_sent(job_of: JobOf) -> None:
    body = """
    def perform(self):
        response = JSONResponse(1, headers={"X-Model": "seven"})
        response.set_cookie("one", "1", httponly=True)
        response.set_cookie("two", "2")
        return response
    """
    answer = job_of(body, head=IMPORT).perform()
    assert answer.headers["X-Model"] == "seven"
    first, second = answer.headers.getlist("Set-Cookie")
    assert first.startswith("one=1; HttpOnly")
    assert second.startswith("two=2")


def test_a_subclass_and_a_204_and_a_redirect(job_of: JobOf) -> None:
    body = """
    def perform(self, which):
        class Own(JSONResponse):
            media_type = "application/geo+json"
        nothing, null, away = Response(status_code=204), JSONResponse(None, 204), RedirectResponse("/docs")
        return {"own": Own({}), "nothing": nothing, "null": null, "away": away}[which]
    """
    client = job_of(body, head=IMPORT)
    assert client.perform(which="own").content_type == "application/geo+json"
    for which in ("nothing", "null"):
        nothing = client.perform(which=which)
        assert (nothing.status_code, nothing.data) == (204, b"")
    away = client.perform(which="away")
    assert (away.status_code, away.headers["Location"]) == (307, "/docs")


def test_an_auxiliary_endpoint_may_give_a_response_of_fastapi(job_of: JobOf) -> None:
    pytest.importorskip("fastapi")
    body = """
    def auxiliary_endpoints(self):
        return {"/page": self.page}

    async def page(self):
        return HTMLResponse("<p>", status_code=203)
    """
    answer = job_of(body, head="from fastapi.responses import HTMLResponse").post("/api/v1/page", json={})
    assert (answer.status_code, answer.data) == (203, b"<p>")


STREAMS = """
max_concurrency = 1

def perform(self, kind, fails=False):
    return StreamingResponse(getattr(self, kind)(fails), media_type="text/csv", headers={"X-Kind": kind})

def plain(self, fails):
    try:
        yield "a,b\\n"
        if fails:
            raise RuntimeError("in the middle")
        yield b"1,2\\n"
    finally:
        ENDED.append("plain")

async def awaited(self, fails):
    try:
        yield "a,b\\n"
        await asyncio.sleep(0)
        if fails:
            raise RuntimeError("in the middle")
        yield "1,2\\n"
    finally:
        ENDED.append("awaited")

def listed(self, fails):
    return ["a,b\\n", "1,2\\n"]

def auxiliary_endpoints(self):
    return {"/ended": lambda: ENDED}
"""
ONE_AT_A_TIME = {"max_concurrency": 1, "max_concurrency_queue": 0}


@pytest.mark.parametrize("kind", ["plain", "awaited", "listed"])
def test_a_stream_is_sent_whole_and_gives_its_slot_back(job_of: JobOf, kind: str) -> None:
    pytest.importorskip("anyio")
    client = job_of(STREAMS, head=IMPORT, extra=ONE_AT_A_TIME)
    for _ in range(2):  # the second one would be refused if the first held its slot
        answer = client.perform(kind=kind)
        assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8")
        assert answer.data == b"a,b\n1,2\n"
        assert answer.headers["X-Kind"] == kind
        assert "Content-Length" not in answer.headers


@pytest.mark.parametrize("kind", ["plain", "awaited"])
def test_a_stream_that_is_closed_ends_and_gives_its_slot_back(job_of: JobOf, kind: str) -> None:
    client = job_of(STREAMS, head=IMPORT, extra=ONE_AT_A_TIME)
    answer = client.post("/perform", json={"kind": kind}, streamed=True)
    assert next(iter(answer.response)) == b"a,b\n"
    assert client.perform(kind="listed").status_code == 429
    answer.close()
    # Starlette runs a plain generator in a thread, which may have it a moment longer.
    until(lambda: client.post("/ended", json={}).json == [kind])


@pytest.mark.parametrize("kind", ["plain", "awaited"])
def test_a_stream_that_fails_gives_its_slot_back_and_is_logged(
    job_of: JobOf, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    client = job_of(STREAMS, head=IMPORT, extra=ONE_AT_A_TIME)
    with pytest.raises(RuntimeError, match="in the middle"):
        client.perform(kind=kind, fails=True)
    assert client.post("/ended", json={}).json == [kind]
    assert "/perform failed: in the middle" in caplog.text


def test_a_stream_whose_caller_leaves_gives_its_slot_back(make_job: MakeJob) -> None:
    code = (
        IMPORT
        + """
class Job:
    def perform(self, kind):
        return StreamingResponse(getattr(self, kind)())

    def plain(self):
        while True:
            yield "x" * 10_000

    async def awaited(self):
        while True:
            yield "x" * 10_000
            await asyncio.sleep(0)
"""
    )
    with started(pyjob_run(make_job(code, extra=ONE_AT_A_TIME))) as server:
        server.wait_until("/ready", 200)
        for kind in ("plain", "awaited"):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("POST", "/perform", json.dumps({"kind": kind}))
            answer = connection.getresponse()
            assert answer.read(30_000) == b"x" * 30_000
            answer.close()
            connection.close()
            server.wait_until_metric("pyjob_calls_running", 0.0)


def test_a_file_is_sent_with_its_name_and_type(job_of: JobOf) -> None:
    body = """
    def perform(self, path="data.csv"):
        return FileResponse(path, filename="table.csv", headers={"X-Rows": "1"})
    """
    client = job_of(body, head=IMPORT, files={"data.csv": "a\n1\n"})
    answer = client.perform()
    assert answer.data == b"a\n1\n"
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="table.csv"'
    assert answer.headers["X-Rows"] == "1"
    missing = client.perform(path="no.csv")
    assert missing.status_code == 500
    assert "no.csv" in missing.json["error"]


def test_a_file_that_get_asks_for_has_conditions_and_ranges(job_of: JobOf) -> None:
    body = """
    def perform(self): return 1

    def auxiliary_endpoints_v2(self):
        from pyjob import EndpointConfig
        return [EndpointConfig("/file", "GET", self.file)]

    def file(self, measured: bool = False):
        state = Path(__file__).with_name("data.csv").stat() if measured else None
        return FileResponse("data.csv", stat_result=state)
    """
    client = job_of(body, head=IMPORT, files={"data.csv": "0123456789"})
    for query in ("", "?measured=true"):
        path = f"/api/v1/file{query}"
        whole = client.get(path)
        assert (whole.status_code, whole.data) == (200, b"0123456789")
        assert whole.headers.getlist("Accept-Ranges") == ["bytes"]
        (tag,) = whole.headers.getlist("ETag")
        part = client.get(path, headers={"Range": "bytes=2-4"})
        assert (part.status_code, part.data) == (206, b"234")
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
        head = client.open(path, method="HEAD")
        assert (head.data, head.headers["Content-Length"]) == (b"", "10")


def test_head_of_a_stream_gives_its_slot_back_and_begins_what_is_to_follow(job_of: JobOf) -> None:
    body = """
    def perform(self): return self.done.wait(60)

    def auxiliary_endpoints_v2(self):
        from pyjob import EndpointConfig
        self.done = threading.Event()
        return [EndpointConfig("/tokens", "GET", self.tokens)]

    def tokens(self):
        return StreamingResponse(iter(["a", "b"]), background=BackgroundTask(self.done.set))
    """
    client = job_of(body, head=f"import threading{IMPORT}", extra=ONE_AT_A_TIME)
    answer = client.open("/api/v1/tokens", method="HEAD")
    assert (answer.status_code, answer.data) == (200, b"")
    assert client.perform().json is True


def test_length_and_connection_are_the_servers(job_of: JobOf) -> None:
    body = """
    def perform(self):
        own = {"Content-Length": "999", "Connection": "close", "Transfer-Encoding": "chunked"}
        return Response(b"abc", headers=own)
    """
    answer = job_of(body, head=IMPORT).perform()
    assert (answer.status_code, answer.data) == (200, b"abc")
    assert answer.headers.getlist("Content-Length") == ["3"]
    assert not {"Connection", "Transfer-Encoding"} & set(answer.headers.keys())


def test_an_http_exception_is_answered_with_its_headers(job_of: JobOf) -> None:
    body = """
    def perform(self, kind):
        headers = {"WWW-Authenticate": "Basic", "Content-Length": "7", "X-Split": "1\\r\\nX-B: 2"}
        if kind == "starlette":
            raise HTTPException(401, "who is it?", headers=headers)
        raise Upstream(headers)
    """
    head = """
    from starlette.exceptions import HTTPException

    class Upstream(Exception):
        status_code = 401

        def __init__(self, headers):
            self.headers = headers
    """
    answer = job_of(body, head=head).perform(kind="starlette")
    assert (answer.status_code, answer.json) == (401, {"error": "who is it?", "type": "HTTPException"})
    assert answer.headers["WWW-Authenticate"] == "Basic"
    assert not {"X-Split", "X-B"} & set(answer.headers.keys())
    # What a client of the job's was answered is not what its caller is to read.
    assert "WWW-Authenticate" not in job_of(body, head=head).perform(kind="upstream").headers


BACKGROUND = """
def perform(self, kind):
    path = Path("made.txt")
    path.write_text("made")
    self.done = threading.Event()
    task = BackgroundTask(self.clean, path)
    if kind == "file":
        return FileResponse(path, background=task)
    if kind == "stream":
        return StreamingResponse(iter(["ma", "de"]), background=task)
    return PlainTextResponse("made", background=task)

def clean(self, path):
    path.unlink()
    self.request = self.request_context.get().path
    self.done.set()

def auxiliary_endpoints(self):
    return {"/cleaned": self.cleaned}

def cleaned(self):
    return [self.done.wait(60), Path("made.txt").exists(), self.request]
"""


@pytest.mark.parametrize("kind", ["file", "stream", "text"])
def test_a_background_task_is_run_once_its_response_is_made(
    job_of: JobOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "sample").mkdir()
    monkeypatch.chdir(tmp_path / "sample")
    client = job_of(BACKGROUND, head=f"import threading{IMPORT}", extra=ONE_AT_A_TIME)
    assert client.perform(kind=kind).data == b"made"
    assert client.post("/cleaned", json={}).json == [True, False, "/perform"]


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit"])
def test_a_background_task_that_fails_is_logged(
    job_of: JobOf, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    body = f"""
    def perform(self):
        return JSONResponse(1, background=BackgroundTask(self.fail))

    async def fail(self):
        raise {error}("in the background")

    async def later(self):
        for _ in range(3):  # behind the task, which is on the same loop
            await asyncio.sleep(0)

    def auxiliary_endpoints(self):
        return {{"/later": self.later}}
    """
    client = job_of(body, head=IMPORT)
    assert client.perform().json == 1
    assert client.post("/later", json={}).status_code == 200
    assert "/perform: a background task failed: " in caplog.text
    assert "in the background" in caplog.text


def test_a_header_that_splits_the_answer_is_refused(job_of: JobOf) -> None:
    body = """
    def perform(self):
        response = Response("x")
        response.raw_headers.append((b"x-a", b"1\\r\\nx-b: 2"))
        return response
    """
    answer = job_of(body, head=IMPORT).perform()
    assert answer.status_code == 500
    assert "X-B" not in answer.headers


def test_the_openapi_document_tells_that_the_answer_is_of_any_type(job_of: JobOf) -> None:
    client = job_of("def perform(self) -> HTMLResponse: return HTMLResponse('<p>')", head=IMPORT)
    paths = client.get("/openapi.json").json["paths"]
    assert list(paths["/api/v1/perform"]["post"]["responses"]["200"]["content"]) == ["*/*"]
