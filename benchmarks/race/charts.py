"""The drawings of a race: rates, latency, what it takes to start, and the look inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from plot import COLOURS, FAINT

from race.markdown import number, short
from race.reading import NOISY, flaw, is_own, ranked, rate_of, spread
from race.results import Contender, Curve, Inside, Latency, Rate, Results
from race.svg import (
    LETTER,
    OTHER_COLOUR,
    OWN_COLOUR,
    Scale,
    across,
    bar,
    document,
    marker,
    path,
    scale,
    text,
    upwards,
    whiskers,
)

WIDTH, TOP, ROW, FOOT = 900, 56, 26, 50
NAMES = 250  # pixels that the names of the contenders have
LATENCIES = ("p50", "p99", "p99.9")


def rates(results: Results) -> str:
    """All contenders at 16 connections."""
    rows = ranked(results)
    known = [rate for one in rows if (rate := rate_of(one)) and not flaw(rate)]
    axis = scale((max(rate.rates) for rate in known), NAMES, WIDTH - 40, room=1.15)
    foot = TOP + ROW * len(rows)
    parts = [*across(axis, TOP, foot, "right answers a second")]
    for one, y in _lines(rows):
        parts += [_name(one, y), *_rate(rate_of(one), axis, y, _colour(one))]
    title = "The sum of two numbers, 16 connections: median of the rounds, lowest and highest"
    return document(WIDTH, foot + FOOT, title, parts)


def _rate(rate: Rate | None, axis: Scale, y: float, colour: str) -> Iterator[str]:
    if rate is None or flaw(rate):
        why = "not measured" if rate is None else f"no rate: {flaw(rate)}"
        yield text(axis.begin + 8, y + 4, _cut(why, axis.end - axis.begin), fill=FAINT)
        return
    low, mean, high = (axis.at(each) for each in (min(rate.rates), median(rate.rates), max(rate.rates)))
    yield bar(axis.begin, y - 8, mean - axis.begin, 16, colour)
    yield whiskers(low, high, y)
    noisy = "  noisy" if spread(rate.rates) > NOISY else ""
    yield text(high + 8, y + 4, f"{number(median(rate.rates))}{noisy}")


def latency(results: Results) -> str:
    """From the 50th to the 99.9th percentile, at half of what each can do."""
    rows = [(one, one.latency) for one in ranked(results) if one.latency is not None]
    known = [each for _, each in rows if not flaw(each)]
    values = [median(group) for each in known for group in (each.p50, each.p999)]
    axis = scale(values, NAMES, WIDTH - 110, is_log=True)
    top, foot = TOP + 24, TOP + 24 + ROW * len(rows)
    parts = [*across(axis, top, foot, "milliseconds since the call was due")]
    for shape, words in enumerate(LATENCIES):
        x = NAMES + 8 + 80 * shape
        parts += [marker(shape, x, TOP, FAINT), text(x + 10, TOP + 4, words)]
    parts.append(text(WIDTH - 20, TOP + 4, "calls/s", anchor="end", fill=FAINT))
    for (one, each), (_, y) in zip(rows, _lines([one for one, _ in rows], top), strict=True):
        parts += [_name(one, y), *_dots(each, axis, y, _colour(one))]
        parts.append(text(WIDTH - 20, y + 4, number(each.rate), anchor="end", fill=FAINT))
    return document(
        WIDTH, foot + FOOT, "Latency at half of what each can do, coordinated omission corrected", parts
    )


def _dots(each: Latency, axis: Scale, y: float, colour: str) -> Iterator[str]:
    if flaw(each):
        yield text(
            axis.begin + 8, y + 4, _cut(f"no figures: {flaw(each)}", axis.end - axis.begin), fill=FAINT
        )
        return
    places = [axis.at(median(group)) for group in (each.p50, each.p99, each.p999)]
    yield path([(places[0], y), (places[-1], y)], colour, width=2)
    yield from (marker(shape, x, y, colour) for shape, x in enumerate(places))


def start(results: Results) -> str:
    """Seconds to the first answer, and memory at rest and after load."""
    rows = [one for one in ranked(results) if one.starts]
    foot = TOP + ROW * len(rows)
    left = scale((_of(one, "seconds") for one in rows), NAMES, 520, room=1.2)
    right = scale((max(_of(one, "idle"), _of(one, "loaded")) for one in rows), 560, WIDTH - 30, room=1.2)
    parts = [*across(left, TOP, foot, "seconds to the first right answer")]
    parts += across(right, TOP, foot, "MB (PSS): at rest, and pale after load")
    for one, y in _lines(rows):
        colour, seconds = _colour(one), _of(one, "seconds")
        idle, loaded = _of(one, "idle"), _of(one, "loaded")
        most = right.at(max(idle, loaded))
        parts += [_name(one, y), bar(left.begin, y - 8, left.at(seconds) - left.begin, 16, colour)]
        parts.append(text(left.at(seconds) + 6, y + 4, number(seconds)))
        parts.append(bar(right.begin, y - 8, most - right.begin, 16, colour, opacity=0.4))
        parts.append(bar(right.begin, y - 8, right.at(idle) - right.begin, 16, colour))
        parts.append(text(most + 6, y + 4, f"{idle:.0f}, {loaded:.0f}"))
    return document(WIDTH, foot + FOOT, "Start and memory, medians", parts)


def stages(inside: Inside) -> str:
    """Where the application spends a call, in the order of the road."""
    names = list(inside.stages)
    whole = sum(inside.stages.values())
    axis = scale(inside.stages.values(), 120, WIDTH - 140)
    foot = TOP + ROW * len(names)
    parts = [*across(axis, TOP, foot, "microseconds a call")]
    for line, (name, value) in enumerate(inside.stages.items()):
        y = TOP + ROW * (line + 0.5)
        parts += [text(110, y + 4, name, anchor="end"), bar(120, y - 8, axis.at(value) - 120, 16, OWN_COLOUR)]
        parts.append(text(axis.at(value) + 8, y + 4, f"{value:.2f}  ({100 * value / whole:.0f} %)"))
    return document(WIDTH, foot + FOOT, f"Where the application spends a call: {whole:.1f} us", parts)


def growth(panels: Sequence[Sequence[Curve]]) -> str:
    """Small multiples, two in a row; where values lie far apart, the height is that of their logarithm."""
    wide, high = 440, 220
    parts: list[str] = []
    for index, curves in enumerate(panels):
        parts += _panel(curves, 70 + wide * (index % 2), 90 + high * (index // 2), wide - 110, 130)
    height = 60 + high * ((len(panels) + 1) // 2)
    return document(WIDTH, height, "As it grows: median of the rounds, lowest and highest", parts)


def _panel(curves: Sequence[Curve], left: float, top: float, width: float, height: float) -> Iterator[str]:
    first = curves[0]
    middles = [median(values) for curve in curves for values in curve.values]
    everything = [value for curve in curves for values in curve.values for value in values]
    is_log = max(middles) > 20 * min(middles)
    axis = scale(everything, top + height, top, is_log=is_log)
    places = [
        left + width * (2 * number_ + 1) / (2 * len(first.steps)) for number_ in range(len(first.steps))
    ]
    yield text(left - 40, top - 32, f"{first.unit}; {first.step}", weight="bold")
    yield from upwards(axis, left, left + width)
    yield from (
        text(x, top + height + 18, short(step), anchor="middle", size=11, fill=FAINT)
        for x, step in zip(places, first.steps, strict=True)
    )
    x = left - 34
    for shape, curve in enumerate(curves):
        colour = COLOURS[shape % len(COLOURS)]
        yield marker(shape, x, top - 16, colour)
        yield text(x + 9, top - 12, curve.title, size=11)
        x += 28 + LETTER * len(curve.title)
        for place, values in zip(places, curve.values, strict=True):
            low, high = axis.at(min(values)), axis.at(max(values))
            yield path([(place, low), (place, high)], colour)
        points = [
            (place, axis.at(median(values))) for place, values in zip(places, curve.values, strict=True)
        ]
        yield path(points, colour)
        yield from (marker(shape, *point, colour) for point in points)


def _lines(rows: Sequence[Contender], top: float = TOP) -> Iterator[tuple[Contender, float]]:
    """Each with the height of its middle."""
    return ((one, top + ROW * (line + 0.5)) for line, one in enumerate(rows))


def _name(one: Contender, y: float) -> str:
    weight = "bold" if is_own(one) else "normal"
    return text(NAMES - 10, y + 4, _cut(one.title, NAMES - 20), anchor="end", weight=weight)


def _cut(words: str, width: float) -> str:
    most = int(width / LETTER)
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _colour(one: Contender) -> str:
    return OWN_COLOUR if is_own(one) else OTHER_COLOUR


def _of(one: Contender, figure: str) -> float:
    values: list[float] = [getattr(each, figure) for each in one.starts]
    return median(values)
