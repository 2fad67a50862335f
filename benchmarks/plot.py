"""The figures of `overload.py` as an SVG drawing: no script, no font, no style sheet of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from figures import Figures, percentile

WIDTH, HEIGHT = 900, 700
INK, FAINT, PALE = "#24292f", "#57606a", "#d8dee4"
# Told apart by those who do not see red and green as different (Okabe and Ito), and by their shapes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#56b4e9", "#e69f00")
FAILED = "#24292f"
# Shorter times, in milliseconds, are drawn as this one: the axes are logarithmic.
LEAST = 0.1


@dataclass(frozen=True)
class Panel:
    """A part of the drawing, in pixels."""

    left: float
    top: float
    width: float
    height: float

    def middles(self, count: int) -> list[float]:
        """The middles of so many columns of one width."""
        return [self.left + self.width * (2 * number + 1) / (2 * count) for number in range(count)]

    def share(self, share: float) -> float:
        """The height at which a share of all stands, 0 to 1."""
        return self.top + self.height * (1 - share)


def drawing(figures: Sequence[Figures], title: str) -> str:
    """The whole of it."""
    servers = list(dict.fromkeys(turn.server for turn in figures))
    loads = sorted({turn.load for turn in figures})
    by_place = {(turn.load, turn.server): turn for turn in figures}
    wide, left, right = Panel(60, 126, 820, 200), Panel(60, 416, 370, 220), Panel(510, 416, 370, 220)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" font-family="sans-serif" font-size="13" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(20, 28, title, size=16, weight="bold"),
        *_legend(servers),
        *_shares(wide, servers, loads, by_place),
        *_curves(
            left,
            "How long the answered waited, 99th percentile, ms",
            servers,
            loads,
            lambda load, server: _p99(by_place.get((load, server)), "waits"),
        ),
        *_curves(
            right,
            "Liveness endpoint, 99th percentile, ms",
            servers,
            loads,
            lambda load, server: _p99(by_place.get((load, server)), "probes"),
        ),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _p99(turn: Figures | None, of: str) -> float:
    return math.nan if turn is None else percentile(getattr(turn, of), 99)


def _legend(servers: Sequence[str]) -> Iterator[str]:
    x = 28.0
    for number, server in enumerate(servers):
        yield _marker(number, x, 54)
        yield _text(x + 14, 58.5, server)
        x += 50 + 7.5 * len(server)  # about what the words take


def _shares(
    panel: Panel,
    servers: Sequence[str],
    loads: Sequence[float],
    by_place: dict[tuple[float, str], Figures],
) -> Iterator[str]:
    yield _text(20, 92, "What became of the calls", weight="bold")
    yield from _shares_legend(panel.left + 230, 92)
    for share in (0, 0.25, 0.5, 0.75, 1):
        yield from _level(panel, panel.share(share), f"{share:.0%}".replace("%", " %"))
    yield from _loads(panel, loads)
    group = panel.width / len(loads)
    bar = min(40.0, group * 0.8 / len(servers))
    for load, middle in zip(loads, panel.middles(len(loads)), strict=True):
        begin = middle - bar * len(servers) / 2
        for number, server in enumerate(servers):
            if turn := by_place.get((load, server)):
                yield from _bar(
                    panel, begin + number * bar + 2, bar - 4, COLOURS[number % len(COLOURS)], turn
                )
        most = panel.share(max(turn.possible for turn in by_place.values() if turn.load == load))
        yield (
            f'<path d="M{begin - 6:.1f} {most:.1f}H{begin + bar * len(servers) + 6:.1f}" stroke="{INK}" '
            'stroke-width="1.5" stroke-dasharray="5 3" fill="none"/>'
        )


def _shares_legend(x: float, y: float) -> Iterator[str]:
    for words, look, step in (
        ("answered", f'fill="{FAINT}"', 95),
        ("refused (429, 503, 504)", f'fill="{FAINT}" fill-opacity="0.3"', 185),
        ("failed", f'fill="{FAILED}"', 75),
    ):
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" {look}/>'
        yield _text(x + 18, y, words, size=12)
        x += step
    yield f'<path d="M{x} {y - 4}h24" stroke="{INK}" stroke-width="1.5" stroke-dasharray="5 3"/>'
    yield _text(x + 30, y, "the most that can be answered", size=12)


def _bar(panel: Panel, x: float, width: float, colour: str, turn: Figures) -> Iterator[str]:
    answered, refused = turn.answered / turn.sent, turn.refused / turn.sent
    parts = (
        (0.0, answered, f'fill="{colour}"'),
        (answered, refused, f'fill="{colour}" fill-opacity="0.3"'),
        (answered + refused, 1 - answered - refused, f'fill="{FAILED}"'),
    )
    for below, share, look in parts:
        if share > 1e-9:
            top, height = panel.share(below + share), panel.height * share
            yield f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" {look}/>'
    if answered > 0.1:
        yield _text(
            x + width / 2, panel.share(0) - 6, f"{100 * answered:.0f}", size=11, anchor="middle", fill="white"
        )


def _curves(
    panel: Panel,
    title: str,
    servers: Sequence[str],
    loads: Sequence[float],
    value: Callable[[float, str], float],
) -> Iterator[str]:
    values = {(load, server): value(load, server) for load in loads for server in servers}
    known = [max(number, LEAST) for number in values.values() if not math.isnan(number)]
    yield _text(panel.left - 40, panel.top - 24, title, weight="bold")
    yield from _loads(panel, loads)
    if not known:
        return
    ticks = _ticks(min(known), max(known))
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])

    def height(number: float) -> float:
        return panel.share((math.log10(max(number, LEAST)) - low) / (high - low))

    for tick in ticks:
        yield from _level(panel, height(tick), f"{tick:g}")
    middles = panel.middles(len(loads))
    for number, server in enumerate(servers):
        # Beside each other, for many lie at the same height.
        aside = 9 * (number - (len(servers) - 1) / 2)
        points = [
            (middle + aside, height(values[load, server]))
            for load, middle in zip(loads, middles, strict=True)
            if not math.isnan(values[load, server])
        ]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        colour = COLOURS[number % len(COLOURS)]
        if points:
            yield f'<path d="M{path}" stroke="{colour}" stroke-width="2" fill="none" stroke-opacity="0.75"/>'
        yield from (_marker(number, x, y) for x, y in points)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every power of ten, as many as are needed to enclose both."""
    steps = [factor * 10.0**power for power in range(-2, 7) for factor in (1, 2, 5)]
    first = max(number for number, step in enumerate(steps) if step <= low)
    last = next(number for number, step in enumerate(steps) if step >= high and number > first)
    return steps[first : last + 1]


def _loads(panel: Panel, loads: Sequence[float]) -> Iterator[str]:
    """The horizontal axis."""
    foot = panel.share(0)
    yield f'<path d="M{panel.left} {foot}h{panel.width}" stroke="{FAINT}"/>'
    for load, middle in zip(loads, panel.middles(len(loads)), strict=True):
        yield _text(middle, foot + 18, f"{load:g} x", size=12, anchor="middle")
    yield _text(
        panel.left + panel.width / 2, foot + 38, "offered load, times capacity", size=12, anchor="middle"
    )


def _level(panel: Panel, y: float, words: str) -> Iterator[str]:
    """One line of the vertical axis."""
    yield f'<path d="M{panel.left} {y:.1f}h{panel.width}" stroke="{PALE}"/>'
    yield _text(panel.left - 8, y + 4, words, size=12, anchor="end")


def _marker(number: int, x: float, y: float) -> str:
    look = f'fill="{COLOURS[number % len(COLOURS)]}" stroke="white"'
    match number % 4:
        case 0:
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" {look}/>'
        case 1:
            return f'<rect x="{x - 5.5:.1f}" y="{y - 5.5:.1f}" width="11" height="11" {look}/>'
        case 2:
            return f'<path d="M{x:.1f} {y - 7:.1f}l7 12h-14z" {look}/>'
        case _:
            return f'<path d="M{x:.1f} {y - 7.5:.1f}l7 7.5l-7 7.5l-7 -7.5z" {look}/>'


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 13,
    anchor: str = "start",
    weight: str = "normal",
    fill: str = INK,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{fill}">{escape(words)}</text>'
    )
