"""`pyjob run`: serve the job of a folder."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.application import Application
from pyjob.cli import arguments
from pyjob.environment import Environment
from pyjob.errors import ManifestError, Problem, PyjobError
from pyjob.lanes.lanes import DEFAULT_THREADS
from pyjob.logs.setting_up import LEVELS
from pyjob.manifest import remarks_on
from pyjob.own import JobSource, own_application, unloadable_application
from pyjob.serving.server import DEFAULT_GRACE, DEFAULT_HOST, DEFAULT_PORT, serve_application
from pyjob.settings import Settings

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DEFAULT_TIMEOUT = 60.0
EXAMPLES = """examples:
  pyjob run examples/supersmart         a folder with a job.yaml
  pyjob run model.py                    one file with a class that has a perform method
  pyjob run . --port 8080 --fail-fast   end with status 1 if the job cannot be loaded
  pyjob run . --reload                  start again when a file of the job changes
  pyjob run . --set jobtype_extra.max_concurrency=4 --env LOG_LEVEL=debug
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
    _add_job(parser)
    _add_server(parser)
    parser.set_defaults(run=_run, refuse=parser.error)


def _add_job(parser: argparse.ArgumentParser) -> None:
    job = parser.add_argument_group("the job")
    arguments.add_job(parser, job)
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


def _add_server(parser: argparse.ArgumentParser) -> None:
    server = parser.add_argument_group("the server")
    server.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (default: %(default)s)")
    server.add_argument(
        "--port",
        type=arguments.port,
        help=f"port, 0 for any (default: PORT in the environment, else {DEFAULT_PORT})",
    )
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


def _run(options: argparse.Namespace) -> int:
    if options.trusted_proxy and options.unix_socket and options.trusted_proxy != "localhost":
        options.refuse("argument --trusted-proxy: a --unix-socket tells no address: expected localhost")
    if options.trusted_proxy == "localhost" and not options.unix_socket:
        options.refuse("argument --trusted-proxy: expected an address such as 127.0.0.1, found localhost")
    if options.reload and not options.print_config:
        return _reload(options)
    if options.print_config:
        return _print_config(_source(options))
    return _serve(options, _application(options))


def _print_config(source: JobSource) -> int:
    from pyjob.cli import config  # no server needs it

    manifest, environment = source.configuration()
    for remark in (*remarks_on(manifest), *environment.remarks):
        sys.stderr.write(f"pyjob: warning: {remark}\n")
    sys.stdout.write(config.shown(manifest, environment))
    return 0


def _reload(options: argparse.Namespace) -> int:
    # No server in production needs it.
    from pyjob.cli import reload

    if not reload.is_inner():
        port = _port_of(_environment(options), options)
        reload.run_outer(None if options.unix_socket else (options.host, port))
        return 0
    source = _source(options)
    files = [file for file in (options.path, options.manifest, options.env_file) if file is not None]
    try:
        application = _application(options)
        files += application.environment.files
    except PyjobError as error:
        # The next change may mend it.
        application = unloadable_application(error, source.folder, options.log_level, options.access)
        files += reload.files_told_of(error, source.folder)
    files += reload.files_of(application.manifest)

    def serve(bound: Sequence[socket.socket]) -> None:
        try:
            _serve(options, application, bound)
        except PyjobError as error:
            failed = unloadable_application(error, source.folder, options.log_level, options.access)
            _serve(options, failed, bound)

    reload.run_inner(serve, files)
    return 0


def _source(options: argparse.Namespace) -> JobSource:
    return JobSource(options.path, options.manifest, options.set, dict(options.env), options.env_file)


def _application(options: argparse.Namespace) -> Application:
    return own_application(
        _source(options),
        prefix=options.url_prefix,
        access=options.access,
        log_level=options.log_level,
        settings=Settings(
            access_log=not options.no_access_log,
            self_test=options.timeout if options.self_test else None,
            status=not options.no_status,
            cors_origins=tuple(options.cors_origin),
            caller_metrics=options.caller_metrics,
        ),
    )


def _serve(options: argparse.Namespace, application: Application, bound: Sequence[socket.socket] = ()) -> int:
    # One that listens already is at the port that was right when it began.
    port = 0 if bound else _port_of(application.environment, options)
    status = serve_application(
        application,
        host=options.host,
        port=port,
        threads=options.threads,
        unix_socket=options.unix_socket,
        trusted_proxy=options.trusted_proxy,
        bound=bound,
        fail_fast=options.fail_fast,
        grace=options.grace,
        drain_delay=options.drain_delay,
    )
    if application.gates.running:
        # Calls that outlast the grace are not waited for: neither they nor threads that they have made.
        logging.shutdown()
        with suppress(OSError):  # a log that nobody can read any more
            sys.stdout.flush()
        os._exit(status)
    return status


def _environment(options: argparse.Namespace) -> Environment:
    """What is set for the job, as far as it can be told before it is certain that it can be read."""
    try:
        return _source(options).configuration()[1]
    except PyjobError:
        return Environment()


def _port_of(environment: Environment, options: argparse.Namespace) -> int:
    if options.port is not None:
        return int(options.port)
    # The job's variables are not in the environment before it loads, but win over it.
    text = environment.variables.get("PORT") or os.environ.get("PORT")
    if not text:
        return DEFAULT_PORT
    try:
        return arguments.port(text)
    except argparse.ArgumentTypeError:
        found = "a secret" if "PORT" in environment.secret else repr(text)
        problem = Problem("PORT", "a number from 0 to 65535", found)
        raise ManifestError("environment", [problem]) from None
