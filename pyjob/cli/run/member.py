"""A process of the local platform, which ends when that has gone."""

from __future__ import annotations

import os
import signal
import threading


def end_with_platform() -> None:
    """End as by SIGTERM at the end of stdin: a pipe that the platform holds and never writes to.

    So the process does not outlive it, even where it was killed.
    """
    lifeline = os.dup(0)  # the job may close stdin
    threading.Thread(target=_watch, args=(lifeline,), name="pyjob-lifeline", daemon=True).start()


def _watch(lifeline: int) -> None:
    try:
        os.read(lifeline, 1)
    except OSError:  # nobody knows then what has become of it
        return
    os.kill(os.getpid(), signal.SIGTERM)
