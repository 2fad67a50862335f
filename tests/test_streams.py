"""Generators as results: written item by item in three formats, ended with callers (SPEC 4.8, 5.5)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Annotated, Any

import pytest

import pyjob
from pyjob.calls import stream
from pyjob.errors import SampleError
from tests.conftest import ClientOf, JobClient

FORMATS = ["application/json", "text/event-stream", "application/x-ndjson"]
KINDS = ["generator", "iterator", "async_generator", "async_iterator"]
SET_INSIDE: ContextVar[int] = ContextVar("set_inside")


class Streaming:
    """Streams of every kind; ``closed`` counts those that have ended."""

    def __init__(self) -> None:
        self.closed = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.waits = threading.Event()

    def perform(self, items: list[Any], kind: str = "generator") -> Any:
        return getattr(self, kind)(items)

    def generator(self, items: list[Any]) -> Iterator[Any]:
        try:
            for item in items:
                yield self.made(item)
        finally:
            self.closed.release()

    def iterator(self, items: list[Any]) -> Iterator[Any]:
        return map(self.made, items)

    async def async_generator(self, items: list[Any]) -> AsyncIterator[Any]:
        try:
            for item in items:
                yield self.made(item)
        finally:
            self.closed.release()

    def async_iterator(self, items: list[Any]) -> Any:
        return OneByOne(self, items)

    def made(self, item: Any) -> Any:
        """The item, or what it asks for."""
        if item == "raise":
            raise RuntimeError("no more")
        if item == "refuse":
            raise pyjob.JobError(409, "not this one")
        if item == "exit":
            raise SystemExit(3)
        if item == "object":
            return {"owner": [object()]}
        if item == "wait":
            self.waits.set()
            self.go_on.wait(60)
        return item

    async def later(self, items: list[Any]) -> Iterator[Any]:
        return self.generator(items)

    def auxiliary_endpoints(self) -> dict[str, Any]:
        return {"/later": self.later}


class OneByOne:
    """An asynchronous iterator that is no generator."""

    def __init__(self, job: Streaming, items: list[Any]) -> None:
        self.job = job
        self.items = iter(items)

    def __aiter__(self) -> OneByOne:
        return self

    async def __anext__(self) -> Any:
        for item in self.items:
            return self.job.made(item)
        raise StopAsyncIteration


@pytest.fixture
def job() -> Streaming:
    return Streaming()


@pytest.fixture
def client(client_of: ClientOf, job: Streaming) -> JobClient:
    return client_of(job, manifest={"jobtype_extra": {"max_concurrency": 1, "max_concurrency_queue": 0}})


def ask(client: JobClient, items: list[Any], accept: str = "", **options: Any) -> Any:
    path = options.pop("path", "/perform")
    kind = {"kind": options.pop("kind")} if "kind" in options else {}
    headers = {"Accept": accept} if accept else {}
    return client.post(path, json={"items": items, **kind}, headers=headers, **options)


def metric(client: JobClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("accept", "text"),
    [
        ("application/json", '[{"a":1},"x\\ny",[],null]'),
        (
            "text/event-stream",
            'id: 1\ndata: {"a":1}\n\nid: 2\ndata: x\ndata: y\n\nid: 3\ndata: []\n\nid: 4\ndata: null\n\n',
        ),
        ("application/x-ndjson", '{"a":1}\n"x\\ny"\n[]\nnull\n'),
    ],
)
def test_items_of_every_kind_are_written_as_the_caller_accepts(
    client: JobClient, kind: str, accept: str, text: str
) -> None:
    answer = ask(client, [{"a": 1}, "x\ny", [], None], accept, kind=kind)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.content_type == accept
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("accept", "text"), list(zip(FORMATS, ["[]", "", ""], strict=True)))
def test_a_stream_without_items_is_empty(client: JobClient, kind: str, accept: str, text: str) -> None:
    answer = ask(client, [], accept, kind=kind)
    assert (answer.status_code, answer.text) == (200, text)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json, text/event-stream", "application/json"),
        ("text/event-stream, */*", "text/event-stream"),
        ("Text/Event-Stream;charset=utf-8", "text/event-stream"),
        ("application/json;q=0.5, text/event-stream;q=0.9", "text/event-stream"),
        ("text/event-stream;q=0", "application/json"),
        ("text/event-stream;q=nan", "application/json"),
        ("text/event-stream;q=0.4, application/x-ndjson;q=0.5", "application/x-ndjson"),
        ("application/x-ndjson;q=0.4, */*;q=0.5", "application/json"),
        (",;,;q=", "application/json"),
    ],
)
def test_the_caller_chooses_the_format(client: JobClient, accept: str, expected: str) -> None:
    assert ask(client, [1], accept).content_type == expected


def test_a_coroutine_may_return_a_generator(client: JobClient) -> None:
    assert ask(client, [1, 2], path="/later").json == [1, 2]


@pytest.mark.parametrize(
    ("item", "data"),
    [
        ("", "data: "),
        (" leading", "data:  leading"),
        ("a\r\nb\rc\nd", "data: a\ndata: b\ndata: c\ndata: d"),
        ("end\n", "data: end\ndata: "),
        ("data: x\n\nevent: error", "data: data: x\ndata: \ndata: event: error"),
        ("\ud800é", "data: ?é"),
    ],
)
def test_text_in_an_event_forges_no_other_event(client: JobClient, item: str, data: str) -> None:
    assert ask(client, [item], "text/event-stream").text == f"id: 1\n{data}\n\n"


@pytest.mark.parametrize(
    ("accept", "text"), list(zip(FORMATS, ['["AP8="]', "id: 1\ndata: AP8=\n\n", '"AP8="\n'], strict=True))
)
def test_bytes_are_base64(client_of: ClientOf, accept: str, text: str) -> None:
    class Job:
        def perform(self) -> Iterator[bytes]:
            yield b"\x00\xff"

    assert client_of(Job).post("/perform", headers={"Accept": accept}).text == text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize(
    ("item", "status", "error"),
    [
        ("raise", 500, {"error": "no more", "type": "RuntimeError"}),
        ("refuse", 409, {"error": "not this one", "type": "JobError"}),
        ("exit", 500, {"error": "the job called sys.exit(3)", "type": "SystemExit"}),
        (
            "object",
            500,
            {
                "error": "result[0].owner[0]: object of type object cannot be sent as JSON",
                "type": "ResultError",
            },
        ),
    ],
)
def test_a_fault_before_the_first_item_is_an_ordinary_error(
    client: JobClient, kind: str, accept: str, item: str, status: int, error: object
) -> None:
    answer = ask(client, [item], accept, kind=kind)
    assert (answer.status_code, answer.json) == (status, error)
    assert metric(client, 'request_internal_errors_total{endpoint="/perform"}') == 1
    assert metric(client, "pyjob_calls_running") == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("raise", '"no more", "type": "RuntimeError"'),
        ("exit", '"the job called sys.exit(3)", "type": "SystemExit"'),
        (
            "object",
            '"result[1].owner[0]: object of type object cannot be sent as JSON", "type": "ResultError"',
        ),
    ],
)
def test_a_fault_after_the_first_item_is_the_last_one(
    client: JobClient, caplog: pytest.LogCaptureFixture, kind: str, item: str, message: str
) -> None:
    fault = f'{{"error": {message}}}'
    texts = [f"[0,{fault}]", f"id: 1\ndata: 0\n\nevent: error\nid: 2\ndata: {fault}\n\n", f"0\n{fault}\n"]
    for count, (accept, text) in enumerate(zip(FORMATS, texts, strict=True), 1):
        answer = ask(client, [0, item, 2], accept, kind=kind)
        assert (answer.status_code, answer.text) == (200, text)
        assert metric(client, 'request_internal_errors_total{endpoint="/perform"}') == count
    assert metric(client, "pyjob_calls_running") == 0
    failures = [record for record in caplog.records if "/perform failed" in record.getMessage()]
    assert len(failures) == 3
    assert all(record.exc_info or record.exc_text for record in failures)


def test_a_generator_is_closed_after_an_item_that_cannot_be_sent(client: JobClient, job: Streaming) -> None:
    for kind in ("generator", "async_generator"):
        ask(client, [0, "object", 2], kind=kind)
        assert job.closed.acquire(timeout=60)


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
@pytest.mark.parametrize("accept", FORMATS)
def test_a_caller_that_leaves_ends_the_generator_and_frees_the_slot(
    client: JobClient, job: Streaming, kind: str, accept: str
) -> None:
    answer = ask(client, [*range(1000)], accept, kind=kind, streamed=True)
    next(answer.iter_encoded())
    assert metric(client, "pyjob_calls_running") == 1
    assert ask(client, [1]).status_code == 429
    answer.close()
    assert job.closed.acquire(blocking=False)
    assert metric(client, "pyjob_calls_running") == 0
    assert ask(client, [1]).status_code == 200


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_that_goes_on_after_it_was_closed_is_told_of(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, accept: str, *, is_async: bool
) -> None:
    class Stubborn:
        def perform(self) -> Any:
            return self.items_async() if is_async else self.items()

        def items(self) -> Iterator[int]:
            try:
                yield 1
                yield 2
            except GeneratorExit:
                yield 3

        async def items_async(self) -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            except GeneratorExit:
                yield 3

    client = client_of(Stubborn)
    answer = client.post("/perform", headers={"Accept": accept}, streamed=True)
    next(answer.iter_encoded())
    answer.close()
    assert metric(client, "pyjob_calls_running") == 0
    assert metric(client, 'request_internal_errors_total{endpoint="/perform"}') == 1
    assert "generator ignored GeneratorExit" in caplog.text


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_clean_up_that_fails_is_told_of(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, accept: str, *, is_async: bool
) -> None:
    class Careless:
        def perform(self) -> Any:
            return self.items_async() if is_async else self.items()

        def items(self) -> Iterator[int]:
            try:
                yield 1
            finally:
                raise KeyError("lost")

        async def items_async(self) -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                raise KeyError("lost")

    client = client_of(Careless)
    answer = client.post("/perform", headers={"Accept": accept}, streamed=True)
    next(answer.iter_encoded())
    answer.close()
    assert metric(client, "pyjob_calls_running") == 0
    assert metric(client, 'request_internal_errors_total{endpoint="/perform"}') == 1
    assert "no such key: 'lost'" in caplog.text


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
@pytest.mark.parametrize("accept", FORMATS)
def test_the_first_item_is_sent_before_the_second_is_made(
    client: JobClient, job: Streaming, kind: str, accept: str
) -> None:
    made: list[Any] = []
    job.made = lambda item: made.append(item) or item  # type: ignore[method-assign,func-returns-value]
    answer = ask(client, [1, 2], accept, kind=kind, streamed=True)
    chunks = answer.iter_encoded()
    assert b"1" in next(chunks)
    assert made == [1]
    assert b"2" in next(chunks)
    assert made == [1, 2]
    answer.close()


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_a_quiet_event_stream_says_that_it_is_there(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)

    class Quiet:
        def __init__(self) -> None:
            self.go_on = threading.Event()
            self.ahead = threading.Event()

        def perform(self) -> Any:
            return getattr(self, kind)()

        def generator(self) -> Iterator[int]:
            yield 1
            self.go_on.wait(60)
            yield 2
            self.ahead.set()

        async def async_generator(self) -> AsyncIterator[int]:
            import asyncio

            yield 1
            while not self.go_on.is_set():
                await asyncio.sleep(0.01)
            yield 2
            self.ahead.set()

    job = Quiet()
    client = client_of(job)
    answer = client.post("/perform", headers={"Accept": "text/event-stream"}, streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"id: 1\ndata: 1\n\n"
    assert [next(chunks) for _ in range(3)] == [b":\n\n"] * 3
    job.go_on.set()
    while (chunk := next(chunks)) == b":\n\n":
        """It has not come yet."""
    assert chunk == b"id: 2\ndata: 2\n\n"
    # One was asked for, however often it was waited for.
    assert not job.ahead.wait(0.1)
    assert list(chunks) == []
    answer.close()


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_a_quiet_event_stream_is_ended_by_its_next_item_or_at_once(
    client: JobClient, job: Streaming, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    before = set(threading.enumerate())
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)
    answer = ask(client, [1, "wait", 2], "text/event-stream", kind=kind, streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"id: 1\ndata: 1\n\n"
    assert next(chunks) == b":\n\n"
    closing = threading.Thread(target=answer.close)
    closing.start()
    job.go_on.set()
    closing.join(60)
    assert job.closed.acquire(blocking=False)
    assert metric(client, "pyjob_calls_running") == 0
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name == "pyjob-stream"]


def test_a_quiet_event_stream_is_over_when_its_clean_up_is(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)

    class Tidy:
        def __init__(self) -> None:
            self.go_on, self.tidies, self.is_tidy = (threading.Event() for _ in range(3))

        def perform(self) -> Iterator[int]:
            try:
                yield 1
                self.go_on.wait(60)
                yield 2
            finally:
                self.tidies.set()
                self.is_tidy.wait(60)

    job = Tidy()
    client = client_of(job)
    answer = client.post("/perform", headers={"Accept": "text/event-stream"}, streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"id: 1\ndata: 1\n\n"
    assert next(chunks) == b":\n\n"
    closing = threading.Thread(target=answer.close)
    closing.start()
    job.go_on.set()
    assert job.tidies.wait(60)
    closing.join(0.1)
    assert closing.is_alive()
    assert metric(client, "pyjob_calls_running") == 1
    job.is_tidy.set()
    closing.join(60)
    assert metric(client, "pyjob_calls_running") == 0


def test_a_generator_that_takes_no_notice_of_its_end_is_ended_at_its_next_item(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)

    class Stubborn:
        def __init__(self) -> None:
            self.made = 0
            self.waits = threading.Event()

        async def perform(self) -> AsyncIterator[int]:
            import asyncio

            yield 1
            self.waits.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(600)
            for item in (2, 3):
                self.made = item
                yield item

    job = Stubborn()
    client = client_of(job)
    answer = client.post("/perform", headers={"Accept": "text/event-stream"}, streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"id: 1\ndata: 1\n\n"
    assert next(chunks) == b":\n\n"
    assert job.waits.wait(60)
    closing = threading.Thread(target=answer.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    assert job.made == 2
    assert metric(client, "pyjob_calls_running") == 0


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("accept", FORMATS)
def test_items_are_made_in_the_context_of_their_request(
    client_of: ClientOf, accept: str, *, is_async: bool
) -> None:
    class Contextual:
        request_context: Any
        request_extra: Any

        def perform(self) -> Any:
            self.request_extra.get()["by"] = "perform"
            return self.items_async() if is_async else self.items()

        def items(self) -> Iterator[Any]:
            SET_INSIDE.set(7)
            yield self.request_context.get().headers.get("x-caller")
            yield [self.request_extra.get()["by"], SET_INSIDE.get()]

        async def items_async(self) -> AsyncIterator[Any]:
            SET_INSIDE.set(7)
            yield self.request_context.get().headers.get("x-caller")
            yield [self.request_extra.get()["by"], SET_INSIDE.get()]

    client = client_of(Contextual)
    answer = client.post("/perform", headers={"Accept": accept, "X-Caller": "Ada"})
    assert "Ada" in answer.text
    assert '["perform",7]' in answer.text
    assert SET_INSIDE.get(None) is None


def test_head_asks_for_no_more_than_the_first_item(client_of: ClientOf) -> None:
    class Asked:
        def __init__(self) -> None:
            self.made: list[int] = []

        def items(self) -> Iterator[int]:
            for item in range(3):
                self.made.append(item)
                yield item

        def auxiliary_endpoints_v2(self) -> list[pyjob.EndpointConfig]:
            return [pyjob.EndpointConfig("/items", "GET", self.items)]

    job = Asked()
    client = client_of(job)
    answer = client.open("/items", method="HEAD", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.content_type, answer.data) == (200, "text/event-stream", b"")
    assert job.made == [0]
    assert metric(client, "pyjob_calls_running") == 0
    assert client.get("/items").json == [0, 1, 2]


def test_a_stream_is_not_stored_nor_held_back_by_a_proxy(client: JobClient) -> None:
    headers = ask(client, [1]).headers
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Vary"] == "Accept"


@pytest.mark.parametrize("value", [range(3), (1, 2), {1}, {}.values(), [iter([])]])
def test_what_is_no_iterator_is_no_stream(client_of: ClientOf, value: Any) -> None:
    class Job:
        def perform(self) -> Any:
            return value

    answer = client_of(Job).post("/perform", headers={"Accept": "text/event-stream"})
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("kind", KINDS)
def test_in_process_a_stream_is_an_iterator_that_keeps_the_slot(
    client: JobClient, job: Streaming, kind: str
) -> None:
    items = client.application.call("/perform", {"items": [1, 2], "kind": kind})
    assert metric(client, "pyjob_calls_running") == 1
    assert list(items) == [1, 2]
    assert list(items) == []
    assert metric(client, "pyjob_calls_running") == 0


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_in_process_a_stream_can_be_closed_before_its_end(
    client: JobClient, job: Streaming, kind: str
) -> None:
    items = client.application.call("/perform", {"items": [1, 2], "kind": kind})
    assert next(items) == 1
    items.close()
    items.close()
    assert job.closed.acquire(blocking=False)
    assert metric(client, "pyjob_calls_running") == 0
    with pytest.raises(StopIteration):
        next(items)


@pytest.mark.parametrize("kind", KINDS)
def test_in_process_a_fault_is_raised_where_the_item_is_taken(client: JobClient, kind: str) -> None:
    items = client.application.call("/perform", {"items": [1, "raise"], "kind": kind})
    assert next(items) == 1
    with pytest.raises(RuntimeError, match="no more"):
        next(items)
    assert metric(client, "pyjob_calls_running") == 0
    assert metric(client, 'request_internal_errors_total{endpoint="/perform"}') == 1


def test_in_process_a_stream_that_is_forgotten_gives_its_slot_back(client: JobClient, job: Streaming) -> None:
    items = client.application.call("/perform", {"items": [1, 2]})
    next(items)
    del items
    assert job.closed.acquire(timeout=60)
    for _ in range(6000):  # it ends in another thread
        if metric(client, "pyjob_calls_running") == 0:
            return
        time.sleep(0.01)
    raise AssertionError("it keeps its slot")


def test_a_stream_may_be_forgotten_where_the_gate_is_locked(client: JobClient, job: Streaming) -> None:
    gate = client.application.gate
    left = [client.application.call("/perform", {"items": [1, 2]})]
    next(left[0])
    gate.queue = 1
    gate.enter(lambda: None, lambda: bool(left.clear()))  # type: ignore[func-returns-value]
    # Garbage is collected at any line, this time at one that holds the lock.
    sweeping = threading.Thread(target=gate.sweep, daemon=True)
    sweeping.start()
    sweeping.join(60)
    assert not sweeping.is_alive()
    assert job.closed.acquire(timeout=60)


def test_in_process_a_stream_is_read_by_one_thread_at_a_time(client: JobClient, job: Streaming) -> None:
    items = client.application.call("/perform", {"items": [1, "wait", 2]})
    assert next(items) == 1
    taken: list[Any] = []
    reading = threading.Thread(target=lambda: taken.append(next(items)))
    reading.start()
    job.waits.wait(60)
    for act in (lambda: next(items), items.close):
        with pytest.raises(RuntimeError, match="being taken already"):
            act()
    # Nor has that ended it.
    assert metric(client, "pyjob_calls_running") == 1
    job.go_on.set()
    reading.join(60)
    assert [*taken, *items] == ["wait", 2]
    assert metric(client, "pyjob_calls_running") == 0


@pytest.mark.parametrize("ending", ["exhausted", "failed", "closed"])
def test_in_process_an_iterator_is_closed_once_as_over_http(client_of: ClientOf, ending: str) -> None:
    class Counted:
        def __init__(self) -> None:
            self.closed = 0
            self.left = 1

        def perform(self) -> Any:
            return self

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            self.left -= 1
            if self.left >= 0:
                return self.left
            if ending == "failed":
                raise RuntimeError("no more")
            raise StopIteration

        def close(self) -> None:
            self.closed += 1

    job = Counted()
    client = client_of(job)
    items = client.application.call("/perform")
    assert next(items) == 0
    if ending == "failed":
        with pytest.raises(RuntimeError, match="no more"):
            next(items)
    elif ending == "exhausted":
        assert next(items, None) is None
    items.close()
    assert job.closed == 1
    job.left = 1
    answer = client.post("/perform", streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"[0"
    if ending != "closed":
        assert list(chunks)
    answer.close()
    assert job.closed == 2


@pytest.mark.parametrize("is_pieces", [False, True])
def test_each_item_is_a_sign_of_life(client_of: ClientOf, *, is_pieces: bool) -> None:
    class Slow:
        later = 0.0

        def perform(self) -> Any:
            return pyjob.Response(self.items()) if is_pieces else self.items()

        def items(self) -> Iterator[str]:
            for item in "abc":
                self.later += 50
                yield item

    job = Slow()
    client = client_of(job, manifest={"jobtype_extra": {"stuck_after": 60}})
    client.application.gate.clock = lambda: time.monotonic() + job.later
    answer = client.post("/perform", streamed=True)
    chunks = answer.iter_encoded()
    for item in (b"a", b"b", b"c"):
        assert item in next(chunks)
        assert client.get("/live").status_code == 200
    job.later += 70
    assert client.get("/live").status_code == 500
    answer.close()


@pytest.mark.parametrize("accept", FORMATS)
def test_there_is_no_empty_piece_which_could_look_like_the_end(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)

    class Quiet:
        async def perform(self) -> AsyncIterator[str]:
            import asyncio

            yield "first"
            await asyncio.sleep(0.1)
            yield "second"

    answer = client_of(Quiet).post("/perform", headers={"Accept": accept}, streamed=True)
    pieces = list(answer.iter_encoded())
    answer.close()
    assert all(pieces)
    assert (b":\n\n" in pieces) is (accept == "text/event-stream")


def test_a_sample_whose_stream_has_no_end_is_left_when_the_self_test_is_over() -> None:
    class Endless:
        def __init__(self) -> None:
            self.closed = threading.Event()

        def perform(self, x: int) -> Iterator[int]:
            try:
                while True:
                    yield x
            finally:
                self.closed.set()

        def docs_input_example(self) -> dict[str, int]:
            return {"x": 1}

    job = Endless()
    with pytest.raises(SampleError, match="no answer within"):
        pyjob.create(job, load="now", settings=pyjob.Settings(self_test=0.2))
    assert job.closed.wait(60)


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
@pytest.mark.parametrize("accept", ["text/csv", *FORMATS])
def test_what_a_generator_sets_in_its_context_it_can_take_back(
    client_of: ClientOf, kind: str, accept: str
) -> None:
    class Careful:
        def perform(self) -> Any:
            items = getattr(self, kind)()
            return pyjob.Response(items, accept) if accept == "text/csv" else items

        def generator(self) -> Iterator[str]:
            token = SET_INSIDE.set(1)
            yield "a"
            yield "b"
            SET_INSIDE.reset(token)

        async def async_generator(self) -> AsyncIterator[str]:
            token = SET_INSIDE.set(1)
            yield "a"
            yield "b"
            SET_INSIDE.reset(token)

    client = client_of(Careful)
    answer = client.post("/perform", headers={"Accept": accept}, streamed=True)
    # It is that of the stream, and of nobody else whom this thread serves.
    assert SET_INSIDE.get(None) is None
    assert "error" not in b"".join(answer.iter_encoded()).decode()
    answer.close()
    assert metric(client, 'request_internal_errors_total{endpoint="/perform"}') == 0


def test_the_clean_up_behind_the_one_item_of_head_is_told_of(client_of: ClientOf) -> None:
    class Careless:
        def items(self) -> Iterator[int]:
            try:
                yield 1
            finally:
                raise KeyError("lost")

        def auxiliary_endpoints_v2(self) -> list[pyjob.EndpointConfig]:
            return [pyjob.EndpointConfig("/items", "GET", self.items)]

    client = client_of(Careless)
    assert client.open("/items", method="HEAD").status_code == 200
    assert metric(client, 'request_internal_errors_total{endpoint="/items"}') == 1
    assert metric(client, "pyjob_calls_running") == 0


def test_in_process_a_stream_runs_in_the_context_of_its_call(client_of: ClientOf) -> None:
    class Job:
        request_context: Any

        def perform(self) -> Iterator[str]:
            yield self.request_context.get().path

    items = client_of(Job).application.call("/perform")
    assert list(items) == ["/api/v1/perform"]


def test_a_growing_array_is_json_whatever_its_items(client: JobClient) -> None:
    items: list[Any] = [None, True, 1.5, "é\ud800", {"a": [1]}, [], float(10**20)]
    assert json.loads(ask(client, items).data) == items


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_declared", [False, True])
def test_pieces_of_bytes_or_text_are_sent_as_they_are(
    client_of: ClientOf, job: Streaming, *, is_async: bool, is_declared: bool
) -> None:
    class Pieces:
        def make(self) -> Any:
            return (job.async_generator if is_async else job.generator)(["a,", "b\n"])

        def perform(self) -> pyjob.Response:
            return pyjob.Response(self.make(), "text/csv", filename="x.csv")

        def declared(self) -> Annotated[Any, "text/csv"]:
            return self.make()

        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/declared": self.declared}

    client = client_of(Pieces)
    path = "/declared" if is_declared else "/perform"
    answer = client.post(path, headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.text) == (200, "a,b\n")
    assert answer.content_type.startswith("text/csv")
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert ("Content-Disposition" in answer.headers) is not is_declared
    assert job.closed.acquire(blocking=False)
    left = client.post(path, streamed=True)
    next(left.iter_encoded())
    assert metric(client, "pyjob_calls_running") == 1
    left.close()
    assert job.closed.acquire(blocking=False)
    assert metric(client, "pyjob_calls_running") == 0


@pytest.mark.parametrize("is_async", [False, True])
def test_a_fault_among_pieces_breaks_the_answer_off(
    client_of: ClientOf, job: Streaming, caplog: pytest.LogCaptureFixture, *, is_async: bool
) -> None:
    class Pieces:
        def perform(self, items: list[Any]) -> pyjob.Response:
            return pyjob.Response((job.async_generator if is_async else job.generator)(items), "text/csv")

    client = client_of(Pieces)
    assert client.perform(items=["raise"]).json == {"error": "no more", "type": "RuntimeError"}
    answer = client.post("/perform", json={"items": ["a", "raise"]}, streamed=True)
    chunks = answer.iter_encoded()
    assert next(chunks) == b"a"
    with pytest.raises(RuntimeError, match="no more"):
        next(chunks)
    answer.close()
    assert metric(client, "pyjob_calls_running") == 0
    assert metric(client, 'request_internal_errors_total{endpoint="/perform"}') == 2


@pytest.mark.parametrize("declared", FORMATS)
def test_a_format_that_is_declared_is_the_only_one(client_of: ClientOf, declared: str) -> None:
    class Job:
        def perform(self) -> Iterator[int]:
            yield 1

    Job.perform.__annotations__["return"] = Annotated[Iterator[int], declared]
    client = client_of(Job)
    for accept in FORMATS:
        answer = client.post("/perform", headers={"Accept": accept})
        assert (answer.status_code, answer.content_type) == (200, declared)
    content = client.get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]["responses"]["200"]
    assert list(content["content"]) == [declared]


def test_the_docs_tell_in_which_formats_a_stream_comes(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> Iterator[int]:
            yield 1

    content = client_of(Job).get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]["responses"]["200"]
    assert list(content["content"]) == FORMATS
    assert content["content"]["application/json"]["schema"] == {"type": "array", "items": {"type": "integer"}}
