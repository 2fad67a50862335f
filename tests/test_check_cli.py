"""`pyjob check` as a command: exit codes, what is printed where, and runs of jobs that do their worst."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pyjob.check.check import check_job
from tests.conftest import MakeJob
from tests.test_check import put

PYJOB = [sys.executable, "-m", "pyjob", "check"]
PATIENCE = 60.0
FINE = '''\
class Job:
    def perform(self, x: int) -> int:
        """
        Return what it is given.
        :param x: Anything.
        :return: The same.
        """
        return x

    def docs_input_example(self) -> dict[str, int]:
        return {"x": 1}
'''


def check(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Any:
    return subprocess.run(
        [*PYJOB, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_a_job_in_order_is_status_0(make_job: MakeJob) -> None:
    ended = check(make_job(FINE))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("fine: sample 0.0.1, ")


def test_errors_are_status_1_and_stand_on_stdout(make_job: MakeJob) -> None:
    ended = check(cwd=make_job("class Job:\n    def perform(self, *x): ...\n"))
    assert ended.returncode == 1
    assert "job.py:2  error  " in ended.stdout
    assert "(star-args)" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("1 error")


def test_warnings_are_status_0_and_1_if_strict(make_job: MakeJob) -> None:
    folder = make_job(FINE, extra={"max_concurency": 2})
    assert check(folder).returncode == 0
    assert check(folder, "--strict").returncode == 1
    told = json.loads(check(folder, "--strict", "--json").stdout)
    assert (told["warnings"], told["ok"]) == (1, False)


def test_another_manifest_may_be_given(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("name: 5\n")
    ended = check(make_job(FINE), "--manifest", "other.yaml", cwd=tmp_path)
    assert ended.returncode == 1
    assert "other.yaml:1  error  name:" in ended.stdout


@pytest.mark.parametrize(
    "arguments", [["--timeout", "0"], ["--timeout", "soon"], ["--timeout=inf"], ["--fly"]]
)
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    ended = check(*arguments)
    assert ended.returncode == 2
    assert "usage: pyjob check" in ended.stderr


def test_help_has_examples_and_exit_codes() -> None:
    told = check("--help").stdout
    for part in ("--manifest", "--run", "--timeout", "--json", "--strict", "examples:", "exit status:"):
        assert part in told


def test_characters_that_the_output_lacks_are_escaped(make_job: MakeJob) -> None:
    folder = make_job(FINE, fields='labels: {}\nowner_email: "é"\n')
    ended = check(folder, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "\\xe9" in ended.stdout


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What the command prints on a terminal."""
    terminal, end = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [*PYJOB, *arguments], stdin=end, stdout=end, stderr=end, env=inherited | environment
    )
    os.close(end)
    printed = b""
    try:
        while part := os.read(terminal, 65536):
            printed += part
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    process.wait(PATIENCE)
    return printed.decode()


def test_a_terminal_gets_colours_unless_they_are_unwanted(make_job: MakeJob) -> None:
    folder = str(make_job("class Job:\n    def perform(self, *x): ...\n"))
    assert "\x1b[31;1merror\x1b[0m" in on_a_terminal(folder)
    assert "\x1b" not in on_a_terminal(folder, NO_COLOR="1")
    assert "\x1b" not in check(folder).stdout


# What is no proper file.


@dataclass(frozen=True)
class Measured:
    """How a process ended, and what it took: seconds of the processor."""

    status: int
    output: str
    seconds: float
    megabytes: float


# Its own peak, told in its last line: what the system tells of a child begins with its parent's.
MEASURED = """
import sys, time
from pyjob.cli import main
status = main(sys.argv[1:])
with open("/proc/self/status") as file:
    print(time.process_time(), next(line.split()[1] for line in file if line.startswith("VmHWM")))
sys.exit(status)
"""


def measured(folder: Path) -> Measured:
    command = [sys.executable, "-c", MEASURED, "check", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    *lines, last = (ended.stderr + ended.stdout).splitlines()
    seconds, peak = map(float, last.split())
    return Measured(ended.returncode, "\n".join(lines), seconds, peak / 1024)


ALIAS_BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
HOSTILE: dict[str, Callable[[Path], object]] = {
    "FIFO": lambda file: put(file, "FIFO"),
    "large": lambda file: put(file, "large"),
    "list": lambda file: file.write_text("- a\n- b\n"),
    "empty": lambda file: file.write_text(""),
    "aliases": lambda file: file.write_text(ALIAS_BOMB),
    "deep": lambda file: file.write_text("[" * 100_000),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what a process took")
@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["job.yaml", "job.py", "secret.env", "requirements.txt"])
def test_whatever_stands_in_place_of_a_file_is_told_soon_and_cheaply(
    make_job: MakeJob, name: str, kind: str
) -> None:
    folder = make_job(
        FINE,
        fields="secret_runtime_env_file: secret.env\n",
        extra={"requirements_path": "requirements.txt"},
        files={"secret.env": "TOKEN=abcdefgh\n", "requirements.txt": ""},
    )
    HOSTILE[kind](folder / name)
    ended = measured(folder)
    assert "Traceback" not in ended.output
    assert ended.megabytes < 100
    assert ended.seconds < 10  # about one
    if kind == "empty" and name in ("secret.env", "requirements.txt"):
        assert ended.status == 0
    else:
        assert ended.status == 1
        assert f"{folder / name}" in ended.output
        assert "  error  " in ended.output


# Runs.


def run_of(make_job: MakeJob, code: str, *options: str, **more: Any) -> list[tuple[str, str, Any, str]]:
    """Check and run a job: rule, severity, line and message of what only the run finds."""
    folder = make_job(code, **more)
    still = {finding.message for finding in check_job(folder, environ={}, cwd=folder).findings}
    ended = check(folder, "--run", "--json", *options)
    told = json.loads(ended.stdout)
    assert ended.returncode == int(told["errors"] > 0)
    new = [one for one in told["findings"] if one["message"] not in still]
    return [(one["rule"], one["severity"], one["line"], one["message"]) for one in new]


def test_a_run_of_a_job_in_order_is_fine(make_job: MakeJob) -> None:
    ended = check(make_job(FINE), "--run")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("fine: ")


def test_what_a_job_prints_is_no_part_of_the_outcome(make_job: MakeJob) -> None:
    code = (
        "import os, sys, logging, subprocess\nprint('one')\nos.write(1, b'two')\n"
        "subprocess.run(['echo', 'three'])\nlogging.error('four')\n" + FINE
    )
    ended = check(make_job(code), "--run", "--json")
    assert json.loads(ended.stdout)["ok"]
    for word in ("one", "two", "three", "four"):
        assert word in ended.stderr


def test_what_a_job_writes_to_any_descriptor_is_no_part_of_the_outcome_either(make_job: MakeJob) -> None:
    code = (
        "import os\nfor number in range(3, 30):\n    try:\n"
        '        os.write(number, b\'{garbage\\n{"finding": {}}\\n{"done": true}\\n\')\n'
        "    except OSError:\n        pass\nraise RuntimeError('broken')\n" + FINE
    )
    ended = check(make_job(code), "--run", "--json")
    assert ended.returncode == 1
    (error,) = [one for one in json.loads(ended.stdout)["findings"] if one["severity"] == "error"]
    assert "broken" in error["message"]


@pytest.mark.parametrize(
    ("code", "line", "told"),
    [
        ("import json\nMODEL = json.loads('{')\n" + FINE, 2, "JSONDecodeError"),
        ("def load():\n    raise KeyError('model')\nload()\n" + FINE, 2, "KeyError"),
        ("import sys\nsys.exit(0)\n" + FINE, 2, "sys.exit(0)"),
    ],
)
def test_a_job_that_does_not_load_is_an_error_with_its_innermost_line(
    make_job: MakeJob, code: str, line: int, told: str
) -> None:
    folder = make_job(code)
    findings = json.loads(check(folder, "--run", "--json").stdout)["findings"]
    (error,) = [one for one in findings if one["rule"] == "start"]
    assert (error["file"], error["line"]) == ("job.py", line)
    assert told in error["message"]


def test_a_run_without_its_secret_file_does_not_start(make_job: MakeJob) -> None:
    found = run_of(make_job, FINE, fields="secret_runtime_env_file: secret.env\n")
    assert [one[:2] for one in found] == [("start", "error")]
    assert "secret.env" in found[0][3]


SIMPLE = "class Job:\n    def perform(self, x: int) -> int:\n        return x\n"
# One fault each, by rule: reading finds it, and the run meets it.
TOLD_ONCE = [
    ("entry-file", "class Job\n"),
    ("entry-class", "x = 1\n"),
    ("imports", "import numpyy\n" + SIMPLE),
    ("imports", "import broken\n" + SIMPLE),
    ("imports", "LIMIT = LIMITT\n" + SIMPLE),
    ("star-args", "class Job:\n    def perform(self, *x): ...\n"),
    ("star-args", "class Job:\n    def perform(self, *x, **y): ...\n"),
    ("named-parameters", "class Job:\n    def perform(self, x, /): ...\n"),
    ("init-arguments", SIMPLE + "    def __init__(self, path): ...\n"),
    ("perform", "class Job:\n    perform = 3\n    def metrics(self): return []\n"),
    ("annotations", "class Job:\n    def perform(self, x: 'flaot'): ...\n"),
    ("endpoints", SIMPLE + "    def auxiliary_endpoints(self): return {'/a b': self.perform}\n"),
    ("endpoints", SIMPLE + "    def auxiliary_endpoints(self): return {'/a': self.perform(1)}\n"),
    ("endpoints", SIMPLE + "    def auxiliary_endpoints(self): return {'/a': self.preform}\n"),
    ("static-files", SIMPLE + "    def static_endpoints(self): return {'/a': 'a.html'}\n"),
    ("static-files", SIMPLE + "    def static_endpoints(self): return {'/a': '../a.html'}\n"),
    ("broken-sample", SIMPLE + "    def docs_input_example(self): return {'y': 1}\n"),
    ("broken-sample", SIMPLE + "    def docs_input_example(self): return [1]\n"),
    ("broken-sample", SIMPLE + "    def docs_input_example(self, y): return {}\n"),
    ("broken-sample", SIMPLE + "    def docs_input_examples(self): return {'/preform': {'x': 1}}\n"),
    ("metrics", SIMPLE + "    def metrics(self): return [{'name': 'a b', 'value': 1}]\n"),
    ("metrics", SIMPLE + "    def metrics(self, x): return []\n"),
    ("metrics", SIMPLE + "    def metrics(self): return {'name': 'a', 'value': 1}\n"),
]


def told_by_a_run(folder: Path) -> list[dict[str, Any]]:
    """All findings of check and run, but for advice."""
    findings = json.loads(check(folder, "--run", "--json").stdout)["findings"]
    return [one for one in findings if one["severity"] != "advice"]


@pytest.mark.parametrize(("rule", "code"), TOLD_ONCE)
def test_what_reading_has_found_the_run_does_not_tell_again(make_job: MakeJob, rule: str, code: str) -> None:
    (found,) = told_by_a_run(make_job(code, files={"broken.py": "x = (\n"}))
    assert found["rule"] == rule
    assert found["line"]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("start", "1 / 0\nimport numpyy\n" + SIMPLE),
        ("start", "class Job:\n    def perform(self, *x): ...\n1 / 0\n"),
        ("start", "import time\nclass Job:\n    def perform(self, *x): ...\ntime.sleep(600)\n"),
        (
            "broken-sample",
            SIMPLE + "    def docs_input_examples(self):\n"
            "        return {'/perform': [{'x': 1}], '/other': {}, '/a': {'x': int('1')}}\n"
            "    def a(self): ...\n    def auxiliary_endpoints(self): return {'/a': self.a}\n",
        ),
        (
            "metrics",
            SIMPLE + "    def docs_input_example(self): return {'y': 1}\n"
            "    def metrics(self): return [{'name': 'a ' + str(1), 'value': 1}]\n",
        ),
    ],
)
def test_what_only_the_run_has_met_is_told_beside_other_faults(
    make_job: MakeJob, rule: str, code: str
) -> None:
    known, new = run_findings(make_job, code)
    assert (new["rule"], new["severity"]) == (rule, "error")
    assert known["severity"] == "error"


def run_findings(make_job: MakeJob, code: str) -> list[dict[str, Any]]:
    """What reading has found, and then what the run has."""
    folder = make_job(code)
    still = {finding.message for finding in check_job(folder, environ={}, cwd=folder).findings}
    ended = check(folder, "--run", "--json", "--timeout", "3")
    findings = [one for one in json.loads(ended.stdout)["findings"] if one["severity"] != "advice"]
    return sorted(findings, key=lambda one: one["message"] not in still)


@pytest.mark.parametrize("name", ["file", "module"])
def test_a_warning_that_has_come_true_is_told_as_the_error_that_it_is(make_job: MakeJob, name: str) -> None:
    code = "open('missing.bin')\n" if name == "file" else "import not_there_at_all\n"
    folder = make_job(code + FINE, files={"needs.txt": ""}, extra={"requirements_path": "needs.txt"})
    assert [one.severity.value for one in check_job(folder, environ={}, cwd=folder).findings] == ["warning"]
    (found,) = told_by_a_run(folder)
    assert (found["rule"], found["severity"], found["line"]) == ("start", "error", 1)


@pytest.mark.parametrize("secrets", ["TOKEN\n", ""])
def test_a_secret_file_that_stops_the_start_is_told_once(make_job: MakeJob, secrets: str) -> None:
    files = {"secret.env": secrets} if secrets else {}
    (found,) = told_by_a_run(make_job(FINE, fields="secret_runtime_env_file: secret.env\n", files=files))
    assert (found["severity"], found["file"]) == ("error", "secret.env" if secrets else "job.yaml")


SAMPLES = """\
import os, time, threading, subprocess, sys, ctypes, signal
class Job:
    def perform(self, x: int) -> int:
        {act}
        return x
    def docs_input_examples(self):
        return {{"/perform": [{{"x": 0}}, {{"x": 1}}, {{"x": 2}}]}}
"""


def acting(act: str) -> str:
    """A job of three samples, of which the second does ``act``."""
    return SAMPLES.format(act=f"if x == 1: {act}")


def test_every_sample_is_sent_and_those_that_fail_are_errors_with_a_place(make_job: MakeJob) -> None:
    code = acting("raise KeyError('one')").replace("return x", "return [x][0 if x < 2 else 9]")
    one, two = run_of(make_job, code)
    assert one[:3] == ("broken-sample", "error", 4)
    assert two[:3] == ("broken-sample", "error", 5)
    assert one[3] == "POST /perform, sample 2: 500 Internal Server Error: no such key: 'one' (KeyError)"


@pytest.mark.parametrize(
    "act",
    [
        "time.sleep(600)",
        "threading.Event().wait()",
        "subprocess.run(['sleep', '600'])",
        # Holds the lock of the interpreter for minutes.
        "sum(range(10**12))",
        "os.kill(os.getpid(), signal.SIGSTOP)",
    ],
)
def test_a_sample_that_takes_too_long_is_an_error_with_the_line_where_it_is(
    make_job: MakeJob, act: str
) -> None:
    (late,) = run_of(make_job, acting(act), "--timeout", "3")
    assert late[:2] == ("broken-sample", "error")
    assert late[3] == "POST /perform, sample 2: not done after 3 s"
    assert late[2] == (None if "SIGSTOP" in act else 4)


@pytest.mark.parametrize(
    ("act", "line", "told"),
    [
        ("os._exit(0)", None, "the job ended the process, with status 0"),
        ("os._exit(3)", None, "the job ended the process, with status 3"),
        ("ctypes.string_at(0)", 4, "a signal ended the process: Segmentation fault"),
        ("os.kill(os.getpid(), signal.SIGKILL)", None, "a signal ended the process: Killed"),
    ],
)
def test_a_sample_that_ends_the_process_is_an_error(
    make_job: MakeJob, act: str, line: int | None, told: str
) -> None:
    (error,) = run_of(make_job, acting(act))
    assert error == ("broken-sample", "error", line, f"POST /perform, sample 2: {told}")


@pytest.mark.parametrize(
    "act", ["import time; time.sleep(600)", "import os; os._exit(0)", "while True: pass"]
)
def test_loading_has_a_deadline_too_and_may_end_the_process(make_job: MakeJob, act: str) -> None:
    (error,) = run_of(make_job, f"{act}\n{FINE}", "--timeout", "3")
    assert error[:2] == ("start", "error")
    assert error[3].startswith("loading: ")
    assert error[2] == (None if "_exit" in act else 1)


def test_threads_and_processes_that_a_job_leaves_are_not_waited_for(make_job: MakeJob) -> None:
    code = (
        "import subprocess, threading, time\n"
        "CHILD = subprocess.Popen(['sleep', '600'])\n"
        "open('child', 'w').write(str(CHILD.pid))\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n" + FINE
    )
    folder = make_job(code)
    ended = check(folder, "--run")
    assert ended.returncode == 0
    child = int((folder / "child").read_text())
    deadline = time.monotonic() + PATIENCE
    while is_alive(child):
        assert time.monotonic() < deadline, "a process that the job started is left"
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_samples_that_cannot_be_sent_are_errors_and_other_warnings_warnings(make_job: MakeJob) -> None:
    code = (
        "class Job:\n    def perform(self, x: int) -> int:\n        return x\n"
        "    def docs_input_example(self): return dict(y=int('1'))\n"
        "    def static_endpoints(self): return {'/a' + str(1): 'no' + 'thing.txt'}\n"
    )
    found = run_of(make_job, code)
    assert sorted(one[:2] for one in found) == [("broken-sample", "error"), ("static-files", "warning")]


def test_metrics_that_prometheus_cannot_read_are_an_error(make_job: MakeJob) -> None:
    code = FINE + "    def metrics(self): return [{'name': 'a ' + str(1), 'value': 1}]\n"
    (error,) = run_of(make_job, code)
    assert error[:2] == ("metrics", "error")
    assert "'a 1' is not the name of a metric" in error[3]


def test_metrics_that_take_too_long_are_an_error(make_job: MakeJob) -> None:
    code = "import time\n" + FINE + "    def metrics(self):\n        time.sleep(600)\n"
    (error,) = run_of(make_job, code)
    assert error[:2] == ("metrics", "error")
    assert "no answer within 2 s" in error[3]


def test_metrics_that_let_nobody_else_run_are_an_error_with_their_line(make_job: MakeJob) -> None:
    code = FINE + "    def metrics(self):\n        sum(range(10**12))\n"
    (error,) = run_of(make_job, code, "--timeout", "3")
    assert error == ("metrics", "error", 13, "metrics(): not done after 3 s")


def test_secrets_appear_nowhere(make_job: MakeJob) -> None:
    code = acting("raise KeyError(os.environ['TOKEN'])").replace(
        "class Job:",
        "print('started')\nclass Job:\n    def metrics(self): raise OSError(os.environ['TOKEN'])",
    )
    folder = make_job(
        code, fields="secret_runtime_env_file: secret.env\n", files={"secret.env": "TOKEN=pa55word\n"}
    )
    ended = check(folder, "--run", "--json")
    told = json.loads(ended.stdout)
    assert {one["rule"] for one in told["findings"] if one["severity"] == "error"} == {
        "broken-sample",
        "metrics",
    }
    assert "pa55word" not in ended.stdout + ended.stderr
    # The place is known all the same.
    assert any(one["rule"] == "broken-sample" and one["line"] for one in told["findings"])


def test_progress_is_told_on_a_terminal(make_job: MakeJob) -> None:
    printed = on_a_terminal("--run", str(make_job(FINE)))
    assert "pyjob: loading ..." in printed
    assert "pyjob: POST /perform, sample ..." in printed


def test_a_run_gives_the_job_its_folder_and_no_input(make_job: MakeJob, tmp_path: Path) -> None:
    code = "import os, helper\nassert os.path.exists('job.yaml')\nassert __name__ == 'job'\n" + FINE
    make_job(code, files={"helper.py": "import sys\nassert sys.stdin.read() == ''\n"})
    (tmp_path / "json.py").write_text("raise OSError('a file of the current folder')\n")
    ended = subprocess.run(
        [sys.executable, "-P", *PYJOB[1:], "sample", "--run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
