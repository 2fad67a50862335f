"""The servers that pyjob starts and knows: `pyjob run` and waitress-serve (SPEC 9)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import pyjob
from tests.commands import COMMANDS
from tests.conftest import MakeJob
from tests.servers import ask, pyjob_run, started

SUPERSMART = Path(__file__).parents[1] / "examples" / "supersmart"


@pytest.mark.parametrize("command", ["waitress-serve", "waitress-serve --call", "pyjob run"])
def test_the_environment_names_the_job_where_nobody_else_does(make_job: MakeJob, command: str) -> None:
    code = """
        import os, sys
        class Job:
            def perform(self):
                return [*map(os.environ.get, ["JOB_NAME", "JOB_VERSION", "MODE"]), os.getcwd(), sys.path[0]]
    """
    folder = make_job(code, name="named", fields="runtime_env:\n  MODE: 'fast'\n")
    arguments = COMMANDS[command]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JOB_")}
    with started(arguments, cwd=folder, env=environment) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/perform")[2] == ["named", "0.0.1", "fast", str(folder), str(folder)]
    with started(arguments, cwd=folder, env={"JOB_NAME": "renamed", "JOB_VERSION": "9"}) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/perform")[2][:2] == ["renamed", "9"]
        assert ask(server, "GET", "/health")[2]["job_name"] == "renamed"


def test_a_faulty_manifest_is_an_error_before_listening_with_call_and_on_live_without(
    make_job: MakeJob,
) -> None:
    folder = make_job("", extra={"max_concurrency": "many"})
    command = COMMANDS["waitress-serve --call"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert "jobtype_extra.max_concurrency" in ended.stderr
    environment = {"JOB_NAME": "expected", "JOB_DEPLOYMENT_TIMESTAMP": "1700000000"}
    with started(COMMANDS["waitress-serve"], cwd=folder, env=environment) as server:
        server.wait_until("/live", 500)
        assert "jobtype_extra.max_concurrency" in ask(server, "GET", "/live")[2]["error"]
        assert ask(server, "GET", "/ready")[0] == 500
        assert ask(server, "GET", "/health")[2]["job_name"] == "expected"
        assert ask(server, "GET", "/live")[2]["deployment_timestamp"] == 1700000000
        assert ask(server, "GET", "/metrics")[0] == 200
        assert ask(server, "POST", "/perform")[0] == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_pyjob_run_with_status_0(number: signal.Signals) -> None:
    with started(pyjob_run(SUPERSMART)) as server:
        server.wait_until("/ready", 200)
        server.process.send_signal(number)
        assert server.process.wait(20) == 0


def test_head_of_an_error_leaves_a_kept_connection_in_step() -> None:
    with started(pyjob_run(SUPERSMART)) as server:
        server.wait_until("/ready", 200)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            for path in ("/nope", "/perform", "/a//b", "/live"):
                connection.sendall(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answers = b"".join(iter(lambda: connection.recv(65536), b""))
    statuses = [part.split(b" ", 1)[0] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"404", b"405", b"400", b"200", b"200"]
    assert b'"error"' not in answers


def test_fail_fast_ends_with_status_1_and_tells_why(make_job: MakeJob) -> None:
    with started(pyjob_run(make_job("1/0"), "--fail-fast")) as server:
        assert server.process.wait(20) == 1
    assert "ZeroDivisionError" in server.output


def test_without_fail_fast_the_process_stays_and_tells(make_job: MakeJob) -> None:
    with started(pyjob_run(make_job("1/0"))) as server:
        server.wait_until("/live", 500)
        assert "division by zero, cause=ZeroDivisionError" in ask(server, "GET", "/live")[2]["error"]
    assert "Traceback" in server.output


def test_a_job_that_exits_leaves_the_server_running(make_job: MakeJob) -> None:
    code = "import sys\nclass Job:\n    def perform(self, fail: bool):\n        fail and sys.exit(3)\n"
    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/ready", 200)
        for _ in range(20):
            assert ask(server, "POST", "/perform", b'{"fail": true}')[0] == 500
        assert ask(server, "POST", "/perform", b'{"fail": false}')[0] == 200


def test_access_lines_can_be_switched_off() -> None:
    with started(pyjob_run(SUPERSMART, "--no-access-log")) as server:
        server.wait_until("/ready", 200)
        ask(server, "POST", "/perform", b'{"x": 1, "y": 1}')
    assert "is ready" in server.output
    assert "POST /perform" not in server.output


def test_a_unix_socket_can_be_served(tmp_path: Path) -> None:
    path = tmp_path / "job.socket"
    command = [sys.executable, "-m", "pyjob", "run", str(SUPERSMART), "--unix-socket", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    with process, process.stdout as output:
        assert str(path) in next(line for line in output if "listening" in line)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /live HTTP/1.0\r\n\r\n")
            assert b"200 OK" in connection.makefile("rb").readline()
        process.terminate()
        output.read()


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = pyjob_run(SUPERSMART)
        command[command.index("--port") + 1] = str(taken.getsockname()[1])
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "cannot listen on http://127.0.0.1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_serve_says_how_a_folder_is_served(tmp_path: Path) -> None:
    with pytest.raises(pyjob.EntryPointError, match=r"expected a class or an instance.*`pyjob run`"):
        pyjob.serve(tmp_path)


def test_serve_serves_a_class_at_hand(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import pyjob\n"
        "class Adder:\n"
        "    def perform(self, x: float, y: float): return x + y\n"
        "if __name__ == '__main__':\n"
        "    pyjob.serve(Adder, port=0)\n"
    )
    with started([sys.executable, str(script)]) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/perform", b'{"x": 1, "y": 2}')[2] == 3
        assert server.stop() == 0
    assert "job adder 0.0.1 is ready" in server.output
