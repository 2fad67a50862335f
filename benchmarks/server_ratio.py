"""Requests a second of `pyjob run`, as a share of what the bare function reaches on waitress.

Debian's `wrk` (1 thread, 16 connections) calls over the loopback from one core, the server has another
one. The contenders take turns, and a ratio compares two turns of the same round, so that what else the
machine does weighs little. A turn with a refused call or a socket error has no rate: the benchmark stops.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from process import HERE, JOB, Served, StartError, pinned, served
from report import place, print_table, spread
from summing import PATH, PAYLOAD

BARE = "bare function on waitress"
RUN = ("-m", "pyjob", "run", str(JOB), "--host", "127.0.0.1", "--port", "0")
CONTENDERS: dict[str, Sequence[str]] = {
    BARE: (str(HERE / "bare_server.py"),),
    "pyjob run --no-access-log": (*RUN, "--no-access-log"),
    "pyjob run": RUN,
}
CONNECTIONS = 16
SCRIPT = f"""
wrk.method = "POST"
wrk.body = '{PAYLOAD.decode()}'
wrk.headers["Content-Type"] = "application/json"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class RateError(Exception):
    """A turn whose rate would mean nothing."""


@dataclass(frozen=True)
class Turn:
    """One server called for some seconds: calls a second, their median latency, the server's CPU a call."""

    rate: float
    milliseconds: float
    cpu_microseconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description="pyjob run beside the bare function on waitress.")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a turn (default: %(default)s)")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if shutil.which("wrk") is None:
        sys.stderr.write("server_ratio: wrk is not installed: apt-get install wrk\n")
        return 2
    if len(cores) < 2:
        sys.stderr.write("server_ratio: one core for the server and one for wrk are needed\n")
        return 2
    try:
        turns = measured(options.rounds, options.seconds, server_core=cores[0], wrk_core=cores[1])
    except (RateError, StartError) as error:
        sys.stderr.write(f"server_ratio: {error}\n")
        return 1
    print(f"{options.rounds} rounds of {options.seconds} s, {CONNECTIONS} connections; {place()}\n")
    print_tables(turns)
    return 0


def measured(rounds: int, seconds: int, *, server_core: int, wrk_core: int) -> dict[str, list[Turn]]:
    """The turns of each contender. Raises `RateError` and `StartError`."""
    turns: dict[str, list[Turn]] = {name: [] for name in CONTENDERS}
    with ExitStack() as stack:
        with pinned(server_core):
            servers = {name: stack.enter_context(served(name, CONTENDERS[name])) for name in CONTENDERS}
        stack.enter_context(pinned(wrk_core))
        for name, server in servers.items():
            one_turn(name, server, 1)  # caches filled, code specialised
        for _ in range(rounds):
            for name, server in servers.items():
                turns[name].append(one_turn(name, server, seconds))
    return turns


def one_turn(name: str, server: Served, seconds: int) -> Turn:
    """Let wrk call for so long. Raises `RateError`."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT)
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script.name]
        url = f"http://127.0.0.1:{server.port}{PATH}"
        before = server.cpu_seconds()
        done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 60)
        used = server.cpu_seconds() - before
    numbers = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or len(numbers) != 1:
        raise RateError(f"{name}: wrk failed: {done.stdout}{done.stderr}")
    requests, duration, latency, errors = map(int, numbers[0])
    if errors or not requests:
        raise RateError(f"{name}: {errors} of {requests} calls failed, so there is no rate")
    return Turn(requests / duration * 1e6, latency / 1000, used / requests * 1e6)


def print_tables(turns: Mapping[str, Sequence[Turn]]) -> None:
    rates = {name: [turn.rate for turn in turns[name]] for name in turns}
    heads = ("requests a second", "min", "median", "max", "p50 ms", "CPU us a call")
    print_table(heads, [(name, *spread(rates[name], 0), *_middles(turns[name])) for name in turns])
    print()
    ratios = {
        name: [rate / base for rate, base in zip(rates[name], rates[BARE], strict=True)] for name in turns
    }
    shares = (f"share of {BARE}", "min", "median", "max")
    print_table(shares, [(name, *spread(ratios[name], 2)) for name in turns if name != BARE])


def _middles(turns: Sequence[Turn]) -> tuple[str, str]:
    latency = median(turn.milliseconds for turn in turns)
    return f"{latency:.2f}", f"{median(turn.cpu_microseconds for turn in turns):.0f}"


if __name__ == "__main__":
    sys.exit(main())
