"""Parts of hand-made SVG drawings: no script, no font, no style sheet of their own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from plot import COLOURS, FAINT, INK, PALE

from race.markdown import short

OWN_COLOUR, OTHER_COLOUR = COLOURS[0], "#a3adb8"
# About what a letter of 12 pixels takes.
LETTER = 6.6


def document(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """A whole drawing on white, so that it can be read on a dark page too."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="sans-serif" font-size="12" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
        text(20, 28, title, size=15, weight="bold"),
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    anchor: str = "start",
    weight: str = "normal",
    fill: str = INK,
) -> str:
    """``words`` with their foot at ``y``."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{fill}">{escape(words)}</text>'
    )


def bar(x: float, y: float, width: float, height: float, colour: str, *, opacity: float = 1.0) -> str:
    """A rectangle; never so thin that nobody sees it."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" fill="{colour}" '
        f'fill-opacity="{opacity:g}"/>'
    )


def path(points: Iterable[tuple[float, float]], colour: str, *, width: float = 1.5) -> str:
    """A line from point to point."""
    way = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{way}" stroke="{colour}" stroke-width="{width:g}" fill="none"/>'


def marker(shape: int, x: float, y: float, colour: str) -> str:
    """A circle, a square or a diamond."""
    look = f'fill="{colour}" stroke="white"'
    match shape % 3:
        case 0:
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {look}/>'
        case 1:
            return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" {look}/>'
        case _:
            return f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" {look}/>'


def whiskers(low: float, high: float, y: float) -> str:
    """From ``low`` to ``high`` at the height ``y``, with ends."""
    return (
        f'<path d="M{low:.1f} {y - 4:.1f}v8M{high:.1f} {y - 4:.1f}v8M{low:.1f} {y:.1f}H{high:.1f}" '
        f'stroke="{INK}" stroke-width="1.2" fill="none"/>'
    )


@dataclass(frozen=True)
class Scale:
    """From values (``low`` to ``high``) to pixels (``begin`` to ``end``), by logarithm if ``is_log``."""

    low: float
    high: float
    begin: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """The pixel of ``value``; what lies outside is drawn at the edge."""
        low, high, value = (
            (math.log10(each) for each in (self.low, self.high, max(value, self.low)))
            if self.is_log
            else (self.low, self.high, value)
        )
        share = (value - low) / (high - low) if high > low else 0.0
        return self.begin + (self.end - self.begin) * min(1.0, max(0.0, share))

    def ticks(self) -> list[float]:
        """Round values inside, few enough to be read."""
        if self.is_log:
            decades = math.log10(self.high / self.low)
            factors = (1, 2, 5) if decades <= 2 else (1,)
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = [factor * 10.0**power for power in powers for factor in factors]
        else:
            step = round_step((self.high - self.low) / 4)
            steps = [self.low + step * number for number in range(12)]
        return [each for each in steps if self.low * (1 - 1e-9) <= each <= self.high * (1 + 1e-9)]


def round_step(least: float) -> float:
    """The next of 1, 2 and 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def scale(
    values: Iterable[float], begin: float, end: float, *, is_log: bool = False, room: float = 1.05
) -> Scale:
    """One for all ``values``: from 0, or by decades and their halves and fifths where it ``is_log``."""
    known = [value for value in values if value > 0] or [1.0]
    if not is_log:
        return Scale(0.0, max(known) * room, begin, end)
    low = 10.0 ** math.floor(math.log10(min(known)))
    low = max(factor * low for factor in (1, 2, 5) if factor * low <= min(known))
    return Scale(low, max(round_step(max(known) * room), low * 2), begin, end, is_log=True)


def across(axis: Scale, top: float, foot: float, unit: str) -> Iterator[str]:
    """A horizontal axis: a line for each tick from ``top`` to ``foot``, and what it counts below."""
    for tick in axis.ticks():
        x = axis.at(tick)
        yield path([(x, top), (x, foot)], PALE, width=1)
        yield text(x, foot + 16, short(tick), size=11, anchor="middle", fill=FAINT)
    yield text((axis.begin + axis.end) / 2, foot + 34, unit, size=12, anchor="middle", fill=FAINT)


def upwards(axis: Scale, left: float, right: float) -> Iterator[str]:
    """A vertical axis: a line for each tick from ``left`` to ``right``."""
    for tick in axis.ticks():
        y = axis.at(tick)
        yield path([(left, y), (right, y)], PALE, width=1)
        yield text(left - 6, y + 4, short(tick), size=11, anchor="end", fill=FAINT)
