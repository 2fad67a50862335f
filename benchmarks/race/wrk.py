"""A closed loop by wrk, which compares every answer with the right one, byte by byte."""

from __future__ import annotations

import math
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from race.served import Server
from race.works import body

PATIENCE = 30
# A turn is so long that one core can answer each connection so often, and so many calls at least; but no
# longer than that.
EACH, CALLS, LONGEST = 2, 5, 3.0
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local function content(file)
  local handle = assert(io.open(file, "rb"))
  local read = handle:read("*a")
  handle:close()
  return read
end
wrk.body = content("sent")
local right = content("right")
local threads = {}
wrong = 0
example = ""
function setup(thread)
  table.insert(threads, thread)
end
function response(status, headers, body)
  if body ~= right and status == 200 then
    wrong = wrong + 1
    example = body:sub(1, 80)
  end
end
function done(summary, latency, requests)
  local e = summary.errors
  local wrong, example = threads[1]:get("wrong"), threads[1]:get("example")
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d %s\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), wrong, e.status, e.timeout,
    e.connect + e.read + e.write, example))
end
"""


@dataclass(frozen=True)
class Turn:
    """One server called for some seconds: right answers a second, milliseconds, CPU microseconds a call.

    ``failed``: how many calls were not answered rightly, ``why``: in words. With one of them the rest means
    nothing. ``busy``: the share of its core that wrk used.
    """

    rate: float
    p50: float
    p99: float
    cpu: float
    calls: int
    failed: int
    why: str
    busy: float


def turn(server: Server, work: str, connections: int, seconds: float) -> Turn:
    """Let wrk call for so long, or longer where calls take long.

    The right answer is asked for, and checked by its value, before. Raises `WrongAnswerError` and `OSError`.
    """
    server.ask(work)  # what the turn before left in the line has been answered now
    began = time.perf_counter()
    right = server.ask(work)
    asked = time.perf_counter() - began
    seconds = max(seconds, min(asked * max(CALLS, EACH * connections), LONGEST))
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        Path(folder, "right").write_bytes(right)
        Path(folder, "sent").write_bytes(body(server.kind.sent(work)))
        Path(folder, "script.lua").write_text(SCRIPT)
        url = f"http://127.0.0.1:{server.port}{server.kind.path(work)}"
        result = _once(server, folder, url, connections, seconds)
        if not result.calls and not result.failed:  # on a machine that did something else just then
            result = _once(server, folder, url, connections, LONGEST)
    if not result.calls and not result.failed:
        return refused(f"no answer in {LONGEST} s")
    return result


def refused(why: str) -> Turn:
    """A turn that could not be."""
    return Turn(rate=0, p50=0, p99=0, cpu=0, calls=1, failed=1, why=why, busy=0)


def _once(server: Server, folder: str, url: str, connections: int, seconds: float) -> Turn:
    before, used = server.cpu_seconds(), _used()
    said = _wrk(folder, url, connections, seconds)
    return _read(said, server.cpu_seconds() - before, _used() - used)


def _wrk(folder: str, url: str, connections: int, seconds: float) -> str:
    # It counts whole seconds only, but ends in order at SIGINT.
    longest = math.ceil(seconds) + PATIENCE
    command = ["wrk", "-t1", f"-c{connections}", f"-d{longest}s", "--timeout", f"{PATIENCE}s"]
    process = subprocess.Popen(
        [*command, "-s", "script.lua", url],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        time.sleep(seconds)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=longest)
        finally:
            process.kill()  # does nothing where it has ended
    return said


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _read(said: str, cpu: float, used: float) -> Turn:
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    if len(lines) != 1:
        return refused(f"wrk said: {said[-200:].strip()}")
    *numbers, example = lines[0].removeprefix("RESULT ").split(" ", 8)
    calls, duration, p50, p99, *failures = map(int, numbers)
    seconds = duration / 1e6
    names = (f"wrong ({example})", "with another status than 2xx", "too late", "broken connections")
    why = ", ".join(f"{count} {name}" for count, name in zip(failures, names, strict=True) if count)
    return Turn(
        rate=calls / seconds,
        p50=p50 / 1000,
        p99=p99 / 1000,
        cpu=cpu / max(calls, 1) * 1e6,
        calls=calls,
        failed=sum(failures),
        why=why,
        busy=used / seconds,
    )
