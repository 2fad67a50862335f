"""Which answers are packed by gzip, for whom, and which never are."""

from __future__ import annotations

import gzip
import http.client
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response as WerkzeugResponse

import pyjob
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import PATIENCE, Server, pyjob_run, started

# The longest text that fits is 1,024 bytes as JSON, with its quotes.
FITS = "x" * 1022
LONG = "x" * 1023
TEXT = "a,b\n" * 1000
ResultOf = Callable[..., Any]


@pytest.fixture
def result_of(client_of: ClientOf) -> ResultOf:
    """The answer to a call that returns what the given function makes, and accepts gzip."""

    def result_of(make: Callable[[], Any], accept: str | None = "gzip") -> Any:
        class Job:
            def perform(self) -> Any:
                return make()

        headers = {} if accept is None else {"Accept-Encoding": accept}
        return client_of(Job).post("/perform", headers=headers)

    return result_of


def is_packed(answer: Any) -> bool:
    return bool(answer.headers.get("Content-Encoding") == "gzip")


# Who gets it


@pytest.mark.parametrize(
    "accept",
    [
        *("gzip", "GZIP", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8", "*", "gzip;q=0.001"),
        *("deflate, gzip;q=1.000", "identity;q=0, *", "gzip ; q=1", "identity, gzip"),
    ],
)
def test_a_long_result_is_packed_for_who_asks(result_of: ResultOf, accept: str) -> None:
    answer = result_of(lambda: LONG, accept)
    assert is_packed(answer)
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert len(answer.data) < 100
    assert json.loads(gzip.decompress(answer.data)) == LONG


@pytest.mark.parametrize(
    "accept",
    [
        *(None, "", "identity", "br", "deflate", "gzip;q=0", "gzip;q=0.0", "*;q=0", "gzip;q=0, *"),
        *("gzipped", "x-gzip", "identity, gzip;q=0.5", "gzip;q=high", "gzip;q=-1", "gzip;q=nan"),
        *("gzip;q=1e9", ";", ",,,", "gzip" * 3000, "\xff", "q=1"),
    ],
)
def test_a_long_result_is_as_it_is_for_who_does_not(result_of: ResultOf, accept: str | None) -> None:
    answer = result_of(lambda: LONG, accept)
    assert "Content-Encoding" not in answer.headers
    # A cache must know that there is another form.
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.json == LONG


def test_a_result_of_up_to_a_kilobyte_is_as_it_is_and_says_nothing(result_of: ResultOf) -> None:
    for value in (FITS, 5, None, pyjob.Response("x" * 1024)):
        answer = result_of(lambda value=value: value)
        assert answer.status_code == 200
        assert not {"Vary", "Content-Encoding"} & set(answer.headers.keys())


# What is worth it


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "text/csv", "text/html; charset=utf-8", "image/svg+xml", "Application/JSON"),
        *("application/xml", "application/geo+json", "application/vnd.x+xml; a=b", "text/javascript"),
        *("application/javascript", "application/x-ndjson", "application/yaml", "model/gltf+json"),
    ],
)
def test_text_is_packed(result_of: ResultOf, content_type: str) -> None:
    answer = result_of(lambda: (TEXT, content_type))
    assert is_packed(answer)
    assert gzip.decompress(answer.data).decode() == TEXT


@pytest.mark.parametrize(
    "content_type",
    [
        *("image/png", "image/jpeg", "audio/mpeg", "video/mp4", "application/zip", "application/gzip"),
        *("application/octet-stream", "application/pdf", "font/woff2", "application/jsonish"),
        *("application/x-json", "application/vnd.x+zip", "image/png; a=b+json"),
    ],
)
def test_what_is_packed_already_or_unknown_is_left_alone(result_of: ResultOf, content_type: str) -> None:
    answer = result_of(lambda: (TEXT, content_type))
    assert answer.text == TEXT
    assert not {"Vary", "Content-Encoding"} & set(answer.headers.keys())


@pytest.mark.parametrize(
    "make",
    [
        lambda: pyjob.Response({"a": TEXT}),
        lambda: pyjob.Response(TEXT, "text/csv", 404, {"X-A": "b"}, "a.csv"),
        lambda: pyjob.Response(TEXT.encode(), "text/csv"),
        lambda: [TEXT],
    ],
)
def test_an_answer_of_any_status_is_packed_with_all_its_headers(
    result_of: ResultOf, make: Callable[[], Any]
) -> None:
    packed, plain = result_of(make), result_of(make, "identity")
    assert is_packed(packed)
    assert packed.status_code == plain.status_code
    assert gzip.decompress(packed.data) == plain.data
    lengths = {"Content-Length", "Content-Encoding", "X-Request-Tracing-Id", "X-Request-ID"}
    told = [
        sorted(f"{name}: {value}" for name, value in answer.headers if name not in lengths)
        for answer in (packed, plain)
    ]
    assert told[0] == told[1]


# What never is


@pytest.mark.parametrize(
    "headers",
    [
        *({"Content-Encoding": "br"}, {"content-encoding": "identity"}, {"ETag": '"a"'}),
        *({"Content-Range": "bytes 0-9/10"}, {"Digest": "sha-256=a"}, {"Content-Digest": "sha-256=:a:"}),
    ],
)
def test_an_answer_that_says_something_of_its_bytes_is_left_alone(
    result_of: ResultOf, headers: dict[str, str]
) -> None:
    answer = result_of(lambda: pyjob.Response(TEXT, "text/csv", headers=headers))
    assert answer.text == TEXT
    assert not is_packed(answer)


def test_a_part_is_left_alone(result_of: ResultOf) -> None:
    assert result_of(lambda: pyjob.Response(TEXT, "text/csv", 206)).text == TEXT


def test_a_response_of_a_framework_is_left_alone(result_of: ResultOf) -> None:
    answer = result_of(lambda: WerkzeugResponse(TEXT, mimetype="text/csv"))
    assert answer.text == TEXT
    assert "Vary" not in answer.headers


def test_what_comes_piece_by_piece_is_left_alone(result_of: ResultOf) -> None:
    assert result_of(lambda: pyjob.Response(iter([TEXT, TEXT]), "text/csv")).text == TEXT * 2
    assert not is_packed(result_of(lambda: iter([TEXT, TEXT])))


def test_a_file_is_left_alone(result_of: ResultOf, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TEXT)
    assert result_of(lambda: pyjob.Response(path)).text == TEXT
    assert result_of(lambda: path.open("rb")).text == TEXT


@pytest.mark.parametrize("accept", ["gzip", "identity"])
def test_head_is_told_what_get_would_be_told(client_of: ClientOf, accept: str) -> None:
    class Job:
        def long(self) -> str:
            return LONG

        def auxiliary_endpoints_v2(self) -> Any:
            return [pyjob.EndpointConfig("/long", "GET", self.long)]

    client = client_of(Job)
    head, get = (
        client.open("/long", method=method, headers={"Accept-Encoding": accept}) for method in ("HEAD", "GET")
    )
    assert (is_packed(get), head.data) == (accept == "gzip", b"")
    assert get.headers["Content-Length"] == str(len(get.data))
    for name in ("Content-Length", "Content-Encoding", "Content-Type", "Vary"):
        assert head.headers.get(name) == get.headers.get(name), name


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("Accept", ["Accept", "Accept-Encoding"]),
        ("*", ["*"]),
        ("Cookie, accept-encoding", ["Cookie, accept-encoding"]),
    ],
)
def test_what_the_job_says_of_caches_is_kept(result_of: ResultOf, own: str, expected: list[str]) -> None:
    answer = result_of(lambda: pyjob.Response(TEXT, "text/csv", headers={"Vary": own}))
    assert is_packed(answer)
    assert answer.headers.getlist("Vary") == expected


# Pages of pyjob itself


@pytest.mark.parametrize("path", ["/openapi.json", "/docs/_assets", "/metrics"])
def test_pages_of_pyjob_itself_are_packed_for_who_asks(job_of: Callable[..., JobClient], path: str) -> None:
    client = job_of("def perform(self, x: float): ...")
    if path == "/docs/_assets":
        page = client.get("/docs").text
        path = "/" + next(part for part in page.split('"') if part.endswith("page.css"))
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = client.get(path)
    assert is_packed(packed)
    assert not is_packed(plain)
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert packed.headers["Vary"] == plain.headers["Vary"]
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
    if path != "/metrics":
        assert gzip.decompress(packed.data) == plain.data


def test_a_small_page_of_pyjob_itself_is_as_it_is(job_of: Callable[..., JobClient]) -> None:
    client = job_of("def perform(self, x: float): ...")
    icon = "/" + next(part for part in client.get("/docs").text.split('"') if part.endswith("icon.svg"))
    answer = client.get(icon, headers={"Accept-Encoding": "gzip"})
    assert (answer.status_code, is_packed(answer), "Vary" in answer.headers) == (200, False, False)


# Under a server


@pytest.fixture
def server(make_job: MakeJob) -> Any:
    job = make_job(
        """
        class Job:
            def perform(self, length: int):
                return "x" * length
        """
    )
    with started(pyjob_run(job)) as server:
        server.wait_until("/ready", 200)
        yield server


def test_packed_answers_follow_one_another_on_a_connection(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    sent = []
    for length in (10, 1_000_000, 2000, 5):
        body = json.dumps({"length": length})
        connection.request("POST", "/perform", body, {"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        content = answer.read()
        packed = answer.headers["Content-Encoding"] == "gzip"
        assert packed == (length > 1024)
        assert json.loads(gzip.decompress(content) if packed else content) == "x" * length
        assert answer.headers["Content-Length"] == str(len(content))
        sent.append(f"{len(content)} bytes")
    connection.close()
    server.stop()
    assert re.findall(r"POST /perform 200, .* (\d+ bytes)", server.output) == sent
