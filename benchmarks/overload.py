"""More calls than one slot can serve: who is answered, who is told, and does the server stay alive meanwhile?

Every contender serves the same job, which sleeps 50 ms (`sleeping/sleeper.py`), one call at a time, so that
it can answer 20 calls a second, and is given a line of 20 waiting calls. Callers come at half of that rate,
at that rate, twice and five times as often, on a connection each and whether or not earlier ones have been
answered; a prober asks for the server's life every 50 ms beside them. Each turn has a freshly started server.
Then the memory of 100 waiting calls. The server has the first core, this program the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from callers import Callers, schedule
from figures import CAPACITY, LINE, Figures, Line, Measured, Turn, percentile
from peers import PEERS, Installed, InstallError, Sleeping, installed, sleeping
from plot import drawing
from process import HERE, StartError, pinned
from report import place
from sleeping.sleeper import MILLISECONDS
from tables import print_tables

LOADS = (0.5, 1.0, 2.0, 5.0)
LONG_LINE = 100
# The slot is held for so long that the long line is there and has been looked at.
HOLD_MILLISECONDS = 6000
LONGEST_TURN = 60
PLOT_TITLE = (
    f"One call at a time, {MILLISECONDS} ms each, a line of {LINE}: what callers get as more of them come"
)
# Seconds.
BETWEEN_LOOKS = 0.25
BETWEEN_ARRIVALS = 0.005
REST = 1.5
T = TypeVar("T")


def main() -> int:
    options = parsed()
    if options.from_json:
        try:
            measured = Measured.stored(options.from_json)
        except (OSError, ValueError, LookupError, TypeError) as error:
            return fail(f"{options.from_json}: {error!r}")
    else:
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            return fail("one core for the server and one for the callers are needed")
        contenders = list(available(options.only or list(PEERS), options.environments))
        if not contenders:
            return fail("nobody is left to be measured")
        measured = Measure(contenders, options.seconds, cores[0], cores[-1]).all()
    if not measured.turns:
        return fail("nothing was measured")
    if options.json:
        measured.store(options.json)
    figures = [Figures.of(turn) for turn in measured.turns]
    print_tables(measured, figures)
    if options.plot:
        options.plot.write_text(drawing(figures, PLOT_TITLE))
    for late in (turn for turn in figures if turn.is_late):
        tell(
            f"warning: {late.server}, {late.load:g} times its capacity: 1 % of the requests set out "
            f"{percentile(late.lateness, 99):.0f} ms late or more, so measure again on a quiet machine"
        )
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f"Servers that take one call at a time and let {LINE} wait, under {LOADS[0]:g} to "
        f"{LOADS[-1]:g} times the load that they can carry.",
        epilog=f"The contenders: {', '.join(PEERS)}. Each but pyjob is installed with pip the first time.",
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=20, help="length of a turn, 1 to 60 (default: %(default)s)"
    )
    parser.add_argument(
        "--only",
        choices=list(PEERS),
        action="append",
        help="measure this one; may be repeated (default: all)",
    )
    parser.add_argument(
        "--environments",
        type=Path,
        default=HERE / ".environments",
        metavar="DIR",
        help="where the contenders are kept installed (default: %(default)s)",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store what was measured, call by call")
    parser.add_argument(
        "--from-json", type=Path, metavar="FILE", help="print and draw what --json stored, measure nothing"
    )
    return parser.parse_args()


def available(names: Sequence[str], environments: Path) -> Iterator[Installed]:
    """Those that can be had."""
    for name in dict.fromkeys(names):
        try:
            yield installed(PEERS[name], environments)
        except InstallError as error:
            tell(f"{PEERS[name].title} left out, it cannot be installed: {error}")


class Measure:
    """The contenders take turns under each load, so that what else the machine does meets them all."""

    def __init__(self, contenders: list[Installed], seconds: int, server_core: int, own_core: int) -> None:
        self._contenders = contenders
        self._seconds = seconds
        self._server_core = server_core
        self._own_core = own_core

    def all(self) -> Measured:
        """Every turn of everybody."""
        measured = Measured(f"{self._seconds} s a turn; {place()}")
        with pinned(self._own_core):
            for load in LOADS:
                for contender in list(self._contenders):
                    tell(f"{contender.title}, {load:g} times its capacity")
                    turn = self._served(contender, LINE, partial(self._turn, contender.title, load))
                    measured.turns.extend(turn)
            for contender in list(self._contenders):
                tell(f"{contender.title}, memory of {LONG_LINE} waiting calls")
                measured.lines.extend(self._served(contender, LONG_LINE, partial(fill, contender.title)))
        return measured

    def _served(
        self, contender: Installed, line: int, act: Callable[[Sleeping], Coroutine[Any, Any, T]]
    ) -> list[T]:
        """What the act makes of the contender, or nothing where it does not start: then it is out."""
        try:
            with ExitStack() as stack:
                with pinned(self._server_core):
                    server = stack.enter_context(sleeping(contender, line))
                return [asyncio.run(act(server))]
        except StartError as error:
            tell(f"{contender.title} left out, it does not start: {error}")
            self._contenders.remove(contender)
            return []

    async def _turn(self, title: str, load: float, server: Sleeping) -> Turn:
        callers = Callers(server.port, server.peer.perform, server.peer.live)
        seen: list[int] = []
        watching = asyncio.create_task(watch(server, seen))
        dues = schedule(load * CAPACITY, self._seconds)
        calls, probes = await callers.come(dues, self._seconds)
        watching.cancel()
        return Turn(title, load, self._seconds, calls, probes, max(seen))


async def watch(server: Sleeping, seen: list[int]) -> None:
    """Count the server's threads again and again."""
    while True:
        seen.append(server.tree.threads())
        await asyncio.sleep(BETWEEN_LOOKS)


async def fill(title: str, server: Sleeping) -> Line:
    """Let one call hold the slot and as many wait as the long line takes; what they occupy."""
    callers = Callers(server.port, server.peer.perform, server.peer.live)
    await asyncio.sleep(REST)
    at_rest = server.tree.resident()
    calls = [asyncio.create_task(callers.hold(0, HOLD_MILLISECONDS))]
    await asyncio.sleep(REST)
    for n in range(1, LONG_LINE + 1):
        calls.append(asyncio.create_task(callers.hold(n, 0)))
        await asyncio.sleep(BETWEEN_ARRIVALS)
    await asyncio.sleep(REST)
    # One of them holds the slot.
    waiting = sum(not call.done() for call in calls) - 1
    full, threads = server.tree.resident(), server.tree.threads()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    return Line(title, waiting, at_rest, full, threads)


def tell(message: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"overload: {message}\n")


def fail(message: str) -> int:
    """Say why nothing was measured; the exit status."""
    tell(message)
    return 2


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_TURN:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {LONGEST_TURN}, found {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
