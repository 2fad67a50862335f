"""One job, served by this process."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from pyjob.application import Application
from pyjob.cli import arguments
from pyjob.cli.run.member import end_with_platform
from pyjob.environment import Environment
from pyjob.errors import ManifestError, Problem, PyjobError
from pyjob.manifest import remarks_on
from pyjob.own import JobSource, own_application, unloadable_application
from pyjob.serving.server import DEFAULT_HOST, DEFAULT_PORT, serve_application
from pyjob.settings import Settings


def run(options: argparse.Namespace) -> int:
    """Serve the job of ``options.path``; the exit status. Raises `PyjobError`."""
    if options.member:
        end_with_platform(has_inner=options.reload)
    if options.trusted_proxy and options.unix_socket and options.trusted_proxy != "localhost":
        options.refuse("argument --trusted-proxy: a --unix-socket tells no address: expected localhost")
    if options.trusted_proxy == "localhost" and not options.unix_socket:
        options.refuse("argument --trusted-proxy: expected an address such as 127.0.0.1, found localhost")
    if options.reload and not options.print_config:
        return _reload(options)
    if options.print_config:
        return _print_config(_source(options))
    return _serve(options, _application(options))


def port_of(environment: Environment, options: argparse.Namespace) -> int:
    """What ``options`` say, else PORT of ``environment`` and process. Raises `ManifestError`."""
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


def _print_config(source: JobSource) -> int:
    from pyjob.cli.run import config  # no server needs it

    manifest, environment = source.configuration()
    for remark in (*remarks_on(manifest), *environment.remarks):
        sys.stderr.write(f"pyjob: warning: {remark}\n")
    sys.stdout.write(config.shown(manifest, environment))
    return 0


def _reload(options: argparse.Namespace) -> int:
    # No server in production needs it.
    from pyjob.cli.run import reload

    if not reload.is_inner():
        port = port_of(_environment(options), options)
        reload.run_outer(None if options.unix_socket else (options.host or DEFAULT_HOST, port))
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
    port = 0 if bound else port_of(application.environment, options)
    status = serve_application(
        application,
        host=options.host or DEFAULT_HOST,
        port=port,
        threads=options.threads,
        unix_socket=options.unix_socket,
        trusted_proxy=options.trusted_proxy,
        bound=bound,
        fail_fast=options.fail_fast,
        grace=options.grace,
        drain_delay=options.drain_delay,
        warns_if_open=not options.member,  # the platform does, of all its jobs
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
