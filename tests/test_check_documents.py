"""The examples of docs/rules.md: each broken one breaks the rule of its section, each mended one does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pyjob.check.check import check_job
from pyjob.check.finding import Finding, Severity
from pyjob.check.rules import RULES
from tests.documents import REPO, Block, blocks_of
from tests.repositories import needs_git, repository

DOCUMENT = REPO / "docs" / "rules.md"
MANIFEST = """
name: prices
owner_email: you@example.com
jobtype: python3:latest
git:
  remote: https://example.com/team/prices
jobtype_extra:
  entrypoint_path: job.py
"""
JOB = "class Prices:\n    def perform(self, price: float) -> float:\n        return price\n"
# What the examples refer to.
FILES = {
    "job.py": JOB,
    "two.py": "",
    "model.py": "def predict(price): return price\n",
    "model.json": "1",
    "terms.html": "",
    "TERMS": "",
}
# Their examples are commands.
OF_COMMANDS = ("files-in-git", "secrets-in-git")
# What the examples of a rule need beside them.
FIELDS = {
    "requirements": "jobtype_extra: {requirements_path: requirements.txt}",
    "environment": "secret_runtime_env_file: secret.env",
}


def pairs() -> dict[str, list[Block]]:
    """The blocks of each section."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    found: dict[str, list[Block]] = {}
    for block in blocks_of(DOCUMENT):
        above = lines[: int(block.place.rpartition(":")[2])]
        heading = next((line[3:] for line in reversed(above) if line.startswith("## ")), "")
        found.setdefault(heading, []).append(block)
    return found


PAIRS = pairs()
WRITTEN = [rule for rule in RULES if rule not in OF_COMMANDS]


def job_of(folder: Path, rule: str, blocks: list[Block]) -> Path:
    """A job with what the blocks show."""
    job = folder / "jobs" / "prices"
    job.mkdir(parents=True)
    manifest = yaml.safe_load(MANIFEST)
    texts = dict(FILES)
    parts = [FIELDS.get(rule, "{}")]
    for block in blocks:
        name = Path(block.notes.get("file", "job.py" if block.language == "python" else "job.yaml")).name
        if name != "job.yaml":
            texts[name] = block.text
        elif "file" in block.notes:
            manifest = yaml.safe_load(block.text)
        else:
            parts.append(block.text)
    if rule == "entry-class":
        parts.insert(1, "jobtype_extra: {entrypoint_path: two.py}")
    for part in parts:
        for key, value in yaml.safe_load(part).items():
            manifest[key] = {**manifest.get(key, {}), **value} if isinstance(value, dict) else value
    for name, text in {**texts, "job.yaml": yaml.safe_dump(manifest, sort_keys=False)}.items():
        (job / name).write_text(text, encoding="utf-8")
    return job


def findings(job: Path) -> list[Finding]:
    return list(check_job(job, environ={}, cwd=job).findings)


def of_a_run(job: Path) -> list[tuple[str, str]]:
    command = [sys.executable, "-m", "pyjob", "check", "--run", "--json", str(job)]
    ended = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=60)
    return [(one["rule"], one["severity"]) for one in json.loads(ended.stdout)["findings"]]


def test_every_rule_has_a_broken_and_a_mended_example() -> None:
    assert {rule: len(PAIRS[rule]) for rule in RULES} == dict.fromkeys(RULES, 2)


@needs_git
@pytest.mark.parametrize("rule", WRITTEN)
def test_the_broken_example_breaks_the_rule_and_no_other(tmp_path: Path, rule: str) -> None:
    job = job_of(tmp_path, rule, PAIRS[rule][:1])
    if rule == "git-directory":
        repository(tmp_path, "https://example.com/team/prices")
    if rule == "start":
        assert [one for one in of_a_run(job) if one[1] != "advice"] == [("start", "error")]
        return
    found = findings(job)
    assert rule in {one.rule for one in found}
    assert {one.rule for one in found if one.severity is not Severity.ADVICE} <= {rule}


@needs_git
@pytest.mark.parametrize("rule", WRITTEN)
def test_the_mended_example_does_not_break_it_nor_any_other(tmp_path: Path, rule: str) -> None:
    # What mends the choice of a class is the manifest.
    shown = PAIRS[rule] if rule == "entry-class" else PAIRS[rule][1:]
    job = job_of(tmp_path, rule, shown)
    if rule == "git-directory":
        repository(tmp_path, "https://example.com/team/prices")
    found = findings(job)
    assert rule not in {one.rule for one in found}, [str(one) for one in found]
    assert [str(one) for one in found if one.severity is not Severity.ADVICE] == []
    if rule == "start":
        assert [one for one in of_a_run(job) if one[1] != "advice"] == []
