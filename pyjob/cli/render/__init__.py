"""`pyjob render`: files for other programs: those that watch a job, and those that run it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pyjob.cli.render import cluster, containers, monitoring

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = f"examples:\n{monitoring.EXAMPLES}{containers.EXAMPLES}{cluster.EXAMPLES}"


def add_to(commands: Commands) -> None:
    """Declare the command and what it prints."""
    parser = commands.add_parser(
        "render",
        help="print files for other programs: Kubernetes, nginx, Prometheus, ...",
        description="Print a file for another program: for one that watches jobs, or for one that runs them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(title="what to print", metavar="WHAT", required=True)
    monitoring.add_to(kinds)
    containers.add_to(kinds)
    cluster.add_to(kinds)
