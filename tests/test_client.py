"""`pyjob.Client`: calls, streams, uploads, errors, retries, readiness."""

from __future__ import annotations

import datetime
import gc
import io
import pickle
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import waitress

import pyjob
import pyjob.client.items
from pyjob.errors import CALL_ERRORS
from tests.scripted import CLOSE, HOLD, Reply, answer, chunked, scripted

MANIFEST = {"name": "sample", "owner_email": "nobody@example.com", "jobtype": "python3:latest"}
TOKEN = "a-token-of-ours"


class Sample:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def perform(self, x: float = 0, text: str = "", when: str = "", data: bytes = b"") -> dict[str, object]:
        if x < 0:
            raise ValueError("x must not be negative")
        return {"x": x, "text": text, "when": when, "data": len(data)}

    def auxiliary_endpoints(self) -> dict[str, Any]:
        return {"/tokens": self.tokens, "/files": self.files, "/picture": self.picture, "/none": self.none}

    def auxiliary_endpoints_v2(self) -> list[pyjob.EndpointConfig]:
        return [pyjob.EndpointConfig("/square/{n}", "GET", self.square, {})]

    def tokens(self, n: int, fault: bool = False) -> Iterator[object]:
        try:
            for index in range(n):
                yield {"token": index}
            if fault:
                raise RuntimeError("out of tokens")
        finally:
            self.closed.set()

    def files(self, files: list[bytes], note: dict[str, int] | None = None) -> list[object]:
        return [len(one) for one in files] + [note]

    def picture(self) -> bytes:
        return b"\x89PNG"

    def none(self) -> None:
        return None

    def square(self, n: int, plus: int = 0) -> int:
        return n * n + plus


@pytest.fixture(scope="module")
def job() -> Sample:
    return Sample()


@pytest.fixture(scope="module")
def url(job: Sample) -> Iterator[str]:
    application = pyjob.create(job, manifest=MANIFEST, load="now")
    server = waitress.create_server(application, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    application.close(0)
    server.pull_trigger()
    server.close()


@pytest.fixture(params=["socket", "in process"])
def client(request: pytest.FixtureRequest, url: str, job: Sample) -> Iterator[pyjob.Client]:
    """The same job by either way."""
    if request.param == "socket":
        with pyjob.Client(url) as client:
            yield client
        return
    application = pyjob.create(job, manifest=MANIFEST, load="now")
    yield pyjob.Client.in_process(application)
    application.close(0)


def failing(call: Any, kind: type[pyjob.CallError] = pyjob.CallError) -> pyjob.CallError:
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def test_a_call_returns_what_the_job_returned(client: pyjob.Client) -> None:
    assert client.perform(x=1, text="ü")["text"] == "ü"
    assert client("/api/v1/perform", x=2)["x"] == 2
    assert client("/none") is None
    assert client("picture") == b"\x89PNG"
    assert client.parameters()[0] == {"name": "x", "type": "float", "default_value": 0}
    client.wait_ready(30)


def test_arguments_of_get_are_in_the_query(client: pyjob.Client) -> None:
    with client.open("get", "/api/v1/square/7", arguments={"plus": 1}) as answered:
        assert answered.value() == 50


def test_arguments_are_written_as_results_are(client: pyjob.Client) -> None:
    @dataclass
    class Point:
        x: int

    when = datetime.datetime(2024, 5, 6, 7, 8)
    assert client.perform(when=when)["when"] == "2024-05-06T07:08:00"
    assert client("/files", files=[b"a"], note=Point(3)) == [1, {"x": 3}]


def test_what_cannot_be_written_is_named_and_not_sent(client: pyjob.Client) -> None:
    error = failing(lambda: client.perform(x={"deep": [object()]}))
    assert "not sent: payload.x.deep[0]: object of type object cannot be sent as JSON" in str(error)
    assert error.status is None


def test_files_are_sent_as_a_form(client: pyjob.Client, tmp_path: Path) -> None:
    path = tmp_path / 'a "name".bin'
    path.write_bytes(b"x" * 200_000)
    assert client.perform(data=path, text="5", x=2) == {"x": 2, "text": "5", "when": "", "data": 200_000}
    with path.open("rb") as file:
        file.seek(50_000)
        assert client.perform(data=file)["data"] == 150_000
    assert client("/files", files=[b"ab", io.BytesIO(b"abc"), path]) == [2, 3, 200_000, None]


def test_a_file_without_a_known_length_is_sent_as_it_comes(client: pyjob.Client) -> None:
    class Pipe(io.RawIOBase):
        left = 3

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"z" * 1000 if self.left >= 0 else b""

    assert client.perform(data=Pipe())["data"] == 3000


def test_what_is_no_file_to_be_sent_is_refused(client: pyjob.Client, tmp_path: Path) -> None:
    assert "data: no such file" in str(failing(lambda: client.perform(data=tmp_path / "missing")))
    assert "open it with 'rb'" in str(failing(lambda: client.perform(data=io.StringIO("x"))))


def test_a_stream_iterates(client: pyjob.Client) -> None:
    assert list(client.stream("/tokens", n=3)) == [{"token": 0}, {"token": 1}, {"token": 2}]
    assert client("/tokens", n=2) == [{"token": 0}, {"token": 1}]
    events = client.open("POST", "/tokens", arguments={"n": 1}, headers={"Accept": "text/event-stream"})
    assert list(events.value()) == [{"token": 0}]


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream", "application/json"])
def test_a_stream_that_ends_with_a_fault_raises_it(client: pyjob.Client, accept: str) -> None:
    answered = client.open("POST", "/tokens", arguments={"n": 2, "fault": True}, headers={"Accept": accept})
    error = failing(lambda: list(answered.value()))
    assert "/tokens: the stream broke off: out of tokens" in str(error)
    assert (error.message, error.kind, error.status) == ("out of tokens", "RuntimeError", 200)


@pytest.mark.parametrize("way", ["closed", "dropped", "never begun"])
def test_a_stream_that_is_left_ends_the_generator_of_the_job(url: str, job: Sample, way: str) -> None:
    job.closed.clear()
    with pyjob.Client(url) as client:
        items = client.stream("/tokens", n=10_000_000)
        if way != "never begun":
            assert next(items) == {"token": 0}
        if way == "closed":
            items.close()
        del items
        gc.collect()
        assert job.closed.wait(30)


def test_errors_mirror_the_status_and_say_what_the_job_says(client: pyjob.Client) -> None:
    error = failing(lambda: client.perform(x="a"), pyjob.CallBadRequestError)
    assert 'POST /api/v1/perform: answered 400: x: expected float, got "a" (tracing id ' in str(error)
    assert str(error).startswith(client.url)
    assert (error.status, error.kind, error.job) == (400, "PayloadError", client.url)
    assert error.message == 'x: expected float, got "a"'
    assert error.tracing_id in str(error)
    assert isinstance(error, RuntimeError)
    failing(lambda: client("/nothing"), pyjob.CallNotFoundError)
    failing(lambda: client.open("DELETE", "/perform").value(), pyjob.CallMethodError)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.status) == (str(error), 400)
    assert not hasattr(error, "code") and not hasattr(error, "status_code")


def test_an_answer_can_be_looked_at_whatever_its_status(client: pyjob.Client) -> None:
    with client.open("POST", "/perform", arguments={"x": -1}, headers={"X-Mine": "1"}) as answered:
        assert answered.status == 400
        assert answered.content_type == "application/json"
        assert answered.headers["content-TYPE"].startswith("application/json")
        assert ("X-Mine", "1") in answered.request_headers
        assert answered.json()["type"] == "ValueError"
        assert "negative" in failing(answered.raise_for_status).message


@pytest.mark.parametrize("status", [*CALL_ERRORS, 402, 502])
def test_each_status_has_its_error(status: int) -> None:
    body = b'{"error": "no", "type": "Why"}'
    with scripted(answer(body, f"{status} X", Retry_After="7")) as server, pyjob.Client(server.url) as client:
        error = failing(client.perform, CALL_ERRORS.get(status, pyjob.CallError))
    assert (error.status, error.message, error.kind, error.retry_after) == (status, "no", "Why", 7)
    assert type(error) is CALL_ERRORS.get(status, pyjob.CallError)


HTML = b"<html><title>502 Bad\nGateway</title>" + b"x" * 100_000
NO_JSON = answer(b"[1", Content_Type="application/json")
BAD_ANSWERS = {
    "an HTML error": (
        answer(HTML, "502 No", Content_Type="text/html"),
        "answered 502: Bad Gateway: an HTML page",
    ),
    "an HTML page": (
        answer(HTML, Content_Type="text/html"),
        "answered 200: expected JSON, found an HTML page",
    ),
    "no JSON": (NO_JSON, "answered 200: expected JSON, found application/json: '[1'"),
    "an error of another shape": (answer(b'{"detail": [1]}', "422 X"), 'answered 422: {"detail": [1]}'),
    "an error that is a list": (answer(b"[]", "500 X"), "answered 500: []"),
    "an empty error": (answer(b"", "503 X"), "answered 503: Service Unavailable"),
    "gzip": (
        answer(b"\x1f\x8b", Content_Encoding="gzip"),
        "answered 200: Content-Encoding gzip, not asked for",
    ),
    "a redirect": (
        answer(b"", "302 X", Location="/a?b=secret"),
        "answered 302: moved to /a, which is not followed",
    ),
    "a redirect with credentials": (
        answer(b"", "302 X", Location="http://me:secret@b/c"),
        "answered 302: moved to http://b/c, which is not followed",
    ),
    "half of a pair": (answer(b'{"error": "a\\ud800"}', "400 X"), r"answered 400: a\ud800"),
    "no HTTP": (Reply(b"SSH-2.0-OpenSSH\r\n", CLOSE), "what was answered is no HTTP: BadStatusLine"),
    "an end before the answer": (Reply(b"", CLOSE), "the connection was closed before anything was answered"),
    "an end in the body": (Reply(answer(b"123").data[:-1], CLOSE), "the answer broke off after 2 bytes"),
    "an end in a chunk": (Reply(chunked(b"[1]", end=False).data[:-3], CLOSE), "the answer broke off after"),
    "an end between chunks": (
        chunked(b"[1]", end=False, then=CLOSE, kind="application/json"),
        "the answer broke off",
    ),
    "a chunk without a size": (
        Reply(chunked(end=False).data + b"zz\r\n", CLOSE),
        "the answer broke off after 0",
    ),
    "a head without end": (Reply(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, CLOSE), "no HTTP: LineTooLong"),
    "too many headers": (Reply(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200, CLOSE), "no HTTP: HTTPException"),
    "terminal codes": (answer(b'{"error": "a\\u001b[1mb\\nc"}', "400 X"), r"answered 400: a\x1b[1mb\nc"),
    "lines that are no JSON": (chunked(b"{}\nx\n"), "answered 200: a line that is no JSON: b'x'"),
    "deep JSON": (answer(b"[" * 100_000), "answered 200: expected JSON"),
    "our own token": (answer(b'{"error": "bad token %b"}' % TOKEN.encode(), "403 X"), "bad token ***"),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_bad_answers_are_one_kind_of_error_with_place_and_reason(case: str) -> None:
    reply, expected = BAD_ANSWERS[case]
    with scripted(reply) as server, pyjob.Client(server.url, TOKEN) as client:

        def call() -> None:
            value = client.perform()
            list(value)

        error = failing(call)
    assert f"{server.url}, POST /api/v1/perform: " in str(error)
    assert expected in str(error)
    assert str(error).isprintable()
    assert str(error).encode()
    assert len(str(error)) < 2500
    assert TOKEN not in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        answer(b'{"error": "%b%b%b"}' % (b"x" * 490, TOKEN.encode(), b"y" * 3000), "500 X"),
        answer(b'{"error": "%b%b%b"}' % (b"x" * 3000, TOKEN.encode(), b"y" * 1490), "500 X"),
        answer(b"x" * 292 + TOKEN.encode(), "500 X", Content_Type="text/plain"),
        answer(b"x" * 52 + TOKEN.encode()),
        answer(b"{}", "500 X", X_Request_ID="x" * 92 + TOKEN),
        answer(b"{}", "302 X", Location="/" + "x" * 191 + TOKEN),
    ],
    ids=["beginning", "end", "text", "no JSON", "id", "location"],
)
def test_a_token_that_is_cut_is_not_shown_in_halves(reply: Reply) -> None:
    with scripted(reply) as server, pyjob.Client(server.url, TOKEN) as client:
        error = failing(client.perform)
    assert TOKEN[:8] not in str(error)
    assert TOKEN[-6:] not in str(error)


def test_of_an_error_without_end_only_so_much_is_read() -> None:
    poured, left = [0], threading.Event()

    def pour(connection: socket.socket) -> None:
        try:
            while poured[0] < 30_000_000:
                connection.sendall(b"y" * 10_000)
                poured[0] += 10_000
        except ConnectionError:
            left.set()

    reply = Reply(b"HTTP/1.1 500 X\r\nContent-Type: text/plain\r\n\r\n", CLOSE, after=pour)
    with scripted(reply) as server, pyjob.Client(server.url) as client:
        error = failing(client.perform, pyjob.CallInternalError)
        assert left.wait(30)
    assert 300 <= len(error.message) <= 310


def test_an_answer_may_be_empty_and_come_after_provisional_ones() -> None:
    provisional = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    with (
        scripted(
            Reply(provisional + answer(b"5").data), Reply(b"HTTP/1.1 204 X\r\n\r\n"), answer(b"6")
        ) as server,
        pyjob.Client(server.url) as client,
    ):
        assert [client.perform() for _ in range(3)] == [5, None, 6]
        assert server.accepted == 1


def test_what_was_not_asked_for_is_no_answer_to_the_next_call() -> None:
    stray = answer(b'"stray"').data
    with (
        scripted(Reply(answer(b"1").data + stray), answer(b"2")) as server,
        pyjob.Client(server.url) as client,
    ):
        assert [client.perform(), client.perform()] == [1, 2]
        assert server.accepted == 2


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1\r\nContent-Length: 50\r\n\r\n5",
        b"Content-Length: +1\r\n\r\n5",
        b"Content-Length: 1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5",
        b"Content-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n5\r\n0\r\n\r\n",
        b"Content-Length: 1\r\nno colon\r\nTransfer-Encoding: chunked\r\n\r\n5",
    ],
    ids=["two lengths", "a sign", "a strange coding", "a length and chunks", "no header"],
)
def test_where_the_end_of_an_answer_is_doubtful_its_connection_is_not_kept(head: bytes) -> None:
    reply = Reply(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head)
    with scripted(reply, answer(b"6")) as server, pyjob.Client(server.url) as client:
        assert [client.perform(), client.perform()] == [5, 6]
        assert server.accepted == 2


def test_a_status_without_a_body_has_none_whatever_its_head_says() -> None:
    empty = Reply(b"HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n")
    with scripted(empty, answer(b"6")) as server, pyjob.Client(server.url) as client:
        assert [client.perform(), client.perform()] == [None, 6]
        assert server.accepted == 2


@pytest.mark.parametrize(
    "payload", [{"text": "x" * 20_000_000}, {"data": b"x" * 20_000_000}], ids=["JSON", "form"]
)
def test_who_refuses_without_reading_on_is_heard(payload: dict[str, Any]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pyjob.Client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client,
    ):

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10)
                connection.sendall(answer(b'{"error": "too much"}', "413 X").data)
                heard.wait(60)

        heard = threading.Event()
        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        assert failing(lambda: client.perform(**payload), pyjob.CallTooLargeError).message == "too much"
        heard.set()
        thread.join()


def test_a_stream_that_another_thread_closes_ends_at_once_on_both_sides() -> None:
    reply = chunked(b"1\n2\n", end=False, then=HOLD)
    with scripted(reply) as server, pyjob.Client(server.url, timeout=None) as client:
        items, waiting, outcome = client.stream("/x"), threading.Event(), list[object]()

        def read() -> None:
            outcome.extend((next(items), next(items)))
            waiting.set()
            try:
                outcome.append(next(items, "end"))
            except pyjob.CallError:
                outcome.append("end")

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        assert waiting.wait(30)
        items.close()
        server.wait_for(server.left)
        thread.join(30)
    assert outcome == [1, 2, "end"]


def test_what_is_closed_has_no_more_items() -> None:
    with scripted(chunked(b"1\n2\n")) as server, pyjob.Client(server.url) as client:
        items = client.stream("/x")
        assert next(items) == 1
        items.close()
        assert list(items) == []


def test_nobody_there_is_told_with_the_address() -> None:
    with scripted() as server:
        address = server.url
    error = failing(pyjob.Client(address).perform, pyjob.CallConnectionError)
    assert f"no connection to {address.removeprefix('http://')}: Connection refused" in str(error)
    assert error.status is None
    assert isinstance(error, ConnectionError)


def test_a_name_that_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failing(pyjob.Client("https://nowhere.example").perform, pyjob.CallConnectionError)
    assert "no connection to nowhere.example: the name is not known" in str(error)
    monkeypatch.undo()
    error = failing(pyjob.Client("http://127..host").perform, pyjob.CallConnectionError)
    assert "no connection to 127..host: the name is not known" in str(error)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(b"", HOLD), "no answer within 1 s"),
        (Reply(b"HTTP/1.1 200 OK\r\n", HOLD), "no answer within 1 s"),
        (Reply(answer(b"12").data[:-1], HOLD), "the answer did not end within 1 s"),
    ],
    ids=["no head", "half a head", "half a body"],
)
def test_the_time_out_is_for_the_whole_call(reply: Reply, expected: str) -> None:
    with scripted(reply) as server, pyjob.Client(server.url, timeout=1) as client:
        error = failing(client.perform, pyjob.CallTimeoutError)
        server.wait_for(server.left)
    assert expected in str(error)
    assert isinstance(error, TimeoutError)
    assert len(server.requests) == 1  # and not once more


def test_of_a_stream_the_time_out_is_for_each_item() -> None:
    reply = chunked(b"1\n", b"2\n", end=False, then=HOLD)
    with scripted(reply) as server, pyjob.Client(server.url, timeout=1) as client:
        items = client.stream("/tokens")
        assert [next(items), next(items)] == [1, 2]
        failing(lambda: next(items), pyjob.CallTimeoutError)
        server.wait_for(server.left)


@pytest.mark.parametrize(
    ("kind", "piece"),
    [("application/x-ndjson", b"1"), ("text/event-stream", b"data: 1"), ("text/event-stream", b"data: 1\n")],
    ids=["line", "event in a line", "event of lines"],
)
def test_an_item_without_end_is_refused(kind: str, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyjob.client.items, "LARGEST_ITEM", 1000)
    reply = chunked(*[piece] * 1001, kind=kind, end=False, then=HOLD)
    with scripted(reply) as server, pyjob.Client(server.url) as client:
        error = failing(lambda: next(client.stream("/tokens")))
        server.wait_for(server.left)
    assert "an item of more than" in str(error)


def test_whoever_takes_his_time_with_an_item_is_not_late() -> None:
    first, second = chunked(b"1\n", end=False), b"2\r\n2\n\r\n0\r\n\r\n"
    taken, sent = threading.Event(), threading.Event()

    def send_the_rest(connection: socket.socket) -> None:
        assert taken.wait(30)
        connection.sendall(second)
        sent.set()

    reply = Reply(first.data, after=send_the_rest)
    with scripted(reply) as server, pyjob.Client(server.url, timeout=2) as client:
        items = client.stream("/tokens")
        assert next(items) == 1
        time.sleep(2)  # all of the time that there is for an item
        taken.set()
        assert sent.wait(30)
        assert list(items) == [2]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "expected http://HOST"),
        ("example.com", "expected http://HOST"),
        ("ftp://example.com", "expected http://HOST"),
        ("http://", "expected http://HOST"),
        ("http://example.com:0", "expected http://HOST"),
        ("http://example.com:port", "not a URL"),
        ("http://me:hunter22@example.com", "the URL holds credentials"),
        ("http://example.com/?token=hunter22", "the URL has a query"),
        ("http://exa\nmple.com", "characters that no URL has"),
        ("http://example.com/../x", "'.' or '..'"),
    ],
)
def test_a_url_that_is_none_is_refused_without_its_secrets(url: str, expected: str) -> None:
    error = failing(lambda: pyjob.Client(url))
    assert expected in str(error)
    assert "hunter22" not in str(error)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"timeout": 0}, "timeout: expected seconds above 0, or None, found 0"),
        ({"timeout": "5"}, "timeout: expected seconds above 0, or None, found '5'"),
        ({"retries": -1}, "retries: expected a number from 0, found -1"),
        ({"retries": "3"}, "retries: expected a number from 0, found '3'"),
    ],
)
def test_options_that_are_none_are_refused_at_once(options: dict[str, Any], expected: str) -> None:
    assert expected in str(failing(lambda: pyjob.Client("http://127.0.0.1:1", **options)))


@pytest.mark.parametrize("path", ["/../x", "/a/%2e%2E/b", "/a/./b", "/a\r\nX: y", "/\x00"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with scripted(answer()) as server, pyjob.Client(server.url) as client:
        assert "not sent: path: " in str(failing(lambda: client(path)))
        assert server.accepted == 0


def test_headers_of_two_lines_are_refused_and_not_shown() -> None:
    client = pyjob.Client("http://127.0.0.1:1", "hunter22\r\nX-Evil: 1")
    error = failing(client.perform)
    assert "not sent: header X-Racetrack-Auth: expected one line" in str(error)
    assert "hunter22" not in str(error)


def test_paths_are_quoted_once() -> None:
    with scripted(answer()) as server, pyjob.Client(f"{server.url}/pub/") as client:
        client("a b/%C3%BC/ü/100%?q=1&r=ü")
        assert server.requests[0].startswith(
            b"POST /pub/a%20b/%C3%BC/%C3%BC/100%25?q=1&r=%C3%BC HTTP/1.1\r\n"
        )


def test_the_token_is_sent_and_never_shown() -> None:
    with scripted(answer()) as server, pyjob.Client(server.url, TOKEN) as client:
        with client.open("GET", "/") as answered:
            assert TOKEN not in repr(answered.request_headers) + repr(answered) + repr(client)
        assert f"X-Racetrack-Auth: {TOKEN}\r\n".encode() in server.requests[0]


def test_a_kept_connection_that_was_closed_is_replaced_once() -> None:
    # The second request comes on the first connection, which is closed instead of an answer.
    with (
        scripted(answer(b"1"), Reply(b"", CLOSE), answer(b"3")) as server,
        pyjob.Client(server.url) as client,
    ):
        assert [client.perform(), client.perform()] == [1, 3]
        assert (len(server.requests), server.accepted) == (3, 2)


def test_where_something_was_answered_nothing_is_sent_again() -> None:
    with scripted(answer(), Reply(b"HTT", CLOSE)) as server, pyjob.Client(server.url) as client:
        client.perform()
        failing(client.perform)
        assert len(server.requests) == 2


def test_what_cannot_be_sent_again_is_not() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with scripted(answer(), Reply(b"", CLOSE)) as server, pyjob.Client(server.url) as client:
        client.perform()
        failing(lambda: client.perform(data=Pipe(b"x")), pyjob.CallConnectionError)
        assert len(server.requests) == 2


BUSY = answer(b'{"error": "full"}', "429 X", Retry_After="0")


def test_a_busy_job_is_asked_again_if_that_is_wanted() -> None:
    past = answer(b"", "503 X", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    with scripted(BUSY, past, answer(b"1")) as server:
        with pyjob.Client(server.url, retries=2) as client:
            assert client.perform() == 1
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("reply", "retries"),
    [
        (BUSY, 0),
        (answer(b"", "503 X"), 3),
        (answer(b"", "503 X", Retry_After="soon"), 3),
        (answer(b"", "503 X", Retry_After="3600"), 3),
        (answer(b"", "500 X", Retry_After="0"), 3),
    ],
    ids=["not wanted", "no time told", "no time at all", "too long", "another status"],
)
def test_otherwise_nothing_is_asked_again(reply: Reply, retries: int) -> None:
    with scripted(reply) as server, pyjob.Client(server.url, retries=retries) as client:
        failing(client.perform)
        assert len(server.requests) == 1


def test_retries_have_an_end() -> None:
    with scripted(BUSY) as server, pyjob.Client(server.url, retries=2) as client:
        failing(client.perform, pyjob.CallTooManyError)
        assert len(server.requests) == 3


def test_waiting_for_a_job_that_cannot_load_ends_at_once() -> None:
    live = answer(b'{"live": false, "error": "no model"}', "500 X")
    with scripted(answer(b"", "500 X"), live) as server, pyjob.Client(server.url) as client:
        error = failing(client.wait_ready)
    assert "GET /live: failed to load: no model" in str(error)


def test_waiting_for_a_job_has_an_end_that_says_why() -> None:
    with scripted() as server:
        address = server.url
    error = failing(lambda: pyjob.Client(address).wait_ready(0.1), pyjob.CallTimeoutError)
    assert "not ready within 0.1 s" in str(error)
    assert "Connection refused" in str(error)


def test_a_job_becomes_ready() -> None:
    loading, live = answer(b'{"ready": false}', "500 X"), answer(b'{"live": true}')
    with scripted(loading, live, answer(b'{"ready": true}')) as server, pyjob.Client(server.url) as client:
        client.wait_ready(30)
        assert len(server.requests) == 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate for 127.0.0.1, signed by itself, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sample"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "-", "-out", "-"]
    path.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    return path


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server needs whom clients trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_file_that_takes_its_time_is_sent_whole_over_https(tls: ssl.SSLContext) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            time.sleep(0.05)  # meanwhile the server sends its session tickets, which are no answer
            return super().read(size)

    with scripted(answer(b"1"), tls=tls) as server:
        with pyjob.Client(server.url.replace("http:", "https:"), timeout=30) as client:
            assert client.perform(data=Slow(b"x" * 100_000)) == 1
        assert server.requests[0].endswith(b"--\r\n")


def test_what_was_decrypted_and_not_asked_for_is_no_answer_to_the_next_call(tls: ssl.SSLContext) -> None:
    # The reader of the first answer takes exactly that; what else came is known to TLS alone.
    size = io.DEFAULT_BUFFER_SIZE
    first = answer(b"1", X_Filler="a" * (size - len(answer(b"1", X_Filler="-").data) + 1))
    assert len(first.data) == size
    with scripted(Reply(first.data + answer(b'"stray"').data), answer(b"2"), tls=tls) as server:
        with pyjob.Client(server.url.replace("http:", "https:")) as client:
            assert [client.perform(), client.perform()] == [1, 2]
        assert server.accepted == 2


def test_https_is_spoken_with_the_certificates_of_the_system(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with scripted(answer(b"1"), answer(b"2"), tls=tls) as server:
        url = server.url.replace("http:", "https:")
        error = failing(pyjob.Client(url).perform, pyjob.CallConnectionError)
        assert "certificate verify failed" in str(error)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pyjob.Client(url) as client:
            assert [client.perform(), client.perform()] == [1, 2]
        assert server.accepted == 2


def test_the_public_names_are_listed_and_a_wrong_one_is_none() -> None:
    assert {*pyjob.__all__} <= {*dir(pyjob)}
    with pytest.raises(AttributeError, match="call_jobb"):
        pyjob.call_jobb  # type: ignore[attr-defined]  # noqa: B018  told by type checkers, too
