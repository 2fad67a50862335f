"""The check of a job that does not run it: every rule that manifest, files and source text can be held to."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pyjob.check.code.code import check_code
from pyjob.check.environment import check_environment, mask_of
from pyjob.check.finding import Finding, Severity
from pyjob.check.report import NO_FILES, Report
from pyjob.check.repository import RULES as RULES_OF_GIT
from pyjob.check.repository import check_repository
from pyjob.check.requirements import check_requirements
from pyjob.check.rules import RULES
from pyjob.environment.mask import Mask
from pyjob.errors import ManifestError, Problem, Remark
from pyjob.manifest import Manifest, find_manifest, manifest_of
from pyjob.manifest.document import LARGEST, parse
from pyjob.manifest.file import read_text
from pyjob.manifest.source import FILE_NAME
from pyjob.requirements.login import login_in_remote

RULES_OF_A_RUN = ("start",)
SECRET_FILES = ("secret_build_env_file", "secret_runtime_env_file")
# What `pyjob new` writes where git does not know of any.
PLACEHOLDER = "https://example.com/you/"
_SPELLINGS = ("deprecated", "unknown field", "ignored, since")


def check_job(
    path: Path | None, *, environ: Mapping[str, str], cwd: Path, manifest_file: Path | None = None
) -> Report:
    """Check the job at ``path``, as `find_manifest` finds it; whatever is wrong with it is a finding."""
    try:
        manifest = find_manifest(path, environ=environ, cwd=cwd, manifest=manifest_file)
    except ManifestError as error:
        return _report_of_fault(error, path, environ, cwd)
    findings = [
        *_of_manifest(manifest, cwd),
        *check_code(manifest, cwd),
        *check_environment(manifest, environ, cwd),
        *check_requirements(manifest, cwd),
    ]
    of_git = check_repository(manifest, cwd)
    mask = mask_of(manifest, environ, cwd)
    not_held = (*RULES_OF_A_RUN, *(RULES_OF_GIT if of_git is None else ()))
    return Report(
        manifest.folder,
        manifest.name,
        manifest.version,
        tuple(_masked(one, mask) for one in (*findings, *(of_git or ()))),
        tuple(name for name in RULES if name not in not_held),
    )


def _masked(finding: Finding, mask: Mask) -> Finding:
    return replace(finding, message=mask(finding.message), remedy=mask(finding.remedy)) if mask else finding


def _report_of_fault(
    error: ManifestError, path: Path | None, environ: Mapping[str, str], cwd: Path
) -> Report:
    """A report on a manifest that cannot be used, and on the code where it at least names the entry file."""
    target = cwd if path is None else cwd / path
    is_folder = os.path.isdir(target)  # noqa: PTH112  the one way that never raises
    folder = Path(os.path.realpath(target if is_folder else target.parent))
    findings = [_of_problem(one, error.source, folder, cwd) for one in error.problems]
    if is_folder and error.problems[0].expected.startswith(f"a {FILE_NAME}"):
        findings = [replace(one, remedy=_job_above(folder, cwd)) for one in findings]
    rest = _without_faults(error, folder, cwd)
    if rest is None:
        return Report(folder, "", "", tuple(findings), ("manifest",))
    mask = mask_of(rest, environ, cwd)
    findings = [_masked(one, mask) for one in (*findings, *check_code(rest, cwd))]
    return Report(folder, "", "", tuple(findings), tuple(RULES))


def _job_above(folder: Path, cwd: Path) -> str:
    """The way to a job that ``folder`` is a part of: above it, in the same work tree."""
    places = [place for place in (folder, *folder.parents) if os.path.lexists(place / ".git")]
    above = [one for one in folder.parents if one.is_relative_to(places[0])] if places else [folder.parent]
    for place in above:
        if (place / FILE_NAME).is_file():
            shown = os.path.relpath(place, cwd)
            return f"there is a {os.path.join(shown, FILE_NAME)}: pyjob check {shlex.quote(shown)}"  # noqa: PTH118
    return ""


def _without_faults(error: ManifestError, folder: Path, cwd: Path) -> Manifest | None:
    """What of a faulty manifest leads to the code."""
    try:
        text = read_text(cwd / error.source, error.source, LARGEST)
        values = parse(text, error.source).values
        extra = values.get("jobtype_extra")
        if not isinstance(extra, Mapping) or not extra.get("entrypoint_path"):
            return None
        fields = {name: extra[name] for name in ("entrypoint_path", "entrypoint_class") if name in extra}
        wrong = {problem.path for problem in error.problems}
        files = {name: values[name] for name in SECRET_FILES if name in values and name not in wrong}
        return manifest_of({"jobtype_extra": fields, **files}, name="job", folder=folder)
    except ManifestError:
        return None


def _of_manifest(manifest: Manifest, cwd: Path) -> Iterator[Finding]:
    for remark in manifest.warnings:
        yield _of_remark(remark, manifest.folder, cwd)
    for problem in (*manifest.check_errors, *login_in_remote(manifest)):
        yield _of_problem(problem, manifest.source, manifest.folder, cwd)
    if manifest.git.remote.startswith(PLACEHOLDER):
        place = _of_problem(
            manifest.located(Problem("git.remote", "", "")), manifest.source, manifest.folder, cwd
        )
        message = f"git.remote is still a placeholder: {manifest.git.remote}"
        remedy = "write the https:// address of the job's repository"
        yield replace(place, severity=Severity.ADVICE, message=message, remedy=remedy)


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
