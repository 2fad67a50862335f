"""What a call costs, counted and not timed: calls of functions, memory, modules, bytes.

So that a busy machine tells the same. A bound is what was counted when it was written, and a little more;
docs/performance.md has the times.
"""

from __future__ import annotations

import socket
import sys
import tracemalloc
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import pyjob
from tests.conftest import MakeJob
from tests.servers import ask, pyjob_run, started

ADDER = """
class Adder:
    def perform(self, x: float, y: float) -> float:
        return x + y
"""
BODY = b'{"x": 20, "y": 5}'
ENVIRON = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/api/v1/perform",
    "QUERY_STRING": "",
    "CONTENT_TYPE": "application/json",
    "CONTENT_LENGTH": str(len(BODY)),
    "SERVER_PROTOCOL": "HTTP/1.1",
}
REQUEST = (
    b"POST /api/v1/perform HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)

# Functions written in Python that one call passes through: of the application, and of the whole server.
MOST_CALLS = 56
MOST_SERVER_CALLS = 145
# A route that is not the first in the table must cost no more.
MANY = 300
# Bytes that a call has at most at a time, and those that are left of a thousand calls.
MOST_AT_ONCE = 9_000
MOST_LEFT = 2_000
# What `pyjob run` has imported when its job is ready, pyjob's own modules not counted.
MOST_MODULES = 400
# What a job that is served needs none of.
HEAVY = {
    *("asyncio", "sqlite3", "multiprocessing", "unittest", "xml", "numpy"),
    *("pip", "setuptools", "pkg_resources", "pdb", "doctest", "tkinter"),
}
# The head of an answer, without its body.
MOST_HEAD = 240


class Adder:
    def perform(self, x: float, y: float) -> float:
        return x + y


def make_call(application: Any) -> bytes:
    answer = application({**ENVIRON, "wsgi.input": BytesIO(BODY)}, lambda status, headers, error=None: None)
    return b"".join(answer)


def calls_of(application: Any) -> int:
    """How many functions written in Python the second call passes through."""
    assert make_call(application) == b"25"
    names: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            names.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        make_call(application)
    finally:
        sys.setprofile(None)
    return len(names) - 2  # make_call, and the lambda


def quiet(job: Any, **options: Any) -> Any:
    return pyjob.create(job, settings=pyjob.Settings(access_log=False), load="now", **options)


def test_a_call_passes_through_few_functions() -> None:
    assert calls_of(quiet(Adder)) <= MOST_CALLS


def test_what_a_call_costs_does_not_grow_with_the_endpoints() -> None:
    class Many(Adder):
        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {f"/other/{number}": lambda: None for number in range(MANY)}

    assert calls_of(quiet(Many)) == calls_of(quiet(Adder))


def test_what_a_call_costs_does_not_grow_with_the_jobs_of_the_process() -> None:
    alone = calls_of(quiet(Adder))
    others = [quiet(Adder) for _ in range(8)]
    assert all(calls_of(one) == alone for one in others)


def test_a_call_takes_little_memory_and_leaves_none() -> None:
    application = quiet(Adder)
    for _ in range(100):
        make_call(application)
    tracemalloc.start()
    try:
        make_call(application)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        make_call(application)
        now, peak = tracemalloc.get_traced_memory()
        assert peak - before <= MOST_AT_ONCE
        for _ in range(1000):
            make_call(application)
        assert tracemalloc.get_traced_memory()[0] - now <= MOST_LEFT
    finally:
        tracemalloc.stop()


# A server whose job reads how many functions its threads have called so far.
COUNTING = """
import sys, threading
calls = 0

def note(frame, event, _):
    global calls
    if event == "call":
        calls += 1

threading.setprofile(note)
sys.setprofile(note)
from pyjob.cli import main
sys.exit(main(sys.argv[1:]))
"""
COUNTED = """
import sys

class Counted:
    def perform(self, x: float, y: float) -> int:
        return sys.modules["__main__"].calls
"""


def test_a_call_passes_through_few_functions_of_the_server(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    command = pyjob_run(make_job(COUNTED), "--no-access-log")
    counts = []
    with started([sys.executable, str(tmp_path / "counting.py"), *command[3:]]) as server:
        server.wait_until("/ready", 200)
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as caller:
            for _ in range(100):
                caller.sendall(REQUEST)
                counts.append(int(caller.recv(65536).rpartition(b"\r\n")[2]))
    # Chores that are done now and then are in some of them.
    each = median(after - before for before, after in pairwise(counts[10:]))
    assert each <= MOST_SERVER_CALLS


# What measures coverage has imported something before.
LOOKING = """
import sys
before = set(sys.modules)
from pyjob.cli import main
sys.exit(main(sys.argv[1:]))
"""
MODULES = """
import sys

class Telling:
    def perform(self) -> list[str]:
        return sorted(set(sys.modules) - sys.modules["__main__"].before)
"""


def test_nothing_is_imported_that_the_job_does_not_need(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "looking.py").write_text(LOOKING)
    command = pyjob_run(make_job(MODULES), "--no-access-log")
    with started([sys.executable, str(tmp_path / "looking.py"), *command[3:]]) as server:
        server.wait_until("/ready", 200)
        status, _, answer = ask(server, "POST", "/perform", b"{}")
    assert status == 200
    modules = set(answer)
    assert not modules & HEAVY
    assert len([name for name in modules if not name.startswith("pyjob")]) <= MOST_MODULES


def test_the_head_of_an_answer_is_short(make_job: MakeJob) -> None:
    with started(pyjob_run(make_job(ADDER), "--no-access-log")) as server:
        server.wait_until("/ready", 200)
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as caller:
            caller.sendall(REQUEST)
            head, _, body = caller.recv(65536).partition(b"\r\n\r\n")
    assert body == b"25"
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n")[1:]]
    ids = ["X-Request-Tracing-Id", "X-Request-ID"]
    assert names == ["Content-Type", "Content-Length", *ids, "Server", "Date"]
    assert len(head) <= MOST_HEAD
