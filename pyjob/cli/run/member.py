"""A process of the local platform, which ends when that has gone."""

from __future__ import annotations

import os
import signal
import threading


def end_with_platform(*, has_inner: bool) -> None:
    """End as by SIGTERM at the end of stdin: a pipe that the platform holds and never writes to.

    So the process does not outlive it, even where it was killed. ``has_inner``: whether a process that this
    one starts is to watch it, too; else the job finds stdin empty, and does not wait for what never comes.
    """
    lifeline = os.dup(0)
    if not has_inner:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
    threading.Thread(target=_watch, args=(lifeline,), name="pyjob-lifeline", daemon=True).start()


def _watch(lifeline: int) -> None:
    try:
        os.read(lifeline, 1)
    except OSError:  # nobody knows then what has become of it
        return
    os.kill(os.getpid(), signal.SIGTERM)
