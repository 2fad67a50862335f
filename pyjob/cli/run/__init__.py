"""`pyjob run`: serve the job of a folder, or several jobs that call one another."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pyjob.cli.run import options as declared
from pyjob.cli.run import single

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """examples:
  pyjob run examples/supersmart         a folder with a job.yaml
  pyjob run model.py                    one file with a class that has a perform method
  pyjob run . --port 8080 --fail-fast   end with status 1 if the job cannot be loaded
  pyjob run . --reload                  start again when a file of the job changes
  pyjob run . --set jobtype_extra.max_concurrency=4 --env LOG_LEVEL=debug
  pyjob run adder/ multiplier/          several jobs that call one another, while developing them: not for
                                        production
"""


def add_to(commands: Commands) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "run",
        help="serve a job, or several",
        description="Serve the job of a folder with waitress until SIGTERM or Ctrl-C.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    declared.add_job(parser)
    declared.add_server(parser)
    parser.set_defaults(run=_run, refuse=parser.error)


def _run(options: argparse.Namespace) -> int:
    if len(options.path) > 1:
        # A process that serves one job does without all of it.
        from pyjob.cli.run import several

        return several.run(options)
    options.path = options.path[0] if options.path else None
    return single.run(options)
