"""`pyjob render grafana` and `prometheus`: a dashboard, scrape configuration and alert rules."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from pyjob.cli import arguments
from pyjob.render.grafana import DEFAULT_TITLE, dashboard
from pyjob.render.prometheus import DEFAULT_TARGETS, configuration

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """\
  pyjob render grafana > dashboard.json                     in Grafana: Dashboards, New, Import
  pyjob render grafana --title "House prices"               under a title of your own
  pyjob render prometheus                                   scrape configuration and alert rules, to read
  pyjob render prometheus --part rules > pyjob-rules.yml    the rules alone, as a file
  pyjob render prometheus --part scrape --target 10.0.0.5:7000 --target 10.0.0.6:7000
"""


def add_to(kinds: Commands) -> None:
    """Declare them and their arguments."""
    _add_grafana(kinds)
    _add_prometheus(kinds)


def _add_grafana(kinds: Commands) -> None:
    parser = kinds.add_parser(
        "grafana",
        help="a dashboard, as JSON",
        description="Print a dashboard of all metrics, as JSON that Grafana 10 and later import.",
    )
    parser.add_argument(
        "--title",
        type=arguments.some_text,
        default=DEFAULT_TITLE,
        metavar="TITLE",
        help="title of the dashboard (default: %(default)s)",
    )
    parser.set_defaults(run=_print_dashboard)


def _add_prometheus(kinds: Commands) -> None:
    parser = kinds.add_parser(
        "prometheus",
        help="scrape configuration and alert rules, as YAML",
        description="Print scrape configuration and alert rules, as two YAML documents.",
    )
    parser.add_argument(
        "--target",
        dest="targets",
        action="append",
        type=arguments.address,
        metavar="HOST:PORT",
        help=f"a process to scrape (repeatable; default: {DEFAULT_TARGETS[0]})",
    )
    parser.add_argument(
        "--part", choices=("scrape", "rules"), help="only one of the two, as a file that Prometheus loads"
    )
    parser.set_defaults(run=_print_configuration)


def _print_dashboard(options: argparse.Namespace) -> int:
    sys.stdout.write(json.dumps(dashboard(options.title), indent=2) + "\n")
    return 0


def _print_configuration(options: argparse.Namespace) -> int:
    sys.stdout.write(configuration(options.targets or DEFAULT_TARGETS, options.part))
    return 0
