"""The command line: help that helps, errors in one line, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pyjob
from tests.conftest import MakeJob


def pyjob_command(
    *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyjob", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_shows_options_and_examples() -> None:
    ended = pyjob_command("run", "--help")
    assert ended.returncode == 0
    for part in ("PATH", "--host", "--port", "--threads", "--fail-fast", "--no-access-log", "examples:"):
        assert part in ended.stdout
    assert "exit status" in pyjob_command("--help").stdout


def test_version_is_shown() -> None:
    assert pyjob_command("--version").stdout == f"pyjob {pyjob.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run", "--port", "seven"],
        ["run", "--port", "65536"],
        ["run", "--port=-1"],
        ["run", "--threads", "0"],
        ["run", "--log-level", "loud"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    ended = pyjob_command(*arguments)
    assert ended.returncode == 2
    assert "usage: pyjob" in ended.stderr


def test_a_faulty_manifest_is_status_1_with_every_problem_on_a_line(make_job: MakeJob) -> None:
    folder = make_job("", fields="replicas: 0\nowner: me\n", extra={"max_concurrency": "many"})
    ended = pyjob_command("run", str(folder))
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    for path in ("replicas", "owner", "jobtype_extra.max_concurrency"):
        assert f": {path}: expected" in ended.stderr


def test_a_folder_without_a_manifest_says_what_to_do(tmp_path: Path) -> None:
    ended = pyjob_command("run", cwd=tmp_path)
    assert ended.returncode == 1
    assert "job.yaml" in ended.stderr
    assert "pyjob run FILE.py" in ended.stderr


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["job.yml"], "job.yml: rename it to job.yaml"),
        (["prices/job.yaml", "slow/job.yaml"], "none here, but in prices, slow"),
        ([], "found nothing"),
    ],
)
def test_a_manifest_nearby_is_pointed_at(tmp_path: Path, files: list[str], told: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert told in pyjob_command("run", cwd=tmp_path).stderr


def test_what_is_no_manifest_is_told_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80")
    assert "found a .pkl file" in pyjob_command("run", "model.pkl", cwd=tmp_path).stderr
    ended = pyjob_command("run", cwd=tmp_path, JOB_MANIFEST_YAML="prices/job.yaml")
    assert "expected the text of a manifest, found a path" in ended.stderr


def test_a_misspelt_required_field_below_jobtype_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "name: a\nowner_email: a@b\njobtype: python3:latest\njobtype_extra:\n  entrypoint: job.py\n"
    )
    ended = pyjob_command("run", cwd=tmp_path)
    assert "jobtype_extra.entrypoint: " in ended.stderr
    assert "did you mean jobtype_extra.entrypoint_path?" in ended.stderr


def test_an_unknown_option_shows_the_usage_of_its_command() -> None:
    ended = pyjob_command("run", "--prot=7001")
    assert ended.returncode == 2
    assert "usage: pyjob run" in ended.stderr
    # Without the value, which may be a secret.
    assert "unrecognized arguments: --prot: did you mean --port?\n" in ended.stderr


def test_a_port_in_the_environment_that_is_no_number_is_named(make_job: MakeJob) -> None:
    folder = make_job("class Job:\n    def perform(self): ...\n")
    ended = pyjob_command("run", str(folder), PORT="http")
    assert ended.returncode == 1
    assert "PORT: expected a number from 0 to 65535, found 'http'" in ended.stderr


def test_a_prefix_that_is_no_path_is_wrong_usage(make_job: MakeJob) -> None:
    folder = make_job("class Job:\n    def perform(self): ...\n")
    ended = pyjob_command("run", str(folder), "--url-prefix", "ml")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "--url-prefix" in ended.stderr
