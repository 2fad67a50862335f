"""`pyjob run`: serve the job of a folder."""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.app import own_application
from pyjob.application import Application
from pyjob.dispatcher import checked_prefix
from pyjob.errors import ManifestError, Problem
from pyjob.lanes.lanes import DEFAULT_THREADS
from pyjob.logs import LEVELS
from pyjob.serving.server import DEFAULT_GRACE, DEFAULT_HOST, DEFAULT_PORT, serve_application
from pyjob.settings import Settings

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """examples:
  pyjob run examples/supersmart         a folder with a job.yaml
  pyjob run model.py                    one file with a class that has a perform method
  pyjob run . --port 8080 --fail-fast   end with status 1 if the job cannot be loaded
"""


def add_to(commands: Commands) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "run",
        help="serve a job",
        description="Serve the job of a folder with waitress until SIGTERM or Ctrl-C.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="the job's folder, its job.yaml or a Python file (default: this folder)",
    )
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="use this manifest")
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, help=f"port, 0 for any (default: PORT in the environment, else {DEFAULT_PORT})"
    )
    parser.add_argument("--unix-socket", metavar="FILE", help="listen on a Unix socket instead of a port")
    parser.add_argument(
        "--threads",
        type=_positive,
        help="most calls at once, each in a thread, later ones wait (default: the job's max_concurrency, "
        f"else {DEFAULT_THREADS})",
    )
    parser.add_argument(
        "--grace",
        type=_seconds,
        default=DEFAULT_GRACE,
        metavar="SECONDS",
        help="how long running and waiting calls may take after SIGTERM or Ctrl-C (default: %(default)g)",
    )
    parser.add_argument(
        "--drain-delay",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to go on serving, unready, before that, so that balancers notice (default: none)",
    )
    parser.add_argument(
        "--url-prefix",
        type=_prefix,
        default="",
        metavar="PREFIX",
        help="what a proxy in front strips, such as /ml",
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="end with status 1 if the job cannot be loaded"
    )
    parser.add_argument(
        "--log-level", choices=list(LEVELS), help="least level logged (default: LOG_LEVEL, else info)"
    )
    parser.add_argument("--no-access-log", action="store_true", help="no log line for each call")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    application = own_application(
        options.path,
        manifest_file=options.manifest,
        prefix=options.url_prefix,
        log_level=options.log_level,
        settings=Settings(access_log=not options.no_access_log),
    )
    port = options.port if options.port is not None else _port_of(application)
    status = serve_application(
        application,
        host=options.host,
        port=port,
        threads=options.threads,
        unix_socket=options.unix_socket,
        fail_fast=options.fail_fast,
        grace=options.grace,
        drain_delay=options.drain_delay,
    )
    if application.gates.running:
        # Calls that outlast the grace are not waited for: neither they nor threads that they have made.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)
    return status


def _port_of(application: Application) -> int:
    # runtime_env is not in the environment before the job loads, but wins over it.
    text = application.manifest.runtime_env.get("PORT") or os.environ.get("PORT")
    if not text:
        return DEFAULT_PORT
    try:
        return _port(text)
    except argparse.ArgumentTypeError as error:
        problem = Problem("PORT", "a number from 0 to 65535", repr(text))
        raise ManifestError("environment", [problem]) from error


def _prefix(text: str) -> str:
    try:
        return checked_prefix(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, found {text!r}")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, found {text!r}")
    return number


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, found {text!r}")
    return number
