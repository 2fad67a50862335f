"""`pyjob access token`: issue tokens, list them, revoke them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from pyjob.access.store.ledger import Issued, Ledger
from pyjob.access.store.token import KINDS, LONGEST, is_token, new_token
from pyjob.cli.access import arguments
from pyjob.cli.access.file import add_file, ledger_of, moment
from pyjob.errors import StoreError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """examples:
  pyjob access token add alice
  pyjob access token list
  pyjob access token revoke alice
"""
ADD_EXAMPLES = """examples:
  pyjob access token add alice
  pyjob access token add nightly --kind service --expires 30d --note "the report at night"
  pyjob access token add alice --json | jq -r .token
  pyjob access token add alice --stdin < token.txt      one of your own

The token is printed once, on standard output; only its hash is kept. Callers send it in the header
X-Racetrack-Auth, or as `Authorization: Bearer TOKEN`.
"""
LIST_EXAMPLES = """examples:
  pyjob access token list
  pyjob access token list --json
"""
REVOKE_EXAMPLES = """example:
  pyjob access token revoke alice

Servers refuse it within a second. The name is free then, for another token.
"""
HEADINGS = ("NAME", "KIND", "CREATED", "EXPIRES", "STATE", "NOTE")


def add_tokens(commands: Commands) -> None:
    """Declare `token` and what can be done with tokens."""
    parser = commands.add_parser(
        "token",
        help="issue tokens, list them, revoke them",
        description="Issue tokens, list them, revoke them. Whoever sends a valid one may call the job.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)
    _add_add(actions)
    _add_list(actions)
    _add_revoke(actions)


def _add_add(actions: Commands) -> None:
    parser = actions.add_parser(
        "add",
        help="issue a token",
        description="Issue a token, and print it once.",
        epilog=ADD_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", type=arguments.token_name, metavar="NAME", help="whose it is; logs tell it")
    add_file(parser)
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default=KINDS[0],
        help="who that is: a person or a program (default: %(default)s)",
    )
    parser.add_argument(
        "--expires",
        type=arguments.expiry,
        metavar="WHEN",
        help="after so many days (30d), or when a day begins (2026-12-31, UTC); default: never",
    )
    parser.add_argument(
        "--note", type=arguments.note, default="", metavar="TEXT", help="what you want to remember of it"
    )
    parser.add_argument(
        "--stdin", action="store_true", help="read the token from standard input, in place of a new one"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_add)


def _add_list(actions: Commands) -> None:
    parser = actions.add_parser(
        "list",
        help="list the tokens",
        description="List all tokens that were ever issued, without the tokens themselves. Times are UTC.",
        epilog=LIST_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_file(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=_list)


def _add_revoke(actions: Commands) -> None:
    parser = actions.add_parser(
        "revoke",
        help="take a token out of force",
        description="Take a token out of force.",
        epilog=REVOKE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", type=arguments.token_name, metavar="NAME", help="whose it is")
    add_file(parser)
    parser.set_defaults(run=_revoke)


def _add(options: argparse.Namespace) -> int:
    ledger = ledger_of(options)
    text = _brought() if options.stdin else new_token()
    ledger.add_token(options.name, text, kind=options.kind, note=options.note, expires=options.expires)
    expires = None if options.expires is None else moment(options.expires)
    until = "never expires" if expires is None else f"expires {expires}"
    sys.stderr.write(f"pyjob: token of {options.name} ({options.kind}) added, {until}\n")
    shown = {} if options.stdin else {"token": text}  # who brings one has it
    if options.json:
        made = {"name": options.name, "kind": options.kind, "note": options.note, "expires": expires, **shown}
        _show_once(json.dumps(made, indent=2), options.name, ledger)
    elif shown:
        sys.stderr.write("pyjob: this is the only time that it is shown:\n")
        sys.stderr.flush()
        _show_once(text, options.name, ledger)
    return 0


def _show_once(text: str, name: str, ledger: Ledger) -> None:
    """Print ``text``, in which is the token of ``name``; one that nobody can have seen is revoked again."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        ledger.revoke_token(name)
        why = f"standard output cannot be written to ({error.strerror})"
        sys.stderr.write(f"pyjob: error: {why}: nobody has seen the token, and it is revoked\n")
        raise BrokenPipeError from error  # nothing more is to be said, nor can it be


def _brought() -> str:
    """The token on standard input; no error repeats it."""
    stream = None if sys.stdin is None else sys.stdin.buffer
    data = b"" if stream is None else stream.read(LONGEST + len("\r\n") + 1)
    text = data.decode("latin-1").removesuffix("\n").removesuffix("\r")
    if not is_token(text):
        expected = (
            "expected a token of 20 to 512 printable ASCII characters, without blanks, and nothing else"
        )
        raise StoreError(f"standard input: {expected}")
    return text


def _list(options: argparse.Namespace) -> int:
    tokens = ledger_of(options).tokens()
    now = time.time()
    if options.json:
        rows = [
            {
                "name": one.name,
                "kind": one.kind,
                "note": one.note,
                "state": _state(one, now),
                "created": moment(one.created),
                "expires": None if one.expires is None else moment(one.expires),
                "revoked": None if one.revoked is None else moment(one.revoked),
            }
            for one in tokens
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    elif tokens:
        sys.stdout.write(_table(tokens, now))
    else:
        sys.stderr.write("pyjob: there are no tokens: `pyjob access token add NAME` issues one\n")
    return 0


def _table(tokens: list[Issued], now: float) -> str:
    rows = [HEADINGS]
    for one in tokens:
        expires = "never" if one.expires is None else moment(one.expires)
        rows.append((one.name, one.kind, moment(one.created), expires, _state(one, now), one.note))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _state(token: Issued, now: float) -> str:
    if token.revoked is not None:
        return "revoked"
    return "expired" if token.expires is not None and token.expires <= now else "valid"


def _revoke(options: argparse.Namespace) -> int:
    if ledger_of(options).revoke_token(options.name):
        sys.stdout.write(f"revoked the token of {options.name}\n")
    else:
        sys.stdout.write(f"the token of {options.name} is revoked already\n")
    return 0
