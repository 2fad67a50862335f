"""Turns of calls in one process, in processor time, so that what else the machine does weighs little."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from app_cost import Run

Timed = Callable[[int], None]  # makes so many calls


def timed(runs: Sequence[Timed], rounds: int, calls: int) -> list[list[float]]:
    """Microseconds a call of each, one number a round."""
    costs: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run(min(calls, 200))  # caches filled, code specialised
    for _ in range(rounds):
        for run, values in zip(runs, costs, strict=True):
            began = time.process_time()
            run(calls)
            values.append((time.process_time() - began) / calls * 1e6)
    return costs


def answering(run: Run, status: int, content: object = None) -> Timed:
    """``run``, which raises ValueError unless that is what its last call gets."""

    def checked(calls: int) -> None:
        got, body = run(calls)
        if got != status or (content is not None and json.loads(body) != content):
            raise ValueError(f"expected {status} and {content}, got {got} and {body[:200]!r}")

    return checked
