"""The same jobs where compat, or pyjob itself, is not installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import pyjob
from pyjob.cli import main
from tests.compat.conftest import COMPAT
from tests.conftest import JobClient, MakeJob

REFERENCE = "racetrack_job_wrapper"
without_compat = pytest.mark.skipif(
    importlib.util.find_spec(REFERENCE) is not None, reason="a racetrack_job_wrapper is installed here"
)


@without_compat
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("from racetrack_job_wrapper.call import call_job", "from pyjob import call_job"),
        (
            "from racetrack_job_wrapper.endpoint_config import EndpointConfig",
            "from pyjob import EndpointConfig",
        ),
        (
            "from racetrack_job_wrapper.entrypoint import JobEntrypoint",
            "nothing, since a job needs no base class",
        ),
        ("from racetrack_job_wrapper.log.logs import get_logger", "import logging, and"),
        ("from racetrack_job_wrapper.log.errors import EntityNotFound", "from pyjob import JobError"),
    ],
)
def test_a_job_that_needs_it_is_told_what_to_do(make_job: MakeJob, line: str, instead: str) -> None:
    job = make_job(
        f"{line}\n\nclass Job:\n    def perform(self): return 1\n", extra={"requirements_path": "r"}
    )
    application = pyjob.create(job)
    with pytest.raises(ModuleNotFoundError):
        application.load()
    told = JobClient(application, "").get("/live").json["error"]
    assert told.startswith(f"the job imports {REFERENCE}: install pyjob's compat distribution (pip install")
    assert f"or change the line `{line}` to: {instead}" in told
    assert "traceback=job.py:1" in told
    assert "pip install -r" not in told


@without_compat
def test_check_says_so_too(make_job: MakeJob, capsys: pytest.CaptureFixture[str]) -> None:
    code = "from racetrack_job_wrapper.call import call_job\n\nclass Job:\n    def perform(self): return 1\n"
    assert main(["check", str(make_job(code))]) == 1
    told = capsys.readouterr().out
    assert f"there is no module '{REFERENCE}'" in told
    assert "install pyjob's compat distribution" in told


@pytest.mark.parametrize("files", [{}, {"pyjob.py": "version = 3\n"}], ids=["without", "with a stranger"])
def test_without_pyjob_the_import_says_what_is_missing(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(COMPAT)!r}]\nimport {REFERENCE}.call"
    ended = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "needs pyjob, which is not installed" in ended.stderr
    assert "another project on PyPI" in ended.stderr
