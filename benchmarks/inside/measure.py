"""The look inside, all of it; called by `benchmarks/run`, which needs no pyjob of its own."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from race.results import Curve, Inside

from inside import bodies
from inside.children import Place
from inside.imports import heaviest
from inside.memory import memory_after

JOBS = (1, 2, 4, 8)
CALLS_OF_JOBS = 8_000


@dataclass(frozen=True)
class Form:
    """How long to look: rounds, calls a turn, seconds; ``memory``: after how many calls."""

    rounds: int
    calls: int
    profile: float
    body_rounds: int
    body_seconds: float
    starts: int
    memory: tuple[int, ...]


QUICK = Form(9, 500, 8.0, 3, 0.15, 3, (10_000, 100_000))
FULL = Form(21, 1000, 40.0, 7, 0.4, 7, (10_000, 100_000, 1_000_000))


def measure(python: str, *, full: bool, server_core: int, load_core: int) -> Inside:
    """All figures of pyjob alone, by ``python``, which has it installed.

    Raises `inside.children.ScriptError`, `inside.bodies.AnswerError`, `inside.memory.LoadError`,
    `process.StartError`, ValueError for a wrong answer and OSError.
    """
    form, place = FULL if full else QUICK, Place(python, server_core)
    costs = place.told_by("alone", form.rounds, 2 * form.calls)
    shares = place.told_by("stages", form.profile)
    grown = [Curve(**each) for each in place.told_by("growing", form.rounds, form.calls)]
    return Inside(
        bare=costs["bare"],
        alone=costs["alone"],
        with_lines=costs["with_lines"],
        stages={part: share * median(costs["alone"]) for part, share in shares.items()},
        curves=[
            *grown,
            *_jobs(place, form),
            *bodies.curves(place, rounds=form.body_rounds, seconds=form.body_seconds, load_core=load_core),
        ],
        imports=heaviest(place, starts=form.starts),
        memory=memory_after(place, form.memory, load_core=load_core),
    )


def _jobs(place: Place, form: Form) -> list[Curve]:
    """So many jobs in one process, a fresh one for each figure."""
    told: list[list[dict[str, Any]]] = [[] for _ in JOBS]
    for _ in range(form.starts):
        for figures, count in zip(told, JOBS, strict=True):
            figures.append(place.told_by("jobs", count, CALLS_OF_JOBS))
    return [
        Curve(
            title, "jobs in one process", unit, JOBS, [[each[what] for each in figures] for figures in told]
        )
        for title, unit, what in (
            ("a call, each in turn", "us a call", "us"),
            ("the whole process", "MB resident", "megabytes"),
        )
    ]
