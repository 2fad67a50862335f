"""Web applications that fail, early or late: what is answered and told, and that nothing is left behind."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from tests.conftest import ClientOf
from tests.views import HTML, Body, Server, Viewed, answering


@pytest.mark.parametrize("writes", [True, False])
def test_after_the_first_byte_another_answer_is_refused_as_the_server_does(writes: bool) -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", HTML)
        if writes:
            write(b"one")
        else:
            yield b"one"
        try:
            raise ZeroDivisionError("told")
        except ZeroDivisionError:
            start_response("502 Bad Gateway", HTML, sys.exc_info())
        yield b"never"

    server = Server(application)
    with pytest.raises(ZeroDivisionError, match="told"):
        list(server.ask())
    assert [status for status, _ in server.heads] == ["200 OK"]
    assert server.is_free()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((), 200),
        ((b"", b"one", b"two"), 200),
        ((ZeroDivisionError(), b"one"), 500),
        ((b"", SystemExit(), b"one"), 500),
    ],
)
def test_a_body_is_closed_once(client_of: ClientOf, pieces: Any, status: int, method: str) -> None:
    body = Body(*pieces)
    client = client_of(Viewed(answering(body)))
    assert client.open("/webview/", method=method).status_code == status
    assert body.closed == 1
    assert client.application.gates.running == 0


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ZeroDivisionError, ZeroDivisionError),
        (SystemExit, RuntimeError),
        (KeyboardInterrupt, RuntimeError),
    ],
)
def test_an_answer_that_breaks_off_is_logged_and_breaks_the_connection(
    caplog: pytest.LogCaptureFixture, error: type[BaseException], raised: type[Exception]
) -> None:
    body = Body(b"one", error("told"), b"two")
    server = Server(answering(body))
    answer = server.ask()
    assert next(answer) == b"one"
    with pytest.raises(raised):
        next(answer)
    assert server.is_free()
    answer.close()
    assert body.closed == 1
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage().startswith("the web view broke off")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], error)


@pytest.mark.parametrize(
    ("error", "raised"), [(ZeroDivisionError, ZeroDivisionError), (SystemExit, RuntimeError)]
)
def test_what_fails_after_it_has_written_never_ends_the_server(
    caplog: pytest.LogCaptureFixture, error: type[BaseException], raised: type[Exception]
) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", HTML)(b"one")
        raise error("told")

    server = Server(application)
    with pytest.raises(raised):
        server.ask()
    assert server.is_free()
    assert f"{error.__name__}: told" in caplog.text


@pytest.mark.parametrize("writes", [True, False])
def test_where_the_server_refuses_the_head_the_body_is_closed_and_the_slot_free(writes: bool) -> None:
    body = Body(b"one")

    def application(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", HTML)
        if writes:
            with suppress(ValueError):
                write(b"one")
            raise ValueError("refused")
        return body

    server = Server(application, refusing=ValueError("refused"))
    with pytest.raises(ValueError, match="refused"):
        server.ask()
    assert body.closed == (not writes)
    assert server.is_free()


def test_who_never_calls_start_response_is_an_error_that_says_so(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    body = Body(b"one")
    client = client_of(Viewed(lambda environ, start_response: body))
    assert client.get("/webview/").status_code == 500
    assert client_of(Viewed(lambda environ, start_response: None)).get("/webview/").status_code == 500
    assert "the application has not called start_response" in caplog.text
    assert body.closed == 1


def test_a_file_without_start_response_is_closed_and_answered_500() -> None:
    content = io.BytesIO(b"content")
    server = Server(lambda environ, start_response: FileWrapper(content))
    list(server.ask(wrapper=FileWrapper))
    assert [status for status, _ in server.heads] == ["500 Internal Server Error"]
    assert content.closed
