"""`pyjob build`: a job, its requirements and pyjob as one file that runs where there is no network."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from pyjob.cli import arguments
from pyjob.ship.build import Order, build
from pyjob.ship.report import as_json, summary
from pyjob.ship.sbom import check_sbom, write_sbom
from pyjob.ship.source.source import Wanted

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DESCRIPTION = """Build a job into one file, with its requirements and pyjob inside. The file runs on a machine
like this one that has the same Python, without a network: ./NAME-VERSION.pex serves the job."""
EXAMPLES = """examples:
  pyjob build                                      the job of this folder, as NAME-VERSION.pex
  pyjob build house-price -o price.pex --sbom price.cdx.json
  pyjob build house-price --wheelhouse wheels      with no network: all requirements are in the folder wheels
  pyjob build --from-git house-price               what its manifest's git section names, not what is here
  pyjob build https://example.com/team/jobs --branch main --directory house-price

Files that git tracks are packed; outside of git, all but what tools leave behind. Secret env files never are.
Variables for building come from build_env and secret_build_env_file of the manifest.
"""
_WIDTH = 100
_INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_to(commands: Commands) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "build",
        help="build a job into one file",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target",
        nargs="?",
        default=".",
        type=arguments.some_text,
        metavar="PATH|GIT-URL",
        help="the job's folder, its job.yaml or a Python file, or a git repository (default: this folder)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the file (default: NAME-VERSION.pex in this folder)",
    )
    _add_repository(parser)
    parser.add_argument(
        "--wheelhouse",
        type=_folder,
        metavar="DIR",
        help="take all requirements from the wheels in DIR, and use no network",
    )
    parser.add_argument(
        "--env-file",
        type=Path,
        metavar="FILE",
        help="read this in place of the manifest's secret_build_env_file",
    )
    parser.add_argument(
        "--docs",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether Swagger UI is packed, which /docs is made of (default: yes)",
    )
    parser.add_argument(
        "--sbom", type=Path, metavar="FILE", help="write what is inside, as CycloneDX JSON, to FILE"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(run=_run)


def _add_repository(parser: argparse.ArgumentParser) -> None:
    repository = parser.add_argument_group("of a git repository")
    repository.add_argument(
        "--from-git",
        action="store_true",
        help="build what the manifest of PATH names by git.remote, git.branch and git.directory",
    )
    repository.add_argument(
        "--branch", type=arguments.some_text, help="its branch or tag (default: the remote's own)"
    )
    repository.add_argument(
        "--directory",
        type=arguments.some_text,
        metavar="DIR",
        help="the job's folder in it (default: its root)",
    )


def _folder(text: str) -> Path:
    folder = Path(text)
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder of wheels, found none at {text!r}")
    return folder.absolute()


def _run(options: argparse.Namespace) -> int:
    if options.sbom is not None:
        check_sbom(options.sbom, options.output)
    beside = tuple(one for one in (options.wheelhouse, options.sbom) if one is not None)
    wanted = Wanted(options.target, options.branch or "", options.directory or "", options.from_git, beside)
    order = Order(wanted, options.output, options.docs, options.wheelhouse, options.env_file)
    for number in _INTERRUPTING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    progress = _Progress()
    started = time.monotonic()
    try:
        built = build(order, Path.cwd(), progress.tell, progress.step)
    finally:
        progress.end()
    for warning in built.warnings:
        sys.stderr.write(f"pyjob: warning: {warning}\n")
    if options.sbom is not None:
        write_sbom(options.sbom, built)
    seconds = time.monotonic() - started
    sys.stdout.write(as_json(built, seconds) if options.json else summary(built, seconds))
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in _INTERRUPTING:  # who is impatient does not keep secrets from being removed
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


class _Progress:
    """Stages as lines on standard error; what pip does meanwhile, on a terminal, in a line that changes."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._is_open = False

    def tell(self, stage: str) -> None:
        """Begin a stage."""
        self.end()
        sys.stderr.write(f"pyjob build: {stage}\n")
        sys.stderr.flush()

    def step(self, text: str) -> None:
        """Show what is done right now."""
        if self._is_terminal:
            sys.stderr.write(f"\r  {text[:_WIDTH]:<{_WIDTH}}")
            sys.stderr.flush()
            self._is_open = True

    def end(self) -> None:
        """Take back what is shown of a step."""
        if self._is_open:
            sys.stderr.write(f"\r{'':<{_WIDTH + 2}}\r")
            self._is_open = False
