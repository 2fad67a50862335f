"""The requirements file, read as pip reads it, and what of it is not installed here (principle 12)."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from pyjob.check.finding import Finding, Severity, quoted
from pyjob.errors import Problem, one_line
from pyjob.manifest import Manifest
from pyjob.requirements.files import RequirementsFiles
from pyjob.requirements.requirement import Requirement

RULE = "requirements"
_MOST = 20


def check_requirements(manifest: Manifest, cwd: Path | None = None) -> list[Finding]:
    """Hold the rule for the file that the manifest names and those that it includes.

    ``cwd`` is where the command of the remedy works: by default in the job's folder.
    """
    path = manifest.jobtype_extra.requirements_path
    if not path:
        return []
    file, shown = os.path.normpath(manifest.folder / path), os.path.normpath(path)
    files = RequirementsFiles(manifest)
    if files.refused:
        remedy = "write it, or correct jobtype_extra.requirements_path"
        problem = files.refused
        return [Finding(RULE, Severity.ERROR, str(problem), remedy, problem.source, problem.line)]
    problems = files.problems + files.logins
    findings = [_wrong(problem) for problem in problems[:_MOST]]
    if len(problems) > _MOST:
        more = f"{len(problems) - _MOST} more lines are wrong"
        findings.append(Finding(RULE, Severity.ERROR, more, file=shown))
    lacks = list(dict.fromkeys(lack for one in files.requirements if (lack := _lack(one))))
    if lacks:
        named = ", ".join(lacks[:_MOST]) + (f" and {len(lacks) - _MOST} more" if len(lacks) > _MOST else "")
        command = f"pip install -r {quoted(Path(file), cwd or manifest.folder)}"
        findings.append(Finding(RULE, Severity.WARNING, f"not installed here: {named}", command, shown))
    if any(one.accepts is None for one in files.requirements):
        text = "versions are not compared, since the library packaging is not installed"
        findings.append(Finding(RULE, Severity.ADVICE, text, "pip install packaging", shown))
    return findings


def _wrong(problem: Problem) -> Finding:
    return Finding(RULE, Severity.ERROR, one_line(str(problem)), "", problem.source, problem.line)


def _lack(requirement: Requirement) -> str:
    """What this interpreter lacks of it, empty where nothing."""
    try:
        version = metadata.distribution(requirement.name).metadata["Version"]
    except metadata.PackageNotFoundError:
        return requirement.text
    try:
        is_enough = version is None or requirement.accepts is None or requirement.accepts(version)
    except ValueError:  # a version of before there were rules
        is_enough = True
    return "" if is_enough else f"{requirement.text} ({version} is installed)"
