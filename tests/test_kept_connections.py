"""A connection that is kept: the same head again, other heads, bodies in pieces, several requests at once."""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.conftest import MakeJob
from tests.servers import Server, pyjob_run, started

ECHO = """
class Echo:
    def perform(self, n: int = 0, text: str = ""):
        environ = self.request_context.get().environ
        told = {name: environ.get(name) for name in ("HTTP_X_MARK", "QUERY_STRING", "CONTENT_LENGTH")}
        # Whatever one call leaves behind, the next one must not see.
        left = [name for name in environ if name.startswith("left.")]
        environ["left.behind"] = environ["HTTP_X_MARK"] = "changed by the job"
        return {"n": n, "text": text, "left": left, **told}
"""


TICKS = """
import time

class Ticks:
    def perform(self):
        for _ in range(12):
            yield "x" * 200
            time.sleep(0.5)
        for _ in range(60):
            yield "y" * 200_000
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("kept") / "echo"
    folder.mkdir()
    (folder / "echo.py").write_text(ECHO)
    with started(pyjob_run(folder / "echo.py")) as running:
        running.wait_until("/ready", 200)
        yield running


class Connection:
    """Sends bytes, and reads one answer after the other."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader: BinaryIO = self.socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self.socket.close()

    def answer(self) -> tuple[int, bytes]:
        """Status and body."""
        status, length = int(self.reader.readline().split()[1]), 0
        while line := self.reader.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, self.reader.read(length)


def request(n: int, text: str = "", *, mark: str | None = None, query: str = "") -> bytes:
    body = json.dumps({"n": n, "text": text}).encode()
    marked = f"X-Mark: {mark}\r\n" if mark is not None else ""
    head = f"POST /perform{query and '?'}{query} HTTP/1.1\r\nHost: x\r\n{marked}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def expected(n: int, text: str = "", *, mark: str | None = None, query: str = "") -> dict[str, object]:
    length = str(len(json.dumps({"n": n, "text": text})))
    told = {"HTTP_X_MARK": mark, "QUERY_STRING": query, "CONTENT_LENGTH": length}
    return {"n": n, "text": text, "left": [], **told}


@pytest.mark.parametrize("seed", range(12))
def test_every_request_of_a_connection_gets_its_own_answer(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    with Connection(server.port) as connection:
        for _ in range(40):
            asked: list[dict[str, Any]] = [
                {
                    "n": chance.randrange(10),
                    "text": "x" * chance.choice([0, 0, 0, 1, 3000, 9000]),
                    "mark": chance.choice([None, "a", "b"]),
                    "query": chance.choice(["", "", "q=1"]),
                }
                for _ in range(chance.choice([1, 1, 1, 2, 5]))
            ]
            data = b"".join(request(**one) for one in asked)
            ends = sorted(chance.sample(range(1, len(data)), chance.choice([0, 0, 0, 1, 3])))
            for begin, end in zip([0, *ends], [*ends, len(data)], strict=True):
                connection.socket.sendall(data[begin:end])
                if end != len(data) and chance.random() < 0.5:
                    time.sleep(0.001)  # so that the pieces are read one by one, as a rule
            for one in asked:
                status, body = connection.answer()
                assert (status, json.loads(body)) == (200, expected(**one))


def test_a_head_is_the_same_only_where_every_byte_is(server: Server) -> None:
    with Connection(server.port) as connection:
        for mark in ("a", "b", "a", "A", "a"):
            connection.socket.sendall(request(1, mark=mark))
            assert json.loads(connection.answer()[1])["HTTP_X_MARK"] == mark


def test_the_same_head_with_a_shorter_body_waits_for_the_rest(server: Server) -> None:
    whole = request(1, "abc")
    with Connection(server.port) as connection:
        connection.socket.sendall(whole)
        assert connection.answer()[0] == 200
        connection.socket.sendall(whole[:-5])
        connection.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.socket.recv(1)
        connection.socket.settimeout(60)
        connection.socket.sendall(whole[-5:])
        assert json.loads(connection.answer()[1]) == expected(1, "abc")


def test_a_head_inside_of_another_one_is_a_part_of_that(server: Server) -> None:
    begun = b"POST /perform HTTP/1.1\r\nX-Mark: "
    with Connection(server.port) as connection:
        connection.socket.sendall(request(1))
        assert connection.answer()[0] == 200
        connection.socket.sendall(begun)
        time.sleep(0.05)  # so that it is read by itself, as a rule
        connection.socket.sendall(request(1))
        assert json.loads(connection.answer()[1]) == expected(1, mark="POST /perform HTTP/1.1")


def test_more_bytes_than_the_head_announced_are_the_next_request(server: Server) -> None:
    whole = request(1)
    with Connection(server.port) as connection:
        connection.socket.sendall(whole)
        assert connection.answer()[0] == 200
        connection.socket.sendall(whole + b"}\r\n\r\n")
        assert connection.answer()[0] == 200
        assert connection.answer()[0] == 400


@pytest.mark.parametrize("last", ["HTTP/1.1\r\nConnection: close", "HTTP/1.0"])
def test_a_head_that_ends_the_connection_ends_it(server: Server, last: str) -> None:
    with Connection(server.port) as connection:
        connection.socket.sendall(request(1))
        assert connection.answer()[0] == 200
        connection.socket.sendall(f"GET /live {last}\r\nHost: x\r\n\r\n".encode())
        assert connection.answer()[0] == 200
        assert connection.socket.recv(1) == b""


def test_a_body_in_chunks_is_read_anew_each_time(server: Server) -> None:
    head = b"POST /perform HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Connection(server.port) as connection:
        for body in (b'{"n": 1}', b'{"n": 22}', b'{"n": 1}'):
            connection.socket.sendall(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            status, answer = connection.answer()
            assert (status, json.loads(answer)["n"]) == (200, json.loads(body)["n"])


def test_a_body_that_has_to_be_asked_for_is_asked_for_each_time(server: Server) -> None:
    head = b"POST /perform HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n"
    with Connection(server.port) as connection:
        for _ in range(3):
            connection.socket.sendall(head)
            assert connection.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert connection.reader.readline() == b"\r\n"
            connection.socket.sendall(b'{"n": 7}')
            status, answer = connection.answer()
            assert (status, json.loads(answer)["n"]) == (200, 7)


def test_a_head_after_one_that_has_to_be_asked_for_a_body_it_has_not_is_read_by_itself(
    server: Server,
) -> None:
    asking = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nX-Mark: secret\r\nExpect: 100-continue\r\n\r\n"
    with Connection(server.port) as connection:
        connection.socket.sendall(asking)
        assert connection.answer()[0] == 200
        for _ in range(3):
            connection.socket.sendall(request(1))
            assert json.loads(connection.answer()[1]) == expected(1)


def test_a_stream_goes_on_however_long_it_has_been_sent(tmp_path: Path) -> None:
    # Small items at first, which go straight out, then more than is taken at once.
    (tmp_path / "ticks.py").write_text(TICKS)
    code = "import sys; from pyjob.serving import server; usual = server._options\n"
    code += "server._options = lambda application: usual(application) | {'channel_timeout': 4}\n"
    code += "from pyjob.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *pyjob_run(tmp_path / "ticks.py")[3:]]
    with started(command) as server:
        server.wait_until("/ready", 200)
        with Connection(server.port) as connection:
            connection.socket.sendall(
                b"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
            )
            read = connection.reader.read(1000)
            time.sleep(7.5)  # until some time after the last small one
            read += connection.reader.read()
    assert read.count(b"y" * 1000) >= 60 * 195
    assert read.endswith(b"0\r\n\r\n")


def test_a_body_that_is_too_long_is_refused_each_time(make_job: MakeJob) -> None:
    folder = make_job(ECHO, extra={"max_body_size": "20"})
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        for _ in range(3):
            with Connection(server.port) as connection:
                connection.socket.sendall(
                    b'POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{"n": 7}'
                )
                assert connection.answer()[0] == 200
                connection.socket.sendall(request(1, "x" * 100) * 2)
                assert connection.answer()[0] == 413
