"""Values of options, and what is wrong with them in the words of a usage error."""

from __future__ import annotations

import argparse
import re
import socket
from contextlib import suppress
from pathlib import Path

from pyjob.manifest.fields import LONGEST_WAIT, FieldError, origins
from pyjob.routing.links import checked_prefix

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


def add_job(parser: argparse.ArgumentParser, options: argparse._ActionsContainer) -> None:
    """Which job is meant: PATH of ``parser``, and --manifest among ``options``."""
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="the job's folder, its job.yaml or a Python file (default: this folder)",
    )
    options.add_argument("--manifest", type=Path, metavar="FILE", help="use this manifest")


def prefix(text: str) -> str:
    """What a proxy strips."""
    try:
        return checked_prefix(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def port(text: str) -> int:
    """A TCP port; 0 for any."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, found {text!r}")
    return number


def given_port(text: str) -> int:
    """A TCP port that is known before anybody listens: not 0."""
    number = port(text)
    if number == 0:
        raise argparse.ArgumentTypeError("expected a number from 1 to 65535, found '0'")
    return number


def unprivileged_port(text: str) -> int:
    """A TCP port that everybody may listen on, on most machines."""
    number = given_port(text)
    if number < 1024:
        raise argparse.ArgumentTypeError(f"expected a number from 1024, without privileges, found {text!r}")
    return number


def address(text: str) -> str:
    """``HOST:PORT``, an IPv6 address in brackets."""
    host, _, number = text.rpartition(":")
    if not _HOST.fullmatch(host) or not number or port(number) == 0:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, found {text!r}")
    return text


def proxy(text: str) -> str:
    """One IP address, as the connections from there tell it; ``localhost`` stands for a Unix socket."""
    if text == "localhost":
        return text
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            return socket.inet_ntop(family, socket.inet_pton(family, text))
    raise argparse.ArgumentTypeError(
        f"expected the IP address of one proxy, or localhost with --unix-socket, found {text!r}"
    )


def origin(text: str) -> str:
    """An origin whose pages may call the job, or ``*``."""
    try:
        return origins([text])[0]
    except FieldError as error:
        problem = error.problems[0]
        raise argparse.ArgumentTypeError(f"expected {problem.expected}, found {problem.found}") from None


def some_text(text: str) -> str:
    """Text that is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected some text")
    return text


def seconds(text: str) -> float:
    """A length of time, from 0."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, found {text!r}")
    return number


def some_seconds(text: str) -> float:
    """A length of time above 0."""
    number = seconds(text)
    if number == 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, found {text!r}")
    return number


def positive(text: str) -> int:
    """A count, from 1."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, found {text!r}")
    return number


def variable(text: str) -> tuple[str, str]:
    """``NAME=VALUE``; the value may be a secret, so that no error repeats it."""
    name, equals, value = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name):
        raise argparse.ArgumentTypeError("expected NAME=VALUE, with letters, digits and _ in the name")
    if "\0" in value:
        raise argparse.ArgumentTypeError(f"{name}: the value holds a NUL")
    return name, value
