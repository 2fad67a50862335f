"""The life of several jobs behind one port, from the first process to the last."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyjob.errors import AddressError
from pyjob.logs.setting_up import LogSettings, has_colours, set_up_logging
from pyjob.platform.child import Child
from pyjob.platform.directory import Directory
from pyjob.platform.front import Front
from pyjob.platform.hosted import HostedJob
from pyjob.platform.output import Label, Output, labels_of
from pyjob.platform.pages import Pages
from pyjob.serving.signals import HANDLED

OWN_NAME = "platform"
# The address of a Unix socket has 104 bytes at least; a folder's own name and a file's take some.
LONGEST_FOLDER = 70
# What processes have beside their grace, those that were told twice, and what they have printed, in seconds.
MORE_GRACE = 10.0
SHORT_GRACE = 3.0
LAST_LINES = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is to be served: ``jobs``, the sockets that listen for them, and their ``pub_url``.

    ``command`` makes the command line of a job's process from its path and the path of its Unix socket.
    ``grace``: how many seconds a process has to end. ``may_change``: whether jobs may take other names.
    ``remarks`` are to be logged.
    """

    jobs: Sequence[HostedJob]
    listening: Sequence[socket.socket]
    pub_url: str
    command: Callable[[Path, str], Sequence[str]]
    grace: float
    may_change: bool = False
    remarks: Sequence[str] = ()


def serve(plan: Plan, log: LogSettings) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, and let the calls end; at a second one, end at once.

    Raises `AddressError`.
    """
    out, err = Output(sys.stdout.buffer), Output(sys.stderr.buffer)
    names = [(OWN_NAME, log.structured), *zip(_names(plan.jobs), _structured(plan.jobs), strict=True)]
    own, *labels = labels_of(names, colours=has_colours(sys.stdout))
    with _own_log(log, own, out), _private_folder() as folder:
        children = [
            Child(
                job,
                plan.command(job.path, f"{folder}/{number}"),
                f"{folder}/{number}",
                may_change=plan.may_change,
            )
            for number, job in enumerate(plan.jobs)
        ]
        asyncio.run(_Life(plan, children).run(labels, out, err))
        logger.info("stopped")


class _Life:
    """The ``children`` of a plan, and the front before them."""

    def __init__(self, plan: Plan, children: Sequence[Child]) -> None:
        self._plan = plan
        self._children = children
        directory = Directory(children)
        self._front = Front(directory, Pages(directory, plan.pub_url))
        self._was_told = asyncio.Event()
        self._was_hurried = asyncio.Event()

    async def run(self, labels: Sequence[Label], out: Output, err: Output) -> None:
        """Until it is told to end, and all have."""
        loop = asyncio.get_running_loop()
        for number in HANDLED:
            loop.add_signal_handler(number, self._tell)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            loop.add_signal_handler(signal.SIGHUP, self._tell)
        lifeline, held = os.pipe()
        watched: list[asyncio.Task[None]] = []
        try:
            self._announce()
            for child, label in zip(self._children, labels, strict=True):
                await child.start(lifeline, label, out, err)
                watched.append(loop.create_task(self._watch(child)))
            accepting = [loop.create_task(self._front.accept(one)) for one in self._plan.listening]
            await self._was_told.wait()
            for task in accepting:
                task.cancel()
            await asyncio.gather(*accepting, return_exceptions=True)
            for one in self._plan.listening:
                one.close()
            await self._end(watched)
        finally:
            for child in self._children:
                child.kill()
            await asyncio.gather(*watched)
            os.close(held)
            os.close(lifeline)

    def _announce(self) -> None:
        plan = self._plan
        logger.info("listening on %s: %d jobs", plan.pub_url.removesuffix("/pub"), len(plan.jobs))
        for remark in plan.remarks:
            logger.warning("%s", remark)

    def _tell(self) -> None:
        if self._was_told.is_set():
            self._was_hurried.set()
            for child in self._children:
                child.terminate()
        self._was_told.set()

    async def _watch(self, child: Child) -> None:
        await child.wait()
        if not self._was_told.is_set():
            logger.error("%s", child.told_end())  # why, its own lines say

    async def _end(self, watched: Sequence[asyncio.Task[None]]) -> None:
        """Let the calls end that run, and the processes; what is left then is cut off."""
        for child in self._children:
            child.terminate()
        loop = asyncio.get_running_loop()
        rest, hurried = loop.create_task(self._drain(watched)), loop.create_task(self._was_hurried.wait())
        await asyncio.wait(
            (rest, hurried), timeout=self._plan.grace + MORE_GRACE, return_when=asyncio.FIRST_COMPLETED
        )
        if hurried.done():
            await asyncio.wait((rest,), timeout=SHORT_GRACE)
        for task in (rest, hurried):
            task.cancel()
        await asyncio.gather(rest, hurried, return_exceptions=True)
        await self._front.cut_off()

    async def _drain(self, watched: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.wait(watched)
        await self._front.drain()


def _names(jobs: Sequence[HostedJob]) -> Iterator[str]:
    """What to call each job in front of its lines: its name, with its version where others have that."""
    names = [job.name for job in jobs]
    for job in jobs:
        yield job.name if names.count(job.name) == 1 else f"{job.name} {job.version}".strip()


def _structured(jobs: Sequence[HostedJob]) -> Iterator[bool]:
    return (job.is_structured for job in jobs)


@contextmanager
def _own_log(settings: LogSettings, label: Label, out: Output) -> Iterator[None]:
    """Our own records go the way of all others, so that none comes between the parts of another."""
    reads, writes = os.pipe()
    thread = out.follow(reads, label)
    with os.fdopen(writes, "w", encoding="utf-8") as stream:
        set_up_logging(settings, stream)
        yield
        logging.getLogger().handlers.clear()  # the stream ends before the process does
    thread.join(LAST_LINES)


@contextmanager
def _private_folder() -> Iterator[str]:
    """A folder for the sockets that only this user can look into (mode 700), with a short path.

    Raises `AddressError`.
    """
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    places = [runtime, Path(tempfile.gettempdir()), Path("/tmp")]  # nosec B108 # see mkdtemp
    for place in places:
        if not place.is_absolute() or len(os.fsencode(place)) > LONGEST_FOLDER:
            continue
        try:
            folder = tempfile.mkdtemp(prefix="pyjob-", dir=place)
        except OSError:
            continue
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    tried = ", ".join(map(str, places[1:]))
    raise AddressError(f"no folder can be made for the sockets of the jobs (XDG_RUNTIME_DIR, {tried})")
