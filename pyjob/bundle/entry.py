"""The command that a built file is: `pyjob run` of the job inside, and a few others."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyjob
from pyjob.bundle.folder import working_folder
from pyjob.cli import main as pyjob_main
from pyjob.environment.environment import FILE_VARIABLE, environment_stands_in
from pyjob.errors import ManifestError, Problem, PyjobError
from pyjob.manifest import Manifest, find_manifest
from pyjob.ship.packing.contents import ARCHIVE, DESCRIPTION, FOLDER, Contents
from pyjob.ship.packing.preamble import LOCK_VARIABLE, python_here

# What there is to do with the job inside; what has nothing to do with it.
OF_THE_JOB, OTHERS = ("run", "check", "call", "render"), ("access", "version")
IMAGE = "dockerfile"
RENDERED_OF_A_JOB = (IMAGE, "kubernetes", "nginx", "systemd")
# Whom to call, where it is not the job inside.
ADDRESS = re.compile(r"https?://|:\d+(/|$)|(localhost|\d+(\.\d+){3}):\d")
HELP = """\
usage: {file} [OPTIONS]                    serve the job, with the options of `pyjob run`
       {file} call [URL|:PORT] [/ENDPOINT] [ITEM ...]
       {file} check [OPTIONS]
       {file} render WHAT [OPTIONS]
       {file} access ... | version | --version

{contents}, in one file. No network is needed, only Python {python}.

  run      serve it, which is what happens without a command
  call     send it one request in this process: x:=20 y:=5, or --example; or one that is served at URL
  check    find its mistakes
  render   a unit for systemd, configuration for nginx, a dashboard, ...
  access   issue tokens for its callers, list what is to be public, approve it
  version  versions of what is inside

The job is unpacked into a fresh folder below TMPDIR, else /tmp, which is its working directory and is
removed at the end. With `--workdir DIR` it is DIR, and stays. Its secrets are read from the file that the
manifest names, beside this one, from the file that {variable} names, or from the environment
with PYJOB_SECRETS=environment.

`{file} COMMAND --help` has the options of a command.
"""


def main(path: str, given: Sequence[str]) -> int:
    """Run the command line of the built file at ``path``; returns the exit status."""
    lock = os.environ.pop(LOCK_VARIABLE, "")
    if lock.isdigit():
        os.set_inheritable(int(lock), False)  # not for programs that the job starts
    packed = Path(pyjob.__file__).parent.parent / FOLDER
    contents = Contents.from_json((packed / DESCRIPTION).read_text())
    file = Path(path)
    if list(given[:1]) in (["-h"], ["--help"]):
        sys.stdout.write(
            HELP.format(file=file.name, contents=contents, python=python_here(), variable=FILE_VARIABLE)
        )
        return 0
    if list(given[:1]) in (["--version"], ["version"]):
        sys.stdout.write(f"{contents}\n")
    if list(given) == ["--version"]:
        return 0
    # An image may have it, and have it empty.
    os.environ["GIT_VERSION"] = os.environ.get("GIT_VERSION") or contents.commit
    try:
        return _run(file, contents, packed / ARCHIVE, given)
    except PyjobError as error:
        sys.stderr.write(f"{file.name}: error: {error}\n")
        return 1


def _run(file: Path, contents: Contents, archive: Path, given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog=file.name, add_help=False, allow_abbrev=False)
    parser.add_argument("--workdir", type=Path)
    options, rest = parser.parse_known_args(given)
    command = rest.pop(0) if rest and not rest[0].startswith("-") else "run"
    asks_for_requests = command == "access" and rest[:1] == ["requests"]
    if command in OTHERS and not asks_for_requests:
        return pyjob_main([command, *rest], program=file.name)
    if command not in (*OF_THE_JOB, *OTHERS):
        commands = ", ".join((*OF_THE_JOB, *OTHERS))
        parser.error(f"there is no command {command!r}: there are {commands} (the job is inside: no PATH)")
    if command == "run" and (late := {*rest} & {*OF_THE_JOB, *OTHERS}):
        parser.error(f"the command comes first: {file.name} {late.pop()} ...")
    if command in ("run", "check") and rest and not rest[0].startswith("-"):
        parser.error(f"the job is inside, and no PATH is taken: {rest[0]!r}")
    if "--reload" in rest:
        parser.error("argument --reload: a job in a built file does not change")
    if command == "call" and any(map(ADDRESS.match, rest)):
        return pyjob_main([command, *rest], program=file.name)
    with working_folder(archive, options.workdir) as folder:
        job = folder / contents.path
        if job != folder:
            _mark_as_repository(folder)
        if command in ("run", "check", "call") and not {"-h", "--help"} & {*rest}:
            _find_secrets(file, job, rest, may_be_missing=command == "check")
        return pyjob_main([command, *_with_job(command, rest, str(job), file.name)], program=file.name)


def _mark_as_repository(folder: Path) -> None:
    """Let the job find what it has above its own folder, such as the manifest that it extends.

    By an empty folder, which git itself does not take for anything.
    """
    with suppress(FileExistsError):
        (folder / ".git").mkdir()


def _with_job(command: str, given: list[str], job: str, name: str) -> list[str]:
    """The arguments ``given``, and the job where the command expects its path; ``name`` is this file's."""
    if command == "access":
        return [*given, job]
    if command != "render":
        return [job, *given]
    if not given or given[0] not in RENDERED_OF_A_JOB:
        return given
    is_named = any(one.split("=")[0] == "--pex" for one in given)
    own = ["--pex", name] if given[0] == IMAGE and not is_named else []
    return [given[0], job, *own, *given[1:]]


def _find_secrets(file: Path, job: Path, given: Sequence[str], *, may_be_missing: bool) -> None:
    """Take the job's secret file from beside the built one, unless another is named (SPEC 3.4).

    Raises `ManifestError` where there is none, and nothing stands in for it.
    """
    if os.environ.get(FILE_VARIABLE) or any(one.split("=")[0] == "--env-file" for one in given):
        return
    name = _manifest_of(job).secret_runtime_env_file
    if not name:
        return
    beside = file.absolute().parent / name
    behind = file.resolve().parent / name  # where a link to the built file leads
    found = next((one for one in (beside, behind) if one.is_file()), None)
    if found is not None:
        os.environ[FILE_VARIABLE] = str(found)
    elif not may_be_missing and not environment_stands_in(os.environ):
        template = job / f"{name}.dist" if job.is_dir() else job.parent / f"{name}.dist"
        remedy = f": it sets what {template.name} lists" if template.is_file() else ""
        expected = f"the file {beside}, or one that {FILE_VARIABLE} names"
        problem = Problem("secret_runtime_env_file", expected, f"nothing{remedy}")
        raise ManifestError(_manifest_of(job).source, [problem])


def _manifest_of(job: Path) -> Manifest:
    return find_manifest(job, environ={}, cwd=job if job.is_dir() else job.parent)
