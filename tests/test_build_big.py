"""Jobs built with big packages from an index, and served: minutes, so they run by hand."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.built import job_in
from tests.servers import ask, started

pytest.importorskip("pex")

NUMPY = """\
import numpy


class Job:
    def perform(self, numbers: list[float]) -> float:
        return numpy.linalg.norm(numbers)
"""
SCIKIT_LEARN = """\
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


class Job:
    def __init__(self):
        iris = load_iris()
        self.names = iris.target_names
        self.model = LogisticRegression(max_iter=500).fit(iris.data, iris.target)

    def perform(self, numbers: list[float]) -> str:
        return str(self.names[self.model.predict([numbers])[0]])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("requirements", "code", "numbers", "answer"),
    [
        ("numpy", NUMPY, [3, 4], 5.0),
        ("scikit-learn", SCIKIT_LEARN, [5.1, 3.5, 1.4, 0.2], "setosa"),
    ],
)
def test_a_job_with_a_big_package_is_built_and_serves(
    tmp_path: Path, requirements: str, code: str, numbers: list[float], answer: object
) -> None:
    job = job_in(tmp_path / "job", extra="  requirements_path: requirements.txt", code=code)
    (job / "requirements.txt").write_text(requirements)
    # With the network, and the pip of this machine.
    command = [sys.executable, "-m", "pyjob", "build", "job", "-o", "job.pex", "--json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    starts = []
    for _ in range(2):
        began = time.monotonic()
        serve = [sys.executable, str(tmp_path / "job.pex"), "--host", "127.0.0.1", "--port", "0"]
        with started(serve, env={"TMPDIR": str(tmp_path)}) as server:
            server.wait_until("/ready", 200)
            assert ask(server, "POST", "/perform", json.dumps({"numbers": numbers}).encode())[2] == answer
            starts.append(time.monotonic() - began)
    sys.stdout.write(
        f"\n{requirements}: {summary['size'] / 1e6:.0f} MB, {len(summary['packages'])} packages, built in "
        f"{summary['seconds']} s, first answer {starts[0]:.2f} s cold, {starts[1]:.2f} s warm\n"
    )
