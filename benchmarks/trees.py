"""A server with all the processes that it has started: found, measured and ended together."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 5.0


class Tree:
    """The processes below one that this script has started, and that one itself."""

    def __init__(self, root: subprocess.Popen[bytes]) -> None:
        self.root = root

    def members(self) -> list[int]:
        """The ids of those alive, parents before children."""
        found = [self.root.pid]
        for pid in found:  # grows on the way
            found.extend(_children(pid))
        return found

    def threads(self) -> int:
        """How many threads they have together."""
        return sum(len(_entries(f"/proc/{pid}/task")) for pid in self.members())

    def resident(self) -> int:
        """What they occupy, in kB; pages that several of them share count for each (proc(5): VmRSS)."""
        return sum(_resident(pid) for pid in self.members())

    def end(self) -> None:
        """Ask the first to end, and end those that are left after `PATIENCE` seconds."""
        if self.root.poll() is not None:
            return
        # A descriptor stays with its process, a number may be another's by the time of the second signal.
        descriptors = list(_descriptors(self.members()))
        self.root.terminate()
        deadline = time.monotonic() + PATIENCE
        for descriptor in descriptors:
            select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        self.root.wait()


def _children(pid: int) -> Iterator[int]:
    for thread in _entries(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
            yield from map(int, text.split())


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  asked for several times a second
    except OSError:  # it has ended since
        return []


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(map(int, re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)))


def _descriptors(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            yield os.pidfd_open(pid)
