"""The command `racetrack_job_runner`: the arguments of the reference, the server of pyjob."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyjob.cli
from pyjob.cli.arguments import port

MANIFEST = "job.yaml"
EPILOG = "Further options are those of `pyjob run`, such as --host 127.0.0.1; `pyjob run --help` has them."
# Variables that mean something to the reference alone, and what to do in place of each.
UNUSED = {
    "MEMRAY_PROFILER": "no memory profiler: run it under one, as in `memray run -m pyjob run PATH`",
    "VENV_PACKAGES_PATH": "not looked at: install into the environment that runs this, or set PYTHONPATH",
    "PROMETHEUS_MULTIPROC_DIR": "not looked at: one process serves the job, and has all numbers",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    if not given:
        parser.print_help(sys.stderr)
        return 0
    options, further = parser.parse_known_args(given)
    if options.command == "template":
        parser.error("template: images are not rendered here: write the file, or render it with the platform")
    for line in _unused(os.environ):
        sys.stderr.write(f"racetrack_job_runner: warning: {line}\n")
    if options.entrypoint_classname and not options.entrypoint_classname.isidentifier():
        parser.error(f"expected the name of a class, found {options.entrypoint_classname!r}")
    return pyjob.cli.main([*_translated(options), *further])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="racetrack_job_runner",
        description="Serve a job that was written for Racetrack's job runner, by pyjob.",
        epilog=EPILOG,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    run = commands.add_parser("run", help="serve a job", epilog=EPILOG)
    run.add_argument(
        "entrypoint_path", nargs="?", metavar="PATH", help="a Python file or a folder (default: this folder)"
    )
    run.add_argument(
        "entrypoint_classname", nargs="?", metavar="CLASS", help="the job's class, where it has several"
    )
    run.add_argument(
        "--manifest-path",
        nargs="?",
        metavar="FILE",
        help="the manifest (default: JOB_MANIFEST_YAML in the environment, else job.yaml of this folder)",
    )
    run.add_argument(
        "--port", nargs="?", type=port, help="port (default: PORT in the environment, else 7000)"
    )
    template = commands.add_parser("template", help="not taken over")
    template.add_argument("template_file", nargs="?")
    template.add_argument("out_file", nargs="?")
    return parser


def _translated(options: argparse.Namespace) -> list[str]:
    """The same command in the words of `pyjob run`."""
    path, manifest = options.entrypoint_path, options.manifest_path
    words = ["run"]
    has_manifest = manifest or os.environ.get("JOB_MANIFEST_YAML") or Path(MANIFEST).is_file()
    if path and has_manifest and _is_below(path):
        # The job's folder is this one, as there, and not that of its entry file.
        words += [".", "--set", f"jobtype_extra.entrypoint_path={json.dumps(path)}"]
    elif path:
        words.append(path)
    if manifest:
        words += ["--manifest", manifest]
    if options.entrypoint_classname:
        # Quoted: the value is read as YAML, which has words that are no text.
        words += ["--set", f"jobtype_extra.entrypoint_class={json.dumps(options.entrypoint_classname)}"]
    if options.port is not None:
        words += ["--port", str(options.port)]
    return words


def _is_below(path: str) -> bool:
    """Whether ``path`` is an entry file in a folder below this one that has no manifest of its own."""
    file = Path(path)
    if file.suffix != ".py" or file.is_absolute() or ".." in file.parts or len(file.parts) < 2:
        return False
    return not (file.parent / MANIFEST).is_file()


def _unused(environ: Mapping[str, str]) -> list[str]:
    return [f"{variable} is set: {remedy}" for variable, remedy in UNUSED.items() if environ.get(variable)]
