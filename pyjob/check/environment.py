"""The env files of a job: whether they are there and right, without a word of what is in them (SPEC 3)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pyjob.check.finding import Finding, Severity
from pyjob.environment.env_file import EnvFile, read_env_file
from pyjob.environment.environment import (
    FILE_VARIABLE,
    environment_of,
    environment_stands_in,
    missing_file,
)
from pyjob.environment.mask import LEAST, Mask
from pyjob.errors import ManifestError
from pyjob.manifest import Manifest
from pyjob.manifest.fields import RESERVED_NAMES

RULE = "environment"
BUILD, RUNTIME = "secret_build_env_file", "secret_runtime_env_file"


def check_environment(manifest: Manifest, environ: Mapping[str, str], cwd: Path) -> list[Finding]:
    """Hold the rule for both secret files and their templates; ``environ`` is what the job would inherit."""
    try:
        stands_in = environment_stands_in(environ)
        other = environ.get(FILE_VARIABLE)
        if other:
            environment_of(manifest, environ, cwd=cwd, with_identity=True)
    except ManifestError as error:
        source = error.source
        return [Finding(RULE, Severity.ERROR, str(one), "", source, one.line) for one in error.problems]
    identity = {"JOB_NAME": manifest.name, "JOB_VERSION": manifest.version}
    layers = (manifest.runtime_env, environ) if stands_in else (environ, manifest.runtime_env)
    seen = {**identity, **layers[0], **layers[1]}
    may_be_missing = stands_in or bool(other)
    return [
        *_check(manifest, BUILD, {**environ, **manifest.build_env}),
        *_check(manifest, RUNTIME, seen, RESERVED_NAMES, may_be_missing=may_be_missing),
    ]


def mask_of(manifest: Manifest, environ: Mapping[str, str], cwd: Path) -> Mask:
    """Replaces the values of both secret files, as far as they can be read."""
    values: list[str] = []
    with suppress(ManifestError):
        runtime = environment_of(manifest, environ, cwd=cwd, with_identity=True)
        everything = {**environ, **runtime.variables}
        values += [everything[name] for name in runtime.secret if name in everything]
    if manifest.secret_build_env_file:
        file, inherited = manifest.folder / manifest.secret_build_env_file, {**environ, **manifest.build_env}
        with suppress(ManifestError):
            values += read_env_file(file, file.name, inherited).values.values()
    return Mask(values)


def _check(
    manifest: Manifest,
    field: str,
    environ: Mapping[str, str],
    reserved: tuple[str, ...] = (),
    *,
    may_be_missing: bool = False,
) -> list[Finding]:
    """What is wrong with the file that ``field`` names, and with the template beside it."""
    name: str = getattr(manifest, field)
    if not name:
        return []
    findings: list[Finding] = []

    def read(name: str, severity: Severity) -> EnvFile | None:
        if not os.path.lexists(manifest.folder / name):
            return None
        try:
            return read_env_file(manifest.folder / name, name, environ, reserved=reserved)
        except ManifestError as error:
            findings.extend(Finding(RULE, severity, str(one), "", name, one.line) for one in error.problems)
            return None

    if not os.path.lexists(manifest.folder / name) and not may_be_missing:
        problem = missing_file(manifest, field).problems[0]
        findings.append(Finding(RULE, Severity.WARNING, str(problem), "", name))
    given, template = read(name, Severity.ERROR), read(f"{name}.dist", Severity.WARNING)
    if given is not None:
        findings += _doubts(given, template)
    return findings


def _doubts(given: EnvFile, template: EnvFile | None) -> Iterator[Finding]:
    lacking = [name for name in (template.values if template else ()) if name not in given.values]
    if template and lacking:
        text = f"{', '.join(lacking)}: in {template.source}, but not here"
        yield Finding(
            RULE, Severity.WARNING, text, f"add it, or take it out of {template.source}", given.source
        )
    empty = [name for name in (template.values if template else ()) if given.values.get(name) == ""]
    if template and empty:
        verb, them = ("are", "them") if len(empty) > 1 else ("is", "it")
        text = f"{', '.join(empty)} {verb} empty, and {template.source} asks for {them}"
        remedy = f"fill {them} in, or take {them} out of {template.source}"
        yield Finding(RULE, Severity.WARNING, text, remedy, given.source, given.lines[empty[0]])
    short = sorted(name for name, value in given.values.items() if 0 < len(value) < LEAST)
    if short:
        text = f"{', '.join(short)}: shorter than {LEAST} characters, so not masked in logs and errors"
        yield Finding(RULE, Severity.WARNING, text, "", given.source)
