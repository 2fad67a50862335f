"""How soon the first item of a stream arrives, and how many threads calls take that only wait.

The job (`yielding.py`) puts the time into the first item that it yields, and this program looks at the same
clock when it has it: CLOCK_MONOTONIC, which is one for all processes of a machine. The second item follows
20 ms later, so that an answer which is collected before it is sent shows. One call at a time, on a connection
that is kept. Then so many calls at once of an ``async def`` that sleeps for a second, each on a connection of
its own. The server is `pyjob run` with its defaults; it has the first core, this program the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from callers import request
from figures import percentile
from process import HERE, Served, StartError, pinned, served
from report import place, print_table

RUN = ("-m", "pyjob", "run", str(HERE / "yielding.py"), "--host", "127.0.0.1", "--port", "0")
KINDS = ("generator", "iterator", "async_generator")
FORMATS = ("text/event-stream", "application/x-ndjson", "application/json")
STAMP = re.compile(rb"\d{6,}")
WARM_UP = 5
ASLEEP = 1.0
# Seconds.
BETWEEN_LOOKS = 0.02
PATIENCE = 60.0


class AnswerError(Exception):
    """An answer whose time would mean nothing."""


class Crowd(NamedTuple):
    """Calls at once: how long all of them took, and the threads of the server before and at most."""

    seconds: float
    threads_before: int
    threads: int


def main() -> int:
    parser = argparse.ArgumentParser(description="Delays of first items, and threads of calls that wait.")
    parser.add_argument(
        "--calls", type=int, default=200, help="calls of each kind and format (default: %(default)s)"
    )
    parser.add_argument(
        "--at-once", type=int, default=500, help="calls that sleep at once (default: %(default)s)"
    )
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    try:
        with yielding(cores[0]) as server, pinned(cores[-1]):
            delays = {
                (kind, accept): delays_of(server.port, kind, accept, options.calls)
                for kind in KINDS
                for accept in FORMATS
            }
        with yielding(cores[0]) as server, pinned(cores[-1]):
            crowd = asyncio.run(at_once(server, options.at_once))
    except (AnswerError, StartError, OSError) as error:
        sys.stderr.write(f"streaming: {error}\n")
        return 1
    print(f"From the first yield to its arrival, {options.calls} calls each; {place()}\n")
    print_table(
        ("kind, format", "median ms", "p99 ms", "max ms"),
        [
            (f"{kind}, {accept}", *(f"{percentile(times, share):.2f}" for share in (50, 99, 100)))
            for (kind, accept), times in delays.items()
        ],
    )
    print(
        f"\n{options.at_once} calls at once that sleep {ASLEEP:g} s: all answered after "
        f"{crowd.seconds:.2f} s, {crowd.threads_before} threads before, {crowd.threads} at most"
    )
    return 0


@contextmanager
def yielding(core: int) -> Iterator[Served]:
    """The job, served on ``core``. Raises `StartError`."""
    with ExitStack() as stack:
        with pinned(core):
            server = stack.enter_context(served("pyjob run", RUN))
        yield server


def delays_of(port: int, kind: str, accept: str, calls: int) -> list[float]:
    """Milliseconds from the first `yield` to its arrival, of each call. Raises `AnswerError`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        delays = [first_item(connection, kind, accept) for _ in range(WARM_UP + calls)]
    finally:
        connection.close()
    return delays[WARM_UP:]


def first_item(connection: http.client.HTTPConnection, kind: str, accept: str) -> float:
    """The milliseconds of one call, which is read to its end."""
    connection.request("POST", f"/{kind}", b"{}", {"Content-Type": "application/json", "Accept": accept})
    response = connection.getresponse()
    received = b""
    while (found := STAMP.search(received)) is None:
        piece = response.read1()
        if not piece:
            raise AnswerError(f"{kind}: {response.status} {received[:200]!r}")
        received += piece
    arrived = time.monotonic_ns()
    response.read()
    if response.headers["Content-Type"] != accept:
        raise AnswerError(f"{kind}: expected {accept}, got {response.headers['Content-Type']}")
    return (arrived - int(found[0])) / 1e6


async def at_once(server: Served, calls: int) -> Crowd:
    """Let so many callers come together. Raises `AnswerError`."""
    before = threads_of(server.pid)
    seen = [before]
    watching = asyncio.create_task(watch(server.pid, seen))
    began = time.perf_counter()
    await asyncio.gather(*(sleep(server.port) for _ in range(calls)))
    seconds = time.perf_counter() - began
    watching.cancel()
    return Crowd(seconds, before, max(seen))


async def sleep(port: int) -> None:
    """One call of an ``async def`` that sleeps."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("POST", "/sleep", b'{"seconds": %g}' % ASLEEP))
        answer = await reader.read()
        writer.close()
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise AnswerError(f"sleep: {answer[:200]!r}")


async def watch(pid: int, seen: list[int]) -> None:
    """Count the server's threads again and again."""
    while True:
        seen.append(threads_of(pid))
        await asyncio.sleep(BETWEEN_LOOKS)


def threads_of(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


if __name__ == "__main__":
    sys.exit(main())
