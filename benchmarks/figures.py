"""What was measured, raw, and the figures that are made of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from callers import OK, Call, Probe
from sleeping.sleeper import MILLISECONDS

CAPACITY = 1000 / MILLISECONDS  # calls a second
LINE = 20
# Statuses by which a server says that it did not run a call: too many, not now, waited too long.
REFUSALS = ("429", "503", "504")
# Requests sent closer together may reach the server's line in either order.
APART = 0.005
# The generator is trusted as long as 99 % of what it sent was no later than this, in milliseconds.
LATEST = 50.0


@dataclass(frozen=True)
class Turn:
    """One server under one load (a multiple of what it can do) for some seconds."""

    server: str
    load: float
    seconds: float
    calls: Sequence[Call]
    probes: Sequence[Probe]
    threads: int


@dataclass(frozen=True)
class Line:
    """Memory of one server's processes, in kB: at rest, and with so many calls waiting."""

    server: str
    waiting: int
    at_rest: int
    full: int
    threads: int

    @property
    def each(self) -> float:
        """kB for each waiting call."""
        return (self.full - self.at_rest) / self.waiting if self.waiting else math.nan


@dataclass
class Measured:
    """Everything, as it is stored."""

    place: str
    turns: list[Turn] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def store(self, file: Path) -> None:
        """Write it as JSON, times to the microsecond."""
        everything = asdict(self)
        for turn in everything["turns"]:
            for rows in ("calls", "probes"):
                turn[rows] = [[round(v, 6) if isinstance(v, float) else v for v in row] for row in turn[rows]]
        file.write_text(json.dumps(everything, separators=(",", ":")) + "\n")

    @classmethod
    def stored(cls, file: Path) -> Measured:
        """What `store` wrote. Raises `OSError`, `ValueError`, `LookupError` and `TypeError`."""
        read = json.loads(file.read_text())
        for turn in read["turns"]:
            turn["calls"] = [Call(*row) for row in turn["calls"]]
            turn["probes"] = [Probe(*row) for row in turn["probes"]]
        return cls(
            read["place"], [Turn(**turn) for turn in read["turns"]], [Line(**line) for line in read["lines"]]
        )


@dataclass(frozen=True)
class Figures:
    """One turn in numbers; times in milliseconds.

    ``possible``: the share of the calls that a server with one slot and such a line can answer at most;
    ``waits``: of the answered, from connecting until the answer, without the 50 ms that the job sleeps;
    ``refusals``: of the refused, from connecting until they knew.
    """

    server: str
    load: float
    sent: int
    possible: float
    outcomes: Counter[str]
    out_of_order: int
    waits: Sequence[float]
    refusals: Sequence[float]
    probes: Sequence[float]
    probes_failed: int
    threads: int
    lateness: Sequence[float]

    @classmethod
    def of(cls, turn: Turn) -> Figures:
        """Those of a turn."""
        return cls(
            server=turn.server,
            load=turn.load,
            sent=len(turn.calls),
            # What runs while callers come, and at their end the one that runs and those in the line.
            possible=min(1.0, (turn.seconds * CAPACITY + 1 + LINE) / len(turn.calls)),
            outcomes=Counter(call.outcome for call in turn.calls),
            out_of_order=out_of_order(turn.calls),
            waits=[call.took * 1000 - MILLISECONDS for call in turn.calls if call.outcome == OK],
            refusals=[call.took * 1000 for call in turn.calls if call.outcome in REFUSALS],
            probes=[probe.took * 1000 for probe in turn.probes],
            probes_failed=sum(probe.outcome != OK for probe in turn.probes),
            threads=turn.threads,
            lateness=[late * 1000 for late in _late(turn)],
        )

    @property
    def answered(self) -> int:
        """Calls with status 200 and the right body."""
        return self.outcomes[OK]

    @property
    def refused(self) -> int:
        """Calls that the server said it did not run."""
        return sum(self.outcomes[status] for status in REFUSALS)

    @property
    def failures(self) -> dict[str, int]:
        """How often each other thing happened."""
        return {what: times for what, times in self.outcomes.items() if what not in (OK, *REFUSALS)}

    @property
    def is_late(self) -> bool:
        """Whether the load was not what it should have been."""
        return percentile(self.lateness, 99) > LATEST


def _late(turn: Turn) -> list[float]:
    return [call.late for call in turn.calls] + [probe.late for probe in turn.probes]


def out_of_order(calls: Iterable[Call]) -> int:
    """How many of the answered calls were overtakers.

    An overtaker began before another answered call that had been sent at least `APART` seconds earlier.
    """
    served = sorted((call for call in calls if call.outcome == OK), key=lambda call: call.sent)
    overtakers = passed = latest_start = 0
    for call in served:
        # All those sent early enough before this one; ``passed`` only moves on, since calls are sorted.
        while served[passed].sent <= call.sent - APART:
            latest_start = max(latest_start, served[passed].started)
            passed += 1
        overtakers += call.started < latest_start
    return overtakers


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so many percent of them do not exceed (nearest rank); NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]
