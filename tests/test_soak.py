"""Twice what a job can do, for minutes, from clients of every kind, at a server that is stopped at times."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from tests.conftest import MakeJob
from tests.servers import Server, pyjob_run, started
from tests.soak import SEED, Account, Crowd

SOAK_SECONDS = float(os.environ.get("PYJOB_SOAK_SECONDS", "600"))
STOP_EVERY = min(30.0, SOAK_SECONDS / 4)
LOOK_EVERY = SOAK_SECONDS / 100
# How long the server may take to become quiet, or as small as before. Threads without work end after 10 s.
PATIENCE = 60.0

SLOTS, CALL_SECONDS = 2, 0.02
# A hundred clients make a good hundred valid calls, so that this is twice what the slots can carry.
CLIENTS_A_SECOND = 2 * SLOTS / CALL_SECONDS
LIMITS = {
    "max_concurrency": SLOTS,
    "max_concurrency_queue": 50,
    # Half a second of line stays below it; after a stop of the server the line has waited longer.
    "queue_timeout": 1,
}
# In ten minutes there are about 120,000 valid calls, half of which come in: a call that left 200 bytes behind
# would show. The largest that is seen in the first tenth is compared, where bodies and answers of the usual
# sizes have met. One arena for all threads, since what glibc keeps in many of them would hide a leak:
# some 40 MB come together in the first minute, and stay.
MOST_GROWTH = 10 * 1024 * 1024
ALLOCATOR = {"MALLOC_ARENA_MAX": "1"}

JOB = f"""
import threading
import time

from werkzeug.wrappers import Response

class Job:
    def __init__(self):
        self.lock = threading.Lock()
        self.ran = 0

    def perform(self, n: int, pieces: int = 0):
        with self.lock:
            self.ran += 1
        time.sleep({CALL_SECONDS})
        return Response(b"x" * 60_000 for _ in range(pieces)) if pieces else n

    def metrics(self):
        return [{{"name": "soak_calls_ran", "value": self.ran}}]
"""
T = TypeVar("T")
# What of the metrics is told.
TOLD = ("requests_", "request_duration_count", "pyjob_calls_refused", "pyjob_calls_abandoned", "soak_")
REASONS = ("queue_full", "connections", "threads", "queue_timeout", "draining")
LATE = "the caller left before the answer"


@dataclass(frozen=True)
class Size:
    """What the process of the server takes, ``at`` seconds after the first look at it."""

    at: float
    memory: int
    threads: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.at:6.0f} {self.memory / 1024**2:7.1f} {self.threads:4} {self.descriptors:5}"


class Watch:
    """Looks at the process of a server from outside."""

    def __init__(self, server: Server) -> None:
        self._folder = Path(f"/proc/{server.process.pid}")
        self._began = time.monotonic()

    def look(self) -> Size:
        pages = int((self._folder / "statm").read_text().split()[1])
        threads, descriptors = (len(list((self._folder / kind).iterdir())) for kind in ("task", "fd"))
        at = time.monotonic() - self._began
        return Size(at, pages * os.sysconf("SC_PAGE_SIZE"), threads, descriptors)


def metrics_of(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=PATIENCE) as page:
        lines = page.read().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


def once(look: Callable[[], T], is_so: Callable[[T], bool]) -> T:
    """What ``look`` sees as soon as it is so."""
    deadline = time.monotonic() + PATIENCE
    while not is_so(seen := look()):
        assert time.monotonic() < deadline, f"it has not come to rest: {seen}"
        time.sleep(0.1)
    return seen


async def warm_up(crowd: Crowd, watch: Watch) -> Size:
    """What the server takes once it has done everything that a few quiet clients want of it."""
    sizes = []
    for number in range(5):
        for act in ("fresh", "kept", "probe"):
            await crowd.play(act, random.Random(number))
            sizes.append(watch.look())
    # The least, since the thread that loads and connections that have just been closed may still be there.
    threads = min(size.threads for size in sizes)
    descriptors = min(size.descriptors for size in sizes)
    return replace(sizes[-1], threads=threads, descriptors=descriptors)


async def soak(server: Server, crowd: Crowd, watch: Watch) -> list[Size]:
    """The whole crowd, beside somebody who stops the process and somebody who looks at it."""
    sizes: list[Size] = []

    async def stop_and_go() -> None:
        chance = random.Random(SEED)
        while True:
            await asyncio.sleep(STOP_EVERY)
            server.process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(chance.uniform(0.5, 1.0))
            finally:
                server.process.send_signal(signal.SIGCONT)

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            sizes.append(watch.look())

    others = [asyncio.create_task(stop_and_go()), asyncio.create_task(look())]
    try:
        await crowd.press(SOAK_SECONDS, CLIENTS_A_SECOND)
    finally:
        for other in others:
            other.cancel()
        for other in others:
            with suppress(asyncio.CancelledError):
                await other
    return sizes


def is_quiet(numbers: dict[str, float]) -> bool:
    return (
        numbers["pyjob_calls_running"] == numbers["pyjob_calls_waiting"] == 0
        and numbers["requests_started_total"] == numbers["requests_done_total"]
    )


def check_calls(account: Account, numbers: dict[str, float], log: str) -> None:
    """The accounts of clients, server and job add up."""
    ok, full, late = (account.statuses[status] for status in (200, 429, 503))
    assert account.stayed == ok + full + late
    assert full > 0, "the server has not been at its limit"

    refused = {reason: numbers[f'pyjob_calls_refused_total{{reason="{reason}"}}'] for reason in REASONS}
    begun, ran = numbers["requests_started_total"], numbers["soak_calls_ran"]
    assert begun == numbers["requests_done_total"]
    assert begun == numbers['endpoint_requests_started_total{endpoint="/perform"}']
    assert ran == numbers['request_duration_count{endpoint="/perform"}']
    assert ran == numbers["pyjob_call_wait_seconds_count"]
    assert numbers['request_internal_errors_total{endpoint="/perform"}'] == 0
    assert numbers["pyjob_job_metrics_errors_total"] == 0
    assert refused["threads"] == refused["draining"] == 0

    # Counted are those who left the line and those who left while they were served; the log has the latter.
    abandoned = numbers["pyjob_calls_abandoned_total"]
    abandoned_late = log.count(LATE)
    assert begun == ran + refused["queue_timeout"] + abandoned - abandoned_late

    # Whose client has left may have run, been refused, been dropped, or never come to the gate.
    left = account.left
    assert account.stayed <= begun + refused["queue_full"] + refused["connections"] <= account.stayed + left
    assert ok <= ran <= ok + left
    assert full <= refused["queue_full"] <= full + left
    assert late <= refused["queue_timeout"] + refused["connections"] <= late + left


def figures(account: Account, numbers: dict[str, float], log: str) -> str:
    """What a closing note wants to know."""
    probes = [1000 * seconds for seconds in sorted(account.probes)]
    median, most = probes[len(probes) // 2], probes[len(probes) * 9 // 10]
    return "\n".join(
        [
            f"\nclients: {dict(account.acts)}",
            f"valid calls whose clients stayed: {account.stayed}, answers: {dict(account.statuses)}",
            f"valid calls whose clients left: {account.left}",
            *(f"{name} {number:.0f}" for name, number in numbers.items() if name.startswith(TOLD)),
            f"abandoned while they were served: {log.count(LATE)}",
            f"probes: median {median:.1f} ms, 9 of 10 within {most:.1f} ms, all within {probes[-1]:.0f} ms",
        ]
    )


@pytest.mark.slow
def test_under_twice_its_load_a_server_accounts_for_every_call_and_grows_by_nothing(
    make_job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_job(JOB, extra=LIMITS)
    with started(pyjob_run(folder), env=ALLOCATOR) as server:
        server.wait_until("/ready", 200)
        crowd, watch = Crowd(server.port), Watch(server)
        before = asyncio.run(warm_up(crowd, watch))
        sizes = asyncio.run(soak(server, crowd, watch))
        assert not crowd.account.faults, crowd.account.faults[:20]
        numbers = once(lambda: metrics_of(server), is_quiet)
        after = once(
            watch.look,
            lambda size: size.threads <= before.threads and size.descriptors <= before.descriptors,
        )
        status = server.stop()
    with capsys.disabled():
        print(figures(crowd.account, numbers, server.output))
        print("seconds, MiB, threads, descriptors; the first line before, the last line after the crowd:")
        print(*(before, *sizes[4::5], after), sep="\n")
    check_calls(crowd.account, numbers, server.output)
    early = max(size.memory for size in sizes[: len(sizes) // 10])
    assert after.memory - early < MOST_GROWTH
    faults = [at for at, line in enumerate(server.lines) if "Traceback" in line or "a fault of pyjob" in line]
    assert not faults, "".join(server.lines[faults[0] - 2 : faults[0] + 40])
    assert status == 0
