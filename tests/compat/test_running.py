"""The command `racetrack_job_runner`, serving from Python, and the distribution that brings both."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.compat.conftest import COMPAT
from tests.conftest import MakeJob
from tests.servers import ask, started

JOB = """
import math
from pathlib import Path

class Job:
    def perform(self, number: int) -> bool:
        if number < 2:
            return False
        return all(number % i for i in range(2, int(math.sqrt(number)) + 1))

    def docs_input_example(self) -> dict:
        return {'number': 7907}

    def auxiliary_endpoints(self):
        return {'/folder': lambda: Path.cwd().name}

class Other(Job):
    def perform(self, number: int) -> str:
        return 'the other one'
"""
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join((str(COMPAT), str(COMPAT.parent)))}
RUNNER = [sys.executable, "-m", "racetrack_job_wrapper"]


def runner(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUNNER, *arguments],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_serves_a_class_of_a_file_by_a_manifest(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job("", name="primer", files={"src/model.py": JOB})
    (folder / "job.yaml").rename(tmp_path / "other.yaml")
    command = [*RUNNER, "run", "src/model.py", "Job", "--manifest-path", "../other.yaml", "--port", "0"]
    environment = {**ENVIRONMENT, "MEMRAY_PROFILER": "true"}
    with started([*command, "--host", "127.0.0.1"], cwd=folder, env=environment) as server:
        server.wait_until("/ready", 200)
        path = "/pub/job/primer/latest/api/v1"
        assert ask(server, "POST", f"{path}/perform", b'{"number": 7907}')[2] is True
        assert ask(server, "POST", f"{path}/folder", b"{}")[2] == "primer"
        assert ask(server, "GET", "/health")[2]["job_name"] == "primer"
        assert server.stop() == 0
    assert "MEMRAY_PROFILER is set: no memory profiler" in server.output


def test_the_command_refuses_what_it_cannot_do_and_says_what_to_do(tmp_path: Path) -> None:
    template = runner("template", "Dockerfile.in", "Dockerfile", cwd=tmp_path)
    assert template.returncode == 2
    assert "template: images are not rendered here" in template.stderr
    no_class = runner("run", "job.py", "a.b", cwd=tmp_path)
    assert no_class.returncode == 2
    assert "expected the name of a class, found 'a.b'" in no_class.stderr
    missing = runner("run", "job.py", cwd=tmp_path)
    assert missing.returncode == 1
    assert "job.py" in missing.stderr
    assert "usage: racetrack_job_runner" in runner(cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["run"], ["run"]),
        (["run", "job.py"], ["run", "job.py"]),
        (["run", "job.py", "Job", "--port", "80"], ["run", "job.py", "CLASS", "--port", "80"]),
        (["run", "job.py", "--manifest-path", "m.yaml"], ["run", "job.py", "--manifest", "m.yaml"]),
        (["run", "own/job.py"], ["run", "own/job.py"]),
        (["run", "../job.py"], ["run", "../job.py"]),
        (["run", "sub/job.py", "--grace", "3"], ["run", ".", "ENTRY", "--grace", "3"]),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("compat")
def test_its_arguments_become_those_of_pyjob_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: list[str], expected: list[str]
) -> None:
    from racetrack_job_wrapper.main import main

    for folder in (tmp_path, tmp_path / "own"):
        folder.mkdir(exist_ok=True)
        (folder / "job.yaml").write_text("name: a\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOB_MANIFEST_YAML", raising=False)
    seen: list[list[str]] = []

    def main_of_pyjob(arguments: list[str]) -> int:
        seen.append(arguments)
        return 7

    monkeypatch.setattr("pyjob.cli.main", main_of_pyjob)
    assert main(given) == 7
    words = {
        "CLASS": ["--set", 'jobtype_extra.entrypoint_class="Job"'],
        "ENTRY": ["--set", 'jobtype_extra.entrypoint_path="sub/job.py"'],
    }
    assert seen == [[word for one in expected for word in words.get(one, [one])]]


@pytest.mark.parametrize("call", ["serve_job_class(Job)", "serve_job_instance(Job())"])
def test_a_script_serves_a_class_or_an_instance(tmp_path: Path, call: str) -> None:
    (tmp_path / "job.py").write_text(JOB)
    name = call.partition("(")[0]
    (tmp_path / "main.py").write_text(
        f"from racetrack_job_wrapper.standalone import {name}\nfrom job import Job\n\n"
        f"if __name__ == '__main__':\n    {call}\n"
    )
    (tmp_path / "job.yaml").write_text("name: written\njobtype_extra:\n  home_page: /api/v1/webview\n")
    environment = {**ENVIRONMENT, "JOB_NAME": "primer", "JOB_VERSION": "1.2.3"}
    # Its address is fixed: everywhere. A Unix socket, or another interface, is for `pyjob run`.
    code = (
        "import os, runpy, sys, pyjob\n"
        "serve = pyjob.serve\n"
        "def checked(job, *, manifest, host, port):\n"
        "    assert (host, port) == ('0.0.0.0', 7123), (host, port)\n"
        "    serve(job, manifest=manifest, host='127.0.0.1', port=int(sys.argv[1]))\n"
        "pyjob.serve = checked\n"
        "sys.path.insert(0, '')\n"
        "runpy.run_path('main.py', run_name='__main__')\n"
    )
    command = [sys.executable, "-c", code, "0"]
    with started(command, cwd=tmp_path, env={**environment, "PORT": "7123"}) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/api/v1/perform", b'{"number": 8}')[2] is False
        health = ask(server, "GET", "/health")[2]
        assert (health["job_name"], health["job_version"]) == ("primer", "1.2.3")
        assert ask(server, "GET", "/")[1]["Location"].endswith("/api/v1/webview")


def test_the_wheel_has_its_modules_and_its_command_and_requires_nothing(tmp_path: Path) -> None:
    for module in ("setuptools", "pip"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed, which builds the wheel")
    source = tmp_path / "compat"
    for file in COMPAT.rglob("*"):
        if file.is_file() and not {"__pycache__", "build"} & set(file.parts):
            target = source / file.relative_to(COMPAT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    ended = subprocess.run(
        [*command, "--wheel-dir", str(tmp_path), str(source)], capture_output=True, text=True, timeout=300
    )
    if "bdist_wheel" in ended.stderr or "No module named 'wheel'" in ended.stderr:
        pytest.skip("wheel is not installed, which this setuptools builds with")
    assert ended.returncode == 0, ended.stderr
    (wheel,) = tmp_path.glob("pyjob_compat-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        texts = {name.rpartition("/")[2]: name for name in names}
        points = archive.read(texts["entry_points.txt"]).decode()
        metadata = archive.read(texts["METADATA"]).decode()
    modules = {str(file.relative_to(COMPAT)) for file in COMPAT.rglob("*.py")}
    assert modules <= set(names), modules - set(names)
    assert "racetrack_job_wrapper/py.typed" in names
    assert "racetrack_job_runner = racetrack_job_wrapper.main:main" in points
    assert "Requires-Dist" not in metadata
