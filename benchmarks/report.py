"""Results as text: Markdown tables, and where they were measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from statistics import median


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A Markdown table, to be pasted into the README; all columns but the first are numbers."""
    print(f"| {' | '.join(heads)} |")
    print(f"|---|{'---:|' * (len(heads) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def spread(values: Sequence[float], digits: int) -> list[str]:
    """Lowest, median and highest, as three cells."""
    return [f"{value:.{digits}f}" for value in (min(values), median(values), max(values))]


def place() -> str:
    """What a reader has to know to compare: the interpreter and the number of cores."""
    return f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores"
