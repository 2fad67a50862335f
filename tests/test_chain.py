"""Jobs that call jobs: `call_job`, `stream_job`, `call_job_coroutine`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pyjob
from pyjob.client.request import Address
from pyjob.client.transport.connection import Connection, connected
from pyjob.client.transport.deadline import Deadline
from pyjob.client.transport.pool import PROCESS, Pool
from tests.scripted import CLOSE, HOLD, PATIENCE, Reply, answer, chunked, scripted
from tests.servers import Server, ask, pyjob_run, started

TOKEN = "a-token-of-ours"
JOB = SimpleNamespace()  # one that serves no request

LINK = """
import logging
import pyjob

class Link:
    def perform(self, x: float) -> float:
        logging.getLogger("link").info("here")
        return pyjob.call_job(self, "{callee}", "/api/v1/perform", {{"x": x}}) + 1

    def auxiliary_endpoints(self):
        return {{"/tokens": self.tokens, "/awaited": self.awaited}}

    def tokens(self, n: int):
        yield from pyjob.stream_job(self, "{callee}", "/api/v1/tokens", {{"n": n}})

    async def awaited(self, x: float) -> float:
        return await pyjob.call_job_async(self, "{callee}", "/api/v1/perform", {{"x": x}})
"""
LAST = """
import logging

class Last:
    def perform(self, x: float) -> float:
        logging.getLogger("link").info("here")
        if x < 0:
            raise KeyError("no root of it")
        return x

    def auxiliary_endpoints(self):
        return {"/tokens": self.tokens}

    def tokens(self, n: int):
        try:
            for index in range(n):
                yield {"token": index}
        finally:
            logging.getLogger("link").info("tokens are over")
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Three jobs, each of which has the next one as its platform: any name there is its own."""
    codes = {"first": LINK.format(callee="second"), "second": LINK.format(callee="last"), "last": LAST}
    with ExitStack() as stack:
        servers: list[Server] = []
        for name, code in reversed(codes.items()):
            folder = tmp_path_factory.mktemp(name)
            (folder / "job.py").write_text(code)
            manifest = {"name": name, "owner_email": "nobody@example.com", "jobtype": "python3:latest"}
            extra = {"jobtype_extra": {"entrypoint_path": "job.py"}}
            (folder / "job.yaml").write_text(json.dumps(manifest | extra))
            env = {"LOG_STRUCTURED": "true", "LOG_CALLER_NAME": "true"}
            env |= {"PUB_URL": f"{servers[0].url}/pub"} if servers else {}
            servers.insert(0, stack.enter_context(started(pyjob_run(folder), env=env)))
        for server in servers:
            server.wait_until("/ready", 200)
        yield servers


def lines_of(server: Server, tracing_id: str, message: str) -> list[Any]:
    return [
        record
        for record in map(json.loads, list(server.lines))
        if record.get("tracing_id") == tracing_id and message in record["msg"]
    ]


def test_a_chain_of_three_has_one_tracing_id_and_one_caller(three: list[Server]) -> None:
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    headers = {"X_Request_Tracing_Id": "of-the-chain", "X_Caller_Name": "alice", "traceparent": parent}
    status, _, result = ask(three[0], "POST", "/api/v1/perform", b'{"x": 1}', **headers)
    assert (status, result) == (200, 3)
    for server in three:
        server.wait_until_told("of-the-chain")
        (record,) = lines_of(server, "of-the-chain", "here")
        assert record["caller_name"] == "alice"


def test_the_innermost_error_is_readable_at_the_outermost_caller(three: list[Server]) -> None:
    status, _, told = ask(three[0], "POST", "/perform", b'{"x": -1}', X_Request_Tracing_Id="of-an-error")
    assert status == 500
    assert told == {
        "error": "job 'second' latest, POST /api/v1/perform: answered 500: "
        "job 'last' latest, POST /api/v1/perform: answered 500: no such key: 'no root of it' "
        "(tracing id of-an-error)",
        "type": "CallInternalError",
    }


def test_a_stream_goes_through_a_chain_and_stops_with_its_reader(three: list[Server]) -> None:
    with pyjob.Client(three[0].url) as client:
        assert list(client.stream("/tokens", n=3)) == [{"token": 0}, {"token": 1}, {"token": 2}]
        endless = client.stream("/tokens", n=100_000_000)
        assert next(endless) == {"token": 0}
        endless.close()
    three[2].repeat(lambda: three[2].output.count("tokens are over"), 2, "ends of streams")


def test_an_async_method_awaits_its_callee(three: list[Server]) -> None:
    assert ask(three[1], "POST", "/awaited", b'{"x": 4}')[2] == 4


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set where the platform is."""
    monkeypatch.setenv("AUTH_TOKEN", TOKEN)

    def at(url: str) -> None:
        monkeypatch.setenv("PUB_URL", f"{url}/pub")

    yield at
    PROCESS.close()


def failure(**options: Any) -> pyjob.CallError:
    with pytest.raises(pyjob.CallError) as caught:
        pyjob.call_job(JOB, **{"name": "adder", "path": "/x", "payload": {}, **options})
    assert str(caught.value).isprintable()
    assert TOKEN not in str(caught.value)
    return caught.value


def test_the_platform_is_asked_for_job_version_and_path(platform: Any) -> None:
    with scripted(answer(b'{"a": 1}')) as server:
        platform(server.url)
        assert pyjob.call_job(JOB, "adder", "api/v1/perform", {"x": 1}) == {"a": 1}
        pyjob.call_job(JOB, "ad der", "/x", {"x": [1, "a"], "y": "b c"}, version="1.0+a/b", method="get")
        first, second = server.requests
    assert first.startswith(b"POST /pub/job/adder/latest/api/v1/perform HTTP/1.1\r\n")
    assert f"X-Racetrack-Auth: {TOKEN}\r\n".encode() in first
    assert first.endswith(b'\r\n\r\n{"x":1}')
    assert second.startswith(b"GET /pub/job/ad%20der/1.0%2Ba%2Fb/x?x=%5B1%2C%22a%22%5D&y=b+c HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "PUB_URL is not set: it is the address of the platform, such as http://127.0.0.1:7000/pub; on "),
        ("127.0.0.1:7000/pub", "PUB_URL: expected http://HOST"),
        ("http://me:hunter22@127.0.0.1/pub", "PUB_URL: the URL holds credentials"),
        ("http://127.0.0.1/pub?key=hunter22", "PUB_URL: the URL has a query"),
    ],
)
def test_a_wrong_platform_is_told_with_job_and_path(
    url: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUB_URL", url)
    error = failure(payload={"x": 1})
    assert str(error).startswith(f"job 'adder' latest, POST /x: not sent: {expected}")
    assert "hunter22" not in str(error)
    assert (error.job, error.path, error.status) == ("adder", "/x", None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"name": ".."}, "name: expected a name, found '..'"),
        ({"name": ""}, "name: expected a name, found ''"),
        ({"name": "a\r\nb"}, "name: expected a name, found"),
        ({"version": "."}, "version: expected a name, found '.'"),
        ({"path": "/../other"}, "path: '.' or '..' in '/../other'"),
        ({"path": "/a\nb"}, "path: control characters"),
        ({"method": "GET /\r\n"}, "not a method of HTTP"),
        ({"payload": {"x": object()}}, "payload.x: object of type object cannot be sent as JSON"),
    ],
)
def test_what_cannot_be_sent_is_not(options: dict[str, Any], expected: str, platform: Any) -> None:
    with scripted(answer()) as server:
        platform(server.url)
        assert expected in str(failure(**options))
        assert server.accepted == 0


def test_a_long_chain_of_errors_keeps_its_beginning_and_its_end(platform: Any) -> None:
    told = "job 'a' latest, POST /x: answered 500: " * 1000 + "the first cause"
    with scripted(answer(json.dumps({"error": told}).encode(), "500 X")) as server:
        platform(server.url)
        error = failure()
    assert str(error).startswith("job 'adder' latest, POST /x: answered 500: job 'a' latest")
    assert str(error).endswith("answered 500: the first cause")
    assert len(str(error)) < 2200


def test_a_call_outside_of_a_request_has_the_id_of_the_answer(platform: Any) -> None:
    with scripted(answer(b'{"error": "no"}', "400 X", X_Request_Tracing_Id="given\x1b")) as server:
        platform(server.url)
        error = failure()
    assert str(error).endswith(r"(tracing id given\x1b)")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_thousand_calls_by_ten_threads_need_ten_sockets(platform: Any) -> None:
    before = open_files()
    with scripted(answer(b"1")) as server:
        platform(server.url)

        def hundred(_: int) -> int:
            return sum(pyjob.call_job(JOB, "adder", "/x", {"n": n}) for n in range(100))

        with ThreadPoolExecutor(10) as pool:
            assert sum(pool.map(hundred, range(10))) == 1000
        assert len(server.requests) == 1000
        assert server.accepted <= 10
        PROCESS.close()
    end = time.monotonic() + PATIENCE
    while open_files() > before and time.monotonic() < end:
        time.sleep(0.01)  # the server's ends are closed when it has seen that
    assert open_files() <= before


def kept(pool: Pool, address: Address) -> Connection:
    connection = connected(address, Deadline(30), pool.tls)
    connection.end()
    pool.keep(address, connection)
    return connection


def test_only_so_many_connections_are_kept_and_only_for_so_long() -> None:
    with scripted(answer()) as server:
        address, pool = Address.parsed(server.url), Pool(most_idle=2)
        oldest, old, new = (kept(pool, address) for _ in range(3))
        assert oldest.is_closed
        assert pool.take(address) is new
        old.idle_since -= 3600
        assert pool.take(address) is None
        assert old.is_closed
        new.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_leaves_the_connections_of_its_parent_alone(platform: Any) -> None:
    with scripted(answer(b"1")) as server:
        platform(server.url)
        pyjob.call_job(JOB, "adder", "/x", {})
        child = os.fork()
        if not child:
            os._exit(0 if pyjob.call_job(JOB, "adder", "/x", {}) == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert pyjob.call_job(JOB, "adder", "/x", {}) == 1
        assert server.accepted == 2


def test_a_forked_process_closes_no_stream_of_its_parent(platform: Any) -> None:
    forked = threading.Event()

    def finish(connection: socket.socket) -> None:
        assert forked.wait(30)
        connection.sendall(b"2\r\n2\n\r\n0\r\n\r\n")

    with scripted(Reply(chunked(b"1\n", end=False).data, after=finish)) as server:
        platform(server.url)
        items = pyjob.stream_job(JOB, "adder", "/x", {})
        assert next(items) == 1
        child = os.fork()
        if not child:
            items.close()
            os._exit(0)
        os.waitpid(child, 0)
        forked.set()
        assert list(items) == [2]


def test_a_hundred_awaited_calls_are_all_under_way_at_once(platform: Any) -> None:
    together = threading.Barrier(100)

    reply = Reply(answer(b"1").data, before=lambda: together.wait(60))

    async def calls() -> list[Any]:
        one = [pyjob.call_job_coroutine(JOB, "adder", "/x", {}, timeout=60) for _ in range(100)]
        return await asyncio.gather(*one)

    with scripted(reply) as server:
        platform(server.url)
        assert asyncio.run(calls()) == [1] * 100


def test_a_cancelled_call_leaves_its_callee(platform: Any) -> None:
    async def cancelled(server: Any) -> None:
        task = asyncio.create_task(pyjob.call_job_coroutine(JOB, "adder", "/x", {}, timeout=60))
        await asyncio.to_thread(server.wait_for, server.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_for, server.left)

    with scripted(Reply(b"", HOLD)) as server:
        platform(server.url)
        asyncio.run(cancelled(server))
        assert len(server.requests) == 1


def test_an_awaited_call_raises_as_others_do(platform: Any) -> None:
    with scripted(answer(b'{"error": "no"}', "404 X")) as server:
        platform(server.url)
        with pytest.raises(pyjob.CallNotFoundError, match="answered 404: no"):
            asyncio.run(pyjob.call_job_async(JOB, "adder", "/x", {}))


def test_an_awaited_stream_is_iterated_by_async_for(platform: Any) -> None:
    async def read() -> list[Any]:
        return [item async for item in await pyjob.call_job_coroutine(JOB, "adder", "/x", {})]

    async def leave(server: Any) -> None:
        items = await pyjob.call_job_coroutine(JOB, "adder", "/x", {})
        assert await anext(items) == 1
        await items.aclose()
        await asyncio.to_thread(server.wait_for, server.left)

    with scripted(chunked(b"1\n2\n", b'"3"'), chunked(b"1\n", end=False, then=HOLD)) as server:
        platform(server.url)
        assert asyncio.run(read()) == [1, 2, "3"]
        asyncio.run(leave(server))


def test_an_awaited_stream_asks_for_items(platform: Any) -> None:
    async def read() -> list[Any]:
        return [item async for item in await pyjob.stream_job_coroutine(JOB, "adder", "/x", {"n": 2})]

    with scripted(chunked(b"1\n2\n"), answer(b'{"error": "no"}', "404 X")) as server:
        platform(server.url)
        assert asyncio.run(read()) == [1, 2]
        assert b"Accept: application/x-ndjson" in server.requests[0]
        with pytest.raises(pyjob.CallNotFoundError, match="answered 404: no"):
            asyncio.run(read())


EVENTS = (
    b": a comment\n\ndata: x\r\ndata: y\r\n\r\ndata: 1\r\n\r\n"
    b"event: note\rdata: two\rdata: lines\r\rid: 5\ndata:{}\n\ndata: unfinished"
)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_read_however_they_are_cut(platform: Any, size: int) -> None:
    pieces = [EVENTS[at : at + size] for at in range(0, len(EVENTS), size)]
    with scripted(chunked(*pieces, kind="text/event-stream; charset=utf-8")) as server:
        platform(server.url)
        assert list(pyjob.call_job(JOB, "adder", "/x", {})) == ["x\ny", 1, "two\nlines", {}]


def test_an_item_like_a_fault_is_one_only_at_the_end(platform: Any) -> None:
    fault = b'{"error": "a", "type": "b"}\n'
    with scripted(chunked(fault, b"1\n", fault)) as server:
        platform(server.url)
        items = pyjob.stream_job(JOB, "adder", "/x", {})
        assert [next(items), next(items)] == [{"error": "a", "type": "b"}, 1]
        with pytest.raises(pyjob.CallError, match="job 'adder' latest, POST /x: the stream broke off: a"):
            next(items)


def test_a_stream_that_is_cut_off_is_no_end(platform: Any) -> None:
    with scripted(chunked(b"1\n", end=False, then=CLOSE)) as server:
        platform(server.url)
        items = pyjob.stream_job(JOB, "adder", "/x", {})
        assert next(items) == 1
        with pytest.raises(pyjob.CallError, match="the answer broke off"):
            next(items)


MANIFEST = {"name": "sample", "owner_email": "nobody@example.com", "jobtype": "python3:latest"}
PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"


class Calling:
    def perform(self) -> Any:
        return pyjob.call_job(self, "adder", "/x", {})


class Closed(Calling):
    """Has no room for its request."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("job", "passed_on"),
    [
        (Calling, ["X-Request-Tracing-Id: mine", "X-Caller-Name: alice", f"traceparent: {PARENT}"]),
        (Closed, ["X-Request-Tracing-Id: mine", "X-Caller-Name: alice"]),
    ],
    ids=["a job", "one that cannot hold its request"],
)
def test_the_request_that_is_served_is_passed_on(job: type, passed_on: list[str], platform: Any) -> None:
    headers = {"X-Request-Tracing-Id": "mine", "X-Caller-Name": "alice", "traceparent": PARENT}
    with scripted(answer(b"7")) as server:
        platform(server.url)
        application = pyjob.create(job, manifest=MANIFEST, load="now")
        with pyjob.Client.in_process(application) as client:
            assert client.open("POST", "/perform", headers=headers).value() == 7
        application.close(0)
        sent = server.requests[0].decode().split("\r\n")
    assert set(passed_on) <= set(sent)
