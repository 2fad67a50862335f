"""The command: what is asked for, who takes part, and in which order things happen."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from inside.bodies import AnswerError
from inside.children import ScriptError
from inside.measure import measure
from inside.memory import LoadError
from process import HERE, StartError, pinned

from race import machine, page
from race.contenders import KINDS, YARDSTICK
from race.environments import InstallError, import_milliseconds, interpreter, weighed
from race.fixed_rate import MOST_CALLS
from race.lap import FULL, QUICK, Form
from race.results import Contender, Install, Results
from race.rounds import Entry, Race, tell

IMPORTS = 2
JSON = "benchmarks.json"
# Above this share of its core, wrk may be what limits a rate; above these milliseconds, the sender a latency.
BUSY, LATE = 0.9, 1.0
HELP = """\
contenders: {keys}

Each is installed into an environment by the exact versions in benchmarks/contenders/pins. To renew those,
make a fresh environment, install what the first line of the file says, and put below that line what
`pip freeze` prints.
"""


def main() -> int:
    """Run the command; the status to end with."""
    options = _options()
    output = Path(options.output)
    if options.from_json:
        try:
            results = Results.stored(Path(options.from_json))
        except (OSError, ValueError, LookupError, TypeError) as error:
            return _refused(f"{options.from_json}: {error}")
        page.write(results, output)
        return 0
    cores = sorted(os.sched_getaffinity(0))
    if shutil.which("wrk") is None:
        return _refused("wrk is not installed: apt-get install wrk")
    if len(cores) < 2:
        return _refused("two cores are needed, one for the server and one for the load")
    output.mkdir(parents=True, exist_ok=True)
    # Ended like this or by Ctrl-C, it ends its servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return race(options, output, server_core=cores[0], load_core=cores[1])
    except KeyboardInterrupt:
        tell(
            f"broken off; `benchmarks/run --from-json {output / JSON}` writes a page of the rounds until now"
        )
        return 130


def race(options: argparse.Namespace, output: Path, *, server_core: int, load_core: int) -> int:
    """Install, measure, write; the status to end with."""
    form = QUICK if options.quick else FULL
    keys = [key for key in KINDS if not options.only or key in (YARDSTICK, *options.only)]
    entries = [_entry(key, Path(options.environments)) for key in keys]
    began = time.monotonic()
    with pinned(load_core):
        described = dict(machine.described(server_core, load_core))
        for what, value in described.items():
            tell(f"{what}: {value}")
        date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        contenders = [entry.contender for entry in entries]
        results = Results(form.name, date, described, form.rounds, contenders)

        def store() -> None:
            results.minutes = (time.monotonic() - began) / 60
            results.store(output / JSON)

        there = [entry for entry in entries if not entry.contender.missing]
        for entry in there:
            _weigh(entry, server_core)
        held = Race(there, form, server_core, store, began)
        held.rehearse()
        _estimate(held, form, began)
        results.rounds = held.run()
        described |= _doubts(held)
        store()
        own = next((entry for entry in there if entry.contender.key == "pyjob"), None)
        failure = own and _look_inside(results, own.python, server_core, load_core)
        store()
    page.write(results, output)
    tell(f"{results.minutes:.1f} minutes; the page is in {output}")
    return 1 if failure else 0


def _look_inside(results: Results, python: str, server_core: int, load_core: int) -> bool:
    """Fill in what it finds; whether it failed: then the race is not lost."""
    tell("looking inside")
    full = results.form == FULL.name
    try:
        results.inside = measure(python, full=full, server_core=server_core, load_core=load_core)
    except (ScriptError, AnswerError, LoadError, StartError, ValueError, OSError) as error:
        tell(f"that failed: {error}")
    return results.inside is None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Serve the same works by pyjob and by others, and write a page about how they do.",
        epilog=HELP.format(keys=", ".join(KINDS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--quick", action="store_true", help="within 10 minutes, installation not counted")
    form.add_argument("--full", action="store_true", help="within 40 minutes, likewise")
    form.add_argument(
        "--from-json", metavar="FILE", help="measure nothing, write the page of this file again"
    )
    parser.add_argument(
        "--only",
        metavar="KEY",
        action="append",
        choices=KINDS,
        help=f"this contender alone, beside {YARDSTICK} (repeatable)",
    )
    parser.add_argument(
        "--environments",
        metavar="DIR",
        default=HERE / ".environments",
        help="where they are installed (default: benchmarks/.environments)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        default=HERE.parent / "docs",
        help="where benchmarks.md, .json and plots are written (default: docs)",
    )
    return parser.parse_args()


def _entry(key: str, environments: Path) -> Entry:
    kind = KINDS[key]
    contender = Contender(key, kind.title, {}, kind.setting)
    try:
        python = interpreter(kind, environments)
    except (InstallError, OSError) as error:
        contender.missing = f"cannot be installed: {error}"
        tell(f"{kind.title} {contender.missing}")
        python = ""
    return Entry(kind, python, contender)


def _weigh(entry: Entry, core: int) -> None:
    tell(f"weighing {entry.kind.title}")
    try:
        packages, megabytes, entry.contender.versions = weighed(entry.kind, entry.python)
        with pinned(core):
            # The first one may have to fetch its files from the disk.
            took = [import_milliseconds(entry.kind, entry.python) for _ in range(IMPORTS + 1)][1:]
    except InstallError as error:
        entry.contender.missing = f"cannot be imported: {error}"
        return
    entry.contender.install = Install(packages, megabytes, took)


def _estimate(held: Race, form: Form, began: float) -> None:
    so_far = time.monotonic() - began
    whole = (so_far + held.planned() + form.inside) / 60
    tell(
        f"{form.name}: about {whole:.0f} minutes in all; and up to {form.limit / 60:.0f} if rounds are noisy"
    )


def _doubts(held: Race) -> dict[str, str]:
    """Where the load may have been the limit, and what was measured again."""
    laps = [(entry, one) for entry in held.entries for one in entry.laps]
    busy = {
        entry.kind.title: turn.busy for entry, one in laps for turn in one.turns.values() if turn.busy > BUSY
    }
    late = {entry.kind.title: one.sent.late for entry, one in laps if one.sent and one.sent.late > LATE}
    most = max((turn.busy for _, one in laps for turn in one.turns.values()), default=0.0)
    lateness = [one.sent.late for _, one in laps if one.sent]
    bound = {entry.kind.title: entry.rate for entry in held.entries if entry.rate == MOST_CALLS}
    return {
        "wrk's share of its core": f"{most:.0%} at most" + _named(busy, "so it may have been the limit of"),
        "the sender's bound": f"{MOST_CALLS:.0f} calls a second"
        + _named(bound, "less than half of what it can do:"),
        "the sender's lateness": (
            f"99th percentile {median(lateness or [0.0]):.2f} ms in the median of the turns"
            + _named(late, "more than 1 ms, so that it may have been the limit, with")
        ),
        "measured again for noise": ", ".join(held.repeated) or "nobody",
    }


def _named(found: dict[str, float], words: str) -> str:
    return f"; {words} {', '.join(found)}" if found else ""


def _refused(why: str) -> int:
    sys.stderr.write(f"benchmarks: {why}\n")
    return 2
