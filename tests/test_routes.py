"""Where everything answers: at the root, below the platform's prefixes, mounted (SPEC 4.1)."""

from __future__ import annotations

from typing import Any, List, Optional  # noqa: UP035  what authors write

import pytest

import pyjob
from tests.conftest import ClientOf, JobClient


class Adder:
    """Adds."""

    def perform(self, x: float, y: float = 2.0) -> float:
        return x + y


PREFIXES = ["", "/pub/job/adder/0.0.1", "/pub/job/any-name/latest", "/pub/fatman/b/1.2.3", "/pub/job/ä b/ü"]


@pytest.fixture
def adder(client_of: ClientOf) -> JobClient:
    return client_of(Adder)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    "path",
    [
        "/live",
        "/ready",
        "/health",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/favicon.ico",
        "/api/v1/parameters",
        "/parameters",
    ],
)
def test_every_page_answers_get_and_head_below_every_prefix(adder: JobClient, prefix: str, path: str) -> None:
    got = adder.get(prefix + path)
    assert got.status_code == 200
    head = adder.open(prefix + path, method="HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert head.content_type == got.content_type
    if path not in ("/metrics", "/openapi.json"):
        assert head.content_length == len(got.data)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", ["/perform", "/api/v1/perform"])
def test_perform_answers_below_every_prefix(adder: JobClient, prefix: str, path: str) -> None:
    assert adder.post(prefix + path, json={"x": 1}).json == 3.0


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_another_method_is_405_and_names_the_allowed_ones(adder: JobClient, method: str) -> None:
    answer = adder.open("/api/v1/perform", method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    if method != "HEAD":
        assert set(answer.json) == {"error", "type"}


def test_a_page_allows_get_and_head(adder: JobClient) -> None:
    assert adder.post("/live").headers["Allow"] == "GET, HEAD"
    assert adder.post("/pub/job/a/1").headers["Allow"] == "GET, HEAD"


def test_the_root_redirects_to_the_docs_relative_to_the_host(adder: JobClient, mount: str) -> None:
    answer = adder.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{mount}/docs")
    below = adder.get("/pub/job/a/1/")
    assert (below.status_code, below.headers["Location"]) == (307, f"{mount}/pub/job/a/1/docs")


def test_a_prefix_without_its_slash_redirects_to_the_same_with_it(adder: JobClient, mount: str) -> None:
    answer = adder.get("/pub/job/a/1?x=%20y")
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{mount}/pub/job/a/1/?x=%20y")
    odd = adder.get("/pub/job/ä b/1")
    assert odd.headers["Location"] == f"{mount}/pub/job/%C3%A4%20b/1/"


def test_the_home_page_is_the_authors_choice(client_of: ClientOf, mount: str) -> None:
    client = client_of(Adder, manifest={"jobtype_extra": {"home_page": "/api/v1/parameters"}})
    assert client.get("/").headers["Location"] == f"{mount}/api/v1/parameters"


def test_a_home_page_in_any_script_is_quoted(client_of: ClientOf, mount: str) -> None:
    client = client_of(Adder, manifest={"jobtype_extra": {"home_page": "/€ x?a=b#c"}})
    assert client.get("/").headers["Location"] == f"{mount}/%E2%82%AC%20x?a=b#c"


def test_a_prefix_that_a_proxy_strips_comes_back_in_links_once(client_of: ClientOf, mount: str) -> None:
    client = client_of(Adder, prefix="/ml/")
    expected = f"/ml{mount}"
    assert client.get("/").headers["Location"] == f"{expected}/docs"
    assert client.get("/openapi.json").json["servers"] == [{"url": expected}]


def test_a_mount_in_any_script_is_quoted_in_links(client_of: ClientOf) -> None:
    overrides = {"SCRIPT_NAME": "/ä".encode().decode("latin-1"), "PATH_INFO": "/"}
    answer = client_of(Adder).get("/", environ_overrides=overrides)
    assert answer.headers["Location"] == "/%C3%A4/docs"


def test_a_mount_below_the_prefix_is_not_doubled(client_of: ClientOf) -> None:
    overrides = {"SCRIPT_NAME": "/mounted/inner", "PATH_INFO": "/"}
    answer = client_of(Adder, prefix="/mounted").get("/", environ_overrides=overrides)
    assert answer.headers["Location"] == "/mounted/inner/docs"


def test_a_mount_that_ends_with_the_prefix_is_not_doubled(client_of: ClientOf) -> None:
    overrides = {"SCRIPT_NAME": "/outer/p", "PATH_INFO": "/"}
    answer = client_of(Adder, prefix="/p").get("/", environ_overrides=overrides)
    assert answer.headers["Location"] == "/outer/p/docs"


def test_a_mount_at_the_prefix_is_not_doubled(client_of: ClientOf) -> None:
    client = client_of(Adder, prefix="/mounted")
    assert client.get("/").headers["Location"] == "/mounted/docs"
    assert client.get("/pub/job/a/1/").headers["Location"] == "/mounted/pub/job/a/1/docs"


@pytest.mark.parametrize("prefix", ["ml", "//evil.example", "/a\\b"])
def test_a_prefix_that_is_no_path_is_refused(client_of: ClientOf, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        client_of(Adder, prefix=prefix)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/perfrom", "did you mean /perform?"),
        ("/api/v1/performs", "did you mean /api/v1/perform?"),
        ("/pub/job/a/1/helth", "did you mean /health?"),
        ("/docs/", "did you mean /docs?"),
        ("/" + "x" * 5000, "there is nothing at"),
    ],
)
def test_an_unknown_path_is_404_with_the_nearest_known_one(adder: JobClient, path: str, near: str) -> None:
    answer = adder.get(path)
    assert answer.status_code == 404
    assert near in answer.json["error"]
    assert len(answer.data) < 500


@pytest.mark.parametrize(
    "path",
    [
        "//live",
        "/api//v1/perform",
        "/./live",
        "/api/../live",
        "/docs/..",
        "/docs/.",
        "/..",
        "/docs/_assets/..\\page.js",
        "/live\x00",
        "/pub/job/../1/live",
        "/pub/job/a/1//live",
    ],
)
def test_a_hostile_path_is_400(adder: JobClient, path: str) -> None:
    answer = adder.get("/", environ_overrides={"PATH_INFO": path})
    assert answer.status_code == 400
    assert set(answer.json) == {"error", "type"}


def test_a_path_that_is_no_utf8_is_400(adder: JobClient) -> None:
    assert adder.get("/", environ_overrides={"PATH_INFO": "/\xff"}).status_code == 400


def test_an_empty_path_is_the_root(client_of: ClientOf) -> None:
    client = client_of(Adder)
    answer: Any = client.get("/", environ_overrides={"PATH_INFO": "", "SCRIPT_NAME": "/one"})
    assert answer.headers["Location"] == "/one/docs"


def test_parameters_tell_names_types_and_defaults(client_of: ClientOf) -> None:
    marker = object()

    class Job:
        def perform(self, a, b: list[float], c: float = 2, d: object = marker, **rest) -> None:  # type: ignore[no-untyped-def]
            pass

    assert client_of(Job).get("/api/v1/parameters").json == [
        {"name": "a", "type": None},
        {"name": "b", "type": "list[float]"},
        {"name": "c", "type": "float", "default_value": 2},
        {"name": "d", "type": "object", "default_value": repr(marker)},
    ]


def test_a_typing_generic_is_shown_as_it_was_written(client_of: ClientOf) -> None:
    class Job:
        def perform(self, a: List[float], b: Optional[int] = None) -> None:  # noqa: UP006, UP045
            pass

    shown = client_of(Job).get("/parameters").json
    assert shown == [
        {"name": "a", "type": "typing.List[float]"},
        {"name": "b", "type": "typing.Optional[int]", "default_value": None},
    ]


# Paths that are not in the table as they stand


class Named:
    def perform(self) -> int:
        return 0

    def auxiliary_endpoints(self) -> dict[str, Any]:
        return {"/größe": lambda: "größe", "/Ã¤": lambda: "two letters"}

    def auxiliary_endpoints_v2(self) -> list[pyjob.EndpointConfig]:
        return [
            pyjob.EndpointConfig("/v{number}/x", "GET", lambda number: f"version {number}"),
            pyjob.EndpointConfig("/{name}/x", "GET", lambda name: name),
        ]


def test_a_path_in_any_script_is_a_path(client_of: ClientOf) -> None:
    client = client_of(Named)
    assert client.post("/größe").json == "größe"
    assert client.post("/pub/job/ä/ü/api/v1/gr%C3%B6%C3%9Fe").json == "größe"


def test_a_path_is_not_taken_for_another_whose_bytes_it_has(client_of: ClientOf) -> None:
    client = client_of(Named)
    assert client.post("/ä").status_code == 404
    assert client.post("/Ã¤").json == "two letters"


def test_of_two_templates_the_one_with_more_spelled_out_is_meant(client_of: ClientOf) -> None:
    client = client_of(Named)
    assert client.get("/v2/x").json == "version 2"
    assert client.get("/w2/x").json == "w2"
    assert client.get("/api/v1/v/x").json == "v"


def test_a_path_of_many_segments_is_answered_at_once(client_of: ClientOf) -> None:
    client = client_of(Named)
    assert client.get("/a" * 20_000).status_code == 404
    assert client.get("/" + "a" * 40_000 + "/x").status_code == 200
