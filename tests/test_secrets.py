"""One secret, planted where it slips most easily, is in nothing that pyjob tells of the job (SPEC 3.3)."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import pyjob
from pyjob.cli import main
from tests.conftest import MakeJob
from tests.servers import Server, ask, pyjob_run, started

SECRET = 'Tr0ub4dor & "3"\\n'
FIELDS = "secret_runtime_env_file: .env\nsecret_build_env_file: .env.build"
FILES = {
    ".env": "TOKEN = 'Tr0ub4dor & \"3\"\\n'\n",
    ".env.build": "TOKEN = 'Tr0ub4dor & \"3\"\\n'\n",
    ".env.dist": "TOKEN =\n",
    ".env.build.dist": "TOKEN =\n",
}
# Lets its secret slip wherever a job can.
LEAKY = '''
import logging
import os
import threading

TOKEN = os.environ["TOKEN"]
logging.getLogger("leaky").warning("imported with %s", TOKEN)


class Leaky:
    __doc__ = f"Knows {TOKEN}."

    def __init__(self):
        dying = threading.Thread(target=self.fail, name=TOKEN)
        dying.start()
        dying.join()

    def fail(self):
        raise RuntimeError(TOKEN)

    def perform(self, kind: str = TOKEN, token: dict = {"nested": [TOKEN]}) -> str:
        logging.getLogger("leaky").info("called with %r, %s", TOKEN, {"token": TOKEN})
        if kind == "caller":
            raise ValueError(f"not {TOKEN}")
        if kind == "key":
            {}[TOKEN]
        if kind == "result":
            return {"of": {TOKEN: object()}}
        if kind == "status":
            import pyjob

            raise pyjob.JobError(418, TOKEN, kind=TOKEN, headers={"X-Told": TOKEN})
        if kind == "format":
            logging.getLogger("leaky").info("%d", TOKEN)
        if kind == "response":
            from werkzeug.wrappers import Response

            return Response(TOKEN, 500)
        raise type(TOKEN, (Exception,), {})(TOKEN)

    perform.__doc__ = f"""
        Say {TOKEN}.
        :param kind: Not {TOKEN}.
        """

    def docs_input_examples(self):
        return {"/perform": {"kind": TOKEN}, "/nowhere": {TOKEN: TOKEN}}

    def webview_app(self, base_url):
        def application(environ, start_response):
            raise RuntimeError(TOKEN)

        return application

    def metrics(self):
        return [
            {"name": "leaks", "description": TOKEN, "value": 1, "labels": {"token": TOKEN}},
            {"name": TOKEN, "value": 1},
            {"name": "odd", "value": TOKEN},
        ]
'''
BROKEN = {
    "module": "import os\nraise RuntimeError(os.environ['TOKEN'])\n",
    "class": "import os\n\nclass Job:\n    def __init__(self):\n        open(os.environ['TOKEN'])\n"
    "    def perform(self):\n        return 1\n",
    "endpoint": "import os\n\nclass Job:\n    def perform(self):\n        return 1\n"
    "    def static_endpoints(self):\n        return {os.environ['TOKEN']: '../x'}\n",
}


def assert_clean(text: str, what: object) -> None:
    """Neither the secret nor its better part, in any spelling."""
    for piece in (SECRET, "Tr0ub4dor", quote(SECRET), repr(SECRET)[1:-1], json.dumps(SECRET)[1:-1]):
        assert piece not in text, f"{what}: {text}"


def everything_of(server: Server) -> str:
    """All that the server tells, as text."""
    told = []
    for path in (
        *("/live", "/ready", "/health", "/metrics", "/openapi.json", "/docs", "/"),
        *("/parameters", "/api/v1/parameters", "/nowhere", "/webview/", "/webview", "/favicon.ico"),
    ):
        told.append(str(ask(server, "GET", path)))
    for kind in ("caller", "key", "result", "status", "format", "other"):
        told.append(str(ask(server, "POST", "/perform", json.dumps({"kind": kind}).encode())))
    told.append(str(ask(server, "GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")))
    return "\n".join(told)


@pytest.fixture
def leaky(make_job: MakeJob) -> Path:
    return make_job(LEAKY, fields=FIELDS, files=FILES)


@pytest.mark.parametrize("options", [(), ("--reload",), ("--self-test",), ("--log-level", "debug")], ids=str)
def test_no_answer_log_line_or_command_line_of_a_server_holds_it(
    leaky: Path, options: tuple[str, ...]
) -> None:
    with started(pyjob_run(leaky, *options)) as server:
        server.wait_until("/live", 500 if "--self-test" in options else 200)
        if "--self-test" not in options:
            server.wait_until("/ready", 200)
        assert_clean(everything_of(server), "an answer")
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert_clean(process.read_bytes().decode(errors="replace"), process)
            except OSError:  # it has ended
                continue
    assert "***" in server.output
    assert_clean(server.output, "the log")


def test_it_is_masked_where_the_environment_stands_in(make_job: MakeJob) -> None:
    folder = make_job(LEAKY, fields=FIELDS, files={".env.dist": "TOKEN =\n"})
    environment = {"TOKEN": SECRET, "PYJOB_SECRETS": "environment"}
    with started(pyjob_run(folder), env=environment) as server:
        server.wait_until("/ready", 200)
        told = everything_of(server)
        assert "***" in told
        assert_clean(told, "an answer")
    assert "***" in server.output
    assert_clean(server.output, "the log")


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_a_job_that_does_not_start_tells_nothing_of_it(make_job: MakeJob, code: str) -> None:
    folder = make_job(code, fields=FIELDS, files=FILES)
    with started(pyjob_run(folder)) as server:
        server.wait_until("/live", 500)
        told = everything_of(server)
        assert "***" in told
        assert_clean(told, "an answer")
    assert_clean(server.output, "the log")


@pytest.mark.parametrize(
    ("arguments", "status", "meets_it"),
    [
        (["run", "--print-config"], 0, True),
        (["check", "--json"], 1, False),  # a samples' path that is no endpoint is written out
        (["check", "--run"], 1, True),
        (["--debug", "check", "--run", "--json", "--strict"], 1, True),
    ],
    ids=str,
)
def test_no_command_prints_it(leaky: Path, arguments: list[str], status: int, meets_it: bool) -> None:
    ended = pyjob_command(*arguments, leaky)
    told = ended.stdout + ended.stderr
    assert ended.returncode == status, told
    assert ("***" in told) is meets_it
    assert_clean(told, arguments)


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_a_check_of_a_job_that_does_not_start_does_not_print_it(make_job: MakeJob, code: str) -> None:
    folder = make_job(code, fields=FIELDS, files=FILES)
    ended = pyjob_command("check", "--run", folder)
    assert ended.returncode == 1
    assert_clean(ended.stdout + ended.stderr, "the check")


@pytest.mark.parametrize(
    "line",
    [
        f"TOKEN = '{SECRET}' and more",
        f"TOKEN = it's {SECRET}",
        f'TOKEN = "{SECRET[:-2]}',
        f"TOKEN {SECRET}",
        SECRET,
        f"TOKEN = ${{{SECRET}}}",
        f"JOB_NAME = '{SECRET}'",
        f"TOKEN = '{SECRET}'\nTOKEN = '{SECRET}'",
        f"TOKEN = '{SECRET}' ${{UNSET}}",
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_faulty_secret_file_is_told_of_without_it(
    make_job: MakeJob, line: str, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_job("class Job:\n    def perform(self):\n        return 1\n", fields=FIELDS, files=FILES)
    (folder / ".env").write_text(line + "\n")
    assert main([command, str(folder)]) == 1
    told = "".join(capfd.readouterr())
    assert ".env:" in told
    assert_clean(told, command)
    with pytest.raises(pyjob.ManifestError) as caught:  # as --debug shows it, with all that led to it
        main(["--debug", "run", str(folder)])
    assert_clean("".join(traceback.format_exception(caught.value)), "the traceback")


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_secret_file_that_is_taken_for_a_manifest_is_not_repeated(
    leaky: Path, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for text in (f"TOKEN = {SECRET}", f"TOKEN: [{SECRET}", f"- {SECRET}", f"TOKEN: {SECRET}"):
        (leaky / ".env").write_text(text)
        assert main([command, str(leaky / ".env")]) == 1
        assert_clean("".join(capfd.readouterr()), text)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_embedded_lines_of_pyjob_are_masked_whatever_handlers_the_host_has(
    leaky: Path, caplog: pytest.LogCaptureFixture, client_of: Any
) -> None:
    caplog.set_level(logging.DEBUG, "pyjob")
    client = client_of(leaky)
    for kind in ("caller", "key", "result", "status", "other"):
        assert_clean(str(client.perform(kind=kind).data), "an answer")
    assert client.get("/webview/").status_code == 500
    client.get("/metrics")
    formatter = logging.Formatter()
    lines = [formatter.format(record) for record in caplog.records if record.name.startswith("pyjob")]
    assert any("***" in line for line in lines)
    assert_clean("\n".join(lines), "a line of pyjob")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_in_process_is_the_jobs_own(leaky: Path) -> None:
    """`app.call` hands the job's exception to the program that called: nothing is told to anybody else."""
    application = pyjob.create(leaky)
    with pytest.raises(KeyError):
        application.call("/perform", {"kind": "key"})


def pyjob_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyjob", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_sample_that_is_answered_by_a_response_of_the_jobs_is_told_of_without_it(make_job: MakeJob) -> None:
    code = LEAKY.replace('{"kind": TOKEN}', '{"kind": "response"}')
    folder = make_job(code, fields=FIELDS, files=FILES)
    ended = pyjob_command("check", "--run", folder)
    assert "500" in ended.stdout
    assert_clean(ended.stdout + ended.stderr, "the check")


SERVED = """
import logging, os, threading
import pyjob

class Served:
    def __init__(self):
        logging.getLogger("leaky").warning("made with %s", os.environ["TOKEN"])
        dying = threading.Thread(target=self.fail)
        dying.start()
        dying.join()

    def fail(self):
        raise RuntimeError(os.environ["TOKEN"])

    def perform(self):
        return 1

pyjob.serve(Served, manifest={"secret_runtime_env_file": ".env", "name": "served"}, port=0)
"""


def test_a_class_that_is_served_by_a_script_hides_it_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(FILES[".env"])
    (tmp_path / "script.py").write_text(SERVED)
    with started([sys.executable, str(tmp_path / "script.py")]) as server:
        server.wait_until("/ready", 200)
    assert "made with ***" in server.output
    assert "RuntimeError: ***" in server.output
    assert_clean(server.output, "the log")


STRAYS = """
import logging, os, warnings

TOKEN = os.environ["TOKEN"]

class Job:
    def perform(self) -> str:
        warnings.warn(f"do not use {TOKEN}", UserWarning)
        alone = logging.getLogger("alone")
        alone.propagate = False
        alone.warning("alone with %s", TOKEN)
        Dying()
        return "done"

class Dying:
    def __del__(self):
        raise RuntimeError(TOKEN)
"""


def test_what_python_prints_by_itself_is_logged_without_it(make_job: MakeJob) -> None:
    folder = make_job(STRAYS, fields=FIELDS, files=FILES)
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/perform", b"{}")[2] == "done"
    for words in ("do not use ***", "alone with ***", "RuntimeError: ***"):
        assert words in server.output
    assert_clean(server.output, "the log")


def test_an_endpoint_with_a_secret_in_its_path_is_served_and_never_told_of(make_job: MakeJob) -> None:
    code = """
        import os

        class Job:
            def hook(self) -> str:
                return "done"

            def auxiliary_endpoints(self):
                return {"/hooks/" + os.environ["SLUG"]: self.hook}
        """
    folder = make_job(code, fields=FIELDS, files={**FILES, ".env": "SLUG = whsec0123456789abcdef\n"})
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/hooks/whsec0123456789abcdef", b"{}")[2] == "done"
        told = str(ask(server, "POST", "/hooks/whsec012345", b"{}")) + str(ask(server, "GET", "/metrics"))
        told += str(ask(server, "GET", "/nowhere/whsec0123456789abcdef"))
        assert "whsec0123456789" not in told
        assert "/hooks/***" in told
    assert "whsec0123456789" not in server.output


@pytest.mark.parametrize("name", ["PORT", "LOG_LEVEL"])
def test_settings_of_pyjob_that_stand_among_the_secrets_are_not_repeated(
    make_job: MakeJob, name: str
) -> None:
    folder = make_job("class Job:\n    def perform(self):\n        return 1\n", fields=FIELDS, files=FILES)
    (folder / ".env").write_text(f"{name} = {'planted-' * 10}\n")
    command = [sys.executable, "-m", "pyjob", "run", str(folder), "--host=127.0.0.1"]
    if name == "PORT":
        ended = pyjob_command(*command[3:])
        assert ended.returncode == 1
        assert "PORT: expected a number" in ended.stderr
        assert "planted" not in ended.stderr
        return
    with started([*command, "--port=0"]) as server:
        server.wait_until("/ready", 200)
    assert "LOG_LEVEL: expected one of" in server.output
    assert "planted" not in server.output
