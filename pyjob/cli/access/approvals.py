"""`pyjob access approve`, `revoke-approval`, `approvals`, `requests`: which endpoints are open (SPEC 8.3)."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.access.decision import API, SERVICE, canonical
from pyjob.access.store.ledger import Approval
from pyjob.check.code.public import fault_of
from pyjob.cli.access import arguments
from pyjob.cli.access.file import add_file, file_option, ledger_of, moment
from pyjob.errors import ManifestError, one_line
from pyjob.manifest import Manifest, find_manifest

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

APPROVE_EXAMPLES = """examples:
  pyjob access approve house-price 1.2.0 /perform
  pyjob access approve house-price 1.2.0 /webview       and all that is below it

It holds for this very version, and as long as the manifest lists the path in public_endpoints; the job need
not have run yet. Servers know of it within a second.
"""
REVOKE_EXAMPLES = """example:
  pyjob access revoke-approval house-price 1.2.0 /perform
"""
LIST_EXAMPLES = """examples:
  pyjob access approvals
  pyjob access approvals --json
"""
REQUESTS_EXAMPLES = """examples:
  pyjob access requests house-price            with the command that approves, for each that waits
  pyjob access requests jobs/*
  pyjob access requests jobs/* --json
"""


@dataclass(frozen=True, slots=True)
class Request:
    """A public endpoint that a manifest lists, by its canonical path; ``approval`` is None where it waits."""

    endpoint: str
    approval: Approval | None


def add_approvals(commands: Commands) -> None:
    """Declare `approve`, `revoke-approval`, `approvals` and `requests`."""
    approve = commands.add_parser(
        "approve",
        help="open an endpoint to everybody",
        description="Let everybody call an endpoint that the job's manifest lists in public_endpoints.",
        epilog=APPROVE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_endpoint(approve)
    approve.set_defaults(run=_approve)
    revoke = commands.add_parser(
        "revoke-approval",
        help="close it again",
        description="Take an approval back: the endpoint needs a token again, within a second.",
        epilog=REVOKE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_endpoint(revoke)
    revoke.set_defaults(run=_revoke)
    _add_list(commands)
    _add_requests(commands)


def _add_list(commands: Commands) -> None:
    parser = commands.add_parser(
        "approvals",
        help="list the approvals that are in force",
        description="List what is approved as public, of which job, by whom and since when (UTC).",
        epilog=LIST_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_file(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=_list)


def _add_endpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=arguments.job_name, metavar="NAME", help="the job's name")
    parser.add_argument("version", type=arguments.job_version, metavar="VERSION", help="its exact version")
    parser.add_argument(
        "endpoint", type=arguments.endpoint, metavar="PATH", help="the path, with /api/v1 or without"
    )
    add_file(parser)


def _add_requests(commands: Commands) -> None:
    parser = commands.add_parser(
        "requests",
        help="list the public endpoints of jobs, approved or waiting",
        description="List what the manifests of jobs want to be public, and whether it is approved.",
        epilog=REQUESTS_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="a job's folder, or its job.yaml"
    )
    add_file(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=_requests)


def _approve(options: argparse.Namespace) -> int:
    job, version, endpoint = options.job, options.version, options.endpoint
    ledger = ledger_of(options)
    if not arguments.is_of_manifest(job, version):
        what = f"no manifest can have the name {job} and the version {version}"
        sys.stderr.write(f"pyjob: warning: {what}: this holds only where JOB_NAME and JOB_VERSION say so\n")
    fault = fault_of(endpoint.removeprefix(API) or endpoint)
    if fault is not None:
        sys.stderr.write(f"pyjob: warning: {': '.join(fault)}\n")
    if ledger.approve(job, version, endpoint):
        sys.stdout.write(f"approved {_shown(endpoint)} and what is below it, of {job} {version}\n")
    else:
        sys.stdout.write(f"{endpoint} of {job} {version} is approved already\n")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    job, version, endpoint = options.job, options.version, options.endpoint
    if ledger_of(options).revoke_approval(job, version, endpoint):
        sys.stdout.write(f"took back the approval of {endpoint} of {job} {version}\n")
    else:
        sys.stdout.write(f"the approval of {endpoint} of {job} {version} was taken back already\n")
    return 0


def _list(options: argparse.Namespace) -> int:
    approvals = ledger_of(options).approvals()
    if options.json:
        rows = [
            {
                "job": one.job,
                "version": one.version,
                "endpoint": one.endpoint,
                "approved_by": one.who,
                "approved_at": moment(one.at),
            }
            for one in approvals
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    elif approvals:
        told = (f"{one.subject}  approved by {one.who}, {moment(one.at)}\n" for one in approvals)
        sys.stdout.writelines(told)
    else:
        sys.stderr.write("pyjob: nothing is approved: `pyjob access approve NAME VERSION PATH` does that\n")
    return 0


def _requests(options: argparse.Namespace) -> int:
    approvals = {one.subject: one for one in ledger_of(options).approvals()}
    jobs: list[tuple[Manifest, list[Request]]] = []
    faults: list[ManifestError] = []
    for folder in options.folders:
        try:
            # The environment speaks for one job, and here are several.
            manifest = find_manifest(folder, environ={}, cwd=Path.cwd())
            jobs.append((manifest, _requests_of(manifest, approvals)))
        except ManifestError as error:
            faults.append(error)
    ending = file_option(options)
    if options.json:
        rows = [_row(manifest, one, ending) for manifest, requests in jobs for one in requests]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        sys.stdout.writelines(_told(manifest, requests, ending) for manifest, requests in jobs)
    for fault in faults:
        sys.stderr.write(f"pyjob: error: {fault}\n")
    return 1 if faults else 0


def _requests_of(manifest: Manifest, approvals: Mapping[str, Approval]) -> list[Request]:
    paths = dict.fromkeys(map(canonical, manifest.public_endpoints))  # each once, in their order
    subjects = {path: f"{manifest.name} {manifest.version} {path}" for path in paths}
    return [Request(path, approvals.get(subject)) for path, subject in subjects.items()]


def _row(manifest: Manifest, request: Request, ending: str) -> dict[str, object]:
    approval = request.approval
    return {
        "job": manifest.name,
        "version": manifest.version,
        "folder": str(manifest.folder),
        "endpoint": request.endpoint,
        "approved": approval is not None,
        "approved_by": None if approval is None else approval.who,
        "approved_at": None if approval is None else moment(approval.at),
        "command": _command(manifest, request, ending),
    }


def _told(manifest: Manifest, requests: list[Request], ending: str) -> str:
    """The public endpoints of one job, in lines."""
    lines = [f"{manifest.name} {manifest.version} ({one_line(str(manifest.folder))})"]
    for one in requests:
        if one.approval is None:
            lines += [f"  {_shown(one.endpoint)} waits:", f"    {_command(manifest, one, ending)}"]
        else:
            lines.append(
                f"  {_shown(one.endpoint)} approved by {one.approval.who}, {moment(one.approval.at)}"
            )
    return "\n".join(lines if requests else [f"{lines[0]}: no public endpoints"]) + "\n"


def _shown(endpoint: str) -> str:
    """``endpoint``, and what somebody might not think of who approves it."""
    if endpoint in SERVICE:
        return f"{endpoint} (a page of the service; an endpoint of that name is {API}{endpoint})"
    return f"{endpoint} (everything that the job offers)" if endpoint == API else endpoint


def _command(manifest: Manifest, request: Request, ending: str) -> str:
    words = ["pyjob", "access", "approve", manifest.name, manifest.version, request.endpoint]
    return shlex.join(words) + ending
