"""One contender in one round: started, weighed at rest, called in every way, weighed again, ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from race import fixed_rate, wrk
from race.contenders import Kind
from race.fixed_rate import Sent
from race.results import Start
from race.served import Server, WrongAnswerError, serving
from race.works import WORKS
from race.wrk import Turn

# In `sum`, with so many connections; its rate at the second of them is what is compared.
CONNECTIONS = (1, 16, 64)
USUAL = ("sum", 16)


@dataclass(frozen=True)
class Form:
    """How long everything takes, in seconds.

    ``limit``: all of it; ``inside``: what the look inside takes of that. ``again``: most rounds that repeat
    what was noisy.
    """

    name: str
    rounds: int
    again: int
    rest: float
    warm_up: float
    of_sum: float
    of_others: float
    fixed: float
    inside: float
    limit: float

    @property
    def lap(self) -> float:
        """A lap without starting and ending the server."""
        turns = len(CONNECTIONS) * self.of_sum + (len(WORKS) - 1) * self.of_others
        return self.rest + self.warm_up + turns + self.fixed + OVERHEAD


# To check answers by value, to start wrk seven times and read its files, to weigh.
OVERHEAD = 1.0
QUICK = Form(
    name="quick",
    rounds=3,
    again=1,
    rest=0.5,
    warm_up=0.4,
    of_sum=0.8,
    of_others=0.6,
    fixed=1.5,
    inside=75,
    limit=580,
)
FULL = Form(
    name="full",
    rounds=5,
    again=3,
    rest=1,
    warm_up=1,
    of_sum=2.5,
    of_others=1.5,
    fixed=5,
    inside=490,
    limit=2340,
)


@dataclass(frozen=True)
class Lap:
    """What came of it. ``seconds``: how long it took."""

    start: Start
    turns: Mapping[tuple[str, int], Turn]
    sent: Sent | None
    seconds: float


def run(kind: Kind, python: str, core: int, form: Form, fix: Callable[[Turn], float | None]) -> Lap:
    """Run it. ``fix``: the fixed rate, given the turn at `USUAL`; None: not yet.

    Raises what of a contender may fail: `rounds.DEATHS`.
    """
    began = time.perf_counter()
    with serving(kind, python, core) as server:
        time.sleep(form.rest)
        idle, resident = server.proportional(), server.resident()
        wrk.turn(server, *USUAL, form.warm_up)
        turns = {("sum", count): _turn(server, "sum", count, form.of_sum) for count in CONNECTIONS}
        rate = fix(turns[USUAL])
        sent = fixed_rate.send(server, "sum", rate, form.fixed) if rate else None
        for work in list(WORKS)[1:]:
            count = WORKS[work].connections
            turns[work, count] = _turn(server, work, count, form.of_others)
        start = Start(
            seconds=server.seconds,
            idle=idle,
            resident=resident,
            loaded=server.proportional(),
            processes=len(server.tree.members()),
            threads=server.tree.threads(),
        )
    return Lap(start, turns, sent, time.perf_counter() - began)


def _turn(server: Server, work: str, connections: int, seconds: float) -> Turn:
    try:
        return wrk.turn(server, work, connections, seconds)
    except WrongAnswerError as error:
        return wrk.refused(str(error))
