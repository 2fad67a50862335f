"""A job on the disk, served in this process for one call."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from pyjob.application import Application
from pyjob.errors import PyjobError
from pyjob.logs.setting_up import LEVELS
from pyjob.own import JobSource, own_application
from pyjob.settings import Settings

TICK = 0.2


class UnloadableError(PyjobError):
    """The job does not load; the log has told why."""


class SilentError(PyjobError):
    """The job takes too long; it is left to itself."""


@contextmanager
def own_job(source: JobSource, *, is_verbose: bool) -> Iterator[Application]:
    """The job of ``source`` as `pyjob run` loads it, open meanwhile; the process is the job's.

    Its log goes to standard error, without what pyjob tells of itself while all is well, unless
    ``is_verbose``. Raises `ManifestError`, and `UnloadableError` once the log has told of it.
    """
    application = own_application(
        source,
        settings=Settings(access_log=is_verbose),
        threads=2,  # one call is all that comes: there is no server to warn of
        access=lambda _: True,  # who may start the job may call it, whatever PYJOB_ACCESS says
    )
    if not is_verbose and (os.environ.get("LOG_LEVEL") or "").strip().lower() not in LEVELS:
        logging.getLogger("pyjob").setLevel(logging.WARNING)
    try:
        application.start()
        if application.state.wait() == "failed":
            raise UnloadableError(f"the job of {application.manifest.folder} does not load: see above")
        yield application
    finally:
        application.close(0)


@contextmanager
def kept_stdout() -> Iterator[TextIO | None]:
    """Standard output for the result alone: what else this process prints there goes to standard error."""
    before = sys.stdout
    if before is None:
        yield None
        return
    before.flush()
    sys.stdout = sys.stderr
    try:
        descriptor = before.fileno()
    except (OSError, ValueError):  # it is no file, as in a test: nothing but `sys.stdout` leads there
        try:
            yield before
        finally:
            sys.stdout = before
        return
    ours = os.dup(descriptor)
    try:
        # Also what a library or a process of the job writes.
        os.dup2(2, descriptor)
        with open(ours, "w", encoding=before.encoding, errors="backslashreplace", closefd=False) as stream:
            yield stream
    finally:
        os.dup2(ours, descriptor)
        os.close(ours)
        sys.stdout = before


def in_a_thread(work: Callable[[Callable[[], None]], int], timeout: float | None) -> int:
    """Do ``work`` where `pyjob run` does it, so that Ctrl-C reaches us and not the job.

    Returns what it returns, raises what it raises, and `SilentError` where it has not called what it is given
    for ``timeout`` seconds.
    """
    outcome: list[int | BaseException] = []
    heard, has_ended = [time.monotonic()], threading.Event()

    def hear() -> None:
        heard[0] = time.monotonic()

    def run() -> None:
        try:
            outcome.append(work(hear))
        except BaseException as error:  # noqa: BLE001  it is raised again
            outcome.append(error)
        has_ended.set()

    threading.Thread(target=run, name="pyjob-call", daemon=True).start()
    # Not for ever at once: a signal just before the wait is seen only after it.
    while not has_ended.wait(TICK if timeout is None else min(TICK, timeout)):
        if timeout is not None and time.monotonic() >= heard[0] + timeout:
            raise SilentError(f"nothing has come from the job for {timeout:g} s")
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return result
