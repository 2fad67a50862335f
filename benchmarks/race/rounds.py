"""The rounds: all contenders in turn, again and again, and those that were noisy once more.

A contender is noisy if one of its rates spreads by more than `NOISY` over the rounds (highest less lowest, as
a share of the median). It then runs again, and the new lap takes the place of the one that lies farthest from
the median, whatever the new one says. If the yardstick is noisy, everybody runs again, in place of the round
in which the yardstick was farthest from its median. That ends when nobody is noisy, after some rounds, or
when the time is up: what is noisy even then, the page marks. Who failed to answer a call does not run again:
that stays on record.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

from process import StartError

from race import lap
from race.contenders import YARDSTICK, Kind
from race.fixed_rate import MOST_CALLS
from race.lap import USUAL, Form, Lap
from race.results import Contender, Latency, Rate
from race.served import WrongAnswerError, serving
from race.works import WORKS
from race.wrk import Turn

NOISY = 0.15
# What can become of a contender, rather than of the race.
DEATHS = (StartError, WrongAnswerError, OSError, http.client.HTTPException, subprocess.TimeoutExpired)


@dataclass
class Entry:
    """A contender that takes part. ``laps``: one a round; ``took``: seconds of the last one."""

    kind: Kind
    python: str
    contender: Contender
    took: float = 0.0
    rate: float | None = None
    laps: list[Lap] = field(default_factory=list)

    def rates(self) -> dict[tuple[str, int], list[float]]:
        """Those without a failed call, by work and connections."""
        found: dict[tuple[str, int], list[float]] = {}
        for one in self.laps:
            for key, turn in one.turns.items():
                found.setdefault(key, []).append(0.0 if turn.failed else turn.rate)
        return {key: rates for key, rates in found.items() if all(rates)}

    def failed(self) -> bool:
        """Whether a call was not answered rightly in any lap."""
        turns = (turn for one in self.laps for turn in (*one.turns.values(), one.sent) if turn)
        return any(turn.failed for turn in turns)

    def noise(self) -> tuple[float, int]:
        """The largest spread of its rates, and the lap that is farthest from the median there."""
        noises = [(_spread(rates), _oddest(rates)) for rates in self.rates().values()]
        return max(noises, default=(0.0, 0))

    def fix(self, usual: Turn) -> float | None:
        """Half of what it does, by its second lap: for good, so that latencies can be compared."""
        usuals = [usual, *(one.turns[USUAL] for one in self.laps)]
        if self.rate is None and self.laps and not any(turn.failed for turn in usuals):
            self.rate = min(median(turn.rate for turn in usuals) / 2, MOST_CALLS)
        return self.rate

    def write(self) -> None:
        """Bring what is stored up to the laps."""
        self.contender.starts = [one.start for one in self.laps]
        keys = self.laps[0].turns if self.laps else ()
        self.contender.rates = [_rate(work, count, self.laps) for work, count in keys]
        self.contender.latency = _latency(self.rate, self.laps)


@dataclass
class Race:
    """All of them. ``store``: called after every round; ``began``: when the time began to count."""

    entries: list[Entry]
    form: Form
    core: int
    store: Callable[[], None]
    began: float = field(default_factory=time.monotonic)
    repeated: list[str] = field(default_factory=list)

    def rehearse(self) -> None:
        """Start everybody once, and see that all works are answered rightly; nothing of it counts."""
        for entry in self._living():
            tell(f"trying {entry.kind.title}")
            began = time.monotonic()
            try:
                with serving(entry.kind, entry.python, self.core) as server:
                    for work in WORKS:
                        server.ask(work)
            except DEATHS as error:
                self._mourn(entry, "tried", error)
            entry.took = time.monotonic() - began + self.form.lap
        self.store()

    def run(self) -> int:
        """All rounds, or as many as the time allows; how many."""
        held = 0
        for number in range(1, self.form.rounds + 1):
            if held and not self._fits(_took(self._living())):
                tell("the time is up")
                break
            for entry in self._living():
                where = f"round {number} of {self.form.rounds}"
                tell(f"{where}: {entry.kind.title} ... about {self._left(entry, number) / 60:.0f} min left")
                self._lap(entry, where)
            held = number
            self.store()
        for number in range(1, self.form.again + 1):
            if not self._once_more(number):
                break
            self.store()
        return held

    def _fits(self, seconds: float) -> bool:
        return time.monotonic() - self.began + seconds + self.form.inside <= self.form.limit

    def planned(self) -> float:
        """Seconds that the rounds will take, by the rehearsal."""
        return self.form.rounds * _took(self._living())

    def _once_more(self, number: int) -> bool:
        """A round of the noisy ones, the noisiest first, as far as the time goes; whether there was one."""
        plan = {entry.contender.key: entry.noise() for entry in self._living()}
        spread, odd = plan.get(YARDSTICK, (0.0, 0))
        if spread > NOISY:
            # A ratio compares two laps of one round: this round takes the place of one, for everybody.
            plan = dict.fromkeys(plan, (1.0, odd))
        able = [entry for entry in self._living() if not entry.failed()]
        noisy = [entry for entry in able if plan[entry.contender.key][0] > NOISY]
        noisy.sort(key=lambda entry: plan[entry.contender.key][0], reverse=True)
        ran = False
        for entry in noisy:
            if not self._fits(entry.took):
                continue
            tell(f"again, {number} of {self.form.again}: {entry.kind.title}, spread {entry.noise()[0]:.0%}")
            self._lap(entry, f"repetition {number}", instead=plan[entry.contender.key][1])
            self.repeated.append(entry.contender.key)
            ran = True
        return ran

    def _lap(self, entry: Entry, where: str, instead: int | None = None) -> None:
        try:
            one = lap.run(entry.kind, entry.python, self.core, self.form, entry.fix)
        except DEATHS as error:
            self._mourn(entry, where, error)
            return
        entry.took = one.seconds
        if instead is None:
            entry.laps.append(one)
        else:
            entry.laps[instead] = one
        entry.write()

    def _mourn(self, entry: Entry, where: str, error: BaseException) -> None:
        entry.contender.missing = f"{where}: {error or type(error).__name__}"
        tell(f"{entry.kind.title} is out, {entry.contender.missing}")

    def _living(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.contender.missing]

    def _left(self, now: Entry, number: int) -> float:
        living = self._living()
        rest = living[living.index(now) :]
        return _took(rest) + (self.form.rounds - number) * _took(living) + self.form.inside


def tell(words: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"benchmarks: {words}\n")


def _took(entries: Iterable[Entry]) -> float:
    return sum(entry.took for entry in entries)


def _spread(values: list[float]) -> float:
    return (max(values) - min(values)) / median(values)


def _oddest(values: list[float]) -> int:
    middle = median(values)
    return max(range(len(values)), key=lambda index: abs(values[index] - middle))


def _rate(work: str, connections: int, laps: list[Lap]) -> Rate:
    turns = [one.turns[work, connections] for one in laps]
    good = [turn for turn in turns if not turn.failed]
    return Rate(
        work=work,
        connections=connections,
        rates=[turn.rate for turn in good],
        p50=[turn.p50 for turn in good],
        p99=[turn.p99 for turn in good],
        cpu=[turn.cpu for turn in good],
        calls=sum(turn.calls for turn in turns),
        failed=sum(turn.failed for turn in turns),
        why=next((turn.why for turn in turns if turn.failed), ""),
    )


def _latency(rate: float | None, laps: list[Lap]) -> Latency | None:
    sent = [one.sent for one in laps if one.sent]
    if rate is None or not sent:
        return None
    good = [one for one in sent if not one.failed]
    return Latency(
        rate=rate,
        p50=[one.p50 for one in good],
        p99=[one.p99 for one in good],
        p999=[one.p999 for one in good],
        late=[one.late for one in good],
        calls=sum(one.calls for one in sent),
        failed=sum(one.failed for one in sent),
        why=next((one.why for one in sent if one.failed), ""),
    )
