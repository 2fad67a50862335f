"""The `pyjob` command: arguments and exit codes only, one module a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import pyjob
from pyjob.cli import run
from pyjob.errors import PyjobError

EXIT_CODES = "exit status: 0 fine, also after SIGTERM; 1 the job or the server failed; 2 wrong usage"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="pyjob",
        description="Serve a Python class with a perform method and a job.yaml as a web service.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"pyjob {pyjob.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    run.add_to(commands)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        # The command's own usage helps more than that of all commands.
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        status: int = options.run(options)
    except PyjobError as error:
        sys.stderr.write(f"pyjob: error: {error}\n")
        return 1
    return status
