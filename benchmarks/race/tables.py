"""The tables of a race, as lines of Markdown; the order of the rows is that of the rates."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from race.goals import GOALS, Goal
from race.markdown import NOTHING, errors_cell, middle_of, number, plain, rate_cell, reason, row, short, table
from race.reading import (
    BARE,
    CONNECTIONS,
    WORKS,
    differences,
    flaw,
    ranked,
    rate_of,
    ratios,
)
from race.results import Contender, Curve, Inside, Latency, Results, Start


def rates(results: Results) -> list[str]:
    """`sum` in the closed loop."""
    heads = ("", *(f"{count} at once, 1/s" for count in CONNECTIONS), "x bare", "CPU us a call", "errors")
    return table(heads, [row(one, _rates_of(one, results)) for one in ranked(results)])


def _rates_of(one: Contender, results: Results) -> list[str]:
    turns = [rate_of(one, connections=count) for count in CONNECTIONS]
    usual = rate_of(one)
    cpu = [] if usual is None or flaw(usual) else usual.cpu
    there = [turn for turn in turns if turn is not None]
    cells = [rate_cell(turn) for turn in turns]
    return [*cells, middle_of(ratios(results, one.key, BARE)), middle_of(cpu), errors_cell(there)]


def latencies(results: Results) -> list[str]:
    """At half of what each can do."""
    heads = ("", "calls/s", "p50 ms", "p99 ms", "p99.9 ms", "sender late, p99 ms", "errors")
    return table(
        heads, [row(one, _latency_of(one.latency)) for one in ranked(results) if one.latency is not None]
    )


def _latency_of(latency: Latency | None) -> list[str]:
    if latency is None:
        return []
    errors = errors_cell([latency])
    if flaw(latency):
        return [number(latency.rate), f"no figures: {reason(flaw(latency))}", *[NOTHING] * 3, errors]
    values = (latency.p50, latency.p99, latency.p999, latency.late)
    return [number(latency.rate), *map(middle_of, values), errors]


def works(results: Results) -> list[str]:
    """The other works."""
    others = [work for work in WORKS if work != "sum"]
    rows = []
    for one in ranked(results):
        # Each of them was taken with one number of connections.
        turns = [next((rate for rate in one.rates if rate.work == work), None) for work in others]
        there = [turn for turn in turns if turn is not None]
        rows.append(row(one, [*map(rate_cell, turns), errors_cell(there)]))
    return table(("1/s", *(WORKS[work] for work in others), "errors"), rows)


def takes(results: Results) -> list[str]:
    """Start, memory, processes, disk."""
    heads = (
        "",
        "first answer after s",
        "MB at rest",
        "MB after load",
        "processes",
        "threads",
        "packages",
        "MB on disk",
        "import ms",
    )
    return table(heads, [row(one, _takes_of(one)) for one in ranked(results)])


def _takes_of(one: Contender) -> list[str]:
    def middle(figure: str) -> str:
        return middle_of([getattr(start, figure) for start in one.starts])

    starts = [middle("seconds"), middle("idle"), middle("loaded"), *_most(one.starts)]
    if one.install is None:
        return [*starts, NOTHING, NOTHING, NOTHING]
    install = one.install
    return [
        *starts,
        str(install.packages),
        number(install.megabytes),
        middle_of(install.import_milliseconds),
    ]


def _most(starts: Sequence[Start]) -> list[str]:
    if not starts:
        return [NOTHING, NOTHING]
    return [str(max(getattr(start, what) for start in starts)) for what in ("processes", "threads")]


def contenders(results: Results) -> list[str]:
    """Who takes part, set how, and on what."""
    rows = []
    for one in ranked(results):
        versions = ", ".join(f"{plain(name)} {plain(version)}" for name, version in one.versions.items())
        rows.append(row(one, [plain(one.setting), versions]))
    return table(("", "how it is set", "versions"), rows, words=3)


def missing(results: Results) -> list[str]:
    """Who was not measured, and why."""
    return [
        f"- {plain(one.title)}: {reason(one.missing)}"
        for one in sorted(results.contenders, key=lambda one: one.title)
        if one.missing
    ]


def goals(results: Results) -> list[str]:
    """Each goal, what was measured, and whether that is enough."""
    rows = []
    for goal in GOALS:
        values = goal.measure(results)
        if not values:
            rows.append((goal.text, goal.asked, "not measured", NOTHING, NOTHING))
            continue
        measured = f"{median(values):.3g}{goal.unit}"
        rows.append((goal.text, goal.asked, measured, _range(values), _reached(goal, values)))
    return table(("goal", "asked", "median", "lowest to highest", "reached"), rows)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}" if len(values) > 1 else NOTHING


def _reached(goal: Goal, values: Sequence[float]) -> str:
    """By the median; and how many of the rounds say the same, where not all do."""
    is_reached = goal.reached(median(values))
    same = sum(goal.reached(value) == is_reached for value in values)
    doubt = f" (in {same} of {len(values)} rounds)" if same < len(values) else ""
    return f"{'yes' if is_reached else '**NO**'}{doubt}"


def alone(inside: Inside) -> list[str]:
    """The application without a server."""
    rows = []
    for name, values in (
        ("bare WSGI function", inside.bare),
        ("pyjob", inside.alone),
        ("pyjob with access lines", inside.with_lines),
    ):
        above = "" if values is inside.bare else f"{median(differences(values, inside.bare)):+.1f}"
        rows.append((name, f"{min(values):.1f}", f"{median(values):.1f}", f"{max(values):.1f}", above))
    return table(("us a call", "min", "median", "max", "above bare"), rows)


def stages(inside: Inside) -> list[str]:
    """The parts of the application's time."""
    whole = sum(inside.stages.values())
    rows = [(name, f"{value:.2f}", f"{100 * value / whole:.1f} %") for name, value in inside.stages.items()]
    return table(("stage", "us a call", "share"), [*rows, ("together", f"{whole:.2f}", "")])


def growth(curves: Sequence[Curve]) -> list[str]:
    """Curves over the same steps beside each other, and how many times the first value the last is."""
    rows = []
    for curve in curves:
        middles = [median(values) for values in curve.values]
        cells = [f"{number(median(values))} ({_apart(values)})" for values in curve.values]
        rows.append((curve.title, *cells, number(middles[-1] / middles[0])))
    first = curves[0]
    heads = (f"{first.unit}; {first.step}", *map(short, first.steps), "last / first")
    return table(heads, rows)


def _apart(values: Sequence[float]) -> str:
    return f"{number(min(values))}-{number(max(values))}"


def memory(inside: Inside) -> list[str]:
    """What the server holds after so many calls."""
    if inside.memory is None:
        return []
    pairs = zip(inside.memory.calls, inside.memory.megabytes, strict=True)
    return table(
        ("after so many calls", "MB resident"), [(f"{calls:,}", f"{size:.1f}") for calls, size in pairs]
    )


def imports(inside: Inside) -> list[str]:
    """The modules that cost most to import."""
    rows = [(f"`{module}`", f"{own:.1f}", f"{whole:.1f}") for module, own, whole in inside.imports]
    return table(("module", "ms alone", "ms with what it imports"), rows)


def panels(inside: Inside) -> list[list[Curve]]:
    """The curves, those over the same thing in the same unit together."""
    together: dict[tuple[str, str], list[Curve]] = {}
    for curve in inside.curves:
        together.setdefault((curve.step, curve.unit), []).append(curve)
    return list(together.values())
