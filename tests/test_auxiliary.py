"""Auxiliary endpoints of both kinds: bound, checked, counted and gated as perform is (SPEC 1, 1.3)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from http import HTTPMethod
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Optional

import pytest

import pyjob
from pyjob import EndpointConfig
from tests.conftest import ClientOf, JobClient, MakeJob


class Body:
    """A marker, known by its name."""

    def __init__(self, **_: Any) -> None: ...


class Query(Body):
    """Another one."""


def sample_number(client: JobClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")))


# The first kind


class Explainer:
    def perform(self, x: float, y: float) -> float:
        return x * y

    def auxiliary_endpoints(self) -> dict[str, Any]:
        return {"/explain": self.explain, "without/slash": self.explain, "/fails": self.fails}

    def explain(self, x: float, y: float) -> dict[str, float]:
        """Explain feature importance."""
        result = self.perform(x, y)
        return {"x_importance": x / result, "y_importance": y / result}

    def fails(self) -> None:
        raise KeyError("x")

    def docs_input_examples(self) -> dict[str, Any]:
        return {"/perform": {"x": 1, "y": 2}, "/explain": {"x": 4, "y": 2}}


@pytest.mark.parametrize("path", ["/explain", "/api/v1/explain", "/pub/job/a/1/explain", "/without/slash"])
def test_an_auxiliary_endpoint_is_called_like_perform(client_of: ClientOf, path: str) -> None:
    client = client_of(Explainer)
    answer = client.post(path, json={"x": 4, "y": 2})
    assert answer.json == {"x_importance": 0.5, "y_importance": 0.25}
    assert client.post(path, json={"x": 4}).status_code == 400
    assert client.post(path, json={"x": 4, "y": "2"}).json["error"] == 'y: expected float, got "2"'
    assert client.get(path).headers["Allow"] == "POST"


def test_it_is_counted_under_its_own_path(client_of: ClientOf) -> None:
    client = client_of(Explainer)
    client.post("/api/v1/explain", json={"x": 4, "y": 2})
    client.post("/fails")
    assert sample_number(client, 'endpoint_requests_started_total{endpoint="/explain"}') == 1
    assert sample_number(client, 'request_internal_errors_total{endpoint="/fails"}') == 1
    assert sample_number(client, "requests_started_total") == 2


def test_it_is_documented_with_its_own_sample(client_of: ClientOf) -> None:
    paths = client_of(Explainer).get("/openapi.json").json["paths"]
    operation = paths["/api/v1/explain"]["post"]
    assert operation["summary"] == "Explain feature importance."
    content = operation["requestBody"]["content"]["application/json"]
    assert content["examples"] == {"sample": {"value": {"x": 4, "y": 2}}}


def test_it_runs_in_process_too(client_of: ClientOf) -> None:
    application = client_of(Explainer).application
    assert application.call("/explain", {"x": 1, "y": 1}) == {"x_importance": 1, "y_importance": 1}
    assert application.call("/api/v1/without/slash", {"x": 1, "y": 1})["x_importance"] == 1
    with pytest.raises(pyjob.JobError, match="only /perform, /explain, /without/slash, /fails"):
        application.call("/nothing")


def test_all_endpoints_share_one_cap(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> list[int]:
            gate = client.application.gate
            return [gate.running, client.post("/other").status_code]

        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/other": lambda: None}

    manifest = {"jobtype_extra": {"max_concurrency": 1, "max_concurrency_queue": 0}}
    client = client_of(Job, manifest=manifest)
    assert client.perform().json == [1, 429]
    assert client.post("/other").status_code == 200


class Elsewhere:
    def __call__(self, n: int) -> int:
        """Of an object."""
        return n + 1

    def method(self, n: int) -> int:
        return n + 2

    @staticmethod
    def static(n: int) -> int:
        return n + 3

    @classmethod
    def of_class(cls, n: int) -> int:
        return n + 4

    async def awaited(self, n: int) -> int:
        return n + 5


def added(base: int, n: int) -> int:
    """Of a function."""
    return base + n


HANDLERS = {
    "/lambda": lambda n: n,
    "/object": Elsewhere(),
    "/method": Elsewhere().method,
    "/static": Elsewhere.static,
    "/class": Elsewhere.of_class,
    "/async": Elsewhere().awaited,
    "/partial": functools.partial(added, 10),
    "/named": functools.partial(added, base=20),
}


def test_whatever_can_be_called_is_a_handler(client_of: ClientOf) -> None:
    client = client_of(SimpleNamespace(perform=lambda: 0, auxiliary_endpoints=lambda: HANDLERS))
    results = {path: client.post(path, json={"n": 1}).json for path in HANDLERS}
    assert list(results.values()) == [1, 2, 3, 4, 5, 6, 11, 21]
    paths = client.get("/openapi.json").json["paths"]
    assert paths["/api/v1/object"]["post"]["summary"] == "Of an object."
    assert paths["/api/v1/partial"]["post"]["summary"] == "Of a function."


@pytest.mark.parametrize("nothing", [None, {}])
def test_none_and_an_empty_dict_mean_that_there_are_none(client_of: ClientOf, nothing: object) -> None:
    job = SimpleNamespace(
        perform=lambda: 1,
        auxiliary_endpoints=lambda: nothing,
        auxiliary_endpoints_v2=lambda: nothing if nothing is None else [],
        static_endpoints=lambda: nothing,
        webview_app=lambda base_url: None,
    )
    client = client_of(job)
    assert client.perform().json == 1
    assert client.get("/webview/").status_code == 404


# The second kind


class Shop:
    def perform(self) -> int:
        return 0

    def auxiliary_endpoints_v2(self) -> list[EndpointConfig]:
        return [
            EndpointConfig("/multiply/{path}", HTTPMethod.POST, self.multiply, {"tags": ["items"]}),
            EndpointConfig("/between", HTTPMethod.GET, self.between),
            EndpointConfig("/typed", "get", self.typed),
            EndpointConfig("/items/{item}/price", "GET", self.price),
            EndpointConfig("/items/special/price", "GET", lambda: "special"),
            EndpointConfig("/embedded", "POST", self.embedded),
        ]

    def multiply(
        self,
        body: Annotated[float, Body(examples=[1.2])],
        query: Annotated[float, Query(example=2.4)],
        path: float,
    ) -> float:
        return body * query * path

    def between(self, start: float, end: float = 10) -> list[float]:
        return [start, end]

    def typed(
        self,
        flag: bool = False,
        text: str = "",
        number: Optional[int] = None,  # noqa: UP045  what authors write
        items: list[int] = [],  # noqa: B006
        kind: Literal["a", "1"] = "a",
        anything: Any = None,
    ) -> list[Any]:
        return [flag, text, number, items, kind, anything]

    def price(self, item: str, currency: str = "EUR") -> str:
        return f"{item} in {currency}"

    def embedded(self, x: Annotated[int, Body], y: Annotated[int, Body]) -> int:
        return x - y


@pytest.fixture
def shop(client_of: ClientOf) -> JobClient:
    return client_of(Shop)


@pytest.mark.parametrize("start", ["", "/api/v1", "/pub/job/a/1"])
def test_arguments_come_from_path_query_and_body(shop: JobClient, start: str) -> None:
    assert shop.post(f"{start}/multiply/3?query=2", json=4).json == 24
    assert shop.post(f"{start}/multiply/3", json={"query": 2, "body": 4}).json == 24
    assert shop.post(f"{start}/multiply/3?query=2&body=4").json == 24
    assert shop.get(f"{start}/between?start=1.5").json == [1.5, 10]


def test_a_literal_path_wins_over_a_name_in_braces(shop: JobClient) -> None:
    assert shop.get("/items/special/price").json == "special"
    assert shop.get("/items/größer%20x/price?currency=CHF").json == "größer x in CHF"
    assert shop.get("/items//price").status_code == 400
    assert shop.get("/items/a/b/price").status_code == 404


@pytest.mark.parametrize(
    ("query", "position", "value"),
    [
        ("flag=true", 0, True),
        ("flag=0", 0, False),
        ("text=true", 1, "true"),
        ("text=", 1, ""),
        ("number=-5", 2, -5),
        ("number=2.0", 2, 2.0),
        ("items=[1, 2]", 3, [1, 2]),
        ("kind=1", 4, "1"),
        ('anything={"a": 1}', 5, {"a": 1}),
        ("anything=plain text", 5, "plain text"),
        ("anything=NaN", 5, "NaN"),
        ("anything=1e999", 5, "1e999"),
    ],
)
def test_text_becomes_what_the_annotation_says(
    shop: JobClient, query: str, position: int, value: object
) -> None:
    found = shop.get(f"/typed?{query}").json[position]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("flag=maybe", 'flag: expected bool, got "maybe"'),
        ("number=five", 'number: expected int or null, got "five"'),
        ("number=2.5", "number: expected int or null, got 2.5"),
        (f"number={'9' * 5000}", "number: expected int or null, got"),
        ('items=[1, "x"]', 'items[1]: expected int, got "x"'),
        ("items=1,2", 'items: expected list, got "1,2"'),
        ("kind=c", 'kind: expected one of "a", "1", got "c"'),
        ("text=a&text=b", "repeated argument: text"),
        ("colour=red", "unexpected argument: colour"),
        ("text=%ff", "the query is not valid UTF-8"),
        ("&".join(f"a{n}=1" for n in range(1001)), "the query has more than 1000 arguments"),
    ],
)
def test_what_does_not_fit_is_400_and_named(shop: JobClient, query: str, error: str) -> None:
    answer = shop.get(f"/typed?{query}")
    assert answer.status_code == 400
    assert error in answer.json["error"]


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/multiply/x?query=2", 4, 'path: expected float, got "x"'),
        ("/multiply/3", 4, "missing argument: query"),
        ("/multiply/3?query=2&path=3", 4, "repeated argument: path"),
        ("/multiply/3?query=2", {"query": 2, "body": 1}, "repeated argument: query"),
        ("/multiply/3?query=2", {"path": 2, "body": 1}, "repeated argument: path"),
        ("/multiply/3?query=2&body=1", 4, "must be a JSON object"),
        ("/embedded", 4, "must be a JSON object"),
        ("/embedded", [1, 2], "must be a JSON object"),
    ],
)
def test_an_argument_comes_once(shop: JobClient, path: str, body: object, error: str) -> None:
    answer = shop.post(path, json=body)
    assert (answer.status_code, error in answer.json["error"]) == (400, True), answer.json


def test_several_parameters_for_the_body_make_an_object(shop: JobClient) -> None:
    assert shop.post("/embedded", json={"x": 5, "y": 3}).json == 2


def test_the_docs_show_where_each_argument_stands(shop: JobClient) -> None:
    paths = shop.get("/openapi.json").json["paths"]
    multiply = paths["/api/v1/multiply/{path}"]["post"]
    assert multiply["tags"] == ["items"]
    assert [(p["name"], p["in"], p["required"]) for p in multiply["parameters"]] == [
        ("path", "path", True),
        ("query", "query", True),
    ]
    body = multiply["requestBody"]
    assert (body["required"], body["content"]["application/json"]["schema"]) == (True, {"type": "number"})
    between = paths["/api/v1/between"]["get"]
    assert [(p["name"], p["in"], p["required"]) for p in between["parameters"]] == [
        ("start", "query", True),
        ("end", "query", False),
    ]
    assert "requestBody" not in between
    assert between["operationId"] == "get_between"


def test_endpoints_of_one_path_and_two_methods_live_together(client_of: ClientOf) -> None:
    class Job:
        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/report": lambda n: n}

        def auxiliary_endpoints_v2(self) -> list[EndpointConfig]:
            return [EndpointConfig("/report", "GET", lambda: "got")]

    client = client_of(Job)
    assert client.post("/report", json={"n": 1}).json == 1
    assert client.get("/report").json == "got"
    assert client.open("/report", method="PUT").headers["Allow"] == "GET, HEAD, POST"
    assert client.application.call("/report", {"n": 2}) == 2
    assert client.get("/openapi.json").json["paths"]["/api/v1/report"].keys() == {"get", "post"}


def test_options_of_the_listing_are_honoured_and_others_told_once(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    listed = {"summary": "Short", "deprecated": True, "tags": ["a", "b"], "status_code": 201, "name": "x"}

    class Job:
        def auxiliary_endpoints_v2(self) -> list[EndpointConfig]:
            return [
                EndpointConfig("/listed", "GET", lambda: 1, listed),
                EndpointConfig("/hidden", "GET", lambda: 2, {"include_in_schema": False}),
            ]

    client = client_of(Job)
    document = client.get("/openapi.json").json
    operation = document["paths"]["/api/v1/listed"]["get"]
    assert (operation["summary"], operation["deprecated"], operation["tags"]) == ("Short", True, ["a", "b"])
    assert "/api/v1/hidden" not in document["paths"]
    assert client.get("/hidden").json == 2
    (told,) = [record.getMessage() for record in caplog.records if "other_options" in record.getMessage()]
    assert "GET /listed" in told
    assert "name, status_code not used" in told


def test_any_object_with_path_method_and_handler_is_an_endpoint(client_of: ClientOf) -> None:
    config = SimpleNamespace(path="plain", method="POST", handler=lambda n: n, other_options=None)
    job = SimpleNamespace(auxiliary_endpoints_v2=lambda: [config])
    assert client_of(job).post("/plain?n=1").json == 1


# Bad input


def failing(make_job: MakeJob, body: str) -> str:
    """What a job says that cannot start for what is in its class."""
    code = f"from pyjob import EndpointConfig\nclass Job:\n    def perform(self): ...\n{body}"
    folder = make_job(code, files={"file.txt": "text", "folder/a.txt": "text"})
    with pytest.raises(pyjob.EntryPointError) as told:
        pyjob.create(folder, load="now")
    return str(told.value)


V1 = "    def auxiliary_endpoints(self): return %s\n"
V2 = "    def auxiliary_endpoints_v2(self): return [%s]\n"
STATIC = "    def static_endpoints(self): return %s\n"
VIEW = "    def webview_app(self, base_url): return lambda environ, start: []\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{'/x': lambda *args: 1}", ["auxiliary_endpoints, POST /x", "takes *args"]),
        ("{'/x': lambda a, /: 1}", ["auxiliary_endpoints, POST /x", "positional-only"]),
        ("{'/x': 5}", ["auxiliary_endpoints, POST /x", "expected a method to call, found int"]),
        ("{'/x y': print}", ["auxiliary_endpoints", "'/x y' holds a blank"]),
        ("{'/x?a=1': print}", ["auxiliary_endpoints", "'/x?a=1' holds a query"]),
        ("{'/x#a': print}", ["auxiliary_endpoints", "'/x#a' holds a fragment"]),
        ("{'/x/../y': print}", ["auxiliary_endpoints", "'/x/../y' holds a dotted segment"]),
        ("{'..': print}", ["auxiliary_endpoints", "holds a dotted segment"]),
        ("{'/x//y': print}", ["auxiliary_endpoints", "holds an empty segment"]),
        ("{'/x\\\\y': print}", ["auxiliary_endpoints", "holds a backslash"]),
        ("{'/x\\x00': print}", ["auxiliary_endpoints", "holds a character that no path can have"]),
        ("{'': print}", ["auxiliary_endpoints", "expected a path such as '/report', found ''"]),
        ("{5: print}", ["auxiliary_endpoints", "expected a path as a str, found int"]),
        ("{'/x/{y}': lambda y: 1}", ["POST /x/{y}", "need auxiliary_endpoints_v2"]),
        ("{'/x': lambda: 1, 'x': lambda: 2}", ["both answer POST /x"]),
        ("{'/perform': lambda: 1}", ["the method perform", "both answer POST /perform"]),
        ("[1]", ["auxiliary_endpoints: expected a dict of path to method, found list"]),
    ],
)
def test_a_wrong_auxiliary_endpoint_stops_the_start_and_is_named(
    make_job: MakeJob, given: str, told: list[str]
) -> None:
    message = failing(make_job, V1 % given)
    assert message.startswith("job.py: class Job: ")
    for part in told:
        assert part in message


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("EndpointConfig('/x', 'PUT', lambda: 1)", "/x: method: expected GET or POST, found 'PUT'"),
        ("EndpointConfig('/x', 'GET', None)", "GET /x: expected a method to call, found NoneType"),
        ("EndpointConfig('/x', 'GET', lambda *a: 1)", "GET /x: takes *a"),
        ("EndpointConfig('/x/{y}', 'GET', lambda z: 1)", "has no parameter 'y': it has z"),
        (
            "EndpointConfig('/x/{y:path}', 'GET', lambda y: 1)",
            "holds {y:path}: expected a parameter's name there",
        ),
        ("EndpointConfig('/{y}/{y}', 'GET', lambda y: 1)", "has one name twice"),
        ("EndpointConfig('/{y}-{z}', 'GET', lambda y, z: 1)", "two names between slashes"),
        ("EndpointConfig('/x}', 'GET', lambda: 1)", "has a brace without its partner"),
        ("EndpointConfig('/x', 'GET', lambda: 1, [])", "other_options: expected a dict, found list"),
        ("EndpointConfig('/x', 'GET', lambda: 1, {'tags': 'a'})", "tags: expected a list of str"),
        ("'/x'", "expected EndpointConfig(path, method, handler), found str"),
        (
            "EndpointConfig('/{a}/x', 'GET', lambda a: 1), EndpointConfig('/{b}/x', 'GET', lambda b: 1)",
            "auxiliary_endpoints_v2 GET /{b}/x and auxiliary_endpoints_v2 GET /{a}/x both answer GET /{b}/x",
        ),
    ],
)
def test_a_wrong_endpoint_of_the_second_kind_stops_the_start(
    make_job: MakeJob, given: str, told: str
) -> None:
    message = failing(make_job, V2 % given)
    assert "job.py: class Job: auxiliary_endpoints_v2" in message
    assert told in message


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            V1 % "{'/r': lambda: 1}" + V2 % "EndpointConfig('r', 'POST', lambda: 2)",
            "auxiliary_endpoints_v2 POST /r and auxiliary_endpoints POST /r both answer POST /r",
        ),
        (
            V2 % "EndpointConfig('/r', 'GET', lambda: 2)" + STATIC % "{'r': 'file.txt'}",
            "static_endpoints /r and auxiliary_endpoints_v2 GET /r both answer GET /r",
        ),
        (STATIC % "{'/parameters': 'file.txt'}", "the built-in list of parameters"),
        (STATIC % "{'/f': 'folder', 'f/': 'file.txt'}", "both answer GET /f"),
        (
            V2 % "EndpointConfig('/f/{x}', 'GET', lambda x: 2)" + STATIC % "{'/f': 'folder'}",
            "static_endpoints /f and auxiliary_endpoints_v2 GET /f/{x} both answer",
        ),
        (
            V1 % "{'/webview/x': lambda: 1}" + VIEW,
            "the web view and auxiliary_endpoints POST /webview/x both answer POST /webview/x",
        ),
        (
            V2 % "EndpointConfig('/webview/{x}', 'GET', lambda x: 2)" + VIEW,
            "the web view and auxiliary_endpoints_v2 GET /webview/{x}",
        ),
        (STATIC % "{'/webview': 'folder'}" + VIEW, "both answer GET /webview"),
        (STATIC % "{'/webview/static': 'folder'}" + VIEW, "both answer GET /webview/static"),
    ],
)
def test_two_that_answer_the_same_are_an_error_that_names_both(
    make_job: MakeJob, body: str, told: str
) -> None:
    assert told in failing(make_job, body)


def test_other_methods_and_paths_within_a_folder_do_not_collide(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    client = client_of(
        make_job(
            """
            from pyjob import EndpointConfig

            class Job:
                def auxiliary_endpoints(self): return {"/report": lambda: "called", "/files/a.txt": lambda: 1}
                def auxiliary_endpoints_v2(self):
                    return [EndpointConfig("/files/{name}", "POST", lambda name: name)]
                def static_endpoints(self):
                    return {"/report": "file.txt", "/files": "folder", "/files/b.txt": "file.txt",
                            "/files/deep": "other"}
            """,
            files={"file.txt": "file", "folder/a.txt": "a", "folder/b.txt": "b", "other/c.txt": "c"},
        )
    )
    assert (client.post("/report").json, client.get("/report").text) == ("called", "file")
    assert (client.post("/files/a.txt").json, client.get("/files/a.txt").text) == (1, "a")
    assert (client.post("/files/x").json, client.get("/files/b.txt").text) == ("x", "file")
    assert client.get("/files/deep/c.txt").text == "c"
    assert client.open("/files/x", method="PUT").headers["Allow"] == "GET, HEAD, POST"


def test_built_in_routes_shadow_short_forms(make_job: MakeJob, client_of: ClientOf) -> None:
    client = client_of(
        make_job(
            """
            class Job:
                def auxiliary_endpoints(self): return {"/docs": lambda: "called", "/live": lambda: "called"}
                def static_endpoints(self): return {"/metrics": "file.txt", "/docs/readme": "file.txt"}
            """,
            files={"file.txt": "file"},
        )
    )
    assert client.get("/metrics").text.startswith("# HELP")
    assert client.get("/api/v1/metrics").text == "file"
    assert client.get("/docs").text.startswith("<!doctype html>")
    assert (client.get("/docs/readme").text, client.post("/api/v1/live").json) == ("file", "called")


# Samples


def samples_told(job_of: Callable[..., JobClient], samples: str, more: str = "") -> JobClient:
    return job_of(
        f"def perform(self, x: int): return x\ndef docs_input_examples(self): return {samples}\n{more}"
    )


def test_a_list_is_several_samples(job_of: Callable[..., JobClient]) -> None:
    client = samples_told(job_of, "{'perform': [{'x': 1}, {'x': 2}]}")
    body = client.get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"]
    assert examples == {"sample 1": {"value": {"x": 1}}, "sample 2": {"value": {"x": 2}}}


def test_of_several_samples_a_broken_one_is_told_and_left_out(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = samples_told(job_of, "{'/api/v1/perform': [{'x': 1}, {'x': 'one'}]}")
    body = client.get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]["requestBody"]
    assert body["content"]["application/json"]["examples"] == {"sample": {"value": {"x": 1}}}
    assert 'sample of /perform: the sample does not work: x: expected int, got "one"' in caplog.text


def test_a_sample_for_nothing_is_told_with_what_is_near(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture
) -> None:
    samples_told(job_of, "{'/perfrom': {'x': 1}, '/zzz': {}}")
    assert (
        "class Job: docs_input_examples: there is no endpoint /perfrom: did you mean /perform?" in caplog.text
    )
    assert "there is no endpoint /zzz: there are /perform" in caplog.text


def test_samples_show_where_each_argument_stands(job_of: Callable[..., JobClient]) -> None:
    more = "def auxiliary_endpoints_v2(self): return [pyjob.EndpointConfig('/a/{b}', 'POST', lambda b, c: 1)]"
    samples = "{'/a/{b}': [{'b': 1, 'c': 2}, {'b': 3, 'c': 4}]}"
    client = job_of(
        f"def perform(self): ...\ndef docs_input_examples(self): return {samples}\n{more}",
        head="import pyjob",
    )
    operation = client.get("/openapi.json").json["paths"]["/api/v1/a/{b}"]["post"]
    (parameter,) = operation["parameters"]
    assert parameter["examples"] == {"sample 1": {"value": 1}, "sample 2": {"value": 3}}
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert examples == {"sample 1": {"value": {"c": 2}}, "sample 2": {"value": {"c": 4}}}
