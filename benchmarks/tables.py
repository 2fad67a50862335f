"""The figures of `overload.py` as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from figures import CAPACITY, LATEST, REFUSALS, Figures, Measured, percentile
from report import print_table


def print_tables(measured: Measured, figures: Sequence[Figures]) -> None:
    """All of them."""
    print(f"{measured.place}\n\nCalls (a server can answer {CAPACITY:g} a second):\n")
    print_table(
        (
            "load, server",
            "sent",
            "200",
            *REFUSALS,
            "failed",
            "out of order",
            "wait p50 ms",
            "p99 ms",
            "refused p99 ms",
        ),
        [_calls(turn) for turn in figures],
    )
    for turn in figures:
        if turn.failures:
            print(f"\n{_name(turn)}, failed: {', '.join(f'{n} {what}' for what, n in turn.failures.items())}")
    print(
        "\nThe liveness probes beside them, and by how much calls and probes missed their schedule (late):\n"
    )
    print_table(
        ("load, server", "p50 ms", "p99 ms", "max ms", "failed", "threads", "late p99 ms", "latest ms"),
        [_life(turn) for turn in figures],
    )
    late = [_name(turn) for turn in figures if turn.is_late]
    if late:
        print(f"\nNot to be trusted, requests set out more than {LATEST:.0f} ms late: {'; '.join(late)}")
    if measured.lines:
        print("\nMemory of waiting calls:\n")
        heads = ("server", "waiting", "kB a waiting call", "MB at rest", "threads")
        rows = [
            (
                line.server,
                str(line.waiting),
                _number(line.each),
                _number(line.at_rest / 1024),
                str(line.threads),
            )
            for line in measured.lines
        ]
        print_table(heads, rows)


def _name(turn: Figures) -> str:
    return f"{turn.load:g} x, {turn.server}"


def _calls(turn: Figures) -> list[str]:
    counts = (
        turn.sent,
        turn.answered,
        *(turn.outcomes[status] for status in REFUSALS),
        sum(turn.failures.values()),
        turn.out_of_order,
    )
    times = (percentile(turn.waits, 50), percentile(turn.waits, 99), percentile(turn.refusals, 99))
    return [_name(turn), *map(str, counts), *map(_number, times)]


def _life(turn: Figures) -> list[str]:
    times = [_number(percentile(turn.probes, share)) for share in (50, 99, 100)]
    late = [_number(percentile(turn.lateness, share)) for share in (99, 100)]
    return [_name(turn), *times, str(turn.probes_failed), str(turn.threads), *late]


def _number(value: float) -> str:
    """Three digits or more; a dash where there is nothing."""
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"
