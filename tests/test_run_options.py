"""What `pyjob run` can be told of a job: values, variables, a self-test, to start again (SPEC 2.3, 3)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import MakeJob
from tests.servers import Server, ask, pyjob_run, started

SEES = """
import os

class Job:
    def perform(self, name: str) -> str | None:
        return os.environ.get(name)
"""
SAMPLES = """
import time

class Job:
    def perform(self, x: float) -> float:
        {body}

    def docs_input_example(self):
        return {{"x": 2}}
"""
SECRET = "Tr0ub4dor-and-3"


def pyjob_command(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyjob", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def printed(*arguments: str | Path, **options: Any) -> dict[str, Any]:
    """What `--print-config` shows."""
    ended = pyjob_command("run", *arguments, "--print-config", **options)
    assert ended.returncode == 0, ended.stderr
    shown: dict[str, Any] = yaml.safe_load(ended.stdout)
    return shown


def test_single_values_of_the_manifest_can_be_set(make_job: MakeJob) -> None:
    folder = make_job(SEES, extra={"max_concurrency": 2})
    shown = printed(
        folder,
        "--set",
        "jobtype_extra.max_concurrency=4",
        "--set",
        'runtime_env={A: "1"}',
        "--set",
        "name=other",
    )
    assert shown["manifest"]["jobtype_extra"]["max_concurrency"] == 4
    assert shown["manifest"]["name"] == "other"
    assert shown["environment"]["A"] == {"value": "1", "from": "runtime_env"}


def test_what_is_set_wrong_is_told_as_if_it_stood_in_the_manifest(make_job: MakeJob) -> None:
    folder = make_job(SEES)
    ended = pyjob_command(
        "run", folder, "--set", "jobtype_extra.max_concurrency=many", "--set", "jobtype_extra.check_types=1"
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        'pyjob: error: --set: jobtype_extra.max_concurrency: expected an integer >= 0, found "many"',
        "--set: jobtype_extra.check_types: expected true or false, found 1",
    ]


def test_the_configuration_is_shown_with_origins_and_without_secrets(make_job: MakeJob) -> None:
    folder = make_job(
        SEES,
        fields=f"secret_runtime_env_file: .env\nlabels: {{hidden: the word is {SECRET}}}",
        files={".env": f"TOKEN = {SECRET}\n"},
    )
    shown = printed(folder, "--env", "A=1=2")
    assert shown["environment"]["TOKEN"] == {"value": "***", "from": str(folder / ".env")}
    assert shown["environment"]["A"] == {"value": "1=2", "from": "given"}
    assert shown["manifest"]["labels"] == {"hidden": "the word is ***"}
    assert shown["read_from"] == [str(folder / "job.yaml"), str(folder / ".env")]


def test_the_configuration_alone_is_on_stdout(make_job: MakeJob) -> None:
    folder = make_job(SEES, extra={"max_concurency": 2})  # a warning
    ended = pyjob_command("run", folder, "--print-config")
    assert "max_concurency" in ended.stderr
    assert set(yaml.safe_load(ended.stdout)) == {"folder", "read_from", "manifest", "environment"}


def test_variables_and_an_env_file_reach_the_job(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(SEES, fields="secret_runtime_env_file: .env")  # which is not there
    (tmp_path / "other.env").write_text("B = of-the-file\nC = of-the-file\n")
    options = ["--env", "A=given", "--env", "C=given", "--env-file", str(tmp_path / "other.env")]
    with started(pyjob_run(folder, *options)) as server:
        server.wait_until("/ready", 200)
        seen = {name: ask(server, "POST", "/perform", b'{"name": "%s"}' % name.encode())[2] for name in "ABC"}
    assert seen == {"A": "given", "B": "of-the-file", "C": "given"}


def test_name_version_and_log_level_can_be_given_as_variables(make_job: MakeJob) -> None:
    folder = make_job(SEES)
    shown = printed(folder, "--env", "JOB_NAME=other", "--env", "JOB_VERSION=latest")
    assert (shown["manifest"]["name"], shown["manifest"]["version"]) == ("other", "latest")
    assert shown["environment"]["JOB_NAME"] == {"value": "other", "from": "given"}


@pytest.mark.parametrize("wrong", [SECRET, f"2TOKEN={SECRET}", f"={SECRET}", f"A B={SECRET}"])
def test_a_variable_that_is_none_is_a_usage_error_that_does_not_repeat_it(
    make_job: MakeJob, wrong: str
) -> None:
    ended = pyjob_command("run", make_job(SEES), "--env", wrong)
    assert ended.returncode == 2
    assert "--env: expected NAME=VALUE" in ended.stderr
    assert SECRET not in ended.stderr


def test_a_self_test_that_passes_makes_the_job_ready(make_job: MakeJob) -> None:
    folder = make_job(SAMPLES.format(body="return 2 * x"))
    with started(pyjob_run(folder, "--self-test")) as server:
        server.wait_until("/ready", 200)
        server.wait_until_metric("requests_done_total", 1)


@pytest.mark.parametrize(
    ("body", "timeout", "reason"),
    [
        (
            "raise KeyError(x)",
            "60",
            "POST /perform, sample: 500 Internal Server Error: no such key: 2 (KeyError)",
        ),
        (
            "return object()",
            "60",
            "POST /perform, sample: 500 Internal Server Error: result: object of type object",
        ),
        ("time.sleep(600)", "0.2", "POST /perform, sample: no answer within 0.2 s"),
    ],
)
def test_a_self_test_that_fails_is_a_failed_start(
    make_job: MakeJob, body: str, timeout: str, reason: str
) -> None:
    folder = make_job(SAMPLES.format(body=body))
    with started(pyjob_run(folder, "--self-test", "--timeout", timeout)) as server:
        server.wait_until("/live", 500)
        _, _, told = ask(server, "GET", "/live")
        assert "the self-test failed: " in told["error"]
        assert reason in told["error"]
        assert ask(server, "GET", "/ready")[0] == 500
        assert ask(server, "POST", "/perform", b'{"x": 1}')[0] == 503


def test_a_self_test_tells_of_every_sample_that_fails_broken_ones_too(make_job: MakeJob) -> None:
    folder = make_job(
        """
        class Job:
            def perform(self, x: float) -> float:
                return 1 / x

            def ask(self, x: float) -> float:
                return x

            def auxiliary_endpoints(self):
                return {"/ask": self.ask}

            def docs_input_examples(self):
                return {"/perform": [{"x": 1}, {"x": 0}], "/ask": {"y": 1}}
        """
    )
    ended = pyjob_command("run", folder, "--self-test", "--fail-fast", "--host", "127.0.0.1", "--port", "0")
    assert ended.returncode == 1
    (line,) = [line for line in ended.stdout.splitlines() if "the self-test failed" in line]
    assert "POST /perform, sample 2: 500 Internal Server Error" in line
    assert "sample of /ask: the sample does not work" in line
    assert "sample 1:" not in line


class Reloading:
    """A job that is served with `--reload`; its calls wait for a new version while there is none."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.file = folder / "job.py"
        self.manifest = folder / "job.yaml"

    def becomes(self, file: Path, text: str) -> None:
        # Later than before, whatever the clock of the file system can tell apart.
        later = file.stat().st_mtime + 2
        file.write_text(text)
        os.utime(file, (later, later))

    def answers(self, status: int, content: object) -> None:
        """Ask until the answer is this one: the reloader looks once a second."""
        self._repeat(lambda: ask(self.server, "POST", "/perform", b"{}")[::2], (status, content))

    def tells(self, words: str) -> None:
        """Ask `/live` until its error has these words."""
        self._repeat(lambda: words in str(ask(self.server, "GET", "/live")[2].get("error")), True)

    def _repeat(self, question: Callable[[], object], expected: object) -> None:
        def answer() -> object:
            try:
                return question()
            except ConnectionError as error:  # it was taken by the version that ended
                return error

        self.server.repeat(answer, expected, "the answer")


def version(number: object) -> str:
    return f"class Job:\n    def perform(self):\n        return {number}\n"


def test_a_change_starts_the_job_again_and_one_that_fails_can_be_mended(make_job: MakeJob) -> None:
    folder = make_job(version(1))
    with started(pyjob_run(folder, "--reload")) as server:
        job = Reloading(server, folder)
        manifest = job.manifest.read_text()
        job.answers(200, 1)
        port = server.port
        job.becomes(job.file, version(2))
        job.answers(200, 2)
        job.becomes(job.file, "def broken(:\n")
        job.tells("cause=SyntaxError, traceback=job.py:1")
        job.becomes(job.file, version("undefined"))
        job.tells("None")  # it loads: the fault shows when it is called
        job.becomes(job.manifest, manifest.replace("name:", "nmae:", 1))
        job.tells("did you mean name?")
        job.becomes(job.manifest, manifest)
        job.becomes(job.file, version(3))
        job.answers(200, 3)
        assert server.port == port
        assert server.process.poll() is None
    assert "SyntaxError" in server.output
    assert "did you mean name?" in server.output
    assert server.process.returncode == 0


def test_a_manifest_that_is_wrong_at_the_start_can_be_mended_with_reload(make_job: MakeJob) -> None:
    folder = make_job(version(1))
    job_yaml = folder / "job.yaml"
    right = job_yaml.read_text()
    job_yaml.write_text(right.replace("owner_email:", "owner:", 1))
    with started(pyjob_run(folder, "--reload")) as server:
        job = Reloading(server, folder)
        job.tells("owner")
        job.becomes(job_yaml, right)
        job.answers(200, 1)


def test_a_change_that_the_server_cannot_start_with_is_told_on_the_open_port(make_job: MakeJob) -> None:
    folder = make_job(version(1))
    with started(pyjob_run(folder, "--reload")) as server:
        job = Reloading(server, folder)
        job.answers(200, 1)
        manifest = job.manifest.read_text()
        job.becomes(job.manifest, manifest + "runtime_env: {LOG_LEVEL: 1}\n")
        job.tells("runtime_env.LOG_LEVEL: expected a string")
        # The port is the one that it listens on already.
        job.becomes(job.manifest, manifest + "runtime_env: {PORT: seven}\n")
        job.answers(200, 1)


def test_every_address_of_a_host_is_listened_on_with_reload(make_job: MakeJob) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    command = pyjob_run(make_job(version(1)), "--reload")
    command[command.index("127.0.0.1")] = "::1"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        assert any("listening on http://[::1]:" in line for line in server.stdout)
        server.terminate()


def test_start_again_and_end_at_once_exclude_each_other(make_job: MakeJob) -> None:
    ended = pyjob_command("run", make_job(version(1)), "--reload", "--fail-fast")
    assert ended.returncode == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "1e300", "nan", "soon"])
def test_a_time_limit_is_a_number_of_seconds_above_0(make_job: MakeJob, seconds: str) -> None:
    ended = pyjob_command("run", make_job(version(1)), "--self-test", f"--timeout={seconds}")
    assert ended.returncode == 2
    assert "--timeout: expected a number of seconds" in ended.stderr


def test_letters_that_the_terminal_lacks_are_shown_escaped(make_job: MakeJob) -> None:
    folder = make_job(SEES, fields="labels: {by: Jürgen}")
    shown = printed(folder, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert shown["manifest"]["labels"] == {"by": "J\\xfcrgen"}


def test_the_configuration_shows_no_password_of_the_remote(make_job: MakeJob) -> None:
    shown = printed(make_job(SEES), "--set", "git.remote=https://me:planted@example.com/a/b")
    assert shown["manifest"]["git"]["remote"] == "https://example.com/a/b"


def test_a_self_test_without_a_sample_says_that_there_was_nothing_to_send(make_job: MakeJob) -> None:
    with started(pyjob_run(make_job(version(1)), "--self-test")) as server:
        server.wait_until("/ready", 200)
    assert "the self-test had nothing to send" in server.output


def test_a_broken_stream_fails_the_self_test_whatever_its_error_says(make_job: MakeJob) -> None:
    folder = make_job(
        """
        from werkzeug.wrappers import Response

        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        class Job:
            def perform(self, x: float):
                return Response(self.pieces())

            def pieces(self):
                yield b"one"
                raise Odd

            def docs_input_example(self):
                return {"x": 1}
        """
    )
    with started(pyjob_run(folder, "--self-test")) as server:
        server.wait_until("/live", 500)
        assert "the answer broke off: Odd" in ask(server, "GET", "/live")[2]["error"]
