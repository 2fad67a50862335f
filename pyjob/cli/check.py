"""`pyjob check`: find what is wrong with a job before it runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.check.check import check_job
from pyjob.check.running import run_job
from pyjob.cli import arguments
from pyjob.errors import one_line

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """examples:
  pyjob check                           the job of this folder
  pyjob check examples/supersmart       that of another folder
  pyjob check --run                     load it, too, and send its samples
  pyjob check --strict --json           for a pipeline: warnings fail, and the outcome is JSON

exit status: 0 fine or warnings only; 1 errors, or warnings with --strict; 2 wrong usage
"""


def add_to(commands: Commands) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "check",
        help="find what is wrong with a job",
        description="Check manifest, code, env files, requirements and repository of a job; it is not run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_job(parser, parser)
    parser.add_argument(
        "--run",
        dest="runs",
        action="store_true",
        help="load the job, too, send its samples, read its metrics",
    )
    parser.add_argument(
        "--timeout",
        type=arguments.some_seconds,
        default=60.0,
        metavar="SECONDS",
        help="with --run: how long loading and each sample may take (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--strict", action="store_true", help="warnings fail, too")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    cwd = Path.cwd()
    report = check_job(options.path, environ=os.environ, cwd=cwd, manifest_file=options.manifest)
    if options.runs and report.name:
        found = run_job(options.path, options.manifest, report.folder, options.timeout, _tell)
        report = report.with_run(found)
    if options.json:
        text = report.as_json(strict=options.strict)
    else:
        text = report.as_text(cwd, coloured=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    # Names of files and messages may have characters that the terminal's encoding lacks.
    encoding = sys.stdout.encoding
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    return 0 if report.is_fine(strict=options.strict) else 1


def _tell(stage: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"pyjob: {one_line(stage)} ...\n")
