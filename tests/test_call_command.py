"""`pyjob call`: a job that is served, or in a folder; servers that answer anything; output, exit status."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyjob.cli import main
from pyjob.cli.call import add_to
from tests.conftest import MANIFEST, MakeJob
from tests.documents import REPO
from tests.servers import Server, pyjob_run, started

CODE = """
import os
import sys
import time

import pyjob


class Job:
    def perform(self, x: float, y: float = 1) -> dict:
        print("the job prints")
        os.write(1, b"a library prints\\n")
        if x < 0:
            raise ValueError("x: expected more than 0")
        return {"product": x * y}

    async def later(self, x: float):
        return 2 * x

    def words(self, count: int = 3, hold: str = ""):
        for number in range(count):
            yield f"word {number}"
            if hold and not number:
                open(hold).close()

    def broken(self):
        yield 1
        raise OSError("gone")

    def upload(self, table: bytes, name: str = "") -> list:
        return [len(table), name]

    def picture(self) -> bytes:
        return b"\\x89PNG\\x00\\x1b[31m"

    def wait(self, hold: str):
        open(hold).read()

    def fails(self):
        raise RuntimeError("it fails")

    def header(self):
        return self.request_context.get().headers.get("x-sent")

    def add(self, a: int, b: int = 1):
        return a + b

    def auxiliary_endpoints(self):
        names = ("later", "words", "broken", "upload", "picture", "wait", "fails", "header")
        return {f"/{name}": getattr(self, name) for name in names}

    def auxiliary_endpoints_v2(self):
        return [pyjob.EndpointConfig("/add/{a}", "GET", self.add)]

    def docs_input_examples(self):
        return {"/perform": [{"x": 2, "y": 3}, {"x": 5}], "/add/{a}": {"a": 7, "b": 8}}
"""

Call = Callable[..., "Called"]


class Called:
    """What a call has printed, and its exit status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err


@pytest.fixture(autouse=True)
def buffered_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """As most people have it: what is to be seen at once must be flushed."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """`pyjob call` in this process."""
    monkeypatch.delenv("PYJOB_TOKEN", raising=False)
    logger = logging.getLogger("pyjob")
    level = logger.level

    def call(*words: str, stdin: bytes = b"") -> Called:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            status = main(["call", *words])
        except SystemExit as ended:
            status = int(str(ended.code))
        return Called(status, *capsys.readouterr())

    yield call
    logger.setLevel(level)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "pyjob", "call", *words]


def job_in(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    manifest = MANIFEST.format(name="sample", entry="job.py", fields="", extra="")
    (folder / "job.yaml").write_text(manifest)
    (folder / "job.py").write_text(CODE)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = job_in(tmp_path_factory.mktemp("served"))
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(job_in(tmp_path / "job"))


@pytest.fixture(params=["served", "folder"])
def target(request: pytest.FixtureRequest) -> str:
    """The same job, once over HTTP and once from its folder."""
    if request.param == "folder":
        return str(request.getfixturevalue("folder"))
    return f":{request.getfixturevalue('server').port}"


@contextmanager
def answering(head: bytes, body: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers everything so, one connection each; what it was sent."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
                    data += piece
                asked.append(data)
                connection.sendall(head.replace(b"\n", b"\r\n") + b"Connection: close\r\n\r\n" + body)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


# The same wherever the job is.


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["x:=20", "y:=5"], {"product": 100}),
        (["/api/v1/perform", "x:=20"], {"product": 20}),
        (["/later", "x:=4"], 8),
        (["/add/3?b=4"], 7),
        (["/add/3", "b==4"], 7),
        (["/header", "X-Sent:so"], "so"),
        (["--example"], {"product": 6}),
        (["--example", "--which", "2"], {"product": 5}),
        (["--example", "x:=7"], {"product": 21}),
        (["/add/{a}", "--example"], 15),
        (["--json", '{"x": 3}'], {"product": 3}),
        (["--json", "-"], {"product": 9}),
        (["/upload", "table@-", "name=5"], [8, "5"]),
    ],
)
def test_the_result_alone_is_on_standard_output(
    call: Call, target: str, words: list[str], expected: Any
) -> None:
    called = call(target, *words, stdin=b'{"x": 9}')
    assert called.status == 0, called.err
    assert json.loads(called.out) == expected


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["x=20"], 4, 'x: expected float, got "20" (PayloadError)\nx= sends text; x:=20 sends JSON'),
        (["x:=-1"], 4, "answered 400 Bad Request: x: expected more than 0 (ValueError)"),
        (["/perfrom"], 4, "did you mean /perform?"),
        (["/fails"], 5, "answered 500 Internal Server Error: it fails (RuntimeError)"),
        (["/"], 3, "it leads to /docs"),
        (["/broken"], 1, "the stream broke off: gone (OSError)"),
        (["/later", "--example"], 1, "no sample for /later; it does for /perform, /add/{a}"),
        (["-X", "POTS"], 4, "(Method Not Allowed)\nthe endpoint takes POST: leave -X out"),
        (["/add/1", "b:=2"], 4, "the endpoint takes GET, HEAD: -X GET, with name==value for arguments"),
        (
            ["x:=1", "yy=2"],
            4,
            "expected: x, y (optional) (PayloadError)\nyy: did you mean y?",
        ),
        (
            ["--example", "--which", "foo"],
            1,
            "no sample 'foo'; its samples: 'sample 1', 'sample 2'",
        ),
    ],
)
def test_a_failure_is_told_on_standard_error_with_a_status_of_its_own(
    call: Call, target: str, words: list[str], status: int, told: str
) -> None:
    called = call(target, *words)
    assert called.status == status
    assert told in called.err
    assert called.out == ("1\n" if words == ["/broken"] else "")


def test_files_are_sent_and_written_as_they_are(call: Call, target: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"\x00" * 3_000_000)
    called = call(target, "/upload", f"table@{tmp_path}/table.csv", "name=ä")
    assert json.loads(called.out) == [3_000_000, "ä"]
    assert call(target, "/picture", "-o", str(tmp_path / "art.png")).out == ""
    assert (tmp_path / "art.png").read_bytes() == b"\x89PNG\x00\x1b[31m"


def test_headers_are_shown_on_standard_error(call: Call, target: str) -> None:
    called = call(target, "x:=1", "-v", "Authorization:Bearer of-mine", "X-Other:fine")
    assert json.loads(called.out) == {"product": 1}
    for line in ("> POST /perform", "> X-Other: fine", '> {"x": 1}', "< 200 OK"):
        assert f"{line}\n" in called.err
    assert "of-mine" not in called.err
    assert "> Authorization: ***" in called.err


# Usage.


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "required: URL|FOLDER"),
        (["no/such"], "no such folder or file"),
        ([":7000", "x"], "expected name=value"),
        ([":7000", "x=1", "--json", "{}"], "--json is the whole body"),
        ([":7000", "--example", "--json", "{}"], "--json is the whole body"),
        ([":7000", "--which", "2"], "--example"),
        ([":7000", "-X", "get", "x=1"], "name==value"),
        ([":7000", "--env", "A=b"], "--env is for the job of a folder"),
        ([":7000", "-o", "no/such/file"], "there is no folder"),
        ([":7000", "-o", "-"], "the name of a file"),
        ([":7000", "--timeout", "0"], "--timeout"),
        ([":7000", "x=1", "--exmaple", "password=hidden"], "--exmaple password: did you mean --example?"),
    ],
)
def test_wrong_usage_is_status_2_and_tells_what_would_be_right(
    call: Call, words: list[str], told: str
) -> None:
    called = call(*words)
    assert called.status == 2
    assert told in called.err
    assert "hidden" not in called.err


def test_options_and_items_may_stand_in_any_order(call: Call, server: Server) -> None:
    called = call("-X", "POST", f":{server.port}", "-v", "x:=2", "--timeout", "60", "y:=4")
    assert json.loads(called.out) == {"product": 8}


def test_help_has_items_examples_and_exit_status(call: Call) -> None:
    called = call("--help")
    assert called.status == 0
    for part in ("name:=json", "--example", "--token-file", "exit status:", "PYJOB_TOKEN"):
        assert part in called.out


# Servers that are missing, slow or strange.


def test_nobody_at_the_other_end_is_told(call: Call) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        called = call(f":{unused.getsockname()[1]}")
        assert called.status == 1
        told = f"nothing listens on localhost:{unused.getsockname()[1]}: is `pyjob run` running?"
        assert told in called.err
        assert told in call(f":{unused.getsockname()[1]}", "--example").err


def test_a_server_that_is_silent_is_given_up(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        called = call(f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2")
    assert called.status == 1
    assert "0.2 s" in called.err


def test_an_answer_that_breaks_off_is_status_1(call: Call) -> None:
    with answering(b"HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 10\n", b"[1,") as (
        url,
        _,
    ):
        called = call(url)
    assert called.status == 1
    assert "broke off" in called.err
    assert called.out == "[1,"


def test_the_token_is_sent_and_never_shown(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("pyjob_of-the-file\n")
    head = b"HTTP/1.1 403 No\nContent-Type: text/plain\nX-Told: pyjob_of-the-file\n"
    with answering(head, b"pyjob_of-the-file is not let in, nor is pyjob_of-the-environment") as (url, asked):
        by_file = call(url, "-v", "--token-file", str(tmp_path / "token"))
        monkeypatch.setenv("PYJOB_TOKEN", "pyjob_of-the-environment")
        by_variable = call(url, "-v")
    assert b"X-Racetrack-Auth: pyjob_of-the-file\r\n" in asked[0]
    assert b"X-Racetrack-Auth: pyjob_of-the-environment\r\n" in asked[1]
    assert "of-the-file" not in by_file.err
    assert "of-the-environment" not in by_variable.err
    assert by_file.status == 4


def test_a_redirect_takes_no_token_along(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYJOB_TOKEN", "pyjob_of-the-environment")
    with answering(b"HTTP/1.1 200 OK\n") as (elsewhere, asked):
        head = f"HTTP/1.1 302 Found\nContent-Length: 0\nLocation: http://{elsewhere}/\n"
        with answering(head.encode()) as (url, _):
            called = call(url, "-X", "GET")
    assert called.status == 3
    assert f"it leads to http://{elsewhere}/" in called.err
    assert asked == []


def test_get_is_tried_only_where_nothing_was_sent_and_nothing_else_is_known(call: Call) -> None:
    head = b"HTTP/1.1 405 No\nContent-Length: 0\nAllow: GET, HEAD\n"
    with answering(head) as (url, asked):
        assert call(url, "x=1").status == 4
        assert [one.split()[0] for one in asked] == [b"POST"]
        call(url)
        assert [one.split()[0] for one in asked] == [b"POST", b"POST", b"GET"]
    with answering(head.replace(b"HEAD", b"POST")) as (url, asked):
        call(url)
        assert [one.split()[0] for one in asked] == [b"POST"]


def test_an_openapi_document_that_is_none_is_told(call: Call) -> None:
    with answering(b"HTTP/1.1 200 OK\n", b"<html>") as (url, _):
        called = call(url, "--example")
    assert called.status == 1
    assert "no sample: /openapi.json is no JSON: is this a job?" in called.err


# Pipes and terminals, which need a process of its own.


def test_a_stream_is_written_item_by_item(server: Server, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hold")
    words = command(f":{server.port}", "/words", f"hold={tmp_path}/hold", "count:=2", "--timeout", "30")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == '"word 0"\n'  # the job waits for us now
        (tmp_path / "hold").open("w").close()
        assert process.stdout.read() == '"word 1"\n'
        assert process.wait(60) == 0


def test_a_reader_that_has_read_enough_ends_it_quietly(server: Server) -> None:
    words = command(f":{server.port}", "/words", "count:=1000000")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_once(server: Server) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command(f":{server.port}", "x:=1"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert ended.returncode == 1
    assert ended.stderr == "pyjob: error: the result cannot be written: No space left on device\n"


@pytest.mark.parametrize("is_served", [True, False], ids=["URL", "folder"])
def test_a_closed_standard_error_keeps_nobody_from_the_result(
    server: Server, folder: str, is_served: bool
) -> None:
    words = command(f":{server.port}" if is_served else folder, "x:=2")
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *words], stdout=subprocess.PIPE, text=True, timeout=60
    )
    assert (ended.returncode, json.loads(ended.stdout)) == (0, {"product": 2})


def test_a_terminal_gets_colours_and_no_binary(server: Server) -> None:
    status, shown = on_a_terminal(command(f":{server.port}", "x:=2"))
    assert status == 0
    assert shown.replace("\r\n", "\n") == '{\n  \x1b[34;1m"product"\x1b[0m: \x1b[36m2\x1b[0m\n}\n'
    status, shown = on_a_terminal(command(f":{server.port}", "/picture"))
    assert status == 1
    assert "-o FILE" in shown
    assert "\x1b" not in shown


def on_a_terminal(words: list[str]) -> tuple[int, str]:
    """Exit status and what a terminal is sent."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        data = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            data += piece
        os.close(ours)
    return process.returncode, data.decode()


# A folder.


def test_what_a_job_prints_goes_to_standard_error(folder: str) -> None:
    ended = subprocess.run(command(folder, "x:=2"), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, '{"product":2}')
    assert sorted(ended.stderr.splitlines()) == ["a library prints", "the job prints"]


def test_nothing_is_said_of_a_server_where_there_is_none(call: Call, make_job: MakeJob) -> None:
    folder = make_job("class Job:\n    def perform(self): return 1\n", extra={"max_concurrency": 1})
    called = call(str(folder))
    assert (called.out, called.err) == ("1", "")


def test_the_job_of_a_folder_has_the_process_as_under_pyjob_run(call: Call, make_job: MakeJob) -> None:
    code = """
    import os
    from pathlib import Path

    class Job:
        def perform(self):
            names = ("GIVEN", "OF_FILE", "JOB_NAME")
            return [Path("beside.txt").read_text(), *(os.environ[name] for name in names)]
    """
    folder = make_job(code, files={"beside.txt": "here", "other.env": "OF_FILE=hidden-value\n"})
    options = ("--env", "GIVEN=so", "--env-file", str(folder / "other.env"), "--set", "name=other")
    manifest = folder / "job.yaml"
    manifest.write_text(manifest.read_text() + "secret_runtime_env_file: missing.env\n")
    called = call(str(folder), *options)
    assert json.loads(called.out) == ["here", "so", "hidden-value", "other"]


def test_an_output_file_is_where_the_command_was_given(
    call: Call, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("job", "x:=1", "-o", "result.json").status == 0
    assert (tmp_path / "result.json").read_text() == '{"product":1}'


def test_a_job_that_does_not_load_is_told_as_pyjob_run_does(call: Call, make_job: MakeJob) -> None:
    ended = subprocess.run(
        command(str(make_job("import nothing_of_that_name\n"))), capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "failed to start: No module named 'nothing_of_that_name'" in ended.stderr
    assert "does not load: see above" in ended.stderr
    called = call(str(make_job("", fields="replicas: 0")))
    assert called.status == 1
    assert "replicas: expected" in called.err


def test_a_store_of_tokens_keeps_nobody_from_the_own_job(
    call: Call, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYJOB_ACCESS", "/no/such/store")
    assert call(folder, "x:=1").status == 0


def test_a_job_that_is_silent_is_left(folder: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hold")
    words = command(folder, "/wait", f"hold={tmp_path}/hold", "--timeout", "0.2")
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "nothing has come from the job for 0.2 s" in ended.stderr


def test_ctrl_c_ends_a_call_whatever_the_job_does(folder: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hold")
    words = command(folder, "/wait", f"hold={tmp_path}/hold")
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        # It opens once the job does, which then waits for what is in it.
        (tmp_path / "hold").open("w"),
    ):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err


def test_every_option_is_documented() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_to(commands)
    options = {name for action in commands.choices["call"]._actions for name in action.option_strings}
    text = (REPO / "docs" / "call.md").read_text()
    assert not {name for name in options - {"-h", "--help"} if f"`{name}" not in text}
