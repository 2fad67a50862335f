"""Several jobs, each in a process of its own, behind one port (docs/platform.md)."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

from pyjob.cli.run.listening import listening
from pyjob.cli.run.options import LOCAL_HOST
from pyjob.cli.run.single import port_of
from pyjob.environment import Environment
from pyjob.logs.setting_up import LogSettings
from pyjob.own import ACCESS_VARIABLE, JobSource
from pyjob.platform.hosted import TOKEN, HostedJob, hosted_jobs
from pyjob.platform.platform import Plan, serve

PUB_URL = "PUB_URL"
# They would be the name and version of all.
IDENTITY = ("JOB_NAME", "JOB_VERSION")
# Where nobody asks for a token, any will do.
NO_TOKEN = "no-token-is-needed"  # nosec B105 # no secret
# Options that several jobs cannot have, and why.
REFUSED = {
    "--manifest": "it is of one job: name each job's folder",
    "--print-config": "it is of one job: name one",
    "--fail-fast": "one job that fails does not end the others",
    "--unix-socket": "jobs call one another by a port",
    "--trusted-proxy": "several jobs are for developing, without a proxy in front",
    "--url-prefix": "several jobs are for developing, without a proxy in front",
    "--drain-delay": "several jobs are for developing, without a balancer in front",
}


def run(options: argparse.Namespace) -> int:
    """Serve the jobs of ``options.path`` until SIGTERM or SIGINT. Raises `PyjobError`."""
    for option, reason in REFUSED.items():
        if getattr(options, option.removeprefix("--").replace("-", "_")):
            options.refuse(f"argument {option}: not with several jobs: {reason}")
    remarks = list(_forget_identity())
    with ExitStack() as opened:
        address = options.host or LOCAL_HOST, port_of(Environment(), options)
        sockets = [opened.enter_context(one) for one in listening(*address)]
        pub_url = f"{_url(sockets[0])}/pub"
        remarks += _point_to(pub_url)
        env = dict(options.env)
        jobs = hosted_jobs(JobSource(path, None, options.set, env, options.env_file) for path in options.path)
        remarks += _prepare_access(options, jobs, sockets)
        plan = Plan(
            jobs,
            sockets,
            pub_url,
            command=lambda path, address: _command(options, path, address),
            grace=options.grace,
            may_change=options.reload,
            remarks=remarks,
        )
        serve(plan, LogSettings.from_environment(os.environ, options.log_level))
    return 0


def _forget_identity() -> Iterator[str]:
    for name in IDENTITY:
        if os.environ.pop(name, None):
            yield f"{name} is not passed on: it would be that of every job"


def _point_to(pub_url: str) -> Iterator[str]:
    """Let the jobs call one another here."""
    before = os.environ.get(PUB_URL)
    os.environ[PUB_URL] = pub_url
    if before and before != pub_url:
        yield f"{PUB_URL} is {pub_url} for these jobs, in place of what the environment says"


def _prepare_access(
    options: argparse.Namespace, jobs: Sequence[HostedJob], sockets: Sequence[socket.socket]
) -> Iterator[str]:
    is_open = not options.access and ACCESS_VARIABLE not in os.environ
    if is_open:
        os.environ.setdefault(TOKEN, NO_TOKEN)
        if not all(ip_address(one.getsockname()[0].partition("%")[0]).is_loopback for one in sockets):
            yield "whoever reaches this port may call these jobs: --access FILE asks for tokens"
    elif not all(job.has_token for job in jobs):
        yield (
            f"{TOKEN} is not set, so that the jobs cannot call one another: make a token by `pyjob access "
            f"token add chain --kind service --file {options.access or 'FILE'}` and set it in the environment"
        )


def _command(options: argparse.Namespace, path: Path, address: str) -> Sequence[str]:
    """The command line of the process that serves the job at ``path`` on the Unix socket at ``address``."""
    # The current folder counts for imports where it does here, as with `python -m pyjob`.
    safe = [] if {"", str(Path.cwd())} & set(sys.path) else ["-P"]
    return [
        *(sys.executable, *safe, "-m", "pyjob", "run", "--member"),
        *(f"--unix-socket={address}", "--trusted-proxy=localhost"),
        *_passed_on(options),
        *("--", str(path)),
    ]


def _passed_on(options: argparse.Namespace) -> Iterator[str]:
    yield from (f"--set={setting}" for setting in options.set)
    yield from (f"--env={name}={value}" for name, value in options.env)
    yield from (f"--cors-origin={origin}" for origin in options.cors_origin)
    yield f"--timeout={options.timeout}"
    yield f"--grace={options.grace}"
    for name in ("env_file", "threads", "access", "log_level"):
        if (value := getattr(options, name)) is not None:
            yield f"--{name.replace('_', '-')}={value}"
    for name in ("reload", "self_test", "no_access_log", "no_status", "caller_metrics", "debug"):
        if getattr(options, name):
            yield f"--{name.replace('_', '-')}"


def _url(listens: socket.socket) -> str:
    """Where a process of this machine finds ``listens``."""
    host, port = listens.getsockname()[:2]
    address = ip_address(host.partition("%")[0])
    if address.is_unspecified:
        host = LOCAL_HOST if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
