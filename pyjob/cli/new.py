"""`pyjob new`: make the folder of a job."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.starter.starter import TEMPLATES, Starter, start_job

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EPILOG = """templates:
  minimal   a class with a perform method
  model     one that loads a model file, and the script that makes it
  flask     one with a page of its own: a form, made with Flask

examples:
  pyjob new house-price
  pyjob new jobs/loan --template flask
"""


def add_to(commands: Commands) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "new",
        help="make the folder of a job",
        description="Make a folder with a job that runs: manifest, class, test and README.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the job's folder: a new or an empty one")
    parser.add_argument(
        "--template",
        choices=TEMPLATES,
        default=TEMPLATES[0],
        help="what to begin with (default: %(default)s)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    made = start_job(options.folder, options.template)
    sys.stdout.write("\n".join([f"made job {made.name} in {made.folder}:", *_told(made)]) + "\n")
    return 0


def _told(made: Starter) -> list[str]:
    """The files, what is left to fill in, and the commands that come next."""
    lines = [f"  {name}" for name in made.files]
    if made.placeholders:
        lines.append(f"fill in what git does not know, in job.yaml: {', '.join(made.placeholders)}")
    commands = ["pyjob check --run", "pyjob run", "python -m pytest"]
    if "requirements.txt" in made.files:
        commands.insert(0, "pip install -r requirements.txt")
    if made.folder != Path():
        commands.insert(0, f"cd {shlex.quote(str(made.folder))}")
    return [*lines, "next:", *(f"  {command}" for command in commands)]
