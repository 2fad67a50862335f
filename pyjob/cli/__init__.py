"""The `pyjob` command: arguments and exit codes only, one module a command."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TextIO

import pyjob
from pyjob.errors import PyjobError

COMMANDS = ("run", "check", "new", "build", "access", "call", "render", "schema", "version")
EPILOG = """\
examples:
  pyjob new house-price         begin a job
  pyjob check --run house-price find its mistakes, and send it its samples
  pyjob run house-price         serve it on port 7000
  pyjob call :7000 area:=80     call it there
  pyjob build house-price       build it into one file, for a machine without a network

exit status:
  0    fine; of `run`, also after SIGTERM or Ctrl-C; of `check`, also with warnings
  1    an error: of the manifest, the environment, the job or the server
  2    wrong usage
  3-5  of `call`: the answer was a redirect, 4xx, 5xx

`pyjob COMMAND --help` has the options of a command, and examples.
"""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, program: str = "pyjob") -> int:
    """Run the command line; returns the exit status. ``program`` is what its usage calls it."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog=program,
        description="Serve a Python class with a perform method and a job.yaml as a web service.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pyjob {pyjob.__version__}")
    _add_debug(parser, default=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name in _wanted(given):
        import_module(f"pyjob.cli.{name}").add_to(commands)
        _add_debug(commands.choices[name], default=argparse.SUPPRESS)
    first = next((one for one in given if not one.startswith("-")), None)
    if first is not None and first not in COMMANDS:
        _refuse_unknown(parser, first)
    options, unknown = parser.parse_known_args(given)
    # What stands behind an option, which argparse leaves: items of `call`, folders of `run`.
    if "items" in options and not any(one.startswith("-") for one in unknown):
        options.items += unknown
    elif options.command == "run" and not any(one.startswith("-") for one in unknown):
        options.path += map(Path, unknown)
    elif unknown:
        # The command's own usage helps more than that of all commands.
        names = " ".join(one.partition("=")[0] for one in unknown)  # a value may be a secret
        command = commands.choices[options.command]
        command.error(f"unrecognized arguments: {names}{_near(unknown, command._option_string_actions)}")
    return _run(options)


def _refuse_unknown(parser: argparse.ArgumentParser, name: str) -> None:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    parser.error(f"there is no command {name!r}: {hint}")


def _near(unknown: Iterable[str], options: Iterable[str]) -> str:
    names = (one.partition("=")[0] for one in unknown if one.startswith("--"))
    near = [found for name in names for found in difflib.get_close_matches(name, options, n=1)]
    return f": did you mean {', '.join(near)}?" if near else ""


def _wanted(arguments: Sequence[str]) -> Sequence[str]:
    """The command that is asked for: a server does without the modules of the others. All, if it is none."""
    name = next((one for one in arguments if not one.startswith("-")), "")
    return (name,) if name in COMMANDS else COMMANDS


def _add_debug(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show the traceback of an error"
    )


def _run(options: argparse.Namespace) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name may have letters that it lacks
    try:
        status: int = options.run(options)
        error = _flushed(sys.stdout)
        if error is not None and options.command != "run":  # a server has served, and its log has told
            if not isinstance(error, BrokenPipeError):  # else who reads us has read enough
                sys.stderr.write(f"pyjob: error: not everything could be written: {error}\n")
            return 1
    except PyjobError as error:
        if options.debug:
            raise
        sys.stderr.write(f"pyjob: error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # who reads us has read enough
        _let_go(sys.stdout)
        return 1
    except Exception as error:
        if options.debug:
            raise
        text = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"pyjob: error: {text}\nThis looks like a fault of pyjob; --debug shows where.\n")
        return 1
    return status


def _flushed(stream: TextIO | None) -> OSError | None:
    """What kept the rest of ``stream`` from being written, if anything: then it is dropped."""
    try:
        if stream is not None:
            stream.flush()
    except OSError as error:
        _let_go(stream)
        return error
    return None


def _let_go(stream: TextIO | None) -> None:
    """The interpreter must not try again to write what is left there when it ends."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
