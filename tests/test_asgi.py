"""ASGI applications behind WSGI: FastAPI, Starlette and bare functions (the extra `asgi`)."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import io
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.validate import validator

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import Client, EnvironBuilder, encode_multipart

from pyjob.environment.mask import Mask
from pyjob.errors import EntryPointError, PayloadError, PyjobError
from pyjob.job.event_loop import EventLoop
from pyjob.wire.asgi import AsgiApplication, is_asgi

pytest.importorskip("a2wsgi")

ROOT = "/api/v1/webview"
PATIENCE = 20.0
TEXT = [(b"content-type", b"text/plain")]

Message = Any
Serve = Callable[..., AsgiApplication]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Wrap an ASGI application; what is a function gets requests alone, unless it is to have a lifespan."""
    made: list[AsgiApplication] = []

    def wrap(application: Any, *, with_lifespan: bool = False) -> AsgiApplication:
        async def requests_alone(scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "http"
            await application(scope, receive, send)

        is_bare = inspect.isfunction(application) and not with_lifespan
        made.append(AsgiApplication(requests_alone if is_bare else application, EventLoop(), Mask()))
        return made[-1]

    yield wrap
    for wrapped in made:
        wrapped.close(PATIENCE)


def client_of(application: AsgiApplication) -> Client:
    return Client(validator(application))


def call(client: Client, path: str, method: str = "GET", root: str = ROOT, **options: Any) -> Any:
    base = f"http://localhost{root}"
    return client.open(path, base_url=base, method=method, buffered=True, **options)


def environ_of(path: str = "/", **options: Any) -> dict[str, Any]:
    return EnvironBuilder(path, base_url=f"http://localhost{ROOT}", **options).get_environ()


class Heads:
    """A server's start_response."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, *head: Any) -> Any:
        self.seen.append(head)
        return print


async def answer(send: Any, body: bytes = b"", status: int = 200, headers: Any = TEXT) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def only_http(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await answer(send, scope["path"].encode())


async def body_of(receive: Any) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        if not message["more_body"]:
            return body


class WithLifespan:
    """A bare application whose start-up and shut-down are counted, and may fail."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.faults: list[Any] = []
        self.serve: Any = only_http

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.serve(scope, receive, send)
            return
        assert (await receive())["type"] == "lifespan.startup"
        self.log.append("start")
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, BaseException):
                raise fault
            await send({"type": "lifespan.startup.failed", "message": fault})
            return
        scope["state"]["began"] = [len(self.log)]
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        self.log.append("stop")
        await send({"type": "lifespan.shutdown.complete"})


# Which is which


class AsyncInstance:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class SyncInstance:
    def __call__(self, scope: Any, receive: Any, send: Any) -> Any: ...


class WsgiInstance:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


async def four(extra: int, scope: Any, receive: Any, send: Any) -> None: ...


async def any_number(*arguments: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> Any: ...


def wsgi_with_option(environ: Any, start_response: Any, option: Any = None) -> Any: ...


@pytest.mark.parametrize(
    "application",
    [
        only_http,
        AsyncInstance(),
        AsyncInstance().__call__,
        SyncInstance(),
        functools.partial(four, 1),
        functools.partial(AsyncInstance()),
        any_number,
        lambda scope, receive, send: only_http(scope, receive, send),
    ],
)
def test_what_takes_scope_receive_and_send_is_asgi(application: Any) -> None:
    assert is_asgi(application)


@pytest.mark.parametrize(
    "application",
    [
        *(wsgi, WsgiInstance(), WsgiInstance().__call__, wsgi_with_option, lambda *arguments: None),
        *(
            functools.partial(wsgi_with_option, option=1),
            None,
            "no",
            int,
            lambda scope: None,
            validator(wsgi),
        ),
    ],
)
def test_wsgi_applications_and_what_is_neither_are_not_asgi(application: Any) -> None:
    assert not is_asgi(application)


def test_applications_of_frameworks_are_told_apart() -> None:
    assert is_asgi(pytest.importorskip("starlette.applications").Starlette())
    assert is_asgi(pytest.importorskip("fastapi").FastAPI())
    assert not is_asgi(pytest.importorskip("bottle").Bottle())


def test_without_a2wsgi_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(EntryPointError, match="pip install a2wsgi"):
        AsgiApplication(only_http, EventLoop(), Mask())


def test_making_one_starts_no_thread() -> None:
    threads = threading.active_count()
    AsgiApplication(only_http, EventLoop(), Mask())
    assert threading.active_count() == threads


# Requests and answers


@pytest.mark.parametrize("root", ["", ROOT, "/mounted/pub/job/x/latest/api/v1/webview", "/ä b"])
@pytest.mark.parametrize("path", ["/", "/view", "/größe/日本"])
def test_an_application_sees_its_root_path_and_the_whole_path(serve: Serve, root: str, path: str) -> None:
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["root_path"], scope["path"]))
        await answer(send)

    wrapped = serve(application)
    assert call(client_of(wrapped), path, root=root).status_code == 200
    assert seen[-1] == (root, root + path)


def test_a_request_carries_method_headers_query_client_and_versions(serve: Serve) -> None:
    scopes: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answer(send)

    headers = {"X-Name": "grün".encode().decode("latin-1")}
    address = {"REMOTE_ADDR": "192.0.2.7"}
    call(client_of(serve(application)), "/?a=1&b=%20", "PUT", headers=headers, environ_overrides=address)
    scope = scopes[-1]
    assert (scope["method"], scope["query_string"], scope["scheme"]) == ("PUT", b"a=1&b=%20", "http")
    assert (b"x-name", "grün".encode()) in scope["headers"]
    assert (scope["client"], scope["server"]) == (("192.0.2.7", 0), ("localhost", 80))
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}


@pytest.mark.parametrize(
    ("name", "value", "key", "seen"),
    [
        ("QUERY_STRING", "q=\xff&r=%20", "query_string", b"q=%FF&r=%20"),
        ("PATH_INFO", "/\xff", "path", f"{ROOT}/\ufffd"),
        ("SERVER_PORT", "", "server", ("localhost", 80)),
    ],
)
def test_what_a2wsgi_cannot_read_is_made_readable(
    serve: Serve, name: str, value: str, key: str, seen: Any
) -> None:
    scopes: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answer(send)

    assert list(serve(application)({**environ_of(), name: value}, Heads())) == []
    assert scopes[-1][key] == seen


def test_headers_that_belong_to_the_connection_are_left_to_the_server(serve: Serve) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        connection = [(b"Connection", b"close"), (b"transfer-encoding", b"chunked"), (b"x-own", b"1")]
        await answer(send, b"x", headers=iter([*TEXT, *connection]))

    answered = call(client_of(serve(application)), "/")
    assert answered.headers.to_wsgi_list() == [("content-type", "text/plain"), ("x-own", "1")]


def test_headers_may_be_left_out(serve: Serve) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299})
        await send({"type": "http.response.body"})

    heads = Heads()
    assert list(serve(application)(environ_of(), heads)) == []
    assert heads.seen == [("299 Unknown Status Code", [])]


def test_head_has_the_headers_and_no_body(serve: Serve) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"12345", headers=[*TEXT, (b"content-length", b"5")])

    answered = call(client_of(serve(application)), "/", "HEAD")
    assert (answered.data, answered.headers["Content-Length"]) == (b"", "5")


def test_a_body_of_many_megabytes_is_read_and_sent_back(serve: Serve) -> None:
    body = os.urandom(5_000_000)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, await body_of(receive))

    assert call(client_of(serve(application)), "/", "POST", data=body).data == body


def test_a_body_is_answered_while_it_is_read(serve: Serve) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    body = os.urandom(200_000)
    assert call(client_of(serve(application)), "/", "POST", data=body).data == body


def test_a_body_that_nobody_reads_is_no_trouble(serve: Serve) -> None:
    assert call(client_of(serve(only_http)), "/", "POST", data=b"x" * 1_000_000).status_code == 200


@pytest.mark.parametrize("body", [b"", b"x" * 100_000])
def test_a_chunked_body_is_read_from_a_server_that_ends_it(serve: Serve, body: bytes) -> None:
    names: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        names.extend(name for name, _ in scope["headers"])
        await answer(send, await body_of(receive))

    environ = environ_of(method="POST")
    environ.pop("CONTENT_LENGTH", None)
    environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(body)}
    wrapped = serve(application)
    assert b"".join(wrapped({**environ, "wsgi.input_terminated": True}, Heads())) == body
    assert b"content-length" not in names
    with pytest.raises(PayloadError, match="no chunked bodies") as caught:
        wrapped(environ, Heads())
    assert caught.value.status == 411


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError


@pytest.mark.parametrize("source", [io.BytesIO(b"short"), Broken()])
def test_a_body_that_breaks_off_is_an_error_and_ends_the_application(serve: Serve, source: Any) -> None:
    left = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    environ = environ_of(method="POST") | {"CONTENT_LENGTH": "10", "wsgi.input": source}
    with pytest.raises(PayloadError):
        serve(application)(environ, Heads())
    assert left.wait(PATIENCE)


def test_a_wait_for_the_body_that_is_given_up_loses_none_of_it(serve: Serve) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            waiting = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            waiting.cancel()
        await answer(send, await body_of(receive))

    body = os.urandom(300_000)
    assert call(client_of(serve(application)), "/", "POST", data=body).data == body


def test_after_the_answer_receive_says_that_the_client_has_gone(serve: Serve) -> None:
    told: list[Any] = []
    ended = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        listening = asyncio.ensure_future(receive())
        await answer(send, b"x")
        told.extend([await listening, await receive()])
        ended.set()

    assert call(client_of(serve(application)), "/", "POST", data=b"12").data == b"x"
    assert ended.wait(PATIENCE)
    assert told == [{"type": "http.disconnect"}] * 2


def test_items_of_a_stream_come_one_by_one(serve: Serve) -> None:
    taken: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            taken.append(number)
        await send({"type": "http.response.body"})

    stream = iter(serve(application)(environ_of(), Heads()))
    assert (next(stream), taken) == (b"0", [])
    assert (next(stream), taken) == (b"1", [0])
    assert (list(stream), taken) == ([b"2"], [0, 1, 2])


def test_the_context_of_the_request_is_seen_and_not_changed(serve: Serve) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    class Application(WithLifespan):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.log.append(f"{scope['type']} {variable.get()}")
            await super().__call__(scope, receive, send)
            variable.set("changed")

    application = Application()
    wrapped = serve(application)
    token = variable.set("of the request")
    try:
        assert call(client_of(wrapped), "/").status_code == 200
        assert variable.get() == "of the request"
    finally:
        variable.reset(token)
    assert application.log == ["lifespan unset", "start", "http of the request"]


def test_many_requests_are_answered_at_a_time(serve: Serve) -> None:
    count = 30
    here: list[asyncio.Event] = []
    inside = [0]

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if not here:
            here.append(asyncio.Event())
        inside[0] += 1
        if inside[0] == count:
            here[0].set()
        await here[0].wait()
        await answer(send, await body_of(receive))

    wrapped = serve(application)
    with ThreadPoolExecutor(count) as pool:
        bodies = [os.urandom(100_000) for _ in range(count)]
        answers = pool.map(lambda body: call(client_of(wrapped), "/", "POST", data=body).data, bodies)
        assert list(answers) == bodies


# Errors, and clients that leave


@pytest.mark.parametrize(
    "error", [ValueError("told"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()]
)
@pytest.mark.parametrize("begins", [False, True])
def test_an_error_before_the_first_byte_is_raised_and_nothing_has_been_answered(
    serve: Serve, error: BaseException, begins: bool
) -> None:
    faults: list[BaseException] = [error]

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and faults:
            if begins:
                await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            raise faults.pop()
        await only_http(scope, receive, send)

    heads = Heads()
    wrapped = serve(application)
    with pytest.raises(type(error)) as caught:
        wrapped(environ_of(), heads)
    assert caught.value is error
    assert heads.seen == []
    assert call(client_of(wrapped), "/").status_code == 200


@pytest.mark.parametrize(
    ("error", "raised"), [(ValueError("told"), ValueError), (SystemExit(3), RuntimeError)]
)
def test_an_error_in_the_middle_of_a_stream_breaks_it(serve: Serve, error: Any, raised: Any) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        raise error

    stream = iter(serve(application)(environ_of(), Heads()))
    assert next(stream) == b"1"
    with pytest.raises(raised):
        next(stream)


@pytest.mark.parametrize("messages", [[], ["start"]])
def test_an_application_that_returns_without_an_answer_is_an_error(serve: Serve, messages: list[str]) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        for kind in messages:
            await send({"type": f"http.response.{kind}", "status": 200, "headers": []})

    with pytest.raises(RuntimeError, match="returned before its answer was complete"):
        serve(application)(environ_of(), Heads())


@pytest.mark.parametrize(
    "kinds", [["http.response.body"], ["http.response.start"] * 2, ["http.response.push"]]
)
def test_messages_out_of_turn_are_an_error(serve: Serve, kinds: list[str]) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        for kind in kinds:
            await send({"type": kind, "status": 200, "headers": []})

    with pytest.raises(RuntimeError, match="out of turn"):
        serve(application)(environ_of(), Heads())


def test_a_server_that_refuses_the_head_ends_the_application(serve: Serve) -> None:
    ended = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await answer(send, b"x")
            await receive()
        finally:
            ended.set()

    def start_response(*_: Any) -> Any:
        raise ValueError("a header that the server does not like")

    with pytest.raises(ValueError, match="does not like") as caught:
        serve(application)(environ_of(), start_response)
    assert ended.wait(PATIENCE)
    assert caught.tb  # which a log may keep, and all that the frames hold


def test_an_error_after_the_answer_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await only_http(scope, receive, send)
        raise ValueError("in a background task")

    wrapped = serve(application)
    assert call(client_of(wrapped), "/").status_code == 200
    wrapped.close(PATIENCE)
    assert "in a background task" in caplog.text


def test_a_client_that_leaves_ends_the_application(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    told: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        except OSError as error:
            told.append(error)
            with pytest.raises(OSError, match="over"):
                await send({"type": "http.response.body"})
            told.append(await receive())
            raise
        finally:
            ended.set()

    wrapped = serve(application)
    stream: Any = wrapped(environ_of(), Heads())
    assert next(iter(stream)) == b"x"
    stream.close()
    assert ended.wait(PATIENCE)
    assert str(told[0]) == "the client has left"
    assert told[1] == {"type": "http.disconnect"}
    wrapped.close(PATIENCE)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_client_that_leaves_with_the_last_byte_has_had_the_answer(serve: Serve) -> None:
    ended = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"x")
        ended.set()

    stream: Any = serve(application)(environ_of(), Heads())
    assert next(iter(stream)) == b"x"
    stream.close()
    assert ended.wait(PATIENCE)


def test_a_background_task_holds_neither_the_client_nor_the_thread(serve: Serve) -> None:
    may_end, ended = threading.Event(), threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"all")
        await asyncio.to_thread(may_end.wait, PATIENCE)
        ended.set()

    wrapped = serve(application)
    assert call(client_of(wrapped), "/").data == b"all"
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(PATIENCE)


# Start-up and shut-down


def test_start_up_and_shut_down_run_once(serve: Serve) -> None:
    application = WithLifespan()
    wrapped = serve(application)
    wrapped.start()
    wrapped.start()
    assert call(client_of(wrapped), "/").status_code == 200
    assert application.log == ["start"]
    wrapped.close(PATIENCE)
    wrapped.close(PATIENCE)
    assert application.log == ["start", "stop"]


def test_twenty_first_requests_start_it_once(serve: Serve) -> None:
    application = WithLifespan()
    wrapped = serve(application)
    together = threading.Barrier(20)

    def first(_: int) -> int:
        together.wait(PATIENCE)
        return int(call(client_of(wrapped), "/").status_code)

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(first, range(20))) == {200}
    assert application.log == ["start"]


def test_closing_what_has_not_been_started_does_nothing(serve: Serve) -> None:
    application = WithLifespan()
    threads = threading.active_count()
    serve(application).close(PATIENCE)
    assert application.log == []
    assert threading.active_count() == threads


def test_requests_see_a_copy_of_the_lifespan_s_state(serve: Serve) -> None:
    states: list[Any] = []

    async def serving(scope: Any, receive: Any, send: Any) -> None:
        states.append(scope["state"])
        scope["state"]["own"] = True
        await answer(send)

    application = WithLifespan()
    application.serve = serving
    client = client_of(serve(application))
    call(client, "/")
    call(client, "/")
    assert states == [{"began": [1], "own": True}] * 2
    assert states[0] is not states[1]
    assert states[0]["began"] is states[1]["began"]


async def returns(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await answer(send)


async def answers_all_alike(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await answer(send)


async def listens_and_returns(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
    else:
        await answer(send)


@pytest.mark.parametrize("application", [only_http, returns, listens_and_returns, answers_all_alike])
def test_an_application_without_lifespan_is_served(serve: Serve, application: Any) -> None:
    wrapped = serve(application, with_lifespan=True)
    wrapped.start()
    assert call(client_of(wrapped), "/").status_code == 200
    wrapped.close(PATIENCE)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no database", "did not start: no database"),
        ("", "it gave no reason"),
        (ValueError("no model"), "ValueError: no model"),
        (SystemExit(2), r"SystemExit: .*sys.exit\(2\)"),
    ],
)
def test_a_failed_start_is_an_error_in_its_own_words_and_is_tried_again(
    serve: Serve, fault: Any, message: str
) -> None:
    application = WithLifespan()
    application.faults = [fault, fault]
    wrapped = serve(application)
    with pytest.raises(PyjobError, match=message) as caught:
        wrapped.start()
    assert isinstance(fault, str) or caught.value.__cause__ is fault
    with pytest.raises(PyjobError, match=message):
        wrapped(environ_of(), Heads())
    assert call(client_of(wrapped), "/").status_code == 200
    assert application.log == ["start"] * 3


def test_all_who_wait_for_a_start_hear_of_its_failure(serve: Serve) -> None:
    application = WithLifespan()
    wrapped = serve(application)
    others, may_fail = threading.Event(), threading.Event()

    async def starting(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        application.log.append("start")
        others.set()
        await asyncio.to_thread(may_fail.wait, PATIENCE)
        await send({"type": "lifespan.startup.failed", "message": "no"})

    def start() -> str:
        with pytest.raises(PyjobError) as caught:
            wrapped.start()
        return str(caught.value)

    wrapped = serve(starting, with_lifespan=True)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(start)
        assert others.wait(PATIENCE)
        second = pool.submit(start)
        may_fail.set()
        assert first.result(PATIENCE) == "the web application did not start: no"
        assert second.result(PATIENCE) == first.result()
    assert application.log in (["start"], ["start"] * 2)  # twice if the second came after the failure


@pytest.mark.parametrize("how", ["fails", "raises", "hangs"])
def test_a_shut_down_that_goes_wrong_is_logged_and_bounded(
    serve: Serve, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if how == "raises":
            raise ValueError("cannot stop")
        if how == "hangs":
            await asyncio.Event().wait()
        await send({"type": "lifespan.shutdown.failed", "message": "cannot stop"})

    wrapped = serve(application, with_lifespan=True)
    wrapped.start()
    wrapped.close(0.2)
    assert ("cannot stop" if how != "hangs" else "took longer than") in caplog.text


def test_closing_waits_for_background_tasks_before_shutting_down(serve: Serve) -> None:
    application = WithLifespan()
    may_end = threading.Event()

    async def serving(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)
        await asyncio.to_thread(may_end.wait, PATIENCE)
        application.log.append("task")

    application.serve = serving
    wrapped = serve(application)
    call(client_of(wrapped), "/")
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(wrapped.close, PATIENCE)
        may_end.set()
        closing.result(PATIENCE)
    assert application.log == ["start", "task", "stop"]


def test_closing_cancels_a_task_that_does_not_end(serve: Serve) -> None:
    cancelled = threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await only_http(scope, receive, send)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    wrapped = serve(application)
    call(client_of(wrapped), "/")
    wrapped.close(0.2)
    assert cancelled.wait(PATIENCE)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_process_that_serves_begins_its_own(serve: Serve) -> None:
    application = WithLifespan()
    wrapped = serve(application)
    assert call(client_of(wrapped), "/").status_code == 200
    child = os.fork()
    if child == 0:
        try:
            answered = call(client_of(wrapped), "/")
            wrapped.close(PATIENCE)
            right = answered.status_code == 200 and application.log == ["start", "start", "stop"]
            os._exit(0 if right else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert application.log == ["start"]
    wrapped.close(PATIENCE)
    assert application.log == ["start", "stop"]


# Frameworks


@pytest.fixture
def starlette_client(serve: Serve) -> Client:
    pytest.importorskip("starlette")
    pytest.importorskip("python_multipart")
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
    from starlette.routing import Mount, Route

    log: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any]]:
        log.append("start")
        yield {"log": log}
        log.append("stop")

    async def home(request: Any) -> Any:
        return JSONResponse({"url": str(request.url_for("view", name="größe")), "log": request.state.log})

    async def view(request: Any) -> Any:
        return JSONResponse({"name": request.path_params["name"], "seen": request.cookies.get("seen")})

    async def cookie(request: Any) -> Any:
        response = RedirectResponse(request.url_for("home"))
        response.set_cookie("seen", "yes")
        response.set_cookie("other", "1")
        return response

    async def form(request: Any) -> Any:
        async with request.form() as fields:
            file = fields["file"]
            content = await file.read()
            return JSONResponse([fields["name"], file.filename, len(content), content[:3].decode()])

    async def stream(request: Any) -> Any:
        async def items() -> AsyncIterator[str]:
            for number in range(3):
                yield f"{number};"

        return StreamingResponse(items(), media_type="text/plain")

    async def echo(request: Any) -> Any:
        assert not await request.is_disconnected()
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        task = BackgroundTask(log.append, "task")
        return Response(str(size), media_type="text/plain", background=task)

    routes = [
        *(Route("/", home, name="home"), Route("/view/{name}", view, name="view"), Route("/cookie", cookie)),
        *(Route("/form", form, methods=["POST"]), Route("/stream", stream)),
        *(Route("/echo", echo, methods=["POST"]), Mount("/sub", routes=[Route("/", view)])),
    ]
    # Unchecked: the redirects of Starlette have no content type, which the validator demands.
    return Client(serve(Starlette(routes=routes, lifespan=lifespan)))


@pytest.mark.parametrize("root", [ROOT, "/mounted" + ROOT, ""])
def test_starlette_routes_relative_to_its_root_and_makes_links_below_it(
    starlette_client: Client, root: str
) -> None:
    home = call(starlette_client, "/", root=root).json
    assert home == {"url": f"http://localhost{root}/view/größe", "log": ["start"]}
    assert call(starlette_client, "/view/größe", root=root).json == {"name": "größe", "seen": None}
    assert call(starlette_client, "/nothing", root=root).status_code == 404


@pytest.mark.parametrize("root", [ROOT, "/mounted" + ROOT])
def test_cookies_and_redirects_of_starlette_stay_below_its_root(starlette_client: Client, root: str) -> None:
    answered = call(starlette_client, "/cookie", root=root)
    assert (answered.status_code, answered.location) == (307, f"http://localhost{root}/")
    assert len(answered.headers.getlist("Set-Cookie")) == 2
    assert call(starlette_client, "/view/x", root=root).json["seen"] == "yes"


def test_a_missing_slash_is_redirected_below_the_root(starlette_client: Client) -> None:
    assert call(starlette_client, "/sub").location == f"http://localhost{ROOT}/sub/"


def test_forms_and_uploads_arrive(starlette_client: Client) -> None:
    file = FileStorage(io.BytesIO(b"abc" * 1_000_000), "ä.bin")
    boundary, body = encode_multipart({"name": "größe", "file": file})
    form = f"multipart/form-data; boundary={boundary}"
    answered = call(starlette_client, "/form", "POST", data=body, content_type=form)
    assert answered.json == ["größe", "ä.bin", 3_000_000, "abc"]


def test_streams_of_starlette_work_both_ways(starlette_client: Client) -> None:
    assert call(starlette_client, "/stream").text == "0;1;2;"
    assert call(starlette_client, "/echo", "POST", data=b"x" * 3_000_000).text == "3000000"


def test_an_exception_in_starlette_is_its_own_500_and_is_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    applications = pytest.importorskip("starlette.applications")
    from starlette.routing import Route

    async def fails(request: Any) -> Any:
        raise ZeroDivisionError("told")

    wrapped = serve(applications.Starlette(routes=[Route("/", fails)]))
    answered = call(client_of(wrapped), "/")
    assert (answered.status_code, answered.text) == (500, "Internal Server Error")
    wrapped.close(PATIENCE)
    assert "ZeroDivisionError: told" in caplog.text


def test_fastapi_works_with_its_docs_forms_and_dependencies(serve: Serve) -> None:
    fastapi = pytest.importorskip("fastapi")
    application = fastapi.FastAPI()

    def plain(number: int) -> dict[str, int]:
        return {"number": number}

    async def posted(values: list[int]) -> int:
        return sum(values)

    application.get("/plain")(plain)
    application.post("/posted")(posted)
    client = client_of(serve(application))
    assert call(client, "/plain?number=3").json == {"number": 3}
    assert call(client, "/plain?number=x").status_code == 422
    assert call(client, "/posted", "POST", json=[1, 2]).json == 3
    assert f"{ROOT}/openapi.json" in call(client, "/docs").text
    assert call(client, "/openapi.json").json["servers"] == [{"url": ROOT}]


def test_who_never_closes_it_hears_nothing_at_the_end_and_has_its_shut_down_run() -> None:
    script = """
    import contextlib
    from starlette.applications import Starlette
    from pyjob.environment.mask import Mask
    from pyjob.job.event_loop import EventLoop
    from pyjob.wire.asgi import AsgiApplication

    @contextlib.asynccontextmanager
    async def lifespan(application):
        yield
        print("shut down")

    AsgiApplication(Starlette(lifespan=lifespan), EventLoop(), Mask()).start()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "shut down\n", "")
