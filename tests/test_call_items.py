"""What `pyjob call` makes of its command line, and of an answer, without calling anybody."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest

from pyjob.cli.call.answers import progress
from pyjob.cli.call.answers.output import Ending, MediaType, Output, OutputError, show
from pyjob.cli.call.answers.progress import size_shown
from pyjob.cli.call.answers.terminal import json_shown
from pyjob.cli.call.example import NoExampleError, example_of
from pyjob.cli.call.items import Item, Kind, UsageError, item_of, items_of, value_of
from pyjob.cli.call.refusal import told
from pyjob.cli.call.request import SourceError, request_of, token_of
from pyjob.cli.call.target import Address, JobOnDisk, target_of


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def coloured_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def shown(content_type: str, *pieces: bytes) -> str:
    terminal = Terminal()
    show(MediaType(content_type), pieces, terminal)
    return terminal.getvalue()


def headers(**named: str) -> HTTPMessage:
    message = HTTPMessage()
    for name, value in named.items():
        message[name.replace("_", "-")] = value
    return message


# Items.


@pytest.mark.parametrize(
    ("text", "kind", "name", "value"),
    [
        ("x=5", Kind.TEXT, "x", "5"),
        ("x=", Kind.TEXT, "x", ""),
        ("x:=5", Kind.JSON, "x", "5"),
        ("x==5", Kind.QUERY, "x", "5"),
        ("x@cat.png", Kind.FILE, "x", "cat.png"),
        ("x=@note.txt", Kind.TEXT_FILE, "x", "note.txt"),
        ("x:=@list.json", Kind.JSON_FILE, "x", "list.json"),
        ("X-Caller-Name: Ada ", Kind.HEADER, "X-Caller-Name", "Ada"),
        ("url=http://a:1/?b==c@d", Kind.TEXT, "url", "http://a:1/?b==c@d"),
        (r"a\:b\=c=d\=", Kind.TEXT, "a:b=c", r"d\="),
        (r"a\\=b", Kind.TEXT, "a\\", "b"),
    ],
)
def test_an_item_is_read_at_its_first_separator(text: str, kind: Kind, name: str, value: str) -> None:
    assert item_of(text) == Item(kind, name, value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("perform", "^'perform': expected .* write /perform before all items"),
        ("/explain", "^'/explain': expected .* write /explain before all items"),
        ("two words", "^expected name=value"),
        ("=5", "expected a name before ="),
        ("x@", "expected the name of a file"),
        ("two words:x", "no header can be called so"),
        ("X-A:one\nX-B: two", "expected one line"),
        ("content-length:5", "cannot be given"),
        ("x=\udcff", "expected UTF-8"),
    ],
)
def test_what_is_no_item_is_told_with_what_would_be(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        item_of(text)


@pytest.mark.parametrize("text", ["five", "NaN", "-Infinity", "1e999", "[1,", "", "[" * 100_000])
def test_a_value_that_is_no_json_is_told_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match=r"x:= expects JSON.*x= sends text") as raised:
        value_of(item_of(f"x:={text}"), text)
    assert "five" not in str(raised.value)


def test_an_argument_that_is_given_twice_is_told() -> None:
    with pytest.raises(UsageError, match="x is given twice"):
        items_of(["x=1", "x:=2"])
    with pytest.raises(UsageError, match="only once"):
        items_of(["x@-", "y=@-"])
    assert len(items_of(["x@one", "x@two", "q==1", "q==2", "x==3"])) == 5


# Requests.


def test_text_stays_text_and_json_keeps_its_type(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "note.txt").write_text("five\n")
    items = items_of(["x=5", "y:=5", f"z:=@{tmp_path}/list.json", f"t=@{tmp_path}/note.txt", "q==a b", "A:b"])
    request = request_of("/perform", "p=1", items, None)
    assert json.loads(request.body or b"") == {"x": "5", "y": 5, "z": [1, 2], "t": "five\n"}
    assert request.target == "/perform?p=1&q=a+b"
    assert request.headers["A"] == "b"


def test_a_header_takes_the_place_of_ours() -> None:
    request = request_of("/perform", "", items_of(["accept:text/event-stream"]), None)
    assert request.headers == {"accept": "text/event-stream"}
    assert request.is_empty


def test_a_whole_body_goes_as_it_is_and_alone(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b'{"x":  1}')
    assert request_of("/perform", "", [], f"@{tmp_path}/body").body == b'{"x":  1}'
    assert request_of("/perform", "", items_of(["a:b", "q==1"]), "[1]").body == b"[1]"
    with pytest.raises(UsageError, match="--json is the whole body: x= cannot go beside it"):
        request_of("/perform", "", items_of(["x=1"]), "{}")


def test_a_file_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    for item in (f"x@{tmp_path}/none", f"x:=@{tmp_path}/none", f"x@{tmp_path}"):
        with pytest.raises(SourceError, match="cannot be read"):
            request_of("/perform", "", items_of([item]), None)
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(SourceError, match="expected a file in UTF-8"):
        request_of("/perform", "", items_of([f"x=@{tmp_path}/binary"]), None)


def test_a_token_is_read_from_its_file_and_never_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of-the-file\n")
    assert token_of(tmp_path / "token", "of-the-environment") == "of-the-file"
    assert token_of(None, "of-the-environment") == "of-the-environment"
    assert token_of(None, "") is token_of(None, None) is None
    (tmp_path / "token").write_text("not one word\n")
    with pytest.raises(SourceError, match="expected a token") as raised:
        token_of(tmp_path / "token", None)
    assert "not one word" not in str(raised.value)


# Targets.


@pytest.mark.parametrize(
    ("text", "endpoint", "base", "path"),
    [
        (":7000", None, "http://localhost:7000", "/perform"),
        ("localhost", None, "http://localhost", "/perform"),
        ("localhost:7000", "/explain", "http://localhost:7000", "/explain"),
        ("house:7000/explain", None, "http://house:7000", "/explain"),
        ("[::1]:7000", None, "http://[::1]:7000", "/perform"),
        ("https://example.com", None, "https://example.com", "/perform"),
        ("http://h/ml/", None, "http://h/ml", "/perform"),
        ("http://h/ml", "/explain", "http://h/ml", "/explain"),
        ("http://h/pub/job/a/latest", None, "http://h/pub/job/a/latest", "/perform"),
        ("http://h/p/pub/job/a/1.0.0/", None, "http://h/p/pub/job/a/1.0.0", "/perform"),
        ("http://h/pub/fatman/a/1/api/v1/x", None, "http://h/pub/fatman/a/1", "/api/v1/x"),
        ("http://h/ml/api/v1/perform", None, "http://h/ml", "/api/v1/perform"),
        (":7000/", "/a b/%20/ä", "http://localhost:7000", "/a%20b/%20/%C3%A4"),
    ],
)
def test_a_url_is_read_as_people_write_it(text: str, endpoint: str | None, base: str, path: str) -> None:
    assert target_of(text, endpoint) == Address(base, path)


def test_a_query_belongs_to_the_endpoint() -> None:
    assert target_of("http://h/x?a=1", None) == Address("http://h", "/x", "a=1")
    assert target_of("http://h", "/x?a=1#top") == Address("http://h", "/x", "a=1")
    with pytest.raises(UsageError, match="the URL has a query"):
        target_of("http://h?a=1", "/x")


def test_what_is_on_the_disk_is_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("localhost").mkdir()
    assert target_of("localhost", None) == JobOnDisk(Path("localhost"), "/perform")
    assert target_of(".", "/explain") == JobOnDisk(Path(), "/explain")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no/such/folder", "no such folder or file"),
        ("job.py", "no such folder or file"),
        ("", "no such folder or file"),
        ("ftp://h", "expected http:// or https://"),
        ("http://", "expected a URL"),
        ("http://h:99999", "expected a URL"),
        ("http://[::1", "expected a URL"),
        ("http://h\n", "expected a URL"),
        ("http://me:secret@h", "--token-file"),
        (":7000/pub/job/house/", r"no version of house: expected \.\.\./pub/job/NAME/VERSION"),
        ("http://h/p/pub/fatman/house", "no version of house: expected .*/pub/fatman/NAME/VERSION"),
        (":7000/pub/job", "the URL names no job: expected"),
    ],
)
def test_what_is_neither_url_nor_folder_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as raised:
        target_of(text, None)
    assert "secret" not in str(raised.value)


# Samples.

DOCUMENT = {
    "paths": {
        "/api/v1/perform": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "examples": {"sample 1": {"value": {"x": 1}}, "sample 2": {"value": {"x": 2}}}
                        }
                    }
                }
            }
        },
        "/api/v1/items/{item}": {
            "get": {
                "parameters": [
                    {"name": "item", "in": "path", "examples": {"sample": {"value": "a/b"}}},
                    {"name": "n", "in": "query", "examples": {"sample": {"value": 5}}},
                    {
                        "name": "sizes",
                        "in": "query",
                        "content": {"application/json": {"examples": {"sample": {"value": [1]}}}},
                    },
                ]
            }
        },
    }
}


def test_the_first_sample_is_sent_or_the_one_that_is_named() -> None:
    assert example_of(DOCUMENT, "/perform", None).arguments == {"x": 1}
    assert example_of(DOCUMENT, "/api/v1/perform", "2").arguments == {"x": 2}
    assert example_of(DOCUMENT, "/perform", "sample 2").arguments == {"x": 2}
    with pytest.raises(
        NoExampleError, match="/perform has no sample '3'; its samples: 'sample 1', 'sample 2'"
    ):
        example_of(DOCUMENT, "/perform", "3")


def test_a_sample_of_a_get_endpoint_goes_into_path_and_query() -> None:
    example = example_of(DOCUMENT, "/items/%7Bitem%7D", None)
    request = request_of("/items", "", items_of(["n==6"]), None).following(example)
    assert example.method == "GET"
    assert request.target == "/api/v1/items/a%2Fb?n=6&n=5&sizes=%5B1%5D"


def test_items_take_the_place_of_what_the_sample_has() -> None:
    example = example_of(DOCUMENT, "/perform", None)
    request = request_of("/perform", "", items_of(["y:=3", "x:=7"]), None).following(example)
    assert json.loads(request.body or b"") == {"x": 7, "y": 3}


@pytest.mark.parametrize(
    "document", [None, [], {"paths": 5}, {"paths": {"/perform": {"post": [1]}}}, DOCUMENT]
)
def test_no_sample_is_told_whatever_the_document_is(document: Any) -> None:
    with pytest.raises(NoExampleError, match="publishes no sample for /other"):
        example_of(document, "/other", None)


# Answers on a terminal.


def test_json_is_indented_and_coloured_with_its_numbers_as_they_came() -> None:
    text = json_shown('{"a":[1.10,1e400,true,"x"],"b":{},"c":null}', coloured=False)
    assert text == (
        '{\n  "a": [\n    1.10,\n    1e400,\n    true,\n    "x"\n  ],\n  "b": {},\n  "c": null\n}'
    )
    coloured = json_shown('{"a":[1.10]}', coloured=True)
    assert "\x1b[" in coloured
    assert "\x1b" not in json_shown('{"a":[1.10]}', coloured=False)


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in shown("application/json", b'{"a": 1}')
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown("application/json", b'{"a":', b"1}") == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"a\\u009b1m": "\\u001b[31mred \\u202e"}'),
        ("application/json", b"\x1b[31m no JSON \x9b"),
        ("application/json", b"[" * 100_000 + b"\x1b[31m"),
        ("application/x-ndjson", b'"\\u001b[31m"\n\x1b[31m\n'),
        ("text/plain; charset=latin-1", b"\x1b]0;title\x07\x9b31m\r\n"),
        ("text/event-stream", b"data: \x1b[31m\n\n"),
        ("text/html; charset=base64", b"\x1b[31m"),
    ],
)
def test_nothing_that_a_server_sends_moves_a_terminal(
    content_type: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(content_type, body)
    assert text.endswith("\n")
    assert not [char for char in text if char not in "\n\t" and (ord(char) < 32 or 127 <= ord(char) < 160)]
    assert "\u202e" not in text


def test_each_line_of_a_stream_is_shown_when_it_has_come() -> None:
    terminal, seen = Terminal(), list[str]()

    def pieces() -> Any:
        yield b'{"a"'
        seen.append(terminal.getvalue())
        yield b": 1}\n2"
        seen.append(terminal.getvalue())

    show(MediaType("application/x-ndjson"), pieces(), terminal)
    plain = [text.replace("\x1b[34;1m", "").replace("\x1b[36m", "").replace("\x1b[0m", "") for text in seen]
    assert plain == ["", '{"a": 1}\n']
    assert terminal.getvalue().count("\n") == 2


def test_text_is_decoded_as_it_says_across_pieces() -> None:
    assert shown("text/plain", b"gr\xc3", b"\xbcn") == "grün\n"
    assert shown("text/plain; charset=latin-1", b"gr\xfcn") == "grün\n"
    assert shown("text/plain; charset=nonsense", b"gr\xff") == "gr\ufffd\n"
    assert shown("text/plain; charset=utf-16", "grün".encode("utf-16")) == "grün\n"


@pytest.mark.parametrize("charset", ["utf-16", "utf-32", "idna"])
def test_text_that_is_not_as_it_says_is_shown_all_the_same(charset: str) -> None:
    assert shown(f"text/plain; charset={charset}", b"a \xc7 plain text") == "a \ufffd plain text\n"


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "", "no\x1btype"])
def test_binary_is_refused_on_a_terminal_with_the_remedy(content_type: str) -> None:
    refusal = Output(Terminal()).refusal(MediaType(content_type))
    assert refusal is not None
    assert "-o FILE" in refusal
    assert "\x1b" not in refusal
    assert Output(io.StringIO()).refusal(MediaType(content_type)) is None
    assert Output(Terminal(), Path("file")).refusal(MediaType(content_type)) is None


def test_a_file_that_cannot_be_written_is_told() -> None:
    with pytest.raises(OutputError, match="/dev/full cannot be written: No space left"):
        Output(None, Path("/dev/full")).write(MediaType("image/png"), [b"x"])


FAULT = b'{"error": "gone", "type": "OSError"}\n'


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("application/json", b'[1,{"error": "gone", "type": "OSError"}]'),
        ("application/json", b"[" + b"1," * 100_000 + b'{"error": "gone", "type": "OSError"}]'),
        (
            "text/event-stream",
            b'data: 1\n\nevent: error\nid: 2\ndata: {"error": "gone", "type": "OSError"}\n\n',
        ),
    ],
)
def test_the_fault_at_the_end_of_a_stream_is_found(content_type: str, text: bytes) -> None:
    ending = Ending(MediaType(content_type))
    assert b"".join(ending.kept_of(text[at : at + 1000] for at in range(0, len(text), 1000))) == text
    assert ending.fault() == ("gone", "OSError")


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("items", "fault"),
    [
        (b"1\n", FAULT),
        (b"1\n", FAULT.removesuffix(b"\n")),
        (b'1\n{"a": 2}\n' + FAULT, FAULT),
        (FAULT + b"2\n", b""),
        (b'1\n{"error": "an item", "type": "so", "at": 2}\n', b""),
        (b'1\n{"error": "its end is missing', b""),
        (b"", FAULT),
        (b"", b""),
    ],
)
def test_the_fault_at_the_end_of_a_stream_of_lines_is_held_back(
    items: bytes, fault: bytes, size: int
) -> None:
    ending, text = Ending(MediaType("application/x-ndjson; charset=utf-8")), items + fault
    passed = ending.kept_of(text[at : at + size] for at in range(0, len(text), size))
    assert b"".join(passed) == items
    assert ending.fault() == (("gone", "OSError") if fault else None)


def test_an_item_of_a_stream_passes_before_the_next_one_has_come() -> None:
    pieces = [b'{"a"', b": 1}\n", b"[2", b"]\n", b'{"b": "' + b"x" * 100_000, b'"}\n']
    passed = Ending(MediaType("application/x-ndjson")).kept_of(iter(pieces))
    assert [len(piece) for piece in passed] == [9, 2, 2, 100_007, 3]  # the last item is too long for a fault


def test_what_had_come_of_an_item_is_shown_where_a_stream_breaks_off() -> None:
    def pieces() -> Iterator[bytes]:
        yield b'1\n{"a": '
        raise ConnectionError

    passed = Ending(MediaType("application/x-ndjson")).kept_of(pieces())
    assert [next(passed), next(passed)] == [b"1\n", b'{"a": ']
    with pytest.raises(ConnectionError):
        next(passed)


# What is told of errors.


def test_an_error_of_a_job_is_one_line() -> None:
    body = b'{"error": "y: expected float, got \\"five\\"\\u001b[31m", "type": "PayloadError"}'
    text = told(400, headers(Content_Type="application/json"), body, [])
    assert text == ('answered 400 Bad Request: y: expected float, got "five"\\x1b[31m (PayloadError)')


@pytest.mark.parametrize(
    ("item", "message", "hint"),
    [
        ("x=5", 'x: expected float, got "5"', "x= sends text; x:=5 sends JSON"),
        ("x=[1]", 'y: expected int, got "a"; x: expected list, got "[1]"', "x:=[1] sends JSON"),
        ("x=five", 'x: expected float, got "five"', None),
        ("x=5", 'xx: expected float, got "5"', None),
        ("z=5", "unexpected argument: z; expected: x, y (optional)", None),
        ("nine=5", "unexpected argument: nine; expected: none", None),
        (
            "aera=5",
            "missing argument: area; unexpected arguments: aera, z; expected: area",
            "did you mean area?",
        ),
        ("kidn:=5", "unexpected argument: kidn; expected: area, kind (optional)", "kidn: did you mean kind?"),
        ("x:5", "missing arguments: x, y; expected: x, y", "x: sends a header"),
        ("x==5", "missing argument: x; expected: x", "x== goes into the query"),
    ],
)
def test_an_item_of_the_wrong_kind_is_told_with_the_right_one(
    item: str, message: str, hint: str | None
) -> None:
    body = json.dumps({"error": message, "type": "PayloadError"}).encode()
    lines = told(400, headers(Content_Type="application/json"), body, items_of([item])).splitlines()
    assert len(lines) == (1 if hint is None else 2)
    assert hint is None or hint in lines[1]


@pytest.mark.parametrize(
    ("status", "given", "body", "expected"),
    [
        (502, {"Content_Type": "text/html"}, b"<html><title>Bad\n&lt;Gate</title>", "HTML, Bad <Gate"),
        (500, {"Content_Type": "application/json"}, b'{"detail": [1]}', '"detail": ['),
        (500, {"Content_Type": "application/json"}, b"\x1b[31m", "\\x1b[31m"),
        (500, {"Content_Type": "image/png"}, b"\x89PNG", "(4 bytes of image/png)"),
        (500, {}, b"", "answered 500 Internal Server Error"),
        (599, {"Content_Type": "text/plain"}, b"x" * 9000, "answered 599: xxx"),
        (307, {"Location": "/docs\x1b"}, b"", "it leads to /docs\\x1b, which is not followed"),
        (401, {}, b"", "--token-file FILE"),
        (405, {"Allow": "PUT"}, b"", "the endpoint takes PUT: -X PUT"),
        (405, {"Allow": "POST"}, b"", "the endpoint takes POST: leave -X out"),
        (405, {"Allow": "GET, HEAD"}, b"", "the endpoint takes GET, HEAD: -X GET"),
        (429, {"Retry_After": "3"}, b"", "try again after 3 s"),
    ],
)
def test_whatever_is_answered_is_told_with_a_remedy(
    status: int, given: dict[str, str], body: bytes, expected: str
) -> None:
    text = told(status, headers(**given), body, [])
    assert expected in text
    assert "\x1b" not in text
    assert len(text) < 3000


def test_sizes_are_told_in_units() -> None:
    assert [size_shown(count) for count in (0, 999, 1234, 99_960, 10**8)] == [
        "0 bytes",
        "999 bytes",
        "1.2 kB",
        "100 kB",
        "100 MB",
    ]


def test_progress_is_told_on_a_terminal_alone_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0)
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0)
    (tmp_path / "file").write_bytes(b"x" * 3000)
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        upload = progress.Upload((tmp_path / "file").open("rb"), "a\x1bname", stream)
        assert upload.read(2000) == b"x" * 2000
        upload.close()
        upload.close()
    assert terminal.getvalue() == "\r\x1b[Ksending a\\x1bname: 2.0 kB of 3.0 kB\r\x1b[K"
    assert pipe.getvalue() == ""
