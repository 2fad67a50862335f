"""What a web application may do by PEP 3333, and that its slot is free afterwards."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from waitress.buffers import ReadOnlyFileBasedBuffer

from tests.conftest import ClientOf
from tests.views import HTML, Body, Server, Viewed, answering, without_ids


def test_start_response_may_be_called_as_late_as_in_the_generator() -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", [*HTML, ("X-Late", "yes")])
        yield b""
        yield b"one "
        yield b"two"

    server = Server(application)
    assert b"".join(server.ask()) == b"one two"
    assert server.heads == [("201 Created", [*HTML, ("X-Late", "yes")])]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], ""),
        ([b""], ""),
        ([b"", b""], ""),
        ((), ""),
        (iter(()), ""),
        ([b"one"], "one"),
        ([b"one ", b"", b"two"], "one two"),
        ((b"one ", b"two"), "one two"),
    ],
)
def test_bodies_of_every_kind_come_whole(client_of: ClientOf, body: Any, text: str) -> None:
    client = client_of(Viewed(answering(body)))
    answer = client.get("/webview/")
    assert (answer.status_code, answer.content_type, answer.text) == (200, "text/html", text)
    assert client.application.gates.running == 0


def test_an_answer_without_content_stays_one(client_of: ClientOf) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("204 No Content", [])
        return []

    answer = client_of(Viewed(application)).get("/webview/")
    assert (answer.status_code, answer.data, without_ids(answer.headers)) == (204, b"", [])


@pytest.mark.parametrize("body", [[], [b" three"], Body(b"", b" three")])
def test_what_is_written_comes_before_the_body(body: Any) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", HTML)
        write(b"one")
        write(b" two")
        return body

    server = Server(application)
    answer = server.ask()
    assert server.written == [b"one", b" two"]
    assert b"".join(answer) == (b" three" if body else b"")
    answer.close()
    assert server.heads == [("200 OK", HTML)]
    assert server.is_free()


def test_head_sends_nothing_of_what_is_written() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", HTML)(b"one")
        return [b"two"]

    server = Server(application)
    assert list(server.ask("HEAD")) == []
    assert (server.heads, server.written) == ([("200 OK", HTML)], [])
    assert server.is_free()


def test_until_the_first_byte_another_answer_can_take_the_place(client_of: ClientOf) -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HTML)
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("502 Bad Gateway", HTML, sys.exc_info())
        yield b"sorry"

    answer = client_of(Viewed(application)).get("/webview/")
    assert (answer.status_code, answer.text) == (502, "sorry")


def test_a_caller_that_leaves_early_ends_the_generator(client_of: ClientOf) -> None:
    told: list[str] = []

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            told.append("closed")

    client = client_of(Viewed(lambda *given: answering(pieces())(*given)))
    answer = client.get("/webview/", streamed=True)
    assert next(answer.response) == b"more"
    assert (told, client.application.gates.running) == ([], 1)
    answer.close()
    assert (told, client.application.gates.running) == (["closed"], 0)


def test_what_is_left_of_a_file_goes_to_waitress_and_holds_no_slot(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    file = path.open("rb")
    file.seek(4)
    server = Server(answering(ReadOnlyFileBasedBuffer(file)))
    sent = server.ask(wrapper=ReadOnlyFileBasedBuffer)
    assert server.heads == [("200 OK", HTML)]
    assert server.is_free()
    assert (type(sent), sent.prepare(), sent.get()) == (ReadOnlyFileBasedBuffer, 6, b"456789")
    path.write_bytes(b"")
    with pytest.raises(OSError, match="shorter"):  # and no loop of empty reads
        sent.get()
    sent.close()
    assert file.closed


def test_what_only_looks_like_a_file_is_read_by_the_pages_own_thread() -> None:
    content = io.BytesIO(b"content")
    server = Server(answering(ReadOnlyFileBasedBuffer(content)))
    answer = server.ask(wrapper=ReadOnlyFileBasedBuffer)
    assert not server.is_free()
    assert b"".join(answer) == b"content"
    answer.close()
    assert content.closed
    assert server.is_free()


@pytest.mark.parametrize("wrapper", [None, FileWrapper, lambda file: FileWrapper(file)])
def test_a_file_that_the_server_does_not_know_is_sent_and_closed(wrapper: Any) -> None:
    content = io.BytesIO(b"content")
    server = Server(answering(FileWrapper(content)))
    answer = server.ask(wrapper=wrapper)
    assert b"".join(answer) == b"content"
    answer.close()
    assert content.closed
    assert server.is_free()


def test_head_closes_a_file_and_sends_nothing() -> None:
    content = io.BytesIO(b"content")
    server = Server(answering(FileWrapper(content)))
    assert list(server.ask("HEAD", wrapper=FileWrapper)) == []
    assert content.closed


def test_a_file_after_what_was_written_begins_no_second_answer() -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", HTML)(b"one")
        return FileWrapper(io.BytesIO(b"two"))

    server = Server(application)
    assert b"".join(server.ask(wrapper=FileWrapper)) == b"two"
    assert (len(server.heads), server.written) == (1, [b"one"])
