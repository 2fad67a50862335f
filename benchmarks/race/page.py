"""Writes docs/benchmarks.md, its drawings, and the figures they are made of as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from race import charts, tables
from race.markdown import plain
from race.reading import NOISY, USUAL
from race.results import Inside, Results

TEXT, FIGURES = "benchmarks.md", "benchmarks.json"

GOALS = """\
By the median. Ratios compare turns of the same round; where rounds disagree on whether a goal is reached, the
table says how many say so."""

READING = f"""\
- Rows stand in the order of the rate at {USUAL} connections; pyjob's are bold. A rate is the median of the
  rounds; the percentage behind it is the distance from the slowest round to the quickest, and above
  {100 * NOISY:.0f} % it says *noisy*.
- *x bare* is the rate as a multiple of the bare function's in the same round, median of the rounds: on a
  machine that does other things too, it says more than the rate.
- *CPU us a call* is the processor time of all of the server's processes. It moves less than the rate does.
- One wrong, refused or broken answer, and there is no rate: the table says why instead.
- A server in Rust reads requests and writes answers outside of Python: a bare function on it is the
  yardstick of applications on it, as the bare function on waitress is of those on waitress."""

CLOSED = """\
Closed loop: `wrk`, one thread on a core of its own, keeps so many connections, each of which sends its next
call as soon as the last one is answered. That tells what a server can do at most. Each answer is compared
with one that was checked by value before. Server and load have a core each, and the contenders take turns:
in each round every one is started afresh. All calls of a turn have the same head, as those of many clients
do that keep their connection. `pyjob run` reads such a head once; what heads cost it that always differ is
told in [performance.md](performance.md#what-is-slower)."""

WORKS = f"""\
The other works, at {USUAL} connections; the list of floats, 1.9 MB of JSON, at one:"""

OPEN = """\
Fixed rate: a sender of our own makes half as many calls a second as the contender answered at 16
connections, on a schedule that does not wait for answers. Latency counts from the moment a call was due,
not from when it could be sent: a pause of the server is felt by all calls that fell into it (coordinated
omission is corrected). *Sender late* is by how much the sender itself missed its schedule; where that is as
long as the latency, the latency is not the server's."""

STARTS = """\
Medians of the starts. Memory is PSS of all processes: pages that several share count once. Processes and
threads are the most that were seen; *MB on disk* is without bytecode, pip and setuptools."""

INSIDE = """\
The application alone, called as a server calls it; the three take turns. Processor time, so that what else
the machine does weighs little. What is above bare is pyjob: ids, context, dispatch, checks, gate, metrics."""

STAGES = """\
A timer interrupts the running application about once a millisecond, and each look counts for the part whose
function runs. *context* takes the request in, gives it its id and tells the job of it; *bind, check* are one
part, since the checks of numbers are too short to be found; *call* is what leads a call through the others,
and the job's own function; *respond* sets the headers. *other* belongs to no part. The loop that makes the
calls has what is left of the whole."""

GROWTH = """\
Median of the rounds, in brackets the lowest and the highest; the steps of the drawings are not to scale.
Endpoints, the line and jobs are the application alone, in processor time. *In and out at the gate*: one call
leaves, which lets the first of the line in, and another one comes. A call is refused where the line is full.
Jobs in one process are called in turn; the process holds what measures, too. Bodies go through `pyjob run`
and through a bare function on waitress, one call after the other on one connection: one text, or rows, which
are a list of small objects."""


def write(results: Results, folder: Path) -> None:
    """Write everything into ``folder``. Raises `OSError`."""
    results.store(folder / FIGURES)
    results = Results.stored(folder / FIGURES)  # its figures are rounded, and the page is made of them
    for name, draw in _drawings(results):
        (folder / name).write_text(draw())
    (folder / TEXT).write_text("\n".join(_lines(results)) + "\n")


def _drawings(results: Results) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "benchmarks-rates.svg", lambda: charts.rates(results)
    yield "benchmarks-latency.svg", lambda: charts.latency(results)
    yield "benchmarks-start.svg", lambda: charts.start(results)
    inside = results.inside
    if inside is not None:
        yield "benchmarks-stages.svg", lambda: charts.stages(inside)
        yield "benchmarks-growth.svg", lambda: charts.growth(tables.panels(inside))


def _lines(results: Results) -> Iterator[str]:
    yield from _head(results)
    yield from ("## Goals", "", GOALS, "", *tables.goals(results), "")
    yield from ("## How to read the tables", "", READING, "")
    yield from ("## Rates", "", CLOSED, "", *tables.rates(results), "")
    yield from ("![Rates of all contenders](benchmarks-rates.svg)", "")
    yield from (WORKS, "", *tables.works(results), "")
    yield from ("## Latency at half of capacity", "", OPEN, "", *tables.latencies(results), "")
    yield from ("![Latency of all contenders](benchmarks-latency.svg)", "")
    yield from ("## Start, memory, installation", "")
    yield from (STARTS, "", *tables.takes(results), "")
    yield from ("![Start and memory of all contenders](benchmarks-start.svg)", "")
    yield from ("## Contenders", "", *tables.contenders(results), "")
    absent = tables.missing(results)
    if absent:
        yield from ("Not measured:", "", *absent, "")
    if results.inside is not None:
        yield from _inside(results.inside)


def _head(results: Results) -> Iterator[str]:
    yield from ("# Benchmarks", "")
    yield f"Written by `benchmarks/run --{results.form}`, with its drawings and the figures of"
    yield f"all rounds as [JSON]({FIGURES}): whoever wants to change something here runs it again. How it"
    yield "works is told in [benchmarks/README.md](../benchmarks/README.md)."
    yield ""
    took = f", {results.minutes:.0f} minutes without installing" if results.minutes else ""
    yield f"Taken {plain(results.date)}: the {results.form} form, {results.rounds} rounds{took}."
    yield ""
    for what, value in results.machine.items():
        yield f"- {plain(what)}: {plain(value)}"
    yield ""


def _inside(inside: Inside) -> Iterator[str]:
    yield from ("## Inside pyjob", "", INSIDE, "", *tables.alone(inside), "")
    yield from ("### By stage", "", STAGES, "", *tables.stages(inside), "")
    yield from ("![Microseconds by stage](benchmarks-stages.svg)", "")
    yield from ("### As it grows", "", GROWTH, "")
    for curves in tables.panels(inside):
        yield from (*tables.growth(curves), "")
    yield from ("![Cost as it grows](benchmarks-growth.svg)", "")
    if inside.memory is not None:
        yield from ("### Memory after many calls", "", "`pyjob run --no-access-log`, 16 connections.", "")
        yield from (*tables.memory(inside), "")
    yield from ("### Imports", "", "The heaviest modules that `pyjob run` imports, medians.", "")
    yield from tables.imports(inside)
