"""Jobs as the documentation of Racetrack's job runner shows them, served unchanged with compat installed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

import pyjob
from tests.conftest import ClientOf, JobClient, MakeJob

pytestmark = pytest.mark.usefixtures("compat")


@pytest.fixture
def mount() -> str:
    """Links below a mount are looked at where they are made."""
    return ""


def test_a_job_logs_by_the_runners_logger(
    make_job: MakeJob, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    code = """
    from racetrack_job_wrapper.log.logs import get_logger

    logger = get_logger(__name__)


    class JobEntrypoint:
        def perform(self) -> float:
            request = getattr(self, 'request_context').get()
            logger.info(f"called by {request.headers.get('X-Caller-Name')}")
            return 0.5
    """
    with caplog.at_level(logging.DEBUG, "racetrack"):
        answer = client_of(make_job(code)).post("/api/v1/perform", json={}, headers={"X-Caller-Name": "ann"})
    assert answer.json == 0.5
    (record,) = [one for one in caplog.records if one.name.startswith("racetrack.")]
    assert record.getMessage() == "called by ann"


def test_configure_logs_sets_the_level_and_leaves_handlers_alone() -> None:
    from racetrack_job_wrapper.log.logs import configure_logs, get_logger, set_logging_formatter

    handlers = logging.getLogger().handlers
    before, formatters = handlers.copy(), [one.formatter for one in handlers]
    configure_logs("warning")
    assert logging.getLogger().handlers == before
    assert not get_logger("job").isEnabledFor(logging.INFO)
    with pytest.raises(ValueError, match="log_level: expected one of debug"):
        configure_logs("loud")
    try:
        other = logging.Formatter("%(message)s")
        set_logging_formatter(other)
        assert all(one.formatter is other for one in handlers)
    finally:
        for handler, formatter in zip(handlers, formatters, strict=True):
            handler.setFormatter(formatter)


def test_a_job_reads_its_request_as_it_would_starlettes(make_job: MakeJob, client_of: ClientOf) -> None:
    code = """
    class Job:
        def perform(self, **kwargs) -> dict:
            self.request_extra.get()['arguments'] = kwargs
            request = self.request_context.get()
            return {
                'url': str(request.url),
                'parts': [request.url.scheme, request.url.hostname, request.url.port, request.url.path,
                          request.url.query],
                'last': request.query_params['n'],
                'all': request.query_params.getlist('n'),
                'items': request.query_params.multi_items(),
                'query': dict(request.query_params),
                'missing': request.query_params.get('no', 'none'),
                'method': request.method,
                'client': [request.client.host, request.client.port],
                'cookies': request.cookies,
                'header': request.headers['x-one'],
                'extra': self.request_extra.get(),
            }
    """
    answer = client_of(make_job(code), cookies=False).post(
        "/pub/job/sample/latest/api/v1/perform?n=1&n=2&a=%C3%A4",
        json={"x": 1},
        headers={"X-One": "1", "Cookie": "taste=sweet", "Host": "models.example.com:8080"},
        environ_overrides={"REMOTE_ADDR": "127.0.0.9", "REMOTE_PORT": "4000"},
    )
    path = "/pub/job/sample/latest/api/v1/perform"
    assert answer.json == {
        "url": f"http://models.example.com:8080{path}?n=1&n=2&a=%C3%A4",
        "parts": ["http", "models.example.com", 8080, path, "n=1&n=2&a=%C3%A4"],
        "last": "2",
        "all": ["1", "2"],
        "items": [["n", "1"], ["n", "2"], ["a", "ä"]],
        "query": {"n": "2", "a": "ä"},
        "missing": "none",
        "method": "POST",
        "client": ["127.0.0.9", 4000],
        "cookies": {"taste": "sweet"},
        "header": "1",
        "extra": {"arguments": {"x": 1}},
    }


def test_the_url_of_a_request_is_encoded_again_and_never_fails(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    code = """
    class Job:
        def auxiliary_endpoints_v2(self):
            from racetrack_job_wrapper.endpoint_config import EndpointConfig
            return [EndpointConfig('/of/{name}', 'GET', self.of)]

        def of(self, name: str):
            request = self.request_context.get()
            return [str(request.url), request.client]
    """
    answer = client_of(make_job(code), cookies=False).get(
        "/api/v1/of/a%20%C3%A4%3F", headers={"Host": "[::bad"}, environ_overrides={"REMOTE_ADDR": ""}
    )
    assert answer.json == ["http://[::bad/api/v1/of/a%20%C3%A4%3F", None]


def test_cookies_are_read_whatever_is_sent_and_the_last_one_counts(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    code = """
    class Job:
        def perform(self):
            return self.request_context.get().cookies
    """
    sent = {"Cookie": 'taste=sweet; bad=\xff; worse="\\377"; taste=sour'}
    answer = client_of(make_job(code), cookies=False).post("/perform", json={}, headers=sent)
    assert answer.json == {"taste": "sour", "bad": "\ufffd", "worse": "\ufffd"}


class Callee(HTTPServer):
    """A platform with one job on it, `adder`; ``seen`` is what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Callee)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, body))
        is_known = self.path.startswith("/pub/job/adder/")
        answer = b"41.6" if is_known else b'{"error": "no such job", "type": "Not Found"}'
        self.send_response(200 if is_known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callee]:
    with Callee() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("PUB_URL", f"http://127.0.0.1:{server.server_port}/pub")
        monkeypatch.setenv("AUTH_TOKEN", "token-of-the-caller")
        monkeypatch.setenv("JOB_NAME", "rounder")
        yield server
        server.shutdown()
        thread.join()


CHAIN = """
import asyncio
from typing import List

from racetrack_job_wrapper.call import async_job_call, call_job, call_job_async, call_job_coroutine


class JobEntrypoint:
    def perform(self, numbers: List[float], how: str = 'sync') -> float:
        payload = {'numbers': numbers}
        if how == 'sync':
            partial = call_job(self, 'adder', '/api/v1/perform', payload)
        elif how == 'long':
            partial = async_job_call(self, 'adder', '/api/v1/perform', payload)
        else:
            call = call_job_async if how == 'async' else call_job_coroutine
            partial = asyncio.run(self.awaited(payload, call))
        return round(partial)

    async def awaited(self, payload, call):
        return await call(self, job_name='adder', path='/api/v1/perform', payload=payload, version='latest')

    def auxiliary_endpoints(self):
        return {'/unknown': self.unknown}

    def unknown(self) -> str:
        try:
            call_job(self, 'nobody', version='1.0.0')
        except RuntimeError as error:
            return str(error)
"""


@pytest.mark.parametrize("how", ["sync", "async", "coroutine", "long"])
def test_a_job_calls_another_job(make_job: MakeJob, client_of: ClientOf, platform: Callee, how: str) -> None:
    headers = {"X-Request-Tracing-Id": "trace-1", "X-Caller-Name": "ann"}
    payload = {"numbers": [40, 1.6], "how": how}
    answer = client_of(make_job(CHAIN)).post("/api/v1/perform", json=payload, headers=headers)
    assert answer.json == 42, answer.json
    ((method, path, sent, body),) = platform.seen
    assert (method, path) == ("POST", "/pub/job/adder/latest/api/v1/perform")
    assert body.replace(b" ", b"") == b'{"numbers":[40,1.6]}'
    assert sent["x-racetrack-auth"] == "token-of-the-caller"
    assert (sent["x-request-tracing-id"], sent["x-caller-name"]) == ("trace-1", "ann")


def test_a_chain_call_that_fails_is_a_runtime_error_that_says_why(
    make_job: MakeJob, client_of: ClientOf, platform: Callee
) -> None:
    told = client_of(make_job(CHAIN)).post("/api/v1/unknown", json={}).json
    assert "nobody" in told
    assert "404" in told
    assert "no such job" in told
    assert "token-of-the-caller" not in told


def test_a_job_runs_coroutines_of_its_own(make_job: MakeJob, client_of: ClientOf) -> None:
    code = """
    import asyncio

    def blocking() -> str:
        return 'done'

    async def something_async():
        return await asyncio.to_thread(blocking)

    class JobEntrypoint:
        def perform(self) -> str:
            return asyncio.run(something_async())
    """
    assert client_of(make_job(code)).perform().json == "done"


def test_static_endpoints_and_metrics_of_a_subclass_of_the_base(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    code = """
    from racetrack_job_wrapper.entrypoint import JobEntrypoint


    class Job(JobEntrypoint):
        def perform(self, x: float = 1):
            return x

        def static_endpoints(self):
            return {'/manifest': ('job.yaml', 'application/x-yaml'), '/docs/readme': 'README.md'}

        def metrics(self):
            return [{
                'name': 'job_is_crazy',
                'description': 'Whether your job is crazy or not',
                'value': 0.25,
                'labels': {'color': 'blue'},
            }]
    """
    client = client_of(make_job(code, files={"README.md": "# Read me"}))
    assert client.perform().json == 1
    assert client.get("/api/v1/manifest").mimetype == "application/x-yaml"
    assert client.get("/api/v1/docs/readme").text == "# Read me"
    assert 'job_is_crazy{color="blue"} 0.25' in client.get("/metrics").text
    assert client.get("/api/v1/webview/").status_code == 404


def test_a_base_class_without_perform_is_told_of_at_start(make_job: MakeJob) -> None:
    code = """
    from racetrack_job_wrapper.entrypoint import JobEntrypoint


    class Job(JobEntrypoint):
        def metrics(self):
            return []
    """
    with pytest.raises(Exception, match="perform"):
        pyjob.create(make_job(code), load="now")


def test_a_web_view_in_flask(make_job: MakeJob, client_of: ClientOf) -> None:
    pytest.importorskip("flask")
    code = """
    from flask import Flask, jsonify, render_template, request
    from racetrack_job_wrapper.entrypoint import JobEntrypoint


    class Job(JobEntrypoint):
        def perform(self):
            return 1

        def webview_app(self, base_url: str):
            app = Flask(__name__, template_folder='templates')

            @app.route(base_url + '/')
            def index():
                return render_template('index.html', base_url=base_url)

            @app.route(base_url + '/postme', methods=['POST'])
            def postme():
                return jsonify({"hello": request.json})

            return app.wsgi_app
    """
    client = client_of(make_job(code, files={"templates/index.html": "at {{ base_url }}"}))
    assert client.get("/api/v1/webview/").text == "at /pub/job/sample/0.0.1/api/v1/webview"
    answer = client.post("/pub/job/sample/latest/api/v1/webview/postme", json={"a": 1})
    assert answer.json == {"hello": {"a": 1}}


AUXILIARY = """
from http import HTTPMethod
from typing import Annotated, List

from fastapi import Body, Path, Query

from racetrack_job_wrapper.endpoint_config import EndpointConfig


class Job:
    def perform(self, x: float, y: float) -> float:
        return x + y

    def auxiliary_endpoints_v2(self) -> List[EndpointConfig]:
        return [
            EndpointConfig(
                '/multiply/{path}', HTTPMethod.POST, self.multiply, other_options=dict(tags=["items"])
            ),
            EndpointConfig('/half', HTTPMethod.GET, self.half, other_options=dict(tags=["items"])),
        ]

    def multiply(
        self,
        body: Annotated[float, Body(examples=[1.2])],
        query: Annotated[float, Query(examples=[2.4])],
        path: Annotated[float, Path(examples=[234.21])],
    ) -> float:
        return body * query * path

    def half(
        self, start: float, end: float = Query(8, ge=1), by: int = Query(), *, note: str = Query("none")
    ):
        return {'half': (start + end) / by, 'note': note}
"""


def test_auxiliary_endpoints_v2_with_markers_of_fastapi(make_job: MakeJob, client_of: ClientOf) -> None:
    pytest.importorskip("fastapi")
    client = client_of(make_job(AUXILIARY))
    answer = client.post("/api/v1/multiply/4?query=2.5", data="2", content_type="application/json")
    assert answer.json == 20
    assert client.get("/api/v1/half?start=2&by=2").json == {"half": 5, "note": "none"}
    assert client.get("/api/v1/half?start=2&by=2&end=4&note=my").json == {"half": 3, "note": "my"}
    refused = client.get("/api/v1/half?start=2")
    assert refused.status_code == 400
    assert "missing argument: by" in refused.json["error"]
    assert client.get("/api/v1/half?start=2&by=x").status_code == 400
    (operation,) = client.get("/openapi.json").json["paths"]["/api/v1/half"].values()
    parameters = {one["name"]: one for one in operation["parameters"]}
    assert parameters["end"]["schema"]["default"] == 8
    assert parameters["by"]["required"]


def test_what_markers_ask_for_and_do_not_get_is_told_at_start(
    make_job: MakeJob, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("fastapi")
    code = """
    from fastapi import Depends, Header, Query
    from pydantic import BaseModel
    from racetrack_job_wrapper.endpoint_config import EndpointConfig

    class Settings(BaseModel):
        depth: int

    class Job:
        def auxiliary_endpoints_v2(self):
            return [EndpointConfig('/one', 'POST', self.one)]

        def one(
            self,
            settings: Settings,
            agent: str = Header("?"),
            n: int = Query(1, alias="number"),
            tags: list = Query(default_factory=list),
        ):
            return [settings, agent, n]
    """
    client = client_of(make_job(code))
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "POST /one: agent: Header is not bound, only path, query and body are" in told
    assert "n: callers name it so, not by the alias 'number'" in told
    assert "settings: gets a dict, not Settings" in told
    assert "tags: its default_factory is not called" in told
    payload = {"settings": {"depth": 1}, "tags": []}
    assert client.post("/api/v1/one", json=payload).json == [{"depth": 1}, "?", 1]


def test_results_of_numpy(make_job: MakeJob, client_of: ClientOf) -> None:
    pytest.importorskip("numpy")
    code = """
    import numpy as np
    from racetrack_job_wrapper.response import to_json_serializable

    class Job:
        def perform(self, how: str):
            array = np.array([[1.5, float('nan')], [2, 3]])
            if how == 'plain':
                return to_json_serializable({'array': array, 'one': np.int64(3)})
            return array if how == 'array' else array[0, 0]
    """
    client = client_of(make_job(code))
    assert client.perform(how="array").json == [[1.5, None], [2, 3]]
    assert client.perform(how="scalar").json == 1.5
    assert client.perform(how="plain").json == {"array": [[1.5, None], [2, 3]], "one": 3}


@pytest.mark.parametrize(
    ("name", "status"), [("EntityNotFound", 404), ("AlreadyExists", 409), ("ValidationError", 400)]
)
def test_errors_answer_by_their_kind(make_job: MakeJob, client_of: ClientOf, name: str, status: int) -> None:
    code = f"""
    from racetrack_job_wrapper.log.errors import {name}

    class Job:
        def perform(self):
            raise {name}('of model 7')
    """
    answer = client_of(make_job(code)).perform()
    assert answer.status_code == status
    assert answer.json == {"error": "of model 7", "type": name}


def test_errors_with_context_say_what_was_being_done(make_job: MakeJob, client_of: ClientOf) -> None:
    code = """
    from racetrack_job_wrapper.log.context_error import ContextError, unwrap, wrap_context

    class Job:
        def perform(self):
            try:
                with wrap_context('loading the model'), wrap_context('opening it', log_debug=True):
                    raise FileNotFoundError('no file')
            except ContextError as error:
                raise ContextError(f'by {type(unwrap(error)).__name__}', error)
    """
    answer = client_of(make_job(code)).perform()
    assert answer.status_code == 500
    assert answer.json["error"] == "by FileNotFoundError: loading the model: opening it: no file"


# What is missing


def reason(application: pyjob.Application) -> str:
    with pytest.raises(ImportError):
        application.load()
    answer: Any = JobClient(application, "").get("/live")
    assert answer.status_code == 500
    return str(answer.json["error"])


def test_a_name_that_is_not_taken_over_is_told_at_start(make_job: MakeJob) -> None:
    line = "from racetrack_job_wrapper.log.logs import ColoredFormatter"
    code = f"{line}\n\nclass Job:\n    def perform(self): return 1\n"
    told = reason(pyjob.create(make_job(code)))
    assert f"a name of it is not in pyjob's compat distribution: change the line `{line}` to: import" in told


@pytest.mark.parametrize("module", ["log.exception", "recordkeeper"])
def test_a_module_that_is_not_taken_over_is_told_at_start(make_job: MakeJob, module: str) -> None:
    code = f"""
    import racetrack_job_wrapper.{module}

    class Job:
        def perform(self): return 1
    """
    told = reason(pyjob.create(make_job(code)))
    assert f"racetrack_job_wrapper.{module} is not in pyjob's compat distribution" in told
    assert f"do without `import racetrack_job_wrapper.{module}`" in told
