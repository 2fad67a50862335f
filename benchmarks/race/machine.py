"""The machine: what a reader has to know to compare, and how quiet it is."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from contenders.work import cpu
from process import pinned

from race.works import TURNS

LOOPS = 100


def described(server_core: int, load_core: int) -> Mapping[str, str]:
    """Its parts in words, and how quiet its core for servers is now. Takes a second."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}{_virtual()}",
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "wrk": _wrk(),
        "pinned": f"servers to core {server_core}, wrk and the sender to core {load_core}",
        "quiet": _quiet(server_core),
    }


def _quiet(core: int) -> str:
    """A fixed loop, again and again: on a machine that does nothing else it takes always the same."""
    load = os.getloadavg()[0]
    with pinned(core):
        took = sorted(_loop() for _ in range(LOOPS))
    least, middle, late = took[0], median(took), took[int(LOOPS * 0.95)]
    return (
        f"load average {load:.1f} before; a fixed loop of {least * 1000:.1f} ms, {LOOPS} times: median "
        f"{middle / least - 1:+.0%}, 95th percentile {late / least - 1:+.0%} above the least"
    )


def _loop() -> float:
    began = time.perf_counter()
    cpu(TURNS)
    return time.perf_counter() - began


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", _cpuinfo(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _virtual() -> str:
    return ", a virtual machine" if re.search(r"^flags\s*:.*\bhypervisor\b", _cpuinfo(), re.MULTILINE) else ""


def _cpuinfo() -> str:
    return Path("/proc/cpuinfo").read_text()


def _wrk() -> str:
    # It has no option for this: it tells with its usage, and fails.
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).split("[", maxsplit=1)[0].removeprefix("wrk").strip()
