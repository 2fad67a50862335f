"""What a race found out, as it is stored: raw figures of every turn, from which the page is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Install:
    """What a contender takes on disk (megabytes without bytecode) and to import (milliseconds, one a try)."""

    packages: int
    megabytes: float
    import_milliseconds: Sequence[float]


@dataclass(frozen=True)
class Start:
    """One start: seconds until the first right answer; megabytes (PSS of all processes) at rest and loaded.

    ``resident``: the same at rest as RSS, which counts shared pages once for every process.
    """

    seconds: float
    idle: float
    resident: float
    loaded: float
    processes: int
    threads: int


@dataclass(frozen=True)
class Rate:
    """A closed loop: so many connections, each with its next call as soon as it is answered.

    ``rates``: right answers a second, one number a round; ``p50``, ``p99``: milliseconds, likewise;
    ``cpu``: microseconds of processor time of all of the server's processes for a call, likewise.
    ``failed``: refused, wrong or broken answers of all rounds: with one of them there are no figures.
    """

    work: str
    connections: int
    rates: Sequence[float]
    p50: Sequence[float]
    p99: Sequence[float]
    cpu: Sequence[float]
    calls: int
    failed: int
    why: str = ""


@dataclass(frozen=True)
class Latency:
    """An open loop at a fixed rate (calls a second): milliseconds from the moment a call was due.

    One number a round; ``late``: by how much the sender itself missed its schedule, 99th percentile.
    """

    rate: float
    p50: Sequence[float]
    p99: Sequence[float]
    p999: Sequence[float]
    late: Sequence[float]
    calls: int
    failed: int
    why: str = ""


@dataclass
class Contender:
    """One of them: ``versions`` of what it stands on; ``missing``: why it is not measured, or nothing."""

    key: str
    title: str
    versions: Mapping[str, str]
    setting: str
    missing: str = ""
    install: Install | None = None
    starts: list[Start] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    latency: Latency | None = None


@dataclass(frozen=True)
class Curve:
    """Cost as something grows: ``values[i]`` holds a number a round at ``steps[i]``."""

    title: str
    step: str  # what grows, with its unit: "endpoints", "bytes of the body"
    unit: str  # of the values: "us a call"
    steps: Sequence[float]
    values: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Memory:
    """RSS of one server in megabytes after so many calls."""

    calls: Sequence[int]
    megabytes: Sequence[float]


@dataclass(frozen=True)
class Inside:
    """pyjob looked at from inside, no server about it unless said; microseconds a call, a number a round.

    ``stages``: share of the application's time by part, with the microseconds; ``imports``: module,
    milliseconds alone and with what it imports, of `pyjob run`.
    """

    bare: Sequence[float]
    alone: Sequence[float]
    with_lines: Sequence[float]
    stages: Mapping[str, float]
    curves: Sequence[Curve]
    imports: Sequence[tuple[str, float, float]]
    memory: Memory | None = None


@dataclass
class Results:
    """Everything. ``form``: quick or full; ``machine``: what a reader has to know to compare."""

    form: str
    date: str
    machine: Mapping[str, str]
    rounds: int
    contenders: list[Contender] = field(default_factory=list)
    inside: Inside | None = None
    # Minutes that the whole took, without installing.
    minutes: float = 0.0

    def store(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(_rounded(asdict(self)), indent=1) + "\n")

    @classmethod
    def stored(cls, file: Path) -> Results:
        """What `store` wrote. Raises `OSError`, `ValueError`, `LookupError` and `TypeError`."""
        read = json.loads(file.read_text())
        read["contenders"] = [_contender(each) for each in read["contenders"]]
        read["inside"] = _inside(read["inside"]) if read["inside"] else None
        return cls(**read)


def _contender(read: dict[str, Any]) -> Contender:
    read["install"] = Install(**read["install"]) if read["install"] else None
    read["starts"] = [Start(**each) for each in read["starts"]]
    read["rates"] = [Rate(**each) for each in read["rates"]]
    read["latency"] = Latency(**read["latency"]) if read["latency"] else None
    return Contender(**read)


def _inside(read: dict[str, Any]) -> Inside:
    read["curves"] = [Curve(**each) for each in read["curves"]]
    read["imports"] = [(module, alone, whole) for module, alone, whole in read["imports"]]
    read["memory"] = Memory(**read["memory"]) if read["memory"] else None
    return Inside(**read)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
