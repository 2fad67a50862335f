"""What a job gives as it is: its own responses, files, pictures, pieces (SPEC 4.5, 4.8)."""

# ruff: noqa: SIM115, PTH123  the jobs give away what they open

from __future__ import annotations

import dataclasses
import errno
import gzip
import http
import io
import json
import os
import socket
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import pytest
from werkzeug.datastructures import Headers

import pyjob
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import PATIENCE, ask, pyjob_run, started

LARGE = 300_000
MEGABYTE = 1024 * 1024
ResultOf = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def result_of() -> ResultOf:
    """The answer to a call that returns what the given function makes."""

    def result_of(make: Callable[[], Any]) -> Any:
        class Job:
            def perform(self) -> Any:
                return make()

        return JobClient(pyjob.create(Job, load="now"), "").perform()

    return result_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is sent by itself, since it is not small."""
    path = tmp_path / "data.csv"
    path.write_bytes(bytes(range(256)) * (LARGE // 256 + 1))
    os.truncate(path, LARGE)
    return path


@pytest.fixture
def no_file_left_open() -> Iterator[None]:
    """That the test has closed all of its files, and pipes."""
    before = set(open_files())
    yield
    assert set(open_files()) <= before


def open_files(process: int | str = "self") -> Iterator[str]:
    """The paths of the files that a process has open, where that can be told; libraries keep their own."""
    folder = Path(f"/proc/{process}/fd")
    for link in folder.iterdir() if folder.exists() else ():
        with suppress(OSError):  # closed since it was listed
            target = str(link.readlink())
            if target.startswith(("/", "pipe:")) and "/site-packages/" not in target:
                yield target


pytestmark = pytest.mark.usefixtures("no_file_left_open")


# What no answer can have


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: pyjob.Response("x", status=99), "status: expected an integer from 200 to 599, found 99"),
        (lambda: pyjob.Response("x", status=600), "status: expected an integer from 200 to 599, found 600"),
        (lambda: pyjob.Response("x", status=10**5000), "found a huge integer"),
        (lambda: pyjob.Response("x", status=cast(int, "200")), "status: expected an integer"),
        (lambda: pyjob.Response("x", status=True), "status: expected an integer from 200 to 599, found true"),
        (lambda: pyjob.Response("x", status=204), "body: expected None, since an answer of 204 has none"),
        (lambda: pyjob.Response([], status=304), "body: expected None, since an answer of 304 has none"),
        (lambda: pyjob.Response("x", "text"), 'a media type such as text/csv, found "text"'),
        (lambda: pyjob.Response("x", "image/*"), "mimetype: expected a media type"),
        (lambda: pyjob.Response("x", "text/html\r\nX-Evil: 1"), "mimetype: expected a media type"),
        (lambda: pyjob.Response("x", "text/html\n"), "mimetype: expected a media type"),
        (lambda: pyjob.Response("x", "text/ätml"), "mimetype: expected a media type"),
        (lambda: pyjob.Response("x", cast(str, 5)), "a media type such as text/csv, found 5"),
        (lambda: pyjob.Response("x", "text/html", headers={"content-type": "a/b"}), "found several"),
        (lambda: pyjob.Response("x", headers={"Content-Type": "html"}), "mimetype: expected a media type"),
        (lambda: pyjob.Response("x", headers={"A B": "c"}), 'the name of a header, found "A B"'),
        (lambda: pyjob.Response("x", headers={"": "c"}), 'the name of a header, found ""'),
        (lambda: pyjob.Response("x", headers={"A\n": "c"}), "the name of a header"),
        (lambda: pyjob.Response("x", headers={"A:": "c"}), "the name of a header"),
        (lambda: pyjob.Response("x", headers=cast(Any, {1: "c"})), "the name of a header, found 1"),
        (lambda: pyjob.Response("x", headers={"A": "b\r\nX-Evil: c"}), "A: expected one line of Latin-1"),
        (lambda: pyjob.Response("x", headers={"A": "b\n"}), "headers: A: expected one line of Latin-1"),
        (lambda: pyjob.Response("x", headers={"A": "\0"}), "headers: A: expected one line of Latin-1"),
        (lambda: pyjob.Response("x", headers={"A": "€"}), "headers: A: expected one line of Latin-1"),
        (lambda: pyjob.Response("x", headers=cast(Any, {"A": 1})), "headers: A: expected text, found 1"),
        (lambda: pyjob.Response("x", headers=cast(Any, "A: b")), 'pairs of name and value, found "A: b"'),
        (lambda: pyjob.Response("x", headers=cast(Any, 5)), "a dict, or pairs of name and value, found 5"),
        (lambda: pyjob.Response("x", headers=cast(Any, [("a",)])), "pairs of name and value, found a list"),
        (lambda: pyjob.Response("x", headers=cast(Any, ["ab"])), 'pairs of name and value, found "ab"'),
        (lambda: pyjob.Response("x", filename=cast(str, 5)), "filename: expected text, found 5"),
        (
            lambda: pyjob.Response("x", filename="a", headers={"content-disposition": "inline"}),
            "filename: the headers have a Content-Disposition of their own",
        ),
        (lambda: pyjob.Response("\ud800"), "character 0 of the text is none that UTF-8 has"),
        (lambda: pyjob.Response("ä", "text/plain; charset=latin-1"), "text is sent in UTF-8, not in latin-1"),
        (
            lambda: pyjob.Response(iter("ä"), "text/plain; charset=latin-1"),
            "text is sent in UTF-8, not in latin-1",
        ),
        (lambda: pyjob.Response({"a": object()}), "result.a: object of type object cannot be sent as JSON"),
        (lambda: io.BytesIO, "result: object of type type cannot be sent as JSON"),
        (lambda: [pyjob.Response("x")], "result[0]: object of type Response cannot be sent as JSON"),
    ],
)
def test_what_no_answer_can_have_is_a_500_that_says_so(
    result_of: ResultOf, make: Callable[[], Any], told: str
) -> None:
    answer = result_of(make)
    assert (answer.status_code, answer.json["type"]) == (500, "ResultError")
    assert told in answer.json["error"]
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    "name",
    [
        *("Connection", "keep-alive", "Content-Length", "Transfer-Encoding", "TE", "Trailer"),
        *("Trailers", "Upgrade", "Proxy-Authenticate", "proxy-authorization"),
    ],
)
def test_a_header_of_the_connection_is_the_servers_and_a_500(result_of: ResultOf, name: str) -> None:
    answer = result_of(lambda: pyjob.Response("x", headers={name: "1"}))
    assert answer.status_code == 500
    assert answer.json["error"] == f"Response: headers: {name} is the server's to set"


def test_a_headers_value_is_not_told_since_it_may_be_a_secret(
    result_of: ResultOf, caplog: pytest.LogCaptureFixture
) -> None:
    answer = result_of(lambda: pyjob.Response("x", headers={"A": "hidden\n"}))
    assert "hidden" not in answer.text
    assert not any("hidden" in record.getMessage() for record in caplog.records)


def test_a_response_does_not_change() -> None:
    response: Any = pyjob.Response("x")
    with pytest.raises(AttributeError, match="make another one with another status"):
        response.status = 1000
    with pytest.raises(TypeError):
        response.headers["X"] = "y"


# What it can have


@pytest.mark.parametrize(
    ("make", "content_type", "body"),
    [
        (lambda: pyjob.Response("ä"), "text/plain; charset=utf-8", "ä".encode()),
        (lambda: pyjob.Response("<p>", "text/html"), "text/html; charset=utf-8", b"<p>"),
        (lambda: pyjob.Response("a", "text/html; charset=UTF-8"), "text/html; charset=UTF-8", b"a"),
        (lambda: pyjob.Response(b"\xff"), "application/octet-stream", b"\xff"),
        (lambda: pyjob.Response(b"\xe4", "text/x; charset=latin-1"), "text/x; charset=latin-1", b"\xe4"),
        (lambda: pyjob.Response(bytearray(b"a"), "image/png"), "image/png", b"a"),
        (lambda: pyjob.Response(memoryview(b"ab")[1:]), "application/octet-stream", b"b"),
        (lambda: pyjob.Response(None), "text/plain; charset=utf-8", b""),
        (lambda: pyjob.Response({"a": [1]}), "application/json", b'{"a":[1]}'),
        (lambda: pyjob.Response([1], "application/geo+json"), "application/geo+json", b"[1]"),
        (lambda: pyjob.Response(("a", "text/plain")), "application/json", b'["a","text/plain"]'),
        (lambda: pyjob.Response(False), "application/json", b"false"),
        (lambda: pyjob.Response("a,b", filename="a.csv"), "text/csv; charset=utf-8", b"a,b"),
        (lambda: pyjob.Response("a", filename="notes"), "text/plain; charset=utf-8", b"a"),
        (lambda: pyjob.Response(b"a", "image/gif", filename="a.png"), "image/gif", b"a"),
        (lambda: pyjob.Response(b"a", headers={"content-type": "text/csv"}), "text/csv; charset=utf-8", b"a"),
        (lambda: pyjob.Response(io.BytesIO(b"abc")), "application/octet-stream", b"abc"),
        (lambda: pyjob.Response(io.StringIO("ä")), "text/plain; charset=utf-8", "ä".encode()),
        (lambda: pyjob.Response(iter([b"a", b"", b"b"])), "application/octet-stream", b"ab"),
        (lambda: pyjob.Response(iter(["ä", b"b"]), "text/csv"), "text/csv; charset=utf-8", "äb".encode()),
        (lambda: pyjob.Response(c for c in "abc"), "text/plain; charset=utf-8", b"abc"),
        (lambda: pyjob.Response(iter(())), "application/octet-stream", b""),
    ],
)
def test_a_body_is_sent_under_its_content_type(
    result_of: ResultOf, make: Callable[[], Any], content_type: str, body: bytes
) -> None:
    answer = result_of(make)
    assert answer.status_code == 200
    assert (answer.headers["Content-Type"], answer.data) == (content_type, body)
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]


@pytest.mark.parametrize("status", [201, 202, 299, http.HTTPStatus.NOT_FOUND, 418, 503, 599])
def test_a_response_has_the_status_that_it_says(result_of: ResultOf, status: int) -> None:
    answer = result_of(lambda: pyjob.Response({"a": 1}, status=status))
    assert (answer.status_code, answer.json) == (status, {"a": 1})


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_neither_type_nor_length(result_of: ResultOf, status: int) -> None:
    answer = result_of(lambda: pyjob.Response(None, "text/plain", status, {"X-A": "b"}))
    assert (answer.status_code, answer.data, answer.headers["X-A"]) == (status, b"", "b")
    assert "Content-Type" not in answer.headers
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b", "Set-Cookie": "c=1"},
        [("X-A", "b"), ("Set-Cookie", "c=1")],
        Headers([("X-A", "b"), ("Set-Cookie", "c=1")]),
        (["X-A", "b"], ["Set-Cookie", "c=1"]),
    ],
)
def test_headers_are_a_dict_or_pairs(result_of: ResultOf, headers: Any) -> None:
    answer = result_of(lambda: pyjob.Response("x", headers=headers))
    assert (answer.headers["X-A"], answer.headers["Set-Cookie"]) == ("b", "c=1")


def test_a_header_may_be_there_twice(result_of: ResultOf) -> None:
    answer = result_of(lambda: pyjob.Response("x", headers=[("Set-Cookie", "a=1"), ("set-cookie", "b=2")]))
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_sniffing_is_forbidden_once_whatever_the_job_says(result_of: ResultOf) -> None:
    answer = result_of(lambda: pyjob.Response("x", headers={"x-content-type-options": "sniff"}))
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a b.csv", 'attachment; filename="a b.csv"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\temp\\a.txt", 'attachment; filename="a.txt"'),
        ("Größe.csv", "attachment; filename=\"Gro_e.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv"),
        ("報告.csv", "attachment; filename=\"__.csv\"; filename*=UTF-8''%E5%A0%B1%E5%91%8A.csv"),
        ('a"b\\c%.txt', "attachment; filename=\"c_.txt\"; filename*=UTF-8''c%25.txt"),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("a\r\nX-Evil: 1", 'attachment; filename="aX-Evil: 1"'),
        ("a\x00\ud800\u202egnp.exe", 'attachment; filename="agnp.exe"'),
        (".bashrc", 'attachment; filename="bashrc"'),
        ("a;b=c'.txt", 'attachment; filename="a;b=c\'.txt"'),
        ("", 'attachment; filename="download"'),
        ("/", 'attachment; filename="download"'),
        ("...", 'attachment; filename="download"'),
        ("x" * 5000 + ".csv", f'attachment; filename="{"x" * 150}.csv"'),
        ("x." + "y" * 5000, f'attachment; filename="x.{"y" * 19}"'),
    ],
)
def test_a_file_name_is_a_name_and_nothing_else(result_of: ResultOf, name: str, told: str) -> None:
    answer = result_of(lambda: pyjob.Response(b"x", filename=name))
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == told
    assert "X-Evil" not in answer.headers


def test_in_process_a_call_gets_the_response_itself(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> pyjob.Response:
            return pyjob.Response("x", status=201)

    answer = client_of(Job).application.call("/perform", {})
    assert (answer.body, answer.status, answer.headers) == ("x", 201, ())


def test_an_async_method_answers_the_same(client_of: ClientOf) -> None:
    class Job:
        async def perform(self) -> Any:
            return pyjob.Response("x", "text/css", 203)

    answer = client_of(Job).perform()
    assert (answer.status_code, answer.mimetype, answer.text) == (203, "text/css", "x")


# A body and its media type


@pytest.mark.parametrize(
    ("pair", "content_type", "body"),
    [
        ((b"\x89PNG", "image/png"), "image/png", b"\x89PNG"),
        (("a,b", "text/csv"), "text/csv; charset=utf-8", b"a,b"),
        (("{}", "application/json"), "application/json", b"{}"),
        (("a", 'text/x; a="b c"; d=e'), 'text/x; a="b c"; d=e; charset=utf-8', b"a"),
        ((io.BytesIO(b"a"), "Audio/wav"), "Audio/wav", b"a"),
    ],
)
def test_a_pair_of_body_and_media_type_is_that_body(
    result_of: ResultOf, pair: object, content_type: str, body: bytes
) -> None:
    answer = result_of(lambda: pair)
    assert (answer.headers["Content-Type"], answer.data) == (content_type, body)


@pytest.mark.parametrize(
    "value",
    [
        ("a", "b"),
        ("a", "text/"),
        ("a", "and/or"),
        ("a", "km/h"),
        ("a", "/etc/passwd"),
        ("a", "text/plain or so"),
        ("a", "text/plain", "b"),
        ({"a": 1}, "text/plain"),
        (5, "application/json"),
        (None, "image/png"),
        (["a"], "text/csv"),
        ["a", "text/plain"],
    ],
)
def test_any_other_tuple_is_json(result_of: ResultOf, value: Any) -> None:
    answer = result_of(lambda: value)
    assert (answer.content_type, answer.json) == ("application/json", list(value))


def test_a_named_tuple_is_json(result_of: ResultOf) -> None:
    class Page(NamedTuple):
        text: str
        kind: str

    assert result_of(lambda: Page("a", "text/html")).json == ["a", "text/html"]


# A kind that the annotation declares

DECLARED = """
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NewType, Optional, Union
import io

from pyjob import EndpointConfig

Png = NewType("Png", Annotated[bytes, "image/png"])
KINDS = {
    "bytes": b"a", "text": "a,b", "path": Path("data/a.txt"), "file": io.BytesIO(b"f"),
    "none": None, "dict": {"a": 1}, "number": 5,
}


class Job:
    def perform(self, kind: str) -> Annotated[Any, "a result", "text/csv"]:
        return KINDS[kind]

    async def awaited(self) -> Annotated[str, "text/csv"]:
        return "a"

    def optional(self) -> Optional[Annotated[bytes, "image/png"]]:
        return b"a"

    def union(self) -> "Annotated[bytes | None, 'image/png']":
        return b"a"

    def new_type(self) -> Png:
        return b"a"

    def described(self) -> Annotated[Png, "as it is drawn"]:
        return b"a"

    def two(self) -> Union[Annotated[bytes, "image/png"], Annotated[bytes, "image/gif"]]:
        return b"a"

    def unit(self) -> Annotated[str, "km/h"]:
        return "5"

    def path(self) -> Path:
        return Path("data/a.txt")

    def auxiliary_endpoints(self):
        names = ("awaited", "optional", "union", "new_type", "described", "two", "unit", "path")
        return {f"/{name}": getattr(self, name) for name in names}

    def auxiliary_endpoints_v2(self):
        return [EndpointConfig("/get/{kind}", "GET", self.perform)]
"""


@pytest.fixture
def declared(make_job: MakeJob, client_of: ClientOf) -> JobClient:
    return client_of(make_job(DECLARED, files={"data/a.txt": "from the file"}))


@pytest.mark.parametrize(
    ("kind", "content_type", "body"),
    [
        ("bytes", "text/csv; charset=utf-8", b"a"),
        ("text", "text/csv; charset=utf-8", b"a,b"),
        ("path", "text/csv; charset=utf-8", b"from the file"),
        ("file", "text/csv; charset=utf-8", b"f"),
        ("none", "application/json", b"null"),
        ("dict", "application/json", b'{"a":1}'),
        ("number", "application/json", b"5"),
    ],
)
def test_a_declared_kind_is_that_of_what_is_no_json(
    declared: JobClient, kind: str, content_type: str, body: bytes
) -> None:
    answer = declared.perform(kind=kind)
    assert (answer.status_code, answer.headers["Content-Type"], answer.data) == (200, content_type, body)


def test_a_declared_kind_counts_for_endpoints_of_every_kind(declared: JobClient) -> None:
    assert declared.get("/get/text").mimetype == "text/csv"
    assert declared.post("/awaited").mimetype == "text/csv"
    for name in ("optional", "union", "new_type", "described"):
        assert (declared.post(f"/{name}").mimetype, declared.post(f"/{name}").data) == ("image/png", b"a")


def test_without_a_declared_kind_text_and_paths_are_json(declared: JobClient) -> None:
    assert declared.post("/unit").json == "5"
    assert declared.post("/path").json == "data/a.txt"
    # Of two, nobody says which it is.
    assert declared.post("/two").mimetype == "application/octet-stream"


# Files by their path

PATHS = """
from pathlib import Path, PurePosixPath
from typing import Annotated

from pyjob import EndpointConfig, Response


class Job:
    def perform(self, path: str, headers: dict = {}, status: int = 200):
        return Response(Path(path), headers=headers, status=status)

    def declared(self, name: str) -> Annotated[Path, "text/css"]:
        return PurePosixPath(name)

    def auxiliary_endpoints_v2(self):
        return [
            EndpointConfig("/get", "GET", self.perform),
            EndpointConfig("/css/{name}", "GET", self.declared),
        ]
"""


class Paths:
    """A job that answers with files of its folder, and its client."""

    def __init__(self, folder: Path, client: JobClient) -> None:
        self.folder = folder
        self.client = client

    def get(self, path: str, method: str = "GET", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open("/get", method=method, query_string={"path": path}, headers=named)


@pytest.fixture
def paths(make_job: MakeJob, client_of: ClientOf) -> Paths:
    folder = make_job(PATHS, files={"a.csv": "0123456789"})
    os.truncate(folder / "a.csv", 10)
    return Paths(folder, client_of(folder))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("nothing.csv", "result: no file can be sent from nothing.csv: No such file or directory"),
        ("a.csv/b", "result: no file can be sent from a.csv/b: Not a directory"),
        (".", "result: no file can be sent from .: Is a directory"),
        ("pipe", "result: no file can be sent from pipe: no regular file"),
        ("socket", "result: no file can be sent from socket: "),
        ("/dev/zero", "result: no file can be sent from /dev/zero: no regular file"),
        ("circle", "result: no file can be sent from circle: Too many levels of symbolic links"),
        ("dangling", "result: no file can be sent from dangling: No such file or directory"),
        ("a\0b", "result: no file can be sent from a\0b: "),
        ("\ud800", "result: no file can be sent from \ud800: "),
        ("x" * 5000, "File name too long"),
        ("a\nb.csv", "result: no file can be sent from a\nb.csv: No such file or directory"),
    ],
)
def test_a_path_to_no_file_is_a_500_that_says_why(
    paths: Paths, path: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(paths.folder / "pipe")
    (paths.folder / "circle").symlink_to("circle")
    (paths.folder / "dangling").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(paths.folder)  # addresses of sockets are short
        listener.bind("socket")
        for answer in (paths.client.perform(path=path), paths.client.post("/perform", json={"path": path})):
            assert (answer.status_code, answer.json["type"]) == (500, "ResultError")
            assert told in answer.json["error"]
    records = [record for record in caplog.records if record.name == "pyjob.calls"]
    assert all("\n" not in record.getMessage() for record in records)
    assert len(records) == 2


def test_a_path_that_may_not_be_read_is_a_500(paths: Paths) -> None:
    (paths.folder / "a.csv").chmod(0)
    if os.access(paths.folder / "a.csv", os.R_OK):
        pytest.skip("this user may read everything")
    assert "Permission denied" in paths.client.perform(path="a.csv").json["error"]


def test_a_path_is_relative_to_the_jobs_folder_wherever_the_process_is(paths: Paths, tmp_path: Path) -> None:
    os.chdir(tmp_path)
    answer = paths.client.perform(path="a.csv")
    assert (answer.headers["Content-Type"], answer.data) == ("text/csv; charset=utf-8", b"0123456789")
    assert paths.client.perform(path=str(paths.folder / "a.csv")).data == b"0123456789"
    assert paths.client.get("/css/a.csv").headers["Content-Type"] == "text/css; charset=utf-8"


def test_a_link_is_followed_and_sent_under_its_own_name(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"elsewhere")
    (paths.folder / "link.png").symlink_to(tmp_path / "elsewhere")
    answer = paths.client.perform(path="link.png")
    assert (answer.headers["Content-Type"], answer.data) == ("image/png", b"elsewhere")


def test_a_file_that_get_asked_for_has_ranges_and_conditions(paths: Paths) -> None:
    whole = paths.get("a.csv")
    assert (whole.status_code, whole.data, whole.headers["Accept-Ranges"]) == (200, b"0123456789", "bytes")
    assert whole.headers["Cache-Control"] == "no-cache"
    part = paths.get("a.csv", Range="bytes=2-4")
    assert (part.status_code, part.data, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert paths.get("a.csv", If_None_Match=whole.headers["ETag"]).status_code == 304
    assert paths.get("a.csv", If_Match='"other"').status_code == 412
    assert paths.get("a.csv", Range="bytes=99-").status_code == 416
    head = paths.get("a.csv", method="HEAD")
    assert (head.status_code, head.headers["Content-Length"], head.data) == (200, "10", b"")


def test_a_post_gets_the_whole_file_whatever_its_conditions(paths: Paths) -> None:
    headers = {"Range": "bytes=2-4", "If-None-Match": "*"}
    answer = paths.client.post("/perform", json={"path": "a.csv"}, headers=headers)
    assert (answer.status_code, answer.data) == (200, b"0123456789")
    assert not {"ETag", "Accept-Ranges", "Last-Modified"} & set(answer.headers.keys())


def test_headers_of_the_job_win_over_those_of_its_file(paths: Paths) -> None:
    def get(**headers: str) -> Any:
        query = {"path": "a.csv", "headers": json.dumps(headers)}
        return paths.client.get("/get", query_string=query, headers={"Range": "bytes=0-0"})

    assert get(**{"Cache-Control": "max-age=9"}).headers.getlist("Cache-Control") == ["max-age=9"]
    answer = get(ETag="W/own")
    assert (answer.status_code, answer.headers.getlist("ETag"), len(answer.data)) == (200, ["W/own"], 10)


def test_a_file_of_another_status_has_no_conditions(paths: Paths) -> None:
    answer = paths.client.get(
        "/get?path=a.csv&status=404", headers={"If-None-Match": "*", "Range": "bytes=2-4"}
    )
    assert (answer.status_code, answer.data) == (404, b"0123456789")
    assert "ETag" not in answer.headers


def test_an_empty_file_is_an_empty_body(paths: Paths) -> None:
    (paths.folder / "empty.txt").touch()
    answer = paths.client.perform(path="empty.txt")
    assert (answer.status_code, answer.headers["Content-Length"], answer.data) == (200, "0", b"")


# File objects


class Watched(io.RawIOBase):
    """A file that gives ``pieces``, one a call, and raises those that are exceptions."""

    def __init__(self, *pieces: Any, name: Any = None) -> None:
        self.pieces = list(pieces)
        self.sizes: list[int] = []
        self.name = name

    def read(self, size: int = -1) -> Any:
        self.sizes.append(size)
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, BaseException):
            raise piece
        return piece


class Reader:
    """No file by its class, but one by what it can do."""

    def __init__(self, *pieces: Any) -> None:
        self._inner = Watched(*pieces)
        self.closed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Watched(OSError("the disk is gone")), "result: Watched cannot be read: the disk is gone"),
        (lambda: Watched(ValueError("not now")), "result: Watched cannot be read: not now"),
        (lambda: Watched(SystemExit(3)), "the job called sys.exit(3)"),
        (lambda: Watched(5), "expected bytes or text as its body, found int"),
        (lambda: Watched(None), "expected bytes or text as its body, found NoneType"),
        (lambda: Watched("\ud800"), "character 0 of the text"),
        (lambda: closed(io.BytesIO(b"a")), "result: BytesIO cannot be read: I/O operation on closed file"),
        (lambda: closed(io.StringIO("a")), "result: StringIO cannot be read: I/O operation on closed file"),
        (lambda: closed(open(__file__, "rb")), "result: BufferedReader cannot be read: "),
        (lambda: closed(open(__file__)), "result: TextIOWrapper cannot be read: "),
        (lambda: open(os.devnull, "wb"), "result: BufferedWriter cannot be read: "),
        (lambda: open(__file__, encoding="ascii"), "result: TextIOWrapper cannot be read: "),
    ],
)
def test_a_file_that_cannot_be_read_is_a_500(result_of: ResultOf, make: Callable[[], Any], told: str) -> None:
    opened: list[Any] = []

    def job() -> Any:
        opened.append(make())
        return opened[0]

    answer = result_of(job)
    assert answer.status_code == 500
    assert told in answer.json["error"]
    assert opened[0].closed


def test_a_file_that_cannot_be_read_from_is_a_500_and_closed(
    result_of: ResultOf, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = open(file, "ab", buffering=0)
    assert "result: FileIO cannot be read: " in result_of(lambda: writing).json["error"]
    reading = open(file, "rb")

    def no_more(descriptor: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "dup", no_more)
    answer = result_of(lambda: reading)
    assert (answer.status_code, answer.json["type"]) == (500, "ResultError")
    assert "Too many open files" in answer.json["error"]
    assert writing.closed
    assert reading.closed


def closed(file: Any) -> Any:
    file.close()
    return file


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (OSError("the disk is gone"), "the disk is gone"),
        ("text", "gives text here and bytes there"),
        (5, "found int"),
        (SystemExit(1), "sys.exit"),
    ],
)
def test_a_file_that_breaks_midway_breaks_the_answer_off_and_is_counted(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, broken: Any, told: str
) -> None:
    file = Watched(b"first", broken, b"never sent")

    class Job:
        def perform(self) -> Any:
            return file

    client = client_of(Job)
    answer = client.open("/perform", method="POST", streamed=True)
    pieces = answer.iter_encoded()
    assert next(pieces) == b"first"
    with pytest.raises((pyjob.ResultError, RuntimeError)):
        next(pieces)
    answer.close()
    assert file.closed
    assert told in caplog.text
    page = client.get("/metrics").text
    assert 'request_internal_errors_total{endpoint="/perform"} 1.0' in page
    assert "requests_done_total 1.0" in page


def test_a_file_is_read_block_by_block_as_it_is_sent_and_closed_at_the_end(client_of: ClientOf) -> None:
    file = Watched(b"one", bytearray(b"two"), memoryview(b"three"))

    class Job:
        def perform(self) -> Any:
            return file

    client = client_of(Job)
    answer = client.open("/perform", method="POST", streamed=True)
    assert len(file.pieces) == 2
    assert "requests_done_total 0.0" in client.get("/metrics").text
    assert list(answer.iter_encoded()) == [b"one", b"two", b"three"]
    assert not file.closed
    answer.close()
    assert file.closed
    assert set(file.sizes) == {128 * 1024}
    assert "requests_done_total 1.0" in client.get("/metrics").text


def test_a_file_is_closed_when_its_reader_leaves(client_of: ClientOf) -> None:
    file = Watched(b"one", b"two")

    class Job:
        def perform(self) -> Any:
            return file

    client = client_of(Job)
    client.open("/perform", method="POST", streamed=True).close()
    assert file.closed
    assert "requests_done_total 1.0" in client.get("/metrics").text


def test_what_reads_is_a_file_whatever_its_class(client_of: ClientOf) -> None:
    reader = Reader("ä", "ö")

    class Job:
        def perform(self) -> Any:
            return pyjob.Response(reader, "text/plain")

    assert client_of(Job).perform().data == "äö".encode()
    assert reader.closed == 1


def test_what_has_a_form_in_json_is_no_file_even_if_it_reads(result_of: ResultOf) -> None:
    @dataclasses.dataclass
    class Sensor:
        value: int

        def read(self) -> bytes:
            raise AssertionError

        def close(self) -> None:
            raise AssertionError

    class Told:
        def read(self) -> bytes:
            raise AssertionError

        def __json__(self) -> Any:
            return "told"

    assert result_of(lambda: Sensor(3)).json == {"value": 3}
    assert result_of(Told).json == "told"
    assert result_of(lambda: [1, {"a": Sensor(3)}]).json == [1, {"a": {"value": 3}}]


def unpacked(file: Path) -> Any:
    packed = file.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    return gzip.open(packed)


def member(file: Path) -> Any:
    archive = file.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as writing:
        writing.write(file, "member")
    with zipfile.ZipFile(archive) as reading:
        return reading.open("member")


def spooled(file: Path, size: int = 0) -> Any:
    temporary = tempfile.SpooledTemporaryFile(max_size=size)
    temporary.write(file.read_bytes())
    temporary.seek(0)
    return temporary


def written(file: Path) -> Any:
    """A named temporary file that has been written and read."""
    temporary = tempfile.NamedTemporaryFile(suffix=".csv")
    content = file.read_bytes()
    temporary.write(content[:-10])
    temporary.seek(0)
    assert temporary.read(3) == content[:3]
    temporary.seek(0, os.SEEK_END)
    temporary.write(content[-10:])
    temporary.seek(0)
    return temporary


def anonymous(file: Path) -> Any:
    temporary = tempfile.TemporaryFile()
    temporary.write(file.read_bytes())
    temporary.seek(0)
    return temporary


@pytest.mark.parametrize(
    ("opened", "content_type"),
    [
        (lambda file: open(file, "rb"), "text/csv; charset=utf-8"),
        (lambda file: open(file, "rb", buffering=0), "text/csv; charset=utf-8"),
        (lambda file: open(file, "r+b"), "text/csv; charset=utf-8"),
        (written, "text/csv; charset=utf-8"),
        (anonymous, "application/octet-stream"),
        (spooled, "application/octet-stream"),
        (lambda file: spooled(file, 10), "application/octet-stream"),
        (unpacked, "application/gzip"),
        (lambda file: io.BufferedReader(unpacked(file)), "application/gzip"),
        (member, "application/octet-stream"),
    ],
    ids=[
        "file",
        "raw",
        "both ways",
        "named",
        "anonymous",
        "spooled",
        "rolled over",
        "gzip",
        "in gzip",
        "zip",
    ],
)
def test_a_file_object_is_sent_whole_and_closed(
    result_of: ResultOf, file: Path, opened: Callable[[Path], Any], content_type: str
) -> None:
    files: list[Any] = []

    def job() -> Any:
        files.append(opened(file))
        return files[0]

    answer = result_of(job)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == content_type
    assert answer.data == file.read_bytes()
    assert files[0].closed


def test_a_file_object_is_sent_from_where_it_stands(result_of: ResultOf, file: Path) -> None:
    def at(place: int) -> Any:
        opened = open(file, "rb")
        opened.seek(place)
        opened.read(1)
        return opened

    content = file.read_bytes()
    assert result_of(lambda: at(9)).data == content[10:]
    assert result_of(lambda: at(LARGE - 100)).data == content[-99:]
    assert result_of(lambda: at(LARGE * 2)).data == b""


def test_text_is_sent_in_utf_8_whatever_the_file_is_in(result_of: ResultOf, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes("grüße\r\n".encode("latin-1"))
    answer = result_of(lambda: open(path, encoding="latin-1"))
    assert (answer.headers["Content-Type"], answer.data) == ("text/plain; charset=utf-8", "grüße\n".encode())


@pytest.mark.parametrize("name", [b"a.csv", 7, None, Path("a.csv")])
def test_only_text_is_the_name_of_a_file(result_of: ResultOf, name: Any) -> None:
    assert result_of(lambda: Watched(b"a", name=name)).content_type == "application/octet-stream"


def test_a_pipe_is_read_by_its_read(result_of: ResultOf) -> None:
    def job() -> Any:
        reading, writing = os.pipe()
        os.write(writing, b"through a pipe")
        os.close(writing)
        return os.fdopen(reading, "rb")

    assert result_of(job).data == b"through a pipe"


def test_a_subclass_that_reads_in_its_own_way_is_asked(result_of: ResultOf, file: Path) -> None:
    class Loud(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(4).upper()

    file.write_bytes(b"whisper")
    assert result_of(lambda: Loud(file)).data == b"WHISPER"


# Pieces


def test_the_first_piece_is_out_before_the_second_is_made_and_the_end_is_cleaned_up(
    client_of: ClientOf,
) -> None:
    made: list[str] = []

    def pieces() -> Iterator[str]:
        try:
            for piece in ("one", "two", "three"):
                made.append(piece)
                yield piece
        finally:
            made.append("closed")

    class Job:
        def perform(self) -> Any:
            return pyjob.Response(pieces(), "text/csv", 201)

    client = client_of(Job)
    answer = client.open("/perform", method="POST", streamed=True)
    stream = answer.iter_encoded()
    assert (answer.status_code, next(stream), made) == (201, b"one", ["one"])
    answer.close()
    assert made == ["one", "closed"]
    assert "requests_done_total 1.0" in client.get("/metrics").text


def test_pieces_run_in_the_context_of_their_request(job_of: Callable[..., JobClient]) -> None:
    client = job_of(
        """
        def perform(self):
            def pieces():
                for _ in range(3):
                    yield self.request_context.get().headers["X-Caller-Name"]
            return pyjob.Response(pieces())
        """,
        head="import pyjob",
    )
    assert client.post("/perform", headers={"X-Caller-Name": "ann"}).text == "annannann"


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("wrong"), 400), (KeyError("lost"), 500), (pyjob.JobError(409, "busy"), 409)],
)
def test_pieces_that_raise_before_the_first_are_an_ordinary_error(
    result_of: ResultOf, error: Exception, status: int
) -> None:
    def pieces() -> Iterator[bytes]:
        raise error
        yield b""

    assert result_of(lambda: pyjob.Response(pieces())).status_code == status


def test_pieces_that_are_neither_text_nor_bytes_are_a_500(result_of: ResultOf) -> None:
    answer = result_of(lambda: pyjob.Response(iter([{"a": 1}])))
    assert (answer.status_code, answer.json["type"]) == (500, "ResultError")
    assert "found dict" in answer.json["error"]


def test_an_empty_piece_is_not_sent(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> Any:
            return pyjob.Response(iter([b"", b"a", "", b"b", b""]))

    answer = client_of(Job).open("/perform", method="POST", streamed=True)
    # To some servers it is the end.
    assert list(answer.iter_encoded()) == [b"a", b"b"]
    answer.close()


def test_head_gets_no_piece_and_leaves_none_open(client_of: ClientOf) -> None:
    file = Watched(b"one", b"two")

    class Job:
        def read(self) -> Any:
            return file

        def auxiliary_endpoints_v2(self) -> Any:
            return [pyjob.EndpointConfig("/file", "GET", self.read)]

    client = client_of(Job)
    answer = client.open("/file", method="HEAD")
    assert (answer.status_code, answer.data) == (200, b"")
    assert file.closed
    assert "requests_done_total 1.0" in client.get("/metrics").text


# Pictures


def look_alike(module: str, name: str, **members: Any) -> Any:
    """An object whose class is called as that of a library, which need not be installed."""
    parent = type(name, (), {"__module__": module, **members})
    return type("Child", (parent,), {"__module__": "elsewhere"})()


def test_pictures_are_known_by_the_names_of_their_classes(result_of: ResultOf) -> None:
    def savefig(self: Any, file: IO[bytes], format: str) -> None:  # noqa: A002  as in matplotlib
        file.write(b"figure as " + format.encode())

    figure = look_alike("matplotlib.figure", "Figure", savefig=savefig)
    answer = result_of(lambda: figure)
    assert (answer.content_type, answer.data) == ("image/png", b"figure as png")
    answer = result_of(lambda: (figure, "application/pdf"))
    assert (answer.content_type, answer.data) == ("application/pdf", b"figure as pdf")
    answer = result_of(lambda: pyjob.Response(figure, filename="plot.svg"))
    assert (answer.content_type, answer.data) == ("image/svg+xml", b"figure as svg")
    assert result_of(lambda: look_alike("elsewhere", "Figure", savefig=savefig)).status_code == 500


def test_a_picture_that_raises_while_it_is_drawn_is_a_500(result_of: ResultOf) -> None:
    def savefig(self: Any, file: IO[bytes], format: str) -> None:  # noqa: A002  as in matplotlib
        raise ValueError("no such font")

    answer = result_of(lambda: look_alike("matplotlib.figure", "Figure", savefig=savefig))
    assert (answer.status_code, answer.json["type"]) == (500, "ResultError")
    assert answer.json["error"] == "result: Child cannot be drawn as image/png: no such font"

    def refuse(self: Any, file: IO[bytes], format: str) -> None:  # noqa: A002
        raise pyjob.JobError(409, "not now")

    assert result_of(lambda: look_alike("matplotlib.figure", "Figure", savefig=refuse)).status_code == 409


def test_a_picture_is_drawn_in_no_format_that_is_none(result_of: ResultOf) -> None:
    answer = result_of(lambda: (look_alike("PIL.Image", "Image"), "text/csv"))
    assert answer.status_code == 500
    assert "cannot be drawn as text/csv; charset=utf-8, only as image/png, " in answer.json["error"]


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "La", "RGBa", "I;16"],
)
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "pdf"])
def test_a_picture_of_any_mode_is_sent_in_any_format(result_of: ResultOf, mode: str, kind: str) -> None:
    image = pytest.importorskip("PIL.Image")
    if kind == "webp" and not pytest.importorskip("PIL.features").check("webp"):
        pytest.skip("this Pillow has no WebP")
    content_type = "application/pdf" if kind == "pdf" else f"image/{kind}"
    answer = result_of(lambda: (image.new(mode, (3, 2)), content_type))
    assert (answer.status_code, answer.content_type) == (200, content_type), answer.text
    if kind == "pdf":
        assert answer.data.startswith(b"%PDF")
    else:
        sent = image.open(io.BytesIO(answer.data))
        assert (sent.format, sent.size) == (kind.upper(), (3, 2))


def test_a_picture_is_png_with_its_colours_and_its_transparency(result_of: ResultOf) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 0, 0, 0))
    sent = image.open(io.BytesIO(result_of(lambda: picture).data))
    assert [sent.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0, 255), (0, 0, 0, 0)]
    # With colours multiplied by their transparency, too.
    sent = image.open(io.BytesIO(result_of(lambda: picture.convert("RGBa")).data))
    assert [sent.getpixel((x, 0))[3] for x in (0, 1)] == [255, 0]
    depth = image.new("I", (1, 1), 40_000)
    assert image.open(io.BytesIO(result_of(lambda: depth).data)).getpixel((0, 0)) == 40_000


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bits_a_pixel_keep_their_brightness_in_eight(result_of: ResultOf, mode: str) -> None:
    image = pytest.importorskip("PIL.Image")
    grey = image.new(mode, (8, 8), 40_000)
    sent = image.open(io.BytesIO(result_of(lambda: (grey, "image/jpeg")).data))
    assert abs(sent.getpixel((4, 4)) - 40_000 // 256) < 3


def test_what_is_transparent_is_white_where_there_is_no_transparency(result_of: ResultOf) -> None:
    image = pytest.importorskip("PIL.Image")
    sent = image.open(io.BytesIO(result_of(lambda: (image.new("RGBA", (8, 8)), "image/jpeg")).data))
    assert min(sent.getpixel((4, 4))) > 250
    palette = image.new("P", (8, 8))
    palette.info["transparency"] = 0
    sent = image.open(io.BytesIO(result_of(lambda: (palette, "image/jpeg")).data))
    assert min(sent.getpixel((4, 4))) > 250
    half = image.new("LA", (8, 8), (0, 128))
    sent = image.open(io.BytesIO(result_of(lambda: (half, "image/jpeg")).data))
    assert 120 < sent.getpixel((4, 4))[0] < 135


def test_an_opened_picture_is_sent_and_one_that_is_broken_is_a_500(
    result_of: ResultOf, tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (60, 60), "red").save(tmp_path / "a.bmp")
    assert result_of(lambda: image.open(tmp_path / "a.bmp")).content_type == "image/png"
    os.truncate(tmp_path / "a.bmp", 500)

    def broken() -> Any:
        with open(tmp_path / "a.bmp", "rb") as file:
            return image.open(io.BytesIO(file.read()))

    answer = result_of(broken)
    assert (answer.status_code, answer.json["type"]) == (500, "ResultError")
    assert "truncated" in answer.json["error"]


@pytest.mark.parametrize(
    ("content_type", "start"),
    [
        ("image/png", b"\x89PNG"),
        ("image/jpeg", b"\xff\xd8"),
        ("image/webp", b"RIFF"),
        ("image/svg+xml", b"<?xml"),
        ("application/pdf", b"%PDF"),
    ],
)
def test_a_figure_is_sent_in_any_format(result_of: ResultOf, content_type: str, start: bytes) -> None:
    figures = pytest.importorskip("matplotlib.figure")

    def job() -> Any:
        figure = figures.Figure(figsize=(1, 1))
        figure.subplots().plot([1, 2])
        return figure, content_type

    answer = result_of(job)
    assert (answer.status_code, answer.content_type) == (200, content_type), answer.text
    assert answer.data.startswith(start)


# The docs

DOCUMENTED = """
import io
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any, BinaryIO, NewType, Optional, TextIO, Union

import pyjob
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response


class Picture:
    pass


Picture.__name__, Picture.__module__ = "Image", "PIL.Image"


class Thumbnail(Picture):
    pass


class Job:
    def perform(self) -> {annotation}:
        {body}
"""
BINARY = {"type": "string", "format": "binary"}


@pytest.mark.parametrize(
    ("annotation", "content"),
    [
        ("bytes", {"application/octet-stream": BINARY}),
        ("memoryview", {"application/octet-stream": BINARY}),
        ("str", {"application/json": {"type": "string"}}),
        ("Path", {"application/json": {"type": "string"}}),
        ("Annotated[bytes, 'image/png']", {"image/png": BINARY}),
        ("Annotated[str, 'text/csv']", {"text/csv": {"type": "string"}}),
        ("Annotated[Path, 'a file', 'application/pdf']", {"application/pdf": BINARY}),
        ("Annotated[BinaryIO, 'audio/wav']", {"audio/wav": BINARY}),
        ("Annotated[Any, 'image/png']", {"image/png": BINARY}),
        ("NewType('Png', Annotated[bytes, 'image/png'])", {"image/png": BINARY}),
        ("Annotated[dict, 'image/png']", {"application/json": {"type": "object"}}),
        ("Annotated[bytes, 'a result']", {"application/octet-stream": BINARY}),
        ("Picture", {"image/png": BINARY}),
        ("Thumbnail", {"image/png": BINARY}),
        ("Annotated[Thumbnail, 'image/jpeg']", {"image/jpeg": BINARY}),
        ("BinaryIO", {"application/octet-stream": BINARY}),
        ("IO[bytes]", {"application/octet-stream": BINARY}),
        ("io.BytesIO", {"application/octet-stream": BINARY}),
        ("FileStorage", {"application/octet-stream": BINARY}),
        ("Annotated[TextIO, 'text/csv']", {"text/csv": {"type": "string"}}),
        ("pyjob.Response", {"*/*": BINARY}),
        ("Response", {"*/*": BINARY}),
        (
            "Optional[Annotated[bytes, 'image/png']]",
            {"application/json": {"type": "null"}, "image/png": BINARY},
        ),
        (
            "Annotated[bytes | None, 'image/png']",
            {"application/json": {"type": "null"}, "image/png": BINARY},
        ),
        (
            "Union[pyjob.Response, int, str]",
            {
                "application/json": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                "*/*": BINARY,
            },
        ),
        ("Iterable[int]", {"application/json": {"type": "array", "items": {"type": "integer"}}}),
    ],
)
def test_the_docs_name_the_content_type_that_the_annotation_tells(
    make_job: MakeJob, client_of: ClientOf, annotation: str, content: Any
) -> None:
    client = client_of(make_job(DOCUMENTED.format(annotation=annotation, body="return None")))
    described = client.get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]["responses"]["200"]
    assert described["content"] == {kind: {"schema": schema} for kind, schema in content.items()}


@pytest.mark.parametrize(
    ("annotation", "body", "items"),
    [
        ("Iterator[int]", "return iter([1])", {"type": "integer"}),
        ("Generator[str, None, None]", "yield 'a'", {"type": "string"}),
        ("Iterable[bool]", "yield True", {"type": "boolean"}),
        ("Iterator", "return iter([1])", None),
        ("None", "yield 1", None),
    ],
)
def test_the_docs_name_the_three_forms_of_a_stream(
    make_job: MakeJob, client_of: ClientOf, annotation: str, body: str, items: Any
) -> None:
    client = client_of(make_job(DOCUMENTED.format(annotation=annotation, body=body)))
    described = client.get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]["responses"]["200"]
    schemas = {kind: media["schema"] for kind, media in described["content"].items()}
    assert list(schemas) == ["application/json", "text/event-stream", "application/x-ndjson"]
    assert schemas["application/json"] == (
        {"type": "array"} if items is None else {"type": "array", "items": items}
    )
    assert schemas["text/event-stream"]["type"] == schemas["application/x-ndjson"]["type"] == "string"


# Under a server

SERVED = """
import tempfile
from pathlib import Path

from pyjob import EndpointConfig, Response


class Pieces:
    closed = 0

    def __init__(self):
        self.left = 3

    def read(self, size):
        return b"x" * 1_000_000

    def close(self):
        Pieces.closed += 1


class Job:
    def perform(self, n: int = 0):
        return n

    def path(self):
        return Response(Path("large.bin"))

    def file(self):
        return open("large.bin", "rb")

    def temporary(self):
        file = tempfile.NamedTemporaryFile()
        file.truncate(100_000_000)
        return file

    def endless(self):
        return Pieces()

    def metrics(self):
        return [{"name": "closed", "value": Pieces.closed}]

    def auxiliary_endpoints_v2(self):
        return [
            EndpointConfig(f"/{one.__name__}", "GET", one)
            for one in (self.path, self.file, self.temporary, self.endless)
        ]
"""


def begin(port: int, path: str) -> socket.socket:
    """The connection of a reader who has seen the head of an answer, and then stops."""
    reader = socket.socket()
    reader.settimeout(PATIENCE)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert reader.recv(15) == b"HTTP/1.1 200 OK"
    return reader


def test_files_end_their_call_at_once_and_hold_neither_slot_nor_descriptor(make_job: MakeJob) -> None:
    job = make_job(SERVED, extra={"max_concurrency": 1, "max_concurrency_queue": 0})
    (job / "large.bin").touch()
    os.truncate(job / "large.bin", 100 * MEGABYTE)
    with started(pyjob_run(job)) as server:
        server.wait_until("/ready", 200)
        readers = [begin(server.port, path) for path in ("/path", "/file", "/temporary")]
        # The one place is free, though nobody has read on.
        assert ask(server, "POST", "/perform", b'{"n": 5}')[2] == 5
        server.wait_until_metric("requests_done_total", 4)
        for reader in readers:
            reader.close()
        reader = begin(server.port, "/endless")
        server.wait_until_metric("pyjob_calls_running", 1)
        reader.close()
        server.wait_until_metric("closed", 1)
        server.wait_until_metric("pyjob_calls_running", 0)
        deadline = time.monotonic() + PATIENCE
        while any("large.bin" in name for name in open_files(server.process.pid)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
