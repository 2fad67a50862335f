"""The options of `pyjob run`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pyjob.cli import arguments
from pyjob.lanes.lanes import DEFAULT_THREADS
from pyjob.logs.setting_up import LEVELS
from pyjob.serving.server import DEFAULT_GRACE, DEFAULT_HOST, DEFAULT_PORT

DEFAULT_TIMEOUT = 60.0
# Several jobs at once are for developing on this machine.
LOCAL_HOST = "127.0.0.1"


def add_job(parser: argparse.ArgumentParser) -> None:
    """Which jobs are meant, and what is said of them beside their manifests."""
    job = parser.add_argument_group("the job")
    parser.add_argument(
        "path",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="the job's folder, its job.yaml or a Python file (default: this folder); of several jobs, each "
        "is served in a process of its own below /pub/job/NAME/VERSION, for developing what calls others",
    )
    job.add_argument("--manifest", type=Path, metavar="FILE", help="use this manifest")
    job.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="override a value of the manifest, such as jobtype_extra.max_concurrency=4 (repeatable)",
    )
    job.add_argument(
        "--env",
        action="append",
        default=[],
        type=arguments.variable,
        metavar="NAME=VALUE",
        help="set a variable for the job; wins over the manifest. Not for secrets: others on this machine "
        "see command lines (repeatable)",
    )
    job.add_argument(
        "--env-file",
        type=Path,
        metavar="FILE",
        help="read this in place of the manifest's secret_runtime_env_file",
    )
    either = job.add_mutually_exclusive_group()
    either.add_argument(
        "--reload", action="store_true", help="while developing: start again when a file of the job changes"
    )
    job.add_argument(
        "--self-test", action="store_true", help="be ready only once every sample payload has been answered"
    )
    job.add_argument(
        "--timeout",
        type=arguments.some_seconds,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="how long each sample of --self-test may take (default: %(default)g)",
    )
    either.add_argument(
        "--fail-fast", action="store_true", help="end with status 1 if the job cannot be loaded"
    )
    job.add_argument(
        "--print-config",
        action="store_true",
        help="show manifest and environment as they are after all of this, secrets masked, and end",
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """How they are served."""
    server = parser.add_argument_group("the server")
    server.add_argument(
        "--host",
        help=f"address to listen on (default: {DEFAULT_HOST}, with several jobs {LOCAL_HOST})",
    )
    server.add_argument(
        "--port",
        type=arguments.port,
        help=f"port, 0 for any (default: PORT in the environment, else {DEFAULT_PORT})",
    )
    server.add_argument("--member", action="store_true", help=argparse.SUPPRESS)  # one of several jobs
    server.add_argument("--unix-socket", metavar="FILE", help="listen on a Unix socket instead of a port")
    server.add_argument(
        "--threads",
        type=arguments.positive,
        help="most calls at once, each in a thread, later ones wait (default: the job's max_concurrency, "
        f"else {DEFAULT_THREADS})",
    )
    server.add_argument(
        "--grace",
        type=arguments.seconds,
        default=DEFAULT_GRACE,
        metavar="SECONDS",
        help="how long running and waiting calls may take after SIGTERM or Ctrl-C (default: %(default)g)",
    )
    server.add_argument(
        "--drain-delay",
        type=arguments.seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long to go on serving, unready, before that, so that balancers notice (default: none)",
    )
    server.add_argument(
        "--url-prefix",
        type=arguments.prefix,
        default="",
        metavar="PREFIX",
        help="what a proxy in front strips, such as /ml",
    )
    server.add_argument(
        "--trusted-proxy",
        type=arguments.proxy,
        metavar="ADDRESS",
        help="the proxy in front, whose X-Forwarded-For, -Proto and -Host are believed; localhost with "
        "--unix-socket (default: nobody's are)",
    )
    server.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        type=arguments.origin,
        metavar="ORIGIN",
        help='pages of this origin may call the job, such as https://example.com; "*" for any (repeatable)',
    )
    server.add_argument(
        "--access",
        type=arguments.some_text,
        metavar="FILE",
        help="let in only who has a token, by the store that `pyjob access init` has made (default: the file "
        "that PYJOB_ACCESS names; without either, everybody is let in)",
    )
    server.add_argument(
        "--log-level", choices=list(LEVELS), help="least level logged (default: LOG_LEVEL, else info)"
    )
    server.add_argument("--no-access-log", action="store_true", help="no log line for each call")
    server.add_argument("--no-status", action="store_true", help="no page at /status")
    server.add_argument(
        "--caller-metrics", action="store_true", help="count calls by the names of their callers, too"
    )
