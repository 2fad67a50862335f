"""Of any manifest, `pyjob check` says something without a traceback; a job that it passes starts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")

from hypothesis import event, given, settings

from pyjob.check.check import check_job
from pyjob.check.finding import Severity
from pyjob.testing import JobClient
from tests.manifests import BASE, mutated_manifests

CODE = "class Job:\n    def perform(self, x: float = 1) -> float:\n        return 2 * x\n"


def examine(text: str) -> None:
    """Check a job with this manifest; where that finds no error, start it and call it."""
    with tempfile.TemporaryDirectory() as name:
        # What good manifests refer to lies above and inside of the job's folder.
        folder = Path(name) / "jobs" / "full"
        (folder / "secrets").mkdir(parents=True)
        (Path(name) / ".git").mkdir()
        for file, content in {
            folder / "job.yaml": text,
            folder / "base.yaml": BASE,
            folder / "job.py": CODE,
            folder / "secrets" / ".env": "TOKEN = planted-secret\n",
            folder.parent / "requirements.txt": "werkzeug\n",
        }.items():
            file.write_text(content, encoding="utf-8", newline="")
        report = check_job(folder, environ={}, cwd=folder)
        errors = [one for one in report.findings if one.severity is Severity.ERROR]
        # A remote is needed by who builds the job: of a start it is but a warning.
        errors = [one for one in errors if "a URL that starts with https://" not in one.message]
        event("wrong" if errors else "fine")
        told = [f"{one.place} {one.message} {one.remedy}" for one in report.findings]
        assert not any("planted" in line for line in told)
        if errors:
            return
        if any(one.rule == "environment" for one in report.findings):
            return  # a secret file that is missing: a warning of the check, since it is on another machine
        with JobClient(folder) as job:
            assert job.get("/ready").status_code == 200
            if job.application.manifest.jobtype_extra.max_body_size > 100:
                assert job.perform(x=2) == 4


@settings(max_examples=500)
@given(text=mutated_manifests())
def test_what_check_passes_starts(text: str) -> None:
    examine(text)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(text=mutated_manifests())
def test_what_check_passes_starts_ten_thousand_times(text: str) -> None:
    examine(text)
