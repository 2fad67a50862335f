"""What waitress has to bound for us: lengths, chunks, sizes, slow senders (SPEC 4.3, 9)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.servers import Server, pyjob_run, started

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A job that tells how long its argument is, and takes bodies of at most 1 MiB."""
    folder = tmp_path_factory.mktemp("echo")
    (folder / "job.py").write_text("class Job:\n    def perform(self, text: str = ''): return len(text)\n")
    (folder / "job.yaml").write_text(
        "name: echo\nowner_email: a@example.com\njobtype: python3:latest\n"
        "git:\n  remote: https://example.com/echo\n"
        "jobtype_extra:\n  entrypoint_path: job.py\n  max_body_size: 1Mi\n"
    )
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def answers(server: Server, request: bytes) -> bytes:
    """Everything that the server says to ``request`` until it closes the connection."""
    with connect(server) as connection:
        with suppress(OSError):  # refused before everything was sent
            connection.sendall(request)
        received = b""
        with suppress(ConnectionResetError):
            while data := connection.recv(65536):
                received += data
        return received


def post(headers: str, body: bytes) -> bytes:
    head = f"POST /perform HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + body


def is_alive(server: Server) -> bool:
    return b'"live": true' in answers(server, b"GET /live HTTP/1.0\r\n\r\n")


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def told_by(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_chunked_body_is_read(echo: Server) -> None:
    body = b'5\r\n{"tex\r\n9\r\nt": "abc"\r\n1\r\n}\r\n0\r\n\r\n'
    answer = answers(echo, post("Transfer-Encoding: chunked\r\n", body))
    assert status_of(answer) == 200
    assert answer.endswith(b"\r\n3")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Length: 2\r\nContent-Length: 20\r\n", b"{}"),
        ("Content-Length: -2\r\n", b"{}"),
        ("Content-Length: two\r\n", b"{}"),
        ("Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
        ("Broken Header: x\r\n", b""),
    ],
)
def test_conflicting_or_broken_framing_is_400(echo: Server, headers: str, body: bytes) -> None:
    assert status_of(answers(echo, post(headers, body))) == 400
    assert is_alive(echo)


def test_length_and_chunks_together_never_smuggle_a_second_request(echo: Server) -> None:
    smuggled = b"0\r\n\r\nGET /live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = answers(echo, post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", smuggled))
    assert b"live" not in answer
    assert is_alive(echo)


@pytest.mark.parametrize("size", [MEGABYTE, MEGABYTE + 1])
def test_the_limit_of_a_body_is_exact(echo: Server, size: int) -> None:
    body = b'{"text": "' + b"x" * (size - 12) + b'"}'
    answer = answers(echo, post(f"Content-Length: {size}\r\n", body))
    assert status_of(answer) == (200 if size == MEGABYTE else 413)
    if size > MEGABYTE:
        assert told_by(answer) == {
            "error": "the body is longer than 1048576 bytes, the max_body_size of this job",
            "type": "Request Entity Too Large",
        }


def test_a_body_of_50_mb_is_refused_and_the_server_lives(echo: Server) -> None:
    size = 50 * MEGABYTE
    # The server answers as soon as it has read the head; the body is not sent.
    answer = answers(echo, post(f"Content-Length: {size}\r\n", b""))
    assert status_of(answer) == 413
    assert is_alive(echo)


def test_endless_chunks_are_refused(echo: Server) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert status_of(answers(echo, post("Transfer-Encoding: chunked\r\n", chunk * 40))) == 413
    assert is_alive(echo)


def test_a_huge_head_is_refused(echo: Server) -> None:
    answer = answers(echo, post("X-Long: " + "x" * 100_000 + "\r\n", b""))
    assert status_of(answer) == 431
    assert told_by(answer)["type"] == "Request Header Fields Too Large"
    assert is_alive(echo)


@pytest.mark.parametrize("blank", [b" ", b"\t", b" \t"])
def test_blanks_without_end_are_refused_before_they_hold_up_everybody(echo: Server, blank: bytes) -> None:
    # Read as they come, 60,000 of them would keep the server busy for a minute.
    value = blank * (60_000 // len(blank)) + b"x"
    answer = answers(echo, b"GET /live HTTP/1.1\r\nHost: x\r\nX-A:" + value + b"\r\n\r\n")
    assert status_of(answer) == 400
    assert is_alive(echo)


def test_slow_senders_hold_no_thread(echo: Server) -> None:
    """Many more clients than threads stand in the middle of their head or body."""
    waiting = []
    try:
        for number in range(40):
            connection = connect(echo)
            head = b"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            connection.sendall(head if number % 2 else head + b'\r\n{"te')
            waiting.append(connection)
        assert is_alive(echo)
        assert status_of(answers(echo, post("Content-Length: 2\r\n", b"{}"))) == 200
    finally:
        for connection in waiting:
            connection.close()
    assert is_alive(echo)


def test_a_client_that_leaves_in_the_middle_harms_nobody(echo: Server) -> None:
    for _ in range(20):
        with connect(echo) as connection:
            connection.sendall(post("Content-Length: 1000\r\n", b'{"text": "'))
    assert is_alive(echo)


def test_pipelined_calls_are_answered_in_order(echo: Server) -> None:
    one = b'POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{"text": "a"}'
    two = post("Content-Length: 14\r\n", b'{"text": "bb"}')
    answer = answers(echo, one + two)
    assert answer.count(b"200 OK") == 2
    assert answer.index(b"\r\n\r\n1") < answer.index(b"\r\n\r\n2")
