"""Files and forms as arguments: what the job gets of them, and what callers are told (SPEC 4.8)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import io
import json
import logging
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlencode

import pytest
from werkzeug.test import Client

import pyjob
from pyjob import testing
from tests.callers import connect, hold, pipe, release, until, until_waiting
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import PATIENCE, Server, ask, pyjob_run, started

# What each endpoint says of what it got: class and content of a file, anything else as it is.
JOB = """
import io
from typing import Annotated, Any, BinaryIO, IO, List, Optional

from werkzeug.datastructures import FileStorage

from pyjob import EndpointConfig


class Body:
    pass


Namesake = type("FileStorage", (), {})


def told(value):
    if isinstance(value, list):
        return [told(item) for item in value]
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return ["bytes", value.decode("latin-1")]
    if isinstance(value, FileStorage):
        kind = value.content_type, value.headers.get("X-Of-The-Part")
        return ["storage", value.read().decode("latin-1"), value.filename, *kind]
    if hasattr(value, "read"):
        kind = "memory" if hasattr(value, "getvalue") else "file"
        end = value.seek(0, 2)
        value.seek(0)
        return ["memory" if isinstance(value, io.BytesIO) else "file", value.read().decode("latin-1"), end]
    return value


class Job:
    def __init__(self):
        self.kept = []

    def perform(self, data: bytes, count: int = 1):
        return told(data), count

    def file(self, file: BinaryIO):
        self.kept.append(file)
        return len(file.read()), file.readable(), file.seekable()

    def big(self, file: IO[bytes], other: Optional[FileStorage] = None):
        '''Both, read in turns.'''
        self.kept.append(file)
        first = file.read(10)
        second = None if other is None else other.read(10)
        file.seek(-3, 2)
        return told(first), second and told(second), told(file.read()), file.tell(), file.read(1) == b""

    def storage(self, file: "Annotated[Optional[FileStorage], 'a file']" = None):
        return told(file)

    def base(self, file: io.IOBase):
        return told(file)

    def memory(self, file: io.BytesIO):
        return told(file.getvalue())

    def many(self, files: List[FileStorage], note: str = ""):
        return told(files), note

    def all_bytes(self, files: list[bytes], by_name: "dict[str, bytes | None] | None" = None):
        return told(files), told(by_name)

    def mixed(
        self, file: FileStorage, n: int, flag: bool = False, numbers: list[float] = [],
        options: Optional[dict[str, int]] = None, anything=None, whatever: Any = None, text: str = "",
    ):
        return told([file, n, flag, numbers, options, anything, whatever, text])

    def two(self, first: bytes, second: bytes = b""):
        return told([first, second])

    def open(self, **fields):
        return told(fields)

    def one_and_more(self, one: bytes, more: list[bytes] = []):
        return told([one, more])

    def back(self, file: IO[bytes]):
        try:
            file.seek(-1)
        except ValueError as error:
            return str(error)

    def namesake(self, file: Namesake):
        return told(file)

    def unresolved(self, file: "NoSuchClass"):
        return told(file)

    def named(self, by_name: dict[str, bytes]):
        return told(by_name)

    def plain(self, n: int = 0, text: str = ""):
        return n, text

    def text_or_bytes(self, value: "str | bytes"):
        return told(value)

    def echo(self, file: BinaryIO):
        return file

    def echo_storage(self, file: FileStorage):
        return file

    def labelled(self, file: BinaryIO, label: str, n: int = 0):
        return told(file), label, n

    def whole(self, data: Annotated[bytes, Body()], n: int = 0):
        return told(data), n

    def got(self, data: bytes):
        return told(data)

    def closed(self):
        kept, self.kept = self.kept, []
        return [file.closed for file in kept]

    def auxiliary_endpoints(self):
        names = ["file", "big", "storage", "base", "memory", "many", "all_bytes", "mixed", "two", "open"]
        names += ["echo", "echo_storage", "named", "one_and_more", "back", "unresolved", "namesake"]
        return {f"/{name}": getattr(self, name) for name in [*names, "plain", "text_or_bytes", "closed"]}

    def auxiliary_endpoints_v2(self):
        return [
            EndpointConfig("/labelled/{label}", "POST", self.labelled),
            EndpointConfig("/whole", "POST", self.whole),
            EndpointConfig("/got", "GET", self.got),
        ]
"""

BOUNDARY = "XyZ"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
FORM = "application/x-www-form-urlencoded"
OCTETS = "application/octet-stream"
# More than waitress, or pyjob, keeps in memory.
BIG = 700_000

# Sends a body of a content type to a path: status and answer.
Send = Callable[..., tuple[int, Any]]


def text(name: str, content: str | bytes, *headers: str) -> bytes:
    """A field of a multipart body."""
    content = content.encode() if isinstance(content, str) else content
    lines = [f'Content-Disposition: form-data; name="{name}"', *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def file(name: str, content: bytes, filename: str = "f.bin", *headers: str) -> bytes:
    """A file of a multipart body."""
    lines = [f'Content-Disposition: form-data; name="{name}"; filename="{filename}"', *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def multipart(*parts: bytes) -> bytes:
    mark = f"--{BOUNDARY}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def pattern(length: int) -> bytes:
    """Bytes full of line ends and of what nearly is a boundary."""
    piece = b"\r\n--Xy\r\n--\r\n\r--XyZ\n--XyZ\r\r\n-" + bytes(range(256))
    return (piece * (length // len(piece) + 1))[:length]


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> Iterator[Server]:
    """`pyjob run`, whose temporary files go to a folder of their own."""
    job = tmp_path_factory.mktemp("job") / "job.py"
    job.write_text(JOB)
    with started(pyjob_run(job), env={"TMPDIR": str(temporary)}) as server:
        server.wait_until("/ready", 200)
        yield server


@pytest.fixture
def job(make_job: MakeJob) -> JobClient:
    return JobClient(pyjob.create(make_job(JOB), load="now"), "/mounted")


@pytest.fixture(params=["in process", "pyjob run"])
def send(request: pytest.FixtureRequest) -> Iterator[Send]:
    """Both ways: through a server that has the body in a file, and one that has not."""
    if request.param == "in process":
        client: JobClient = request.getfixturevalue("job")

        def send(path: str, body: bytes, content_type: str | None = MULTIPART) -> tuple[int, Any]:
            # Not `data`: of nothing, the client would make a form of its own.
            length = {"CONTENT_LENGTH": str(len(body))}
            answer = client.post(
                path, input_stream=io.BytesIO(body), content_type=content_type, environ_overrides=length
            )
            return answer.status_code, answer.json

        yield send
        return
    server: Server = request.getfixturevalue("server")

    def send_to_server(path: str, body: bytes, content_type: str | None = MULTIPART) -> tuple[int, Any]:
        headers = {} if content_type is None else {"Content_Type": content_type}
        status, _, answer = ask(server, "POST", path, body, **headers)
        return status, answer

    yield send_to_server
    server.assert_leaves_nothing_in(request.getfixturevalue("temporary"))


# multipart/form-data


def test_fields_and_files_become_what_the_annotations_say(send: Send) -> None:
    body = multipart(
        file("file", b"\x89PNG\r\n", "a.png", "Content-Type: image/png", "X-Of-The-Part: yes"),
        text("n", "-5"),
        text("flag", "true"),
        text("numbers", "[1, 2.5]"),
        text("options", '{"a": 1}', "Content-Type: application/json"),
        text("anything", '["json"]'),
        text("whatever", "no json"),
        text("text", "12 größer"),
    )
    file_told = ["storage", "\x89PNG\r\n", "a.png", "image/png", "yes"]
    told = [file_told, -5, True, [1, 2.5], {"a": 1}, ["json"], "no json", "12 größer"]
    assert send("/mixed", body) == (200, told)


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("/perform", "data", [["bytes", "abc\r\n"], 1]),
        ("/file", "file", [5, True, True]),
        ("/storage", "file", ["storage", "abc\r\n", "f.bin", None, None]),
        ("/base", "file", ["memory", "abc\r\n", 5]),
        ("/memory", "file", ["bytes", "abc\r\n"]),
        ("/many", "files", [[["storage", "abc\r\n", "f.bin", None, None]], ""]),
        ("/all_bytes", "files", [[["bytes", "abc\r\n"]], None]),
        ("/api/v1/labelled/x", "file", [["memory", "abc\r\n", 5], "x", 0]),
        ("/whole", "data", [["bytes", "abc\r\n"], 0]),
    ],
)
def test_every_kind_of_parameter_gets_its_kind_of_file(send: Send, path: str, name: str, told: Any) -> None:
    assert send(path, multipart(file(name, b"abc\r\n"))) == (200, told)


def test_several_parts_of_one_name_make_a_list_of_files(send: Send) -> None:
    body = multipart(file("files", b"1"), text("note", "x"), file("files", b""), file("files", b"3", "c"))
    files = [["storage", "1", "f.bin", None, None], ["storage", "", "f.bin", None, None]]
    assert send("/many", body) == (200, [[*files, ["storage", "3", "c", None, None]], "x"])


@pytest.mark.parametrize("end", [4096, 3 * 4096, 7 * 4096, 15 * 4096, 15 * 4096 + 64 * 1024, BIG])
def test_a_file_is_the_same_wherever_its_pieces_end(job: JobClient, end: int) -> None:
    # It is read in pieces that grow up to 64 KiB: the boundary is before, across and after the end of one.
    for length in range(end - 20, end + 5):
        content = pattern(length)
        answer = job.post("/perform", data=multipart(file("data", content)), content_type=MULTIPART)
        assert answer.json[0][1].encode("latin-1") == content


def test_large_files_are_read_beside_one_another_and_closed_at_the_end(send: Send) -> None:
    send("/closed", b"{}", None)
    ours, other = b"0123456789" + pattern(BIG) + b"end", b"abcdefghij" + bytes(BIG)
    body = multipart(file("file", ours), file("other", other))
    told = [["bytes", "0123456789"], ["bytes", "abcdefghij"], ["bytes", "end"], len(ours), True]
    assert send("/big", body) == (200, told)
    assert send("/closed", b"{}", None) == (200, [True])


def test_a_file_has_no_place_before_its_beginning(send: Send) -> None:
    assert send("/back", multipart(file("file", bytes(BIG)))) == (200, "negative seek position -1")


def test_a_file_for_a_parameter_that_says_nothing_is_a_file_storage(send: Send) -> None:
    status, told = send("/unresolved", multipart(file("file", b"x")))
    assert (status, told[:2]) == (200, ["storage", "x"])
    body = multipart(file("file", b""), text("n", "1"), file("anything", b"a"), file("whatever", b"b"))
    status, told = send("/mixed", body)
    assert (status, told[5][:2], told[6][:2]) == (200, ["storage", "a"], ["storage", "b"])
    status, told = send("/open", multipart(file("ä b", b"a"), text("x", "[1]"), text("y", "z")))
    assert (status, told) == (200, {"ä b": ["storage", "a", "f.bin", None, None], "x": [1], "y": "z"})


def test_json_that_a_browser_sends_as_a_file_is_json(send: Send) -> None:
    body = multipart(
        file("file", b""),
        file("n", b"5", "blob", "Content-Type: application/json"),
        file("numbers", b"[1]", "blob", "Content-Type: application/json; charset=utf-8"),
    )
    status, told = send("/mixed", body)
    assert (status, told[1], told[3]) == (200, 5, [1])


def test_a_file_input_in_which_nothing_was_chosen_is_no_argument(send: Send) -> None:
    assert send("/storage", multipart(file("file", b"", ""))) == (200, None)
    assert send("/perform", multipart(file("data", b"x", ""))) == (200, [["bytes", "x"], 1])
    status, told = send("/perform", multipart(file("data", b"", "")))
    assert (status, told["error"].partition(";")[0]) == (400, "missing argument: data")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--XyZ--",
        b"--XyZ--\r\n",
        b"a preamble\r\n--XyZ--\r\nan epilogue --XyZ\r\n",
        b"\r\n--XyZ--",
    ],
)
def test_a_form_without_a_field_has_no_arguments(send: Send, body: bytes) -> None:
    assert send("/plain", body) == (200, [0, ""])


def test_a_header_cannot_forge_another(send: Send) -> None:
    body = multipart(file("file", b"", "f", "X-Of-The-Part: a\nContent-Type: b", "X-Of-The-Part: c"))
    assert send("/storage", body) == (200, ["storage", "", "f", None, "c"])


def test_blanks_preambles_folded_and_unknown_headers_are_fine(send: Send) -> None:
    body = (
        b'hello\r\n--XyZ \t\r\ncontent-disposition: FORM-DATA;\r\n name="n"\r\nX: y\r\nnonsense\r\n\r\n7\r\n'
        b'--XyZ\r\nContent-Disposition: form-data; name="text"\r\n\r\n\r\n--XyZ--'
    )
    assert send("/plain", body) == (200, [7, ""])
    # One line end, for the head and for the boundary.
    assert send("/plain", b"--XyZ\r\n" + NAME.replace(b'n"', b'text"') + b"\r\n--XyZ--") == (200, [0, ""])


@pytest.mark.parametrize("boundary", ['"XyZ"', "XyZ; charset=utf-8"])
def test_the_boundary_may_be_quoted_and_not_the_last(send: Send, boundary: str) -> None:
    content_type = f"Multipart/Form-Data; a=b; boundary={boundary}"
    assert send("/plain", multipart(text("n", "7")), content_type) == (200, [7, ""])


NAME = b'Content-Disposition: form-data; name="n"\r\n'


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/two", multipart(text("first", "x")), 400, 'part "first": expected a file, got text'),
        ("/many", multipart(text("files", "x")), 400, 'part "files": expected a file, got text'),
        (
            "/plain",
            multipart(file("n", b"x", "a.png")),
            400,
            'part "n": expected int, got the file "a.png"',
        ),
        (
            "/plain",
            multipart(file("text", b"x", "y" * 99)),
            400,
            f'expected str, got the file "{"y" * 60}..."',
        ),
        ("/text_or_bytes", multipart(file("value", b"x")), 400, "expected text, got the file"),
        ("/plain", multipart(text("n", "x")), 400, 'n: expected int, got "x"'),
        ("/plain", multipart(text("n", "1"), text("n", "2")), 400, "repeated argument: n"),
        ("/two", multipart(file("first", b"1"), file("first", b"2")), 400, "repeated argument: first"),
        ("/plain", multipart(text("n" * 500, "1"), text("n" * 500, "1")), 400, f": {'n' * 60}"),
        ("/plain", multipart(text("x", "1"), file("y", b"")), 400, "unexpected arguments: x, y"),
        ("/plain", multipart(text("text", b"\xff")), 400, 'part "text": not valid UTF-8'),
        (
            "/mixed",
            multipart(text("options", "{", "Content-Type: application/json")),
            400,
            'part "options": the payload is not valid JSON',
        ),
        ("/plain", b"no boundary at all", 400, "the boundary of the header Content-Type is nowhere"),
        ("/plain", b"--Xy\r\n" + NAME + b"\r\n1\r\n--Xy--", 400, "is nowhere in the body"),
        ("/plain", b"x--XyZ--", 400, "is nowhere in the body"),
        ("/plain", b"--XyZ", 400, "the body ends inside the first boundary"),
        ("/plain", b"--XyZ  ", 400, "the body ends inside the first boundary"),
        ("/plain", b"--XyZmore\r\n" + NAME, 400, "the first boundary does not end its line"),
        ("/plain", b"--XyZ" + b" " * 2000 + b"\r\n", 400, "the first boundary does not end its line"),
        ("/plain", b"--XyZ\r\n" + NAME, 400, "the body ends inside the head of part 1"),
        ("/plain", b"--XyZ\r\n" + multipart(text("n", "1")), 400, "a boundary stands inside the head of"),
        ("/plain", b"--XyZ\r\n" + NAME + multipart(b"\r\n1"), 400, "a boundary stands inside the head of"),
        ("/plain", b"--XyZ\r\n" + NAME + b"\r\n1", 400, 'the body ends inside part "n"'),
        ("/plain", b"--XyZ\r\n" + NAME + b"\r\n1\r\n--Xy", 400, 'the body ends inside part "n"'),
        ("/plain", b"--XyZ\r\n" + NAME + b"\r\n1\r\n--XyZ", 400, 'the boundary after part "n"'),
        ("/plain", b"--XyZ\r\n" + NAME + b"\r\n1\r\n--XyZ-x\r\n", 400, 'the boundary after part "n"'),
        ("/two", multipart(file("first", bytes(BIG)))[:-20], 400, 'the body ends inside part "first"'),
        ("/plain", b"--XyZ\n" + NAME + b"\n1\n--XyZ--", 400, "the first boundary does not end its line"),
        ("/plain", multipart(b"\r\n1"), 400, "part 1 has no header Content-Disposition"),
        ("/plain", multipart(b"Content-Disposition: form-data\r\n\r\n1"), 400, "part 1 has no header"),
        ("/plain", multipart(b'Content-Disposition: attachment; name="n"\r\n\r\n1'), 400, "part 1 has no"),
        ("/plain", multipart(text("n", "1"), b"\xff: x\r\n\r\n1"), 400, "the head of part 2 is not valid"),
        (
            "/plain",
            multipart(text("n", "1", "X: " + "x" * 5_000)),
            400,
            "the head of part 1 is longer than 4096 bytes",
        ),
        (
            "/open",
            multipart(*[text(f"f{number}", "x") for number in range(1001)]),
            413,
            "the body has more than 1000 parts",
        ),
        ("/many", multipart(*[file("files", b"x")] * 1001), 413, "the body has more than 1000 parts"),
    ],
)
def test_a_broken_form_is_refused_and_the_part_named(
    send: Send, path: str, body: bytes, status: int, told: str
) -> None:
    found, answer = send(path, body)
    assert (found, answer["type"]) == (status, "PayloadError"), answer
    assert told in answer["error"]
    assert len(answer["error"]) < 300


@pytest.mark.parametrize("option", ["", "; boundary=", "; boundary=" + "x" * 201, '; boundary="\xe9"'])
def test_a_missing_boundary_is_400(send: Send, option: str) -> None:
    status, answer = send("/plain", multipart(text("n", "1")), f"multipart/form-data{option}")
    assert (status, "needs a boundary in the header Content-Type" in answer["error"]) == (400, True)


def test_a_thousand_parts_are_fine(send: Send) -> None:
    status, told = send("/many", multipart(*[file("files", b"x")] * 1000))
    assert (status, len(told[0])) == (200, 1000)


def test_a_thousand_large_parts_take_one_file_of_the_system(
    server: Server, temporary: Path, job: JobClient
) -> None:
    # A descriptor each would use up those of the process.
    body = multipart(*[file("files", pattern(1000))] * 1000)
    for answer in (
        ask(server, "POST", "/many", body, Content_Type=MULTIPART)[2],
        job.post("/many", data=body, content_type=MULTIPART).json,
    ):
        assert {one[1] for one in answer[0]} == {pattern(1000).decode("latin-1")}
    server.assert_leaves_nothing_in(temporary)


def test_base64_inside_the_json_of_a_field_becomes_bytes(send: Send) -> None:
    by_name = text("by_name", '{"a": "YWJj", "b": null}', "Content-Type: application/json")
    told = [[["bytes", "x"]], {"a": ["bytes", "abc"], "b": None}]
    assert send("/all_bytes", multipart(file("files", b"x"), by_name)) == (200, told)
    status, answer = send("/all_bytes", multipart(file("files", b"x"), text("by_name", '{"a": "?"}')))
    assert (status, answer["error"]) == (400, 'by_name.a: not base64: character 1 is "?"')


# Forms of text


@pytest.mark.parametrize(
    ("path", "fields", "told"),
    [
        ("/plain", {"n": "3", "text": "a&b=ä ü+"}, [3, "a&b=ä ü+"]),
        ("/plain", {"text": ""}, [0, ""]),
        ("/open", {"a": "1", "b": "x"}, {"a": 1, "b": "x"}),
        ("/named", {"by_name": '{"a": "YWJj"}'}, {"a": ["bytes", "abc"]}),
    ],
)
def test_fields_of_a_form_become_what_the_annotations_say(
    send: Send, path: str, fields: dict[str, str], told: Any
) -> None:
    assert send(path, urlencode(fields).encode(), FORM) == (200, told)


@pytest.mark.parametrize("before", range(4))
def test_a_long_field_is_decoded_wherever_its_pieces_end(job: JobClient, before: int) -> None:
    content = "x" * before + "ä+%4 " * 20_000
    answer = job.post("/plain", data=urlencode({"text": content}), content_type=FORM)
    assert answer.json == [0, content]


def test_a_field_full_of_escapes_takes_little_memory(job: JobClient) -> None:
    body = b"text=" + b"%41" * 300_000
    tracemalloc.start()
    try:
        assert job.post("/plain", data=body, content_type=FORM).status_code == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # An object for each escape takes 70 times as much.
    assert peak < 15 * len(body)


def test_json_under_the_type_of_a_form_is_json(send: Send) -> None:
    assert send("/plain", b' {"n": 3}', FORM) == (200, [3, ""])
    assert send("/plain", b"", FORM) == (200, [0, ""])


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/plain", b"n=1&n=2", 400, "repeated argument: n"),
        ("/plain", b"n=x", 400, 'n: expected int, got "x"'),
        ("/plain", b"text=%ff", 400, "the form is not valid UTF-8"),
        ("/plain", b"text=\xff", 400, "the form is not valid UTF-8"),
        ("/named", b"by_name=%7B%22a%22:1%7D", 400, "by_name.a: expected a string of base64, got 1"),
        ("/open", "&".join(f"a{n}=1" for n in range(1001)).encode(), 413, "more than 1000 fields"),
        ("/plain", b"x=1", 400, "unexpected argument: x"),
        ("/two", b"first=x", 400, "first: expected a file, got text: send multipart/form-data"),
        ("/perform", b"\x89PNG", 400, "a header such as Content-Type: application/octet-stream"),
    ],
)
def test_a_wrong_form_is_refused(send: Send, path: str, body: bytes, status: int, told: str) -> None:
    found, answer = send(path, body, FORM)
    assert (found, told in answer["error"]) == (status, True), answer


# One file as the body


@pytest.mark.parametrize("content", [b"", b"abc\r\n", b'{"n": 1}'])
@pytest.mark.parametrize(
    "content_type", [OCTETS, "image/png", "Text/CSV; charset=utf-8", "text/plain", "nonsense"]
)
def test_a_body_of_another_type_is_the_one_file(send: Send, content_type: str, content: bytes) -> None:
    got = content.decode()
    assert send("/perform", content, content_type) == (200, [["bytes", got], 1])
    assert send("/base", content, content_type) == (200, ["memory", got, len(got)])
    assert send("/memory", content, content_type) == (200, ["bytes", got])
    assert send("/storage", content, content_type) == (200, ["storage", got, None, content_type, None])


def test_a_large_body_is_a_file_to_go_back_and_forth_in(send: Send) -> None:
    content = b"0123456789" + pattern(BIG) + b"end"
    # Not /big, which takes two.
    assert send("/file", content, OCTETS) == (200, [len(content), True, True])
    status, told = send("/base", content, OCTETS)
    assert (status, told[1].encode("latin-1") == content, told[2]) == (200, True, len(content))
    status, told = send("/storage", content, "image/png")
    assert (status, told[2:]) == (200, [None, "image/png", None])


def test_a_file_as_the_body_is_closed_at_the_end(job: JobClient) -> None:
    assert job.post("/file", data=bytes(BIG), content_type=OCTETS).status_code == 200
    assert job.post("/closed").json == [True]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/plain", "send JSON with the header Content-Type: application/json"),
        ("/two", "send multipart/form-data, which may hold its files, or JSON with the header"),
        ("/many", "send multipart/form-data, which may hold its files, or JSON with the header"),
        ("/one_and_more", "send multipart/form-data, which may hold its files, or JSON with the header"),
    ],
)
def test_a_body_of_another_type_is_415_where_no_one_parameter_takes_it(
    send: Send, path: str, told: str
) -> None:
    status, answer = send(path, b"abc", "image/png")
    assert (status, told in answer["error"]) == (415, True), answer


def test_the_other_arguments_stand_in_path_and_query(send: Send) -> None:
    assert send("/labelled/x?n=2", b"abc", OCTETS) == (200, [["memory", "abc", 3], "x", 2])
    assert send("/labelled/x?n=2", multipart(file("file", b"abc"))) == (200, [["memory", "abc", 3], "x", 2])
    assert send("/labelled/x", b"file=x", FORM)[0] == 400
    body = multipart(file("file", bytes(BIG)), text("label", "y"))
    assert send("/labelled/x", body)[1]["error"] == "repeated argument: label"
    assert send("/whole?n=2", b"abc", "text/plain") == (200, [["bytes", "abc"], 2])


def test_a_server_that_makes_up_a_content_type_takes_an_object_for_json(job: JobClient) -> None:
    def send(body: bytes, path: str = "/perform") -> Any:
        environ = {"SERVER_SOFTWARE": "WSGIServer/0.2"}
        return job.post(path, data=body, content_type="text/plain", environ_overrides=environ)

    assert send(b' {"data": "YWJj"}').json == [["bytes", "abc"], 1]
    assert send(b"abc").json == [["bytes", "abc"], 1]
    assert send(b"").json["error"].startswith("missing argument: data")
    for length in (1000, BIG):
        assert send(pattern(length), "/file").json[0] == length


# base64 in JSON


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("path", "arguments", "told"),
    [
        ("/perform", {"data": encoded(b"\x00\xff~")}, [["bytes", "\x00\xff~"], 1]),
        ("/perform", {"data": ""}, [["bytes", ""], 1]),
        ("/file", {"file": encoded(b"abc")}, [3, True, True]),
        ("/memory", {"file": encoded(b"abc")}, ["bytes", "abc"]),
        ("/storage", {"file": encoded(b"abc")}, ["storage", "abc", None, None, None]),
        ("/storage", {"file": None}, None),
        (
            "/many",
            {"files": [encoded(b"a"), ""]},
            [[["storage", x, None, None, None] for x in ("a", "")], ""],
        ),
        (
            "/all_bytes",
            {"files": [encoded(b"a")], "by_name": {"x": encoded(b"b"), "y": None}},
            [[["bytes", "a"]], {"x": ["bytes", "b"], "y": None}],
        ),
        ("/all_bytes", {"files": [], "by_name": None}, [[], None]),
        ("/text_or_bytes", {"value": "YWJj"}, "YWJj"),
        ("/namesake", {"file": "YWJj"}, "YWJj"),
    ],
)
def test_base64_in_json_becomes_bytes_or_a_file(send: Send, path: str, arguments: Any, told: Any) -> None:
    assert send(path, json.dumps(arguments).encode(), "application/json") == (200, told)


@pytest.mark.parametrize(
    ("path", "arguments", "told"),
    [
        ("/perform", {"data": "YWJ"}, "data: not base64: 3 characters, with padding, are no multiple of 4"),
        ("/perform", {"data": "YW Jj"}, 'data: not base64: character 3 is " "'),
        ("/perform", {"data": "YWJj\n"}, 'data: not base64: character 5 is "\\n"'),
        ("/perform", {"data": "YW-j"}, 'data: not base64: character 3 is "-"'),
        ("/perform", {"data": "Yä=="}, 'data: not base64: character 2 is "ä"'),
        ("/perform", {"data": "Y==="}, "data: not base64: wrong padding"),
        ("/perform", {"data": "===="}, "data: not base64: wrong padding"),
        ("/perform", {"data": "YWJj="}, "data: not base64: 5 characters, with padding, are no multiple of 4"),
        ("/perform", {"data": "YWJj===="}, "data: not base64: wrong padding"),
        ("/perform", {"data": "YQ==YWJj"}, 'data: not base64: character 3 is "="'),
        ("/perform", {"data": 7}, "data: expected a string of base64, got 7"),
        ("/perform", {"data": None}, "data: expected a string of base64, got null"),
        ("/storage", {"file": []}, "file: expected a string of base64, got a list"),
        ("/all_bytes", {"files": ["YQ==", "?"]}, 'files[1]: not base64: character 1 is "?"'),
        ("/all_bytes", {"files": "YQ=="}, 'files: expected list, got "YQ=="'),
        ("/all_bytes", {"files": [], "by_name": {"k" * 99: 1}}, f"by_name.{'k' * 60}...: expected a string"),
    ],
)
def test_noise_for_base64_is_400_and_says_where(send: Send, path: str, arguments: Any, told: str) -> None:
    status, answer = send(path, json.dumps(arguments).encode(), "application/json")
    assert (status, told in answer["error"]) == (400, True), answer


def test_a_query_may_hold_base64_and_a_body_may_be_it(job: JobClient) -> None:
    assert job.get("/got", query_string={"data": "1234"}).json == ["bytes", "\xd7m\xf8"]
    assert job.get("/got", query_string={"data": "?"}).status_code == 400
    assert job.post("/whole", json="YWJj").json == [["bytes", "abc"], 0]
    assert "data: not base64" in job.post("/whole", json="!").json["error"]


def test_in_process_the_job_gets_what_it_is_given(job: JobClient) -> None:
    assert job.application.call("/perform", {"data": b"abc"}) == (["bytes", "abc"], 1)
    given = io.BytesIO(b"abc")
    assert job.application.call("/file", {"file": given})[0] == 3
    assert not given.closed


SAMPLED = """
from pyjob import EndpointConfig

class Job:
    def perform(self, data: bytes):
        return len(data)

    def got(self, data: bytes):
        return len(data)

    def auxiliary_endpoints_v2(self):
        return [EndpointConfig("/got", "GET", self.got)]

    def docs_input_examples(self):
        return {"/perform": {"data": DATA}, "/got": {"data": "1234"}}
"""


def test_a_sample_holds_base64(
    make_job: MakeJob, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_job(SAMPLED.replace("DATA", '"YWJj"'))
    client = client_of(folder)
    content = client.get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]["requestBody"]["content"]
    assert content["application/json"]["examples"] == {"sample": {"value": {"data": "YWJj"}}}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with testing.JobClient(folder) as tested:
        tested.assert_samples()


def test_a_sample_of_noise_is_told_of_at_the_start(
    make_job: MakeJob, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    client_of(make_job(SAMPLED.replace("DATA", '"?"')))
    assert "the sample does not work: data: not base64" in caplog.text


# An upload as the answer


@pytest.mark.parametrize("length", [0, 1000, BIG])
def test_a_file_that_came_may_be_the_answer(job: JobClient, server: Server, length: int) -> None:
    content = pattern(length)
    form = multipart(file("file", content))
    for body, content_type in ((content, "image/png"), (form, MULTIPART)):
        for path in ("/echo", "/echo_storage"):
            assert job.post(path, data=body, content_type=content_type).data == content
            assert ask(server, "POST", path, body, Content_Type=content_type)[::2] == (200, content)


# Sizes and connections


def limited(client_of: ClientOf, make_job: MakeJob, most: int) -> JobClient:
    return client_of(make_job(JOB, extra={"max_body_size": most}))


class Unread(io.BytesIO):
    """A body that nobody should begin to read."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("it was read")


@pytest.mark.parametrize("content_type", [MULTIPART, OCTETS, FORM])
@pytest.mark.parametrize("length", ["1025", "0001025"])
def test_a_body_announced_as_too_long_is_413_and_not_read(
    client_of: ClientOf, make_job: MakeJob, content_type: str, length: str
) -> None:
    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": length}
    client = limited(client_of, make_job, 1024)
    answer = client.post("/perform", content_type=content_type, environ_overrides=environ)
    assert (answer.status_code, "1024 bytes" in answer.json["error"]) == (413, True)
    environ["CONTENT_LENGTH"] = "9" * 5000  # at which the validator fails
    answer = Client(client.application).post("/perform", content_type=content_type, environ_overrides=environ)
    assert answer.status_code == 413


@pytest.mark.parametrize("content_type", [MULTIPART, OCTETS, FORM])
@pytest.mark.parametrize("most", [1024, BIG])
def test_a_body_without_a_length_is_413_as_soon_as_it_is_too_long(
    client_of: ClientOf, make_job: MakeJob, content_type: str, most: int
) -> None:
    client = limited(client_of, make_job, most)

    def send(length: int) -> Any:
        stream = io.BytesIO(bytes(length))
        environ = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        answer = client.post("/perform", content_type=content_type, environ_overrides=environ)
        assert stream.tell() <= most + 1
        return answer

    answer = send(most + 5)
    assert (answer.status_code, f"{most} bytes" in answer.json["error"]) == (413, True)
    assert send(most).status_code == (200 if content_type == OCTETS else 400)


@pytest.mark.parametrize("content_type", [MULTIPART, OCTETS, FORM])
@pytest.mark.parametrize("length", [0, 10, BIG])
def test_a_body_shorter_than_announced_is_400_and_leaves_nothing(
    job: JobClient, content_type: str, length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    environ = {"CONTENT_LENGTH": str(length + 5)}
    stream = io.BytesIO(bytes(length))
    answer = job.post("/file", input_stream=stream, content_type=content_type, environ_overrides=environ)
    assert answer.status_code == 400
    assert answer.json["error"] == f"the body ended after {length} of {length + 5} bytes"
    assert list(temporary.iterdir()) == []


def test_a_body_longer_than_announced_ends_where_it_was_announced(job: JobClient) -> None:
    environ = {"CONTENT_LENGTH": "3"}
    answer = job.post("/perform", data=b"abcdef", content_type=OCTETS, environ_overrides=environ)
    assert answer.json[0] == ["bytes", "abc"]
    # The validator hides that one may go back and forth in this one.
    client = Client(job.application)
    answer = client.post(
        "/perform", data=b"abcdef", content_type=OCTETS, environ_overrides={"CONTENT_LENGTH": "3"}
    )
    assert answer.json == [["bytes", "abc"], 1]


@pytest.mark.parametrize("content_type", [MULTIPART, OCTETS, FORM, "application/json"])
@pytest.mark.parametrize("length", ["10", ""])
def test_a_connection_that_breaks_within_a_body_is_400(
    job: JobClient, content_type: str, length: str
) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ConnectionResetError

    environ = {"wsgi.input": Broken(), "wsgi.input_terminated": True, "CONTENT_LENGTH": length}
    answer = job.post("/perform", content_type=content_type, environ_overrides=environ)
    assert (answer.status_code, "connection ended" in answer.json["error"]) == (400, True)


def test_a_chunked_upload_is_read(server: Server, temporary: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        pieces = (bytes(1000) for _ in range(700))
        connection.request("POST", "/file", pieces, {"Content-Type": OCTETS}, encode_chunked=True)
        assert json.loads(connection.getresponse().read()) == [700_000, True, True]
    server.assert_leaves_nothing_in(temporary)


# Waiting for a slot

WAITING = """
class Job:
    def perform(self, hold: str):
        with open(hold) as pipe:
            pipe.read()

    def count(self, file: "BinaryIO", more: "dict | None" = None):
        return len(file.read()) + len((more or {}).get("marked", []))

    def auxiliary_endpoints(self):
        return {"/count": self.count}

    def metrics(self):
        kept = [one for one in gc.get_objects() if isinstance(one, dict) and "marked" in one]
        return [{"name": "kept", "value": len(kept)}]
"""


@pytest.fixture
def single(make_job: MakeJob, tmp_path: Path) -> Iterator[Server]:
    """A job that runs one call at a time, and has temporary files of its own."""
    (tmp_path / "temporary").mkdir()
    folder = make_job("import gc\nfrom typing import BinaryIO\n" + WAITING, extra={"max_concurrency": 1})
    with started(pyjob_run(folder), env={"TMPDIR": str(tmp_path / "temporary")}) as server:
        server.wait_until("/ready", 200)
        yield server


def upload(content_type: str, body: bytes) -> bytes:
    head = f"POST /count HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("length", [100_000, BIG])
def test_an_upload_waits_for_its_turn_and_is_whole_then(single: Server, tmp_path: Path, length: int) -> None:
    whole, form = bytes(length), multipart(file("file", bytes(length)))

    async def wait(path: Path) -> None:
        first, second = await connect(single.port), await connect(single.port)
        async with await hold(single, path), first, second:
            first.send(upload(OCTETS, whole))
            second.send(upload(MULTIPART, form))
            await until_waiting(single.port, 2)
            release(path)
            for caller in (first, second):
                answer = await caller.answer()
                assert (answer.status, answer.json) == (200, length)

    with pipe(tmp_path) as path:
        asyncio.run(wait(path))
    single.assert_leaves_nothing_in(tmp_path / "temporary")


@pytest.mark.parametrize(("length", "kept"), [(1000, 1), (50_000, 0)])
def test_a_long_field_beside_a_file_is_read_again_after_the_wait(
    single: Server, tmp_path: Path, length: int, kept: int
) -> None:
    field = text("more", json.dumps({"marked": [0] * length}))

    async def wait(path: Path) -> None:
        caller = await connect(single.port)
        async with await hold(single, path), caller:
            caller.send(upload(MULTIPART, multipart(file("file", bytes(BIG)), field)))
            await until_waiting(single.port, 1)
            await until(single.port, lambda numbers: numbers["kept"] == kept)
            release(path)
            answer = await caller.answer()
            assert (answer.status, answer.json) == (200, BIG + length)

    with pipe(tmp_path) as path:
        asyncio.run(wait(path))
    single.assert_leaves_nothing_in(tmp_path / "temporary")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
def test_an_upload_whose_caller_leaves_while_it_waits_leaves_nothing(single: Server, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"

    async def leave(path: Path) -> None:
        async with await hold(single, path):
            async with await connect(single.port) as caller:
                caller.send(upload(MULTIPART, multipart(file("file", bytes(BIG)))))
                await until_waiting(single.port, 1)
                assert single.files_open_in(temporary)
            await until_waiting(single.port, 0)
            single.assert_leaves_nothing_in(temporary)
            release(path)

    with pipe(tmp_path) as path:
        asyncio.run(leave(path))


@pytest.fixture
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, list[str]]]:
    """How many temporary files were made, and those of them that are open."""
    temporary, made = tmp_path / "temporary", []
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    make = tempfile.TemporaryFile

    def kept() -> Any:  # so that nobody else closes it
        made.append(make())
        return made[-1]

    def told() -> tuple[int, list[str]]:
        return len(made), [path for path in open_files() if path.startswith(str(temporary))]

    monkeypatch.setattr(tempfile, "TemporaryFile", kept)
    return told


def open_files() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that looks
            yield str(descriptor.readlink())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/big", multipart(file("file", bytes(BIG)), text("more", "1"))),
        ("/big", multipart(file("file", bytes(BIG)), text("other", "1"))),
        ("/big", multipart(file("file", bytes(BIG)), file("file", b""))),
        ("/big", multipart(file("file", bytes(BIG)))[:-5]),
        ("/labelled/x", multipart(file("file", bytes(BIG)), text("label", "y"))),
        ("/labelled/x", multipart(file("file", bytes(BIG)), text("n", "y"))),
        ("/plain", multipart(file("n", bytes(BIG)))),
    ],
)
def test_a_refusal_closes_what_was_read(
    job: JobClient, path: str, body: bytes, temporary_files: Callable[[], tuple[int, list[str]]]
) -> None:
    assert job.post(path, data=body, content_type=MULTIPART).status_code == 400
    assert temporary_files() == (1, [])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
@pytest.mark.parametrize(("rest", "status"), [(b"}", 200), (b"", 400)])
def test_a_long_object_under_a_made_up_content_type_leaves_nothing(
    job: JobClient, rest: bytes, status: int, temporary_files: Callable[[], tuple[int, list[str]]]
) -> None:
    environ = {"SERVER_SOFTWARE": "WSGIServer/0.2"}
    body = json.dumps({"data": encoded(bytes(BIG))}).encode()[:-1] + rest
    answer = job.post("/perform", data=body, content_type="text/plain", environ_overrides=environ)
    assert (answer.status_code, temporary_files()) == (status, (1, []))


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded"])
def test_a_file_that_says_nothing_of_itself_is_told_what_to_say(
    client_of: ClientOf, content_type: str | None
) -> None:
    class Job:
        def perform(self, file: bytes) -> int:
            return len(file)

    client = client_of(Job)
    for body in (b"name,price\nPen,2.5\n", b"\x89PNG\r\n\x1a\n\x00\xff"):
        answer = client.post("/perform", data=body, content_type=content_type)
        assert answer.status_code == 400
        assert answer.json["error"].endswith("needs a header such as Content-Type: application/octet-stream")


def test_what_looks_like_a_file_to_other_libraries_is_warned_of(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    class UploadFile:
        """As a web framework calls its own."""

    class Job:
        def perform(self, file: Any, text: TextIO) -> None: ...

    Job.perform.__annotations__["file"] = UploadFile
    client_of(Job)
    told = [record.getMessage() for record in caplog.records if "takes no file" in record.getMessage()]
    assert len(told) == 2
    assert "file takes no file, being a UploadFile: annotate it as bytes, BinaryIO or werkzeug's" in told[0]


def test_a_data_url_is_told_what_of_it_is_base64(client_of: ClientOf) -> None:
    class Job:
        def perform(self, file: bytes) -> int:
            return len(file)

    answer = client_of(Job).perform(file="data:image/png;base64,AAAA")
    assert answer.json["error"] == "file: not base64: of a data URL, only what follows the comma"
