"""Which store a command means; `pyjob access init`, `pyjob access log`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pyjob.access.store.ledger import Ledger

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

VARIABLE = "PYJOB_ACCESS"

INIT_EXAMPLES = """examples:
  pyjob access init /etc/pyjob/access.db
  pyjob access init                           the file that PYJOB_ACCESS names
"""
LOG_EXAMPLES = """examples:
  pyjob access log
  pyjob access log --json
"""


def add_file(parser: argparse.ArgumentParser) -> None:
    """Declare the option that names the store."""
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help=f"the store (default: the file that {VARIABLE} names)"
    )
    parser.set_defaults(refuse=parser.error)


def ledger_of(options: argparse.Namespace) -> Ledger:
    """The store that is meant; what is wrong with its mode is told. Ends in a usage error where none is."""
    ledger = Ledger(_path_of(options))
    _tell_warning(ledger)
    return ledger


def file_option(options: argparse.Namespace) -> str:
    """The end of a command that is to mean the same store."""
    return "" if options.file is None else f" --file {shlex.quote(str(options.file))}"


def moment(at: int) -> str:
    """Unix seconds as people and programs read them."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def add_init(commands: Commands) -> None:
    """Declare `init`."""
    parser = commands.add_parser(
        "init",
        help="make an empty store",
        description="Make an empty store of tokens and approvals, a file that only its owner can read.",
        epilog=INIT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="?", type=Path, metavar="FILE", help="where it is to be")
    add_file(parser)
    parser.set_defaults(run=_init)


def add_log(commands: Commands) -> None:
    """Declare `log`."""
    parser = commands.add_parser(
        "log",
        help="show who did what, and when",
        description="Show all that was ever done to the store: when (UTC), by which system user, what.",
        epilog=LOG_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_file(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=_log)


def _tell_warning(ledger: Ledger) -> None:
    warning = ledger.warning()
    if warning is not None:
        sys.stderr.write(f"pyjob: warning: {warning}\n")


def _path_of(options: argparse.Namespace) -> Path:
    named = options.file or os.environ.get(VARIABLE)
    if not named:
        refuse: Callable[[str], NoReturn] = options.refuse
        refuse(f"which store? name it with --file FILE, or in the environment as {VARIABLE}")
    return Path(named)


def _init(options: argparse.Namespace) -> int:
    if options.path is not None and options.file is not None:
        options.refuse("name the file once: as FILE, or with --file")
    options.file = options.path or options.file
    path = _path_of(options)
    ledger = Ledger(path)
    ledger.make()
    _tell_warning(ledger)
    lines = [
        f"made {path}",
        "next:",
        f"  pyjob access token add NAME{file_option(options)}",
        f"  pyjob run --access {shlex.quote(str(path))}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _log(options: argparse.Namespace) -> int:
    entries = ledger_of(options).log()
    if options.json:
        rows = [
            {"at": moment(one.at), "who": one.who, "what": one.what, "subject": one.subject}
            for one in entries
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{moment(one.at)}  {one.who}  {one.what}: {one.subject}\n" for one in entries)
    return 0
