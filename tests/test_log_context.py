"""Every record that is made while a request is served carries its id and its caller (SPEC 7)."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.commands import WAYS, gunicorn, waitress
from tests.conftest import MakeJob
from tests.servers import PATIENCE, Server, pyjob_run, started

CALLERS = 200

# Says the number of its request in every way in which a record can be made.
TALKER = """
    import asyncio, contextvars, logging, os, sys, threading, warnings
    from concurrent.futures import ThreadPoolExecutor
    from werkzeug.wrappers import Response

    own = logging.getLogger(__name__)
    library = logging.getLogger("some.library.deep.down")
    pool = ThreadPoolExecutor(4)

    def say(logger, place, n):
        logger.info("said in %s", place, extra={"n": n, "place": place})

    def fail(n):
        say(own, "thread", n)
        raise RuntimeError(f"uncaught {n}.")

    async def say_later(place, n):
        await asyncio.sleep(0)
        say(own, place, n)

    class Talker:
        def perform(self, n: int) -> int:
            say(own, "method", n)
            say(library, "library", n)
            warnings.warn(f"warned {n}.")
            pool.submit(contextvars.copy_context().run, say, own, "pool", n).result()
            thread = threading.Thread(target=contextvars.copy_context().run, args=(fail, n))
            thread.start()
            thread.join()
            return n

        async def wait(self, n: int) -> int:
            say(own, "coroutine", n)
            await asyncio.gather(say_later("gathered", n), asyncio.create_task(say_later("task", n)))
            await asyncio.to_thread(say, own, "asyncio's thread", n)
            return n

        def stream(self, n: int):
            def pieces():
                for place in ("first chunk", "second chunk", "last chunk"):
                    say(own, place, n)
                    yield f"{n}\\n".encode()
            return Response(pieces())

        def broken(self, n: int):
            raise RuntimeError(f"broken {n}.")

        def auxiliary_endpoints(self):
            return {"/wait": self.wait, "/stream": self.stream, "/broken": self.broken}
    """
PLACES = {
    "/perform": ["method", "library", "pool", "thread"],
    "/wait": ["coroutine", "gathered", "task", "asyncio's thread"],
    "/stream": ["first chunk", "second chunk", "last chunk"],
    "/broken": [],
}
STRUCTURED = {"LOG_STRUCTURED": "true", "LOG_CALLER_NAME": "true", "PYTHONWARNINGS": "always"}

GROUNDS = {
    "pyjob run": pyjob_run(Path()),
    "waitress-serve": WAYS["waitress-serve"].of(),
    "waitress-serve --call": WAYS["waitress-serve --call"].of(),
    "gunicorn gthread": gunicorn("--threads", "20", "FACTORY()").of(),
}


@pytest.mark.parametrize("ground", GROUNDS)
def test_each_of_200_callers_finds_its_own_name_and_id_in_every_record(
    make_job: MakeJob, ground: str
) -> None:
    if ground.startswith("gunicorn"):
        pytest.importorskip("gunicorn")
    folder = make_job(TALKER)
    with started(GROUNDS[ground], cwd=folder, env=STRUCTURED) as server:
        server.wait_until("/ready", 200)
        call_all(server, [""])
    records = [json.loads(line) for line in server.lines if line.startswith("{")]
    check_records(records, mounts=[""])


HOST = """
import logging.config, sys
import pyjob
from pathlib import Path
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from pyjob.logs.structured import JsonFormatter

logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "pyjob.logs.ContextFilter"}},
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout",
                         "formatter": "json", "filters": ["request"]}},
    "root": {"level": "INFO", "handlers": ["out"]},
})
logging.captureWarnings(True)
jobs = {f"/{name}": pyjob.create(Path(name), prefix=f"/{name}", load="now") for name in ("one", "two")}
application = DispatcherMiddleware(NotFound(), jobs)
"""


def test_the_callers_of_two_jobs_in_a_host_of_their_own_find_theirs(
    make_job: MakeJob, tmp_path: Path
) -> None:
    # Threads that a host's jobs start are the host's: their exceptions are left to it.
    talker = TALKER.replace('raise RuntimeError(f"uncaught {n}.")', "")
    for name in ("one", "two"):
        make_job(talker, name=name, entry=f"{name}_job.py")
    (tmp_path / "host.py").write_text(HOST)
    command = waitress("--threads", "20", "APPLICATION").of(application="host:application")
    with started(command, cwd=tmp_path, env={**STRUCTURED, "PYTHONPATH": str(tmp_path)}) as server:
        server.wait_until("/one/ready", 200)
        call_all(server, ["/one", "/two"])
    records = [json.loads(line) for line in server.lines if line.startswith("{")]
    check_records(records, mounts=["/one", "/two"], has_hooks=False)


def call_all(server: Server, mounts: list[str]) -> None:
    """200 callers, who call at once, each every endpoint at one of ``mounts``."""
    together = threading.Barrier(CALLERS)

    def call(n: int) -> None:
        together.wait(PATIENCE)
        for path in PLACES:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            headers = {"X-Caller-Name": f"caller {n}", "X-Request-Tracing-Id": f"{path}-{n}."}
            url = f"{mounts[n % len(mounts)]}/api/v1{path}"
            connection.request("POST", url, json.dumps({"n": n}), headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.headers["X-Request-ID"] == f"{path}-{n}."
            connection.close()

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(call, range(CALLERS)))
    server.wait_until_told('"pyjob.access"', len(PLACES) * CALLERS)


def check_records(records: list[Any], mounts: list[str], *, has_hooks: bool = True) -> None:
    counted: Counter[str] = Counter()
    for record in records:
        path, _, number = str(record.get("tracing_id", "")).rpartition("-")
        if path not in PLACES:
            assert "n" not in record, f"it lacks its id: {record}"
            continue
        assert record["caller_name"] == f"caller {number.rstrip('.')}", record
        if "n" in record:
            assert record["place"] in PLACES[path]
            assert number == f"{record['n']}."
            counted[record["place"]] += 1
        elif record["logger"] == "pyjob.access":
            assert record["path"] == path
            counted["access"] += 1
        elif record["logger"] == "py.warnings":
            assert f"warned {number}" in record["msg"]
            counted["warning"] += 1
        elif "exception" in record:
            assert number in record["exception"]
            counted["failed" if path == "/broken" else "uncaught"] += 1
    expected = dict.fromkeys([place for places in PLACES.values() for place in places], CALLERS)
    expected |= {"access": len(PLACES) * CALLERS, "warning": CALLERS, "failed": CALLERS}
    if has_hooks:
        expected["uncaught"] = CALLERS
    assert counted == expected


def test_in_text_a_record_ends_with_its_id_and_with_its_caller_if_that_is_wanted(make_job: MakeJob) -> None:
    folder = make_job(TALKER)
    for wanted in ("true", "false"):
        with started(pyjob_run(folder), env={"LOG_CALLER_NAME": wanted}) as server:
            server.wait_until("/ready", 200)
            call_all_once(server)
        ids = ", tracing_id=order-66" + (', caller_name="Jane Doe"' if wanted == "true" else "")
        assert f"INFO said in method{ids}\n" in server.output
        failed = f"ERROR /broken failed: broken 7.{ids}\n    Traceback (most recent call last):\n"
        assert failed in server.output
        assert ("Jane Doe" in server.output) == (wanted == "true")


def call_all_once(server: Server) -> None:
    for path in PLACES:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        headers = {"X-Caller-Name": "Jane Doe", "X-Request-Tracing-Id": "order-66"}
        connection.request("POST", path, json.dumps({"n": 7}), headers)
        connection.getresponse().read()
        connection.close()


def test_a_thread_that_outlives_its_request_has_the_name_of_nobody_else(make_job: MakeJob) -> None:
    """Threads of a pool are made once, in whose request that may be."""
    folder = make_job(
        """
        import logging
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        class Job:
            def perform(self, n: int):
                pool.submit(logging.getLogger("pool").info, "plain %d", n).result()
        """
    )
    with started(pyjob_run(folder), env=STRUCTURED) as server:
        server.wait_until("/ready", 200)
        for n in (1, 2):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            connection.request("POST", "/perform", json.dumps({"n": n}), {"X-Caller-Name": f"caller {n}"})
            connection.getresponse().read()
            connection.close()
    plain = [record for record in server.records if record["logger"] == "pool"]
    assert len(plain) == 2
    assert not any("caller_name" in record or "tracing_id" in record for record in plain)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio does not tell whose a task is")
def test_a_task_that_nobody_waits_for_fails_in_the_name_of_its_request(make_job: MakeJob) -> None:
    folder = make_job(
        """
        import asyncio, gc
        class Job:
            async def perform(self):
                async def fail():
                    raise RuntimeError("nobody waits")
                asyncio.create_task(fail())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                gc.collect()
        """
    )
    with started(pyjob_run(folder), env=STRUCTURED) as server:
        server.wait_until("/ready", 200)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("POST", "/perform", "{}", {"X-Request-Tracing-Id": "order-66"})
        connection.getresponse().read()
        connection.close()
    [record] = [record for record in server.records if record["logger"] == "asyncio"]
    assert record["tracing_id"] == "order-66"
    assert "nobody waits" in record["exception"]


BREAKING = """
    from werkzeug.wrappers import Response

    def pieces():
        yield b"one"
        raise RuntimeError("broken")

    class Breaking:
        def perform(self):
            return Response(pieces())

        def webview_app(self, base_url):
            def page(environ, start_response):
                start_response("200 OK", [("Content-Type", "text/plain")])
                return pieces()
            return page
    """


def test_what_breaks_midway_is_told_of_once_and_by_the_id_of_its_request(make_job: MakeJob) -> None:
    with started(pyjob_run(make_job(BREAKING)), env=STRUCTURED) as server:
        server.wait_until("/ready", 200)
        for method, path in (("POST", "/perform"), ("GET", "/webview/")):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            connection.request(method, path, headers={"X-Request-Tracing-Id": f"of {path}"})
            answer = connection.getresponse()
            assert answer.status == 200
            with suppress(http.client.IncompleteRead):
                assert answer.read() == b"one"
            connection.close()
    errors = [record for record in server.records if record["lvl"] in ("ERROR", "CRITICAL")]
    assert [record.get("tracing_id") for record in errors] == ["of /perform", "of /webview/"]
    assert all("RuntimeError: broken" in record["exception"] for record in errors)
