"""The check of a job that does not run it: every rule that manifest, files and source text can be held to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pyjob.check.code.code import check_code
from pyjob.check.environment import check_environment
from pyjob.check.finding import Finding, Severity
from pyjob.check.report import NO_FILES, Report
from pyjob.check.repository import RULES as RULES_OF_GIT
from pyjob.check.repository import check_repository
from pyjob.check.requirements import check_requirements
from pyjob.check.rules import RULES
from pyjob.errors import ManifestError, Problem, Remark
from pyjob.manifest import Manifest, find_manifest, manifest_of
from pyjob.manifest.document import LARGEST, parse
from pyjob.manifest.file import read_text

RULES_OF_A_RUN = ("start",)
_SPELLINGS = ("deprecated", "unknown field", "ignored, since")


def check_job(
    path: Path | None, *, environ: Mapping[str, str], cwd: Path, manifest_file: Path | None = None
) -> Report:
    """Check the job at ``path``, as `find_manifest` finds it; whatever is wrong with it is a finding."""
    try:
        manifest = find_manifest(path, environ=environ, cwd=cwd, manifest=manifest_file)
    except ManifestError as error:
        return _report_of_fault(error, path, cwd)
    findings = [
        *_of_manifest(manifest, cwd),
        *check_code(manifest),
        *check_environment(manifest, environ),
        *check_requirements(manifest),
    ]
    of_git = check_repository(manifest, cwd)
    not_held = (*RULES_OF_A_RUN, *(RULES_OF_GIT if of_git is None else ()))
    return Report(
        manifest.folder,
        manifest.name,
        manifest.version,
        (*findings, *(of_git or ())),
        tuple(name for name in RULES if name not in not_held),
    )


def _report_of_fault(error: ManifestError, path: Path | None, cwd: Path) -> Report:
    """A report on a manifest that cannot be used, and on the code where it at least names the entry file."""
    target = cwd if path is None else cwd / path
    is_folder = os.path.isdir(target)  # noqa: PTH112  the one way that never raises
    folder = Path(os.path.realpath(target if is_folder else target.parent))
    findings = [_of_problem(one, error.source, folder, cwd) for one in error.problems]
    rest = _without_faults(error, folder, cwd)
    held = ("manifest",) if rest is None else tuple(RULES)
    return Report(folder, "", "", (*findings, *(check_code(rest) if rest else ())), held)


def _without_faults(error: ManifestError, folder: Path, cwd: Path) -> Manifest | None:
    """What of a faulty manifest leads to the code."""
    try:
        text = read_text(cwd / error.source, error.source, LARGEST)
        extra = parse(text, error.source).values.get("jobtype_extra")
        if not isinstance(extra, Mapping) or not extra.get("entrypoint_path"):
            return None
        fields = {name: extra[name] for name in ("entrypoint_path", "entrypoint_class") if name in extra}
        return manifest_of({"jobtype_extra": fields}, name="job", folder=folder)
    except ManifestError:
        return None


def _of_manifest(manifest: Manifest, cwd: Path) -> Iterator[Finding]:
    for remark in manifest.warnings:
        yield _of_remark(remark, manifest.folder, cwd)
    for problem in manifest.check_errors:
        yield _of_problem(problem, manifest.source, manifest.folder, cwd)


def _of_remark(remark: Remark, folder: Path, cwd: Path) -> Finding:
    rule = "manifest-spelling" if any(word in remark.text for word in _SPELLINGS) else "manifest"
    file = _file_of(remark.source, folder, cwd)
    return Finding(rule, Severity.WARNING, remark.text, file=file, line=remark.line)


def _of_problem(problem: Problem, source: str, folder: Path, cwd: Path) -> Finding:
    rule = "git-remote" if problem.path == "git.remote" else "manifest"
    file = _file_of(problem.source or source, folder, cwd)
    return Finding(rule, Severity.ERROR, str(problem), file=file, line=problem.line)


def _file_of(source: str, folder: Path, cwd: Path) -> str:
    """A source of the manifest as findings name it: relative to the job's folder."""
    if source in NO_FILES:
        return source
    file = cwd / source
    real = Path(os.path.realpath(file.parent)) / file.name
    return "" if real == folder else os.path.relpath(real, folder)
