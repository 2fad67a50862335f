"""Markdown of figures: tables, numbers and the notes beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from race.reading import NOISY, flaw, is_own, spread
from race.results import Contender, Latency, Rate

NOTHING = "–"
LONGEST_REASON = 200


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> list[str]:
    """The lines of a table; all columns but the first ``words`` are numbers."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * words}{'---:|' * (len(heads) - words)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def row(contender: Contender, cells: Iterable[str]) -> list[str]:
    """The title and its cells, those of pyjob in bold."""
    line = [plain(contender.title), *cells]
    return [f"**{cell}**" if cell and is_own(contender) else cell for cell in line]


def plain(words: str) -> str:
    """``words`` of somebody else as one cell that no table, link or tag breaks."""
    line = " ".join(words.split()).replace("&", "&amp;")
    for sign, entity in (("<", "&lt;"), (">", "&gt;"), ("[", "&#91;"), ("]", "&#93;")):
        line = line.replace(sign, entity)
    for sign in "\\|`*_":
        line = line.replace(sign, f"\\{sign}")
    return line


def reason(words: str) -> str:
    """`plain`, and not too long: what failed tells much."""
    line = " ".join(words.split())
    return plain(line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…")


def number(value: float) -> str:
    """Three digits, or all before the point."""
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.0995 or not size else f"{value:.3f}"


def short(value: float) -> str:
    """10,000 and 0.5, as a reader likes them; from a million on with a letter."""
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def middle_of(values: Sequence[float]) -> str:
    """Their median."""
    return number(median(values)) if values else NOTHING


def rate_cell(rate: Rate | None) -> str:
    """The median rate and how far the rounds lie apart, or why there is none."""
    if rate is None:
        return NOTHING
    if flaw(rate):
        return f"no rate: {reason(flaw(rate))}"
    apart = spread(rate.rates)
    noisy = ", noisy" if apart > NOISY else ""
    return f"{number(median(rate.rates))} ({apart * 100:.0f} %{noisy})"


def errors_cell(measured: Iterable[Rate | Latency]) -> str:
    """How many failed of how many."""
    turns = list(measured)
    failed = sum(turn.failed for turn in turns)
    return f"{failed:,} of {sum(turn.calls for turn in turns):,}" if turns else NOTHING
