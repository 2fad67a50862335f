"""For every rule that stands for a principle: a job that breaks it is found, the same job mended is fine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pyjob.check.check import check_job
from pyjob.check.finding import Finding, Severity
from pyjob.check.rules import RULES
from tests.repositories import needs_git, repository

JOBS = Path(__file__).parent / "jobs"
OF_PRINCIPLES = sorted(rule.name for rule in RULES.values() if rule.principles)
OF_GIT = ("files-in-git", "git-directory", "secrets-in-git")


def named(rules: list[str]) -> list[object]:
    return [pytest.param(rule, marks=needs_git if rule in OF_GIT else ()) for rule in rules]


def findings_in(job: Path, folder: Path) -> tuple[Finding, ...]:
    """What a check finds in a copy of ``job``: its folder is a job's own, and no part of this repository."""
    copy = folder / "job"
    shutil.copytree(job, copy)
    rule = job.parent.name
    if rule in OF_GIT:
        # Under its own name, it would count for this repository, too.
        if (copy / "gitignore").exists():
            (copy / "gitignore").rename(copy / ".gitignore")
        repository(folder, f"https://example.com/team/{rule}")
    return check_job(copy, environ={}, cwd=folder).findings


def test_every_principle_that_can_be_held_has_its_jobs() -> None:
    assert sorted(folder.name for folder in JOBS.iterdir()) == OF_PRINCIPLES
    held = {number for rule in RULES.values() for number in rule.principles}
    assert held == set(range(1, 20)) - {9}  # a job may fetch data, and need not


@pytest.mark.parametrize("rule", named(OF_PRINCIPLES))
def test_a_job_that_breaks_a_rule_is_found(rule: str, tmp_path: Path) -> None:
    findings = findings_in(JOBS / rule / "broken", tmp_path)
    assert [finding for finding in findings if finding.rule == rule and finding.message and finding.file]
    # It breaks this one alone.
    assert {finding.rule for finding in findings if finding.severity is not Severity.ADVICE} <= {rule}


@pytest.mark.parametrize("rule", named(OF_PRINCIPLES))
def test_the_same_job_mended_is_fine(rule: str, tmp_path: Path) -> None:
    assert [str(finding) for finding in findings_in(JOBS / rule / "fixed", tmp_path)] == []
