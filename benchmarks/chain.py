"""What a call to another job costs its caller: `call_job` beside httpx and requests, against the same server.

All keep one connection, send the same arguments and read the same JSON. They take turns in short rounds, so
that a machine which does other things too slows all of them down; the ratio is of calls in the same round.
*CPU* is what this process used, which is the caller's share; the server is `pyjob run` with its defaults. It
has the first core, this program the last one. httpx and requests are left out where they are not installed:

    python3 -m venv chain && chain/bin/pip install . httpx requests && chain/bin/python benchmarks/chain.py
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

from process import JOB, Served, StartError, pinned, served
from report import place, print_table, spread
from summing import PATH, PAYLOAD, SUM

import pyjob

RUN = ("-m", "pyjob", "run", str(JOB), "--host", "127.0.0.1", "--port", "0", "--no-access-log")
ARGUMENTS = json.loads(PAYLOAD)
# The name of the job matters to nobody: a job answers to any.
CHAINED = "/pub/job/adder/latest" + PATH
YARDSTICK = "call_job"

Call = Callable[[], Any]


class Turn(NamedTuple):
    """Microseconds a call: on the clock, and of the processor."""

    wall: float
    cpu: float


class Caller:
    """A job, as far as a chain call needs one."""


def main() -> int:
    parser = argparse.ArgumentParser(description="The overhead of a chain call, beside httpx and requests.")
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=300, help="calls a turn (default: %(default)s)")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    try:
        with serving(cores[0]) as server, pinned(cores[-1]), contenders(server.port) as calls:
            turns = rounds(calls, options.rounds, options.calls)
    except (StartError, OSError, ValueError) as error:
        sys.stderr.write(f"chain: {error}\n")
        return 1
    print(f"{options.rounds} rounds of {options.calls} calls; {place()}\n")
    heads = ("us a call", "min", "median", "max", "CPU min", "median", "max")
    print_table(heads, [row(name, turns[name]) for name in calls])
    print()
    print_table(
        ("times call_job, in the same round", "min", "median", "max", "CPU min", "median", "max"),
        [ratios(name, turns) for name in calls if name != YARDSTICK],
    )
    return 0


@contextmanager
def serving(core: int) -> Iterator[Served]:
    """The job, served on ``core``. Raises `StartError`."""
    with ExitStack() as stack:
        with pinned(core):
            server = stack.enter_context(served("pyjob run", RUN))
        yield server


@contextmanager
def contenders(port: int) -> Iterator[dict[str, Call]]:
    """Each makes the same call, on a connection that it keeps."""
    url, job = f"http://127.0.0.1:{port}", Caller()
    os.environ["PUB_URL"] = f"{url}/pub"
    with ExitStack() as stack:
        client = stack.enter_context(pyjob.Client(url))
        calls: dict[str, Call] = {
            YARDSTICK: lambda: pyjob.call_job(job, "adder", PATH, ARGUMENTS),
            "Client.perform": lambda: client.perform(**ARGUMENTS),
        }
        if find_spec("httpx"):
            import httpx

            httpx_client = stack.enter_context(httpx.Client())
            name = f"httpx {importlib.metadata.version('httpx')}"
            calls[name] = lambda: httpx_client.post(url + CHAINED, json=ARGUMENTS).raise_for_status().json()
        if find_spec("requests"):
            import requests

            session = stack.enter_context(requests.Session())

            def post() -> Any:
                answer = session.post(url + CHAINED, json=ARGUMENTS, timeout=10)
                answer.raise_for_status()
                return answer.json()

            calls[f"requests {importlib.metadata.version('requests')}"] = post
        yield calls


def rounds(calls: dict[str, Call], count: int, each: int) -> dict[str, list[Turn]]:
    """The turns of each, one a round, after one that does not count. Raises ValueError for a wrong answer."""
    turns: dict[str, list[Turn]] = {name: [] for name in calls}
    for number in range(count + 1):
        for name, call in calls.items():
            turn = measured(name, call, each)
            turns[name] += [turn] if number else []
    return turns


def measured(name: str, call: Call, count: int) -> Turn:
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        result = call()
    turn = Turn((time.perf_counter() - began) / count * 1e6, (time.process_time() - cpu) / count * 1e6)
    if result != SUM:
        raise ValueError(f"{name}: expected {SUM}, got {result!r}")
    return turn


def row(name: str, turns: list[Turn]) -> list[str]:
    return [name, *spread([turn.wall for turn in turns], 0), *spread([turn.cpu for turn in turns], 0)]


def ratios(name: str, turns: dict[str, list[Turn]]) -> list[str]:
    pairs = list(zip(turns[name], turns[YARDSTICK], strict=True))
    wall = [one.wall / other.wall for one, other in pairs]
    cpu = [one.cpu / other.cpu for one, other in pairs]
    return [name, *spread(wall, 2), *spread(cpu, 2)]


if __name__ == "__main__":
    raise SystemExit(main())
