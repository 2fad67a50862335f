"""A job's own web application: where it is served, what it sees, and what stands around it (SPEC 4.7)."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart
from werkzeug.wrappers import Request, Response

import pyjob
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.views import BASE, HTML, Viewed, echo

ALIASES = [
    "/webview",
    "/api/v1/webview",
    "/pub/job/viewed/latest/webview",
    "/pub/job/viewed/0.0.1/webview",
    "/pub/job/other/9.9/api/v1/webview",
    "/pub/fatman/viewed/latest/api/v1/webview",
    BASE,
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]

JobOf = Callable[..., JobClient]


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_leads_to_the_application_which_sees_its_own_base(
    client_of: ClientOf, mount: str, alias: str
) -> None:
    job = Viewed(echo)
    client = client_of(job)
    assert job.base_url == BASE
    for rest in ("/", "/x", "/x/", "/static", "/live", "/perform"):
        assert client.get(f"{alias}{rest}?a=1&b").json == ["GET", mount, BASE + rest, "a=1&b"]


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_reaches_the_application(client_of: ClientOf, mount: str, method: str) -> None:
    client = client_of(Viewed(echo))
    assert client.open("/webview/x", method=method).json == [method, mount, f"{BASE}/x", ""]


def test_head_has_the_headers_of_get_and_no_body(client_of: ClientOf) -> None:
    seen = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ["REQUEST_METHOD"])
        start_response("200 OK", [*HTML, ("Content-Length", "5")])
        return [b"hello"]

    answer = client_of(Viewed(application)).open("/webview/", method="HEAD")
    assert (answer.status_code, answer.text, answer.headers["Content-Length"]) == (200, "", "5")
    assert seen == ["HEAD"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("alias", ALIASES)
def test_without_its_slash_it_is_redirected_to_where_the_caller_is(
    client_of: ClientOf, mount: str, alias: str, method: str
) -> None:
    answer = client_of(Viewed(echo)).open(f"{alias}?a=%20&b", method=method)
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{mount}{alias}/?a=%20&b")


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("method", ["POST", "PUT", "*"])
def test_what_only_get_would_be_redirected_for_arrives_without_the_slash(
    client_of: ClientOf, mount: str, method: str
) -> None:
    assert client_of(Viewed(echo)).open("/webview", method=method).json == [method, mount, BASE, ""]


@pytest.mark.parametrize(("mounted", "seen"), [("", ""), ("/p", ""), ("/outer/p", "/outer"), ("/pp", "/pp")])
def test_the_prefix_is_in_the_base_and_is_taken_off_the_end_of_the_mount(mounted: str, seen: str) -> None:
    job = Viewed(echo)
    for prefix in ("/p", "/p/"):
        client = JobClient(pyjob.create(job, prefix=prefix, load="now"), mounted)
        assert job.base_url == f"/p{BASE}"
        for alias in ALIASES:
            assert client.get(f"{alias}/x").json == ["GET", seen, f"/p{BASE}/x", ""]


@pytest.mark.parametrize("mounted", ["", "/p"])
def test_a_redirect_to_the_slash_carries_the_prefix_once(mounted: str) -> None:
    client = JobClient(pyjob.create(Viewed(echo), prefix="/p", load="now"), mounted)
    for alias in ALIASES:
        assert client.get(alias).headers["Location"] == f"/p{alias}/"


def test_paths_and_prefixes_of_any_script_arrive_as_wsgi_has_them(client_of: ClientOf, mount: str) -> None:
    def wsgi(text: str) -> str:
        return text.encode().decode("latin-1")

    client = client_of(Viewed(echo))
    assert client.get("/webview/gr%C3%B6%C3%9Fe%20%25%3F").json[1:3] == [mount, wsgi(f"{BASE}/größe %?")]
    for mounted in ("", "/größe"):
        client = JobClient(pyjob.create(Viewed(echo), prefix="/größe", load="now"), mounted)
        assert client.get("/webview/ä").json[1:3] == ["", wsgi(f"/größe{BASE}/ä")]
        assert client.get("/webview").headers["Location"] == "/gr%C3%B6%C3%9Fe/webview/"


def test_mounted_without_a_prefix_is_warned_once_and_names_the_remedy(
    client_of: ClientOf, mount: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(Viewed(echo))
    for _ in range(3):
        client.get("/webview/")
    remedy = "create(..., prefix='/mounted')"
    assert caplog.text.count("the web view is mounted at") == caplog.text.count(remedy) == bool(mount)


def test_the_environ_has_nothing_of_ours(client_of: ClientOf) -> None:
    seen: dict[str, Any] = {}

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.update(environ)
        environ.clear()
        return echo(seen, start_response)

    assert client_of(Viewed(application)).get("/webview/").status_code == 200
    assert [name for name in seen if name.startswith("pyjob")] == []


FILES = {"static/style.css": "body {}\n", "static/sub/index.html": "sub\n"}
VIEW = """
    def webview_app(self, base_url):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [environ["PATH_INFO"].encode()]
        return application
"""


def test_files_of_the_static_folder_are_served_beside_the_pages(job_of: JobOf, mount: str) -> None:
    client = job_of(VIEW, files=FILES)
    for alias in ("/webview", "/api/v1/webview", "/pub/job/sample/latest/webview"):
        answer = client.get(f"{alias}/static/style.css")
        assert (answer.text, answer.content_type) == ("body {}\n", "text/css; charset=utf-8")
        assert client.get(f"{alias}/static/sub/").text == "sub\n"
        assert client.get(f"{alias}/static/sub").headers["Location"] == f"{mount}{alias}/static/sub/"
        assert client.get(f"{alias}/static/nothing").status_code == 404
        assert client.get(f"{alias}/static").status_code == 404
        assert client.open(f"{alias}/static/style.css", method="HEAD").text == ""
        assert client.get(f"{alias}/statics").text.endswith("/webview/statics")
        assert client.post(f"{alias}/static/x").text.endswith("/webview/static/x")


def test_without_a_static_folder_its_path_is_the_applications(job_of: JobOf) -> None:
    assert job_of(VIEW).get("/webview/static/x").text.endswith("/webview/static/x")


@pytest.mark.parametrize("body", ["def webview_app(self, base_url): return None", ""])
def test_without_a_web_view_nothing_is_there_not_even_its_files(job_of: JobOf, body: str) -> None:
    client = job_of(f"{body}\ndef perform(self): return 1", files=FILES)
    for path in ("/webview", "/webview/", "/api/v1/webview/x", "/webview/static/style.css"):
        assert client.get(path).status_code == 404
    assert client.perform().json == 1


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("3", "class Job: webview_app: expected a WSGI or ASGI application or None, found int"),
        ("[b'']", "class Job: webview_app: expected a WSGI or ASGI application or None, found list"),
        ("1 / 0", "division by zero"),
        ("sys.exit(3)", "SystemExit"),
    ],
)
def test_a_web_view_that_cannot_be_made_is_a_failed_start(
    make_job: MakeJob, client_of: ClientOf, made: str, told: str
) -> None:
    code = f"""
        import sys
        class Job:
            def perform(self): return 1
            def webview_app(self, base_url): return {made}
        """
    client = client_of(make_job(code), load="background")
    client.application.start()
    assert client.application.state.wait() == "failed"
    answer = client.get("/live")
    assert answer.status_code == 500
    assert told in answer.text
    for failed in (client.get("/webview/"), client.perform()):
        assert failed.status_code == 503
        assert "the job failed to start" in failed.json["error"]


@pytest.mark.parametrize("parameters", ["self", "self, base_url, more", "self, *, base_url"])
def test_a_web_view_that_takes_no_base_url_is_told_what_it_should_look_like(
    job_of: JobOf, parameters: str
) -> None:
    with pytest.raises(
        pyjob.EntryPointError, match=r"class Job: webview_app: .*def webview_app\(self, base_url"
    ):
        job_of(f"def webview_app({parameters}): return None")


def test_an_async_factory_is_awaited(job_of: JobOf) -> None:
    client = job_of(VIEW.replace("def webview_app", "async def webview_app"))
    assert client.get("/webview/x").text == "/pub/job/sample/0.0.1/api/v1/webview/x"


def test_what_has_its_application_in_server_is_told_so(job_of: JobOf) -> None:
    with pytest.raises(pyjob.EntryPointError, match=r"found Dash: return its `\.server`"):
        job_of("def webview_app(self, base_url): return Dash()", head="class Dash: server = print")


@pytest.mark.parametrize("error", [ZeroDivisionError("told"), SystemExit("told"), KeyboardInterrupt("told")])
def test_an_exception_is_logged_and_answered_and_the_service_goes_on(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"].endswith("/bad"):
            start_response("200 OK", HTML)
            raise error
        return echo(environ, start_response)

    client = client_of(Viewed(application))
    answer = client.get("/webview/bad?x")
    assert answer.status_code == 500
    assert answer.json == {"error": "the web view failed: the log says why", "type": type(error).__name__}
    head = client.open("/webview/bad", method="HEAD")
    assert (head.status_code, head.text) == (500, "")
    first, _ = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert (first.levelno, first.getMessage()) == (logging.ERROR, "the web view failed at GET /webview/bad")
    assert first.exc_info is not None
    assert first.exc_info[1] is error
    assert client.application.gates.running == 0
    assert client.get("/webview/good").status_code == 200
    assert client.perform().json == 1


def test_a_body_beyond_the_jobs_limit_is_413_and_does_not_reach_the_application(job_of: JobOf) -> None:
    client = job_of(VIEW, extra={"max_body_size": 10})
    assert client.post("/webview/x", data=b"x" * 10).status_code == 200
    answer = client.post("/webview/x", data=b"x" * 11)
    assert answer.status_code == 413
    assert "longer than 10 bytes" in answer.json["error"]


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
def test_a_body_of_unknown_length_is_413_once_too_much_of_it_is_read(
    client_of: ClientOf, size: int, status: int
) -> None:
    def page(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        start_response("200 OK", HTML)
        return [body]

    client = client_of(Viewed(page), manifest={"jobtype_extra": {"max_body_size": 10}})
    body = io.BytesIO(b"x" * size)
    overrides = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "wsgi.input": body}
    answer = client.post("/webview/x", environ_overrides=overrides)
    assert answer.status_code == status


def test_what_a_page_gets_wrong_in_a_call_of_its_own_is_not_its_callers_mistake(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    def page(environ: Any, start_response: Any) -> Any:
        return client.application.call("/perform", {"bogus": 1})

    client = client_of(Viewed(page))
    answer = client.get("/webview/")
    assert (answer.status_code, answer.json["type"]) == (500, "PayloadError")
    assert "unexpected argument: bogus" in caplog.text


@pytest.mark.parametrize(("threads", "warnings"), [(None, 1), (4, 0)])
def test_a_server_whose_threads_nobody_has_counted_is_told_of_once(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, threads: int | None, warnings: int
) -> None:
    client = client_of(Viewed(echo), threads=threads)
    for _ in range(2):
        client.get("/webview/", environ_overrides={"wsgi.multithread": True})
    told = [
        record for record in caplog.records if "pages of the web view hold threads" in record.getMessage()
    ]
    assert len(told) == warnings


def test_a_closed_application_makes_no_more_pages(client_of: ClientOf) -> None:
    client = client_of(Viewed(echo))
    assert client.application.close(0)
    answer = client.get("/webview/")
    assert (answer.status_code, answer.json["error"]) == (503, "the service is going down")


def site(environ: Any, start_response: Any) -> Any:
    """Forms, cookies, uploads, redirects and streams, as werkzeug has them."""
    request, base = Request(environ), environ["PATH_INFO"].rpartition("/")[0]
    answer: Response
    match request.path.rpartition("/")[2]:
        case "form":
            answer = Response(f"{request.form['name']} {request.cookies.get('seen', '-')}")
        case "cookie":
            answer = Response("", 303, [("Location", f"{base}/form")])
            answer.set_cookie("seen", "yes", path=f"{environ['SCRIPT_NAME']}{base}/")
            answer.set_cookie("other", "1")
        case "upload":
            with request:  # closes what it has spooled
                file = request.files["file"]
                answer = Response(f"{file.filename} {len(file.read())}")
        case _:
            answer = Response((f"{n};" for n in range(3)), mimetype="text/plain")
    return answer(environ, start_response)


@pytest.mark.parametrize("alias", ALIASES)
def test_forms_uploads_cookies_redirects_and_streams_work_below_every_alias(
    client_of: ClientOf, mount: str, alias: str
) -> None:
    client = client_of(Viewed(site))
    assert client.post(f"{alias}/form", data={"name": "größe"}).text == "größe -"
    boundary, body = encode_multipart({"file": FileStorage(io.BytesIO(b"x" * 700_000), "ä.bin")})
    multipart = f"multipart/form-data; boundary={boundary}"
    upload = client.post(f"{alias}/upload", data=body, content_type=multipart)
    assert upload.text == "ä.bin 700000"
    assert client.get(f"{alias}/stream").text == "0;1;2;"
    answer = client.get(f"{alias}/cookie")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{BASE}/form")
    assert len(answer.headers.getlist("Set-Cookie")) == 2
    # A cookie of the pages comes back where they are, by the canonical path.
    assert client.post(f"{BASE}/form", data={"name": "x"}).text == "x yes"
