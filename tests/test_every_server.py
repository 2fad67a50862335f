"""The same job with the same answers, and the same cap, under every way of serving (SPEC 9, 10)."""

from __future__ import annotations

import hashlib
import os
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.commands import WAYS, Way
from tests.conftest import MakeJob
from tests.servers import PATIENCE, Server, ask, started

SUPERSMART = Path(__file__).parents[1] / "examples" / "supersmart"
MOUNTED = "/mounted"
PLACES = [(name, mount) for name in WAYS for mount in ("", MOUNTED)]
PLACES.remove(("pyjob run", MOUNTED))  # it serves the job alone

# What a server loads where it is not `pyjob.app:create` itself.
SERVED = """
import pyjob.app
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

def served(job):
    return DispatcherMiddleware(NotFound(), {{{mount!r}: job}}) if {mount!r} else job

def make():
    return served(pyjob.app.create(load="now", threads={threads}))

application = served(pyjob.app.create)
"""
SEVERAL_PROCESSES = "this server has several processes"
SAY_THREADS = "create(..., threads=N)"

Serving = Callable[..., AbstractContextManager[Server]]


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """A server that has loaded the job of ``folder``: ``with serving(way, folder) as server``."""

    @contextmanager
    def serving(
        way: Way,
        folder: Path,
        *,
        mount: str = "",
        threads: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Iterator[Server]:
        reason = way.why_not()
        if reason is not None:
            pytest.skip(reason)
        command = way.of()
        # Nobody can tell from outside whether each of several processes has loaded.
        if mount or threads or way.processes > 1:
            (tmp_path / "served.py").write_text(SERVED.format(mount=mount, threads=threads))
            command = way.of(application="served:application", factory="served:make")
        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        with started(command, cwd=folder, env={"PYTHONPATH": path, **(env or {})}) as server:
            server.wait_until(f"{mount}/ready", 200)
            yield server

    return serving


@pytest.mark.parametrize(
    ("name", "mount"), PLACES, ids=[f"{name}{', mounted' * bool(mount)}" for name, mount in PLACES]
)
def test_every_server_gives_the_same_answers(serving: Serving, name: str, mount: str) -> None:
    product = b'{"x": 20, "y": 5}'
    with serving(WAYS[name], SUPERSMART, mount=mount) as server:

        def answer(
            method: str, path: str, body: bytes | None = None, **headers: str
        ) -> tuple[int, dict[str, str], Any]:
            return ask(server, method, mount + path, body, **headers)

        assert answer("POST", "/api/v1/perform", product)[::2] == (200, 100)
        assert answer("POST", "/pub/job/supersmart/latest/perform", product)[::2] == (200, 100)
        assert answer("POST", "/%70erform?x=1", product)[::2] == (200, 100)
        assert answer("POST", "/perform", b" " * 300_000 + product)[::2] == (200, 100)
        assert answer("POST", "/perform", b'{"x": 20}')[0] == 400
        assert answer("POST", "/perform", b"{", Content_Type="application/xml")[0] == 415
        status, headers, _ = answer("POST", "/perform", b"[]", Content_Type="text/plain")
        assert (status, headers["Content-Type"]) == (415, "application/json")
        assert answer("GET", "/perform")[0] == 405
        assert answer("GET", "/nothing")[0] == 404
        assert answer("GET", "/live")[2] == {"live": True, "deployment_timestamp": None}
        status, headers, body = answer("HEAD", "/health")
        assert (status, body) == (200, b"")
        assert int(headers["Content-Length"]) > 0
        status, headers, _ = answer("GET", "/")
        assert (status, headers["Location"]) == (307, f"{mount}/docs")
        document = answer("GET", "/openapi.json")[2]
        assert document["servers"] == [{"url": mount or "/"}]
        assert document["info"] == {
            "title": "supersmart",
            "version": "0.0.1",
            "summary": "A supersmart model that multiplies.",
            "description": "A supersmart model that multiplies.",
        }
        assert answer("GET", "/api/v1/parameters")[2] == [
            {"name": "x", "type": "float"},
            {"name": "y", "type": "float"},
        ]


UPLOADS = """
    import hashlib
    from typing import BinaryIO

    class Job:
        def perform(self, file: BinaryIO, n: int = 0):
            return [hashlib.file_digest(file, "sha1").hexdigest(), n, file.seek(-3, 2), file.read().decode()]
    """


@pytest.mark.parametrize("name", WAYS)
def test_every_server_takes_files(serving: Serving, make_job: MakeJob, tmp_path: Path, name: str) -> None:
    content = os.urandom(700_000) + b"end"
    told = [hashlib.sha1(content).hexdigest(), 0, 700_000, "end"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    head = b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    number = b'\r\n--XyZ\r\nContent-Disposition: form-data; name="n"\r\n\r\n5'
    form = "multipart/form-data; boundary=XyZ"
    with serving(WAYS[name], make_job(UPLOADS), env={"TMPDIR": str(temporary)}) as server:
        answer = ask(server, "POST", "/perform", content, Content_Type="application/octet-stream")
        assert answer[::2] == (200, told)
        answer = ask(server, "POST", "/perform", head + content + number + b"\r\n--XyZ--", Content_Type=form)
        assert answer[::2] == (200, [told[0], 5, *told[2:]])
        answer = ask(server, "POST", "/perform", head + content, Content_Type=form)
        assert (answer[0], answer[2]["error"]) == (400, 'the body ends inside part "file"')
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", WAYS)
def test_every_servers_log_tells_job_version_and_calls(serving: Serving, name: str) -> None:
    with serving(WAYS[name], SUPERSMART) as server:
        assert ask(server, "POST", "/perform", b'{"x": 1, "y": 1}')[0] == 200
        ask(server, "GET", "/live")
        server.wait_until_told("POST /perform 200")
        server.stop()
    assert "job supersmart 0.0.1 is ready" in server.output
    assert server.output.count("POST /perform 200") == 1
    assert "INFO GET /live" not in server.output
    assert SAY_THREADS not in server.output  # it has no cap
    if WAYS[name].processes == 1:
        assert SEVERAL_PROCESSES not in server.output


# A job whose calls tell that they run, and run until they are let go.
HELD = """
    import os
    import socket
    import threading

    class Job:
        def __init__(self):
            self.running = 0
            self.counting = threading.Lock()

        def perform(self):
            with self.counting:
                self.running += 1
                running = self.running
            try:
                if running > int(os.environ["MOST"]):
                    raise RuntimeError(f"{running} calls are running")
                with socket.create_connection(("127.0.0.1", int(os.environ["HOLDER"]))) as holder:
                    holder.sendall(f"{os.getpid()}\\n".encode())
                    holder.recv(1)
            finally:
                with self.counting:
                    self.running -= 1
"""


class Holder:
    """Where calls of `HELD` report, and wait. At its end it lets all go: no failure ends in a hang."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._held: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.let_go()

    def next(self) -> int:
        """Wait until another call runs; the id of its process."""
        connection, _ = self._listener.accept()
        self._held.append(connection)
        with connection.makefile() as lines:
            return int(lines.readline())

    def is_waited_for(self) -> bool:
        """Whether a call has begun that `next` has not told of."""
        return bool(select.select([self._listener], [], [], 0)[0])

    def let_go(self) -> None:
        """Let the calls end that are running."""
        while self._held:
            self._held.pop().close()

    def environment(self, most: int) -> dict[str, str]:
        """What the job must know; more calls than ``most`` at once in a process fail."""
        return {"HOLDER": str(self.port), "MOST": str(most)}


@pytest.fixture
def holder() -> Iterator[Holder]:
    with Holder() as holder:
        yield holder


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


@pytest.fixture
def capped(make_job: MakeJob) -> Path:
    return make_job(HELD, extra={"max_concurrency": 1})


def perform(server: Server, mount: str = "") -> int:
    return ask(server, "POST", f"{mount}/perform")[0]


def results(calls: list[Future[int]]) -> list[int]:
    return [call.result(PATIENCE) for call in calls]


@pytest.mark.parametrize("name", WAYS)
def test_with_one_slot_two_calls_never_run_together_in_one_process(
    serving: Serving, capped: Path, pool: ThreadPoolExecutor, holder: Holder, name: str
) -> None:
    way = WAYS[name]
    with serving(way, capped, env=holder.environment(most=1)) as server, holder:
        calls = [pool.submit(perform, server) for _ in range(2)]
        holder.next()
        if way.threads > 1:
            server.wait_until_metric("pyjob_calls_waiting", 1)
            assert not holder.is_waited_for()
        holder.let_go()
        holder.next()
        holder.let_go()
        assert results(calls) == [200, 200]
        server.stop()
    waits_in_threads = way.threads > 1 and way.needs not in ("pyjob", "waitress")
    if waits_in_threads:
        assert server.output.count(SAY_THREADS) == 1


# Under these, calls that wait hold threads, and others are left.
HOLDING_THREADS = ["gunicorn gthread", "granian, four threads", "cheroot", "uWSGI --threads 4"]


@pytest.mark.parametrize(
    ("name", "mount"), [*((name, "") for name in HOLDING_THREADS), ("waitress-serve --call", MOUNTED)]
)
def test_of_the_threads_that_create_is_told_of_one_is_left_for_probes(
    serving: Serving, capped: Path, pool: ThreadPoolExecutor, holder: Holder, name: str, mount: str
) -> None:
    way = WAYS[name]
    environment = holder.environment(most=1)
    with serving(way, capped, mount=mount, threads=way.threads, env=environment) as server, holder:
        calls = [pool.submit(perform, server, mount) for _ in range(way.threads - 1)]
        holder.next()
        server.wait_until_metric("pyjob_calls_waiting", way.threads - 2, mount=mount)
        for _ in range(2 * way.threads):
            status, headers, body = ask(server, "POST", f"{mount}/perform")
            assert (status, "kept for probes" in body["error"]) == (503, True)
            assert int(headers["Retry-After"]) >= 1
        assert ask(server, "GET", f"{mount}/live")[0] == 200
        holder.let_go()
        for _ in calls[1:]:
            holder.next()
            holder.let_go()
        assert results(calls) == [200] * len(calls)
        server.stop()
    assert SAY_THREADS not in server.output


@pytest.mark.parametrize("name", HOLDING_THREADS)
def test_a_waiting_call_whose_caller_has_left_is_run_where_the_server_does_not_tell(
    serving: Serving, capped: Path, pool: ThreadPoolExecutor, holder: Holder, name: str
) -> None:
    with serving(WAYS[name], capped, env=holder.environment(most=1)) as server, holder:
        first = pool.submit(perform, server)
        holder.next()
        with socket.create_connection(("127.0.0.1", server.port)) as second:
            second.sendall(b"POST /perform HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            server.wait_until_metric("pyjob_calls_waiting", 1)
        holder.let_go()
        holder.next()
        holder.let_go()
        assert results([first]) == [200]


@pytest.mark.parametrize("name", ["gunicorn --workers 2", "uWSGI --processes 2"])
def test_each_of_several_processes_says_once_that_its_cap_is_its_own(
    serving: Serving, make_job: MakeJob, pool: ThreadPoolExecutor, holder: Holder, name: str
) -> None:
    way = WAYS[name]
    with serving(way, make_job(HELD), env=holder.environment(most=1)) as server, holder:
        # A process whose only thread is held leaves the next call to the other one.
        for _ in range(3):
            calls = [pool.submit(perform, server) for _ in range(way.processes)]
            assert len({holder.next() for _ in calls}) == way.processes
            holder.let_go()
            assert results(calls) == [200] * way.processes
        server.stop()
    assert server.output.count(SEVERAL_PROCESSES) == way.processes
    assert SAY_THREADS not in server.output  # it has no cap
