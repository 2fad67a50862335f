"""Logging of a process that is the job's own (SPEC 7, 9)."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyjob.environment.mask import Mask
from pyjob.logs import ContextFilter
from pyjob.logs.handler import MaskingHandler
from pyjob.logs.setting_up import LogSettings, hide_in_logs, set_up_logging
from pyjob.logs.structured import JsonFormatter
from tests.commands import COMMANDS
from tests.conftest import ClientOf, MakeJob
from tests.servers import ask, pyjob_run, started


@contextmanager
def bare_root() -> Iterator[logging.Logger]:
    """The root logger without the handlers of pytest."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("info", logging.INFO),
        ("DEBUG", logging.DEBUG),
        (" warning ", logging.WARNING),
        ("loud", logging.INFO),
    ],
)
def test_the_level_is_taken_in_any_case(level: str, expected: int) -> None:
    stream = io.StringIO()
    with bare_root() as root:
        set_up_logging(LogSettings.from_environment({"LOG_LEVEL": level}), stream)
        assert root.level == expected
    assert ("LOG_LEVEL" in stream.getvalue()) == (level == "loud")


def test_a_record_is_one_line_with_time_level_and_message() -> None:
    stream = io.StringIO()
    with bare_root():
        set_up_logging(LogSettings(), stream)
        logging.getLogger("anything").info("something happened")
    assert stream.getvalue().endswith("INFO something happened\n")
    assert stream.getvalue().count("\n") == 1


def test_a_bare_basic_config_is_replaced_and_anything_else_left_alone() -> None:
    own = logging.NullHandler()
    with bare_root() as root:
        logging.basicConfig()
        set_up_logging(LogSettings(), io.StringIO())
        assert [type(handler) for handler in root.handlers] == [MaskingHandler]
        assert root.handlers[0].stream is not sys.stderr  # type: ignore[attr-defined]
        root.handlers[:] = [own]
        set_up_logging(LogSettings(), io.StringIO())
        assert root.handlers == [own]


def test_characters_that_the_stream_lacks_are_written_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with bare_root():
        set_up_logging(LogSettings(), stream)
        logging.getLogger().info("grüße \ud800")
    assert rb"gr\xfc\xdfe \ud800" in raw.getvalue()


JOB = """
    import logging
    logger = logging.getLogger(__name__)
    class Job:
        def perform(self):
            logger.debug("a detail")
            logger.info("something happened")
"""


@pytest.mark.parametrize("command", ["pyjob run", "waitress-serve", "waitress-serve --call"])
def test_the_jobs_own_records_reach_stdout_once(make_job: MakeJob, command: str) -> None:
    folder = make_job(JOB)
    arguments = pyjob_run(folder) if command == "pyjob run" else COMMANDS[command]
    with started(arguments, cwd=folder) as server:
        server.wait_until("/ready", 200)
        ask(server, "POST", "/perform")
    assert server.output.count("INFO something happened") == 1
    assert "a detail" not in server.output


@pytest.mark.parametrize("how", ["LOG_LEVEL", "runtime_env", "--log-level"])
def test_the_level_can_be_chosen(make_job: MakeJob, how: str) -> None:
    fields = "runtime_env:\n  LOG_LEVEL: debug\n" if how == "runtime_env" else ""
    options = ["--log-level", "debug"] if how == "--log-level" else []
    environment = {"LOG_LEVEL": "debug"} if how == "LOG_LEVEL" else {}
    with started(pyjob_run(make_job(JOB, fields=fields), *options), env=environment) as server:
        server.wait_until("/ready", 200)
        ask(server, "POST", "/perform")
    assert "DEBUG a detail" in server.output


class Gone(io.StringIO):
    """A stream whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_log_that_nobody_reads_any_more_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with bare_root():
        set_up_logging(LogSettings(), Gone())
        logging.getLogger("job").warning("%s", "a secret, perhaps")
        logging.getLogger("job").warning("another")
    told = capsys.readouterr().err
    assert told.count("the log cannot be written") == 1
    assert "secret" not in told


def test_a_log_that_can_be_written_again_goes_on() -> None:
    class Full(io.StringIO):
        is_full = True

        def write(self, text: str) -> int:
            if self.is_full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Full()
    with bare_root():
        set_up_logging(LogSettings(), stream)
        logging.getLogger("job").warning("lost")
        stream.is_full = False
        logging.getLogger("job").warning("written")
    assert stream.getvalue().endswith("WARNING written\n")


def test_where_stderr_is_gone_too_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    for stderr in (Gone(), None):
        monkeypatch.setattr(sys, "stderr", stderr)
        with bare_root():
            set_up_logging(LogSettings(), Gone())
            logging.getLogger("job").warning("something happened")


def test_the_secrets_of_several_jobs_of_one_process_are_hidden() -> None:
    stream = io.StringIO()
    with bare_root():
        set_up_logging(LogSettings(), stream)
        hide_in_logs(Mask(["first-planted"]))
        hide_in_logs(Mask(["second-planted"]))
        logging.getLogger("job").warning("first-planted and second-planted")
    assert "*** and ***" in stream.getvalue()


def test_handlers_of_a_host_are_left_alone() -> None:
    stream = io.StringIO()
    with bare_root() as root:
        root.addHandler(logging.StreamHandler(stream))
        hide_in_logs(Mask(["planted-value"]))
        root.warning("planted-value")
    assert stream.getvalue() == "planted-value\n"


def written(*, structured: bool = False, caller: bool = False, **record: Any) -> str:
    """What a record becomes on a stream that is no terminal."""
    stream = io.StringIO()
    with bare_root():
        set_up_logging(LogSettings(structured=structured, caller=caller), stream)
        logging.getLogger("a.logger").handle(
            logging.makeLogRecord({"levelno": 20, "levelname": "INFO", **record})
        )
    return stream.getvalue()


HOSTILE = "fine\r\n[2026-01-01 00:00:00] INFO forged\x1b[2K\x85\u2028end"


def test_no_message_can_forge_a_line() -> None:
    first, *rest = written(msg=HOSTILE).splitlines()
    assert first.endswith(r"INFO fine\r")
    assert rest == [r"    [2026-01-01 00:00:00] INFO forged\x1b[2K\x85\u2028end"]


def test_no_caller_can_forge_a_field() -> None:
    caller = 'x", tracing_id=2\x1b[2K'
    line = written(msg="said", caller=True, tracing_id="1", caller_name=caller)
    assert line.endswith(f"INFO said, tracing_id=1, caller_name={json.dumps(caller)}\n")


def test_in_json_a_record_is_one_line_whatever_is_in_it() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        line = written(structured=True, msg=HOSTILE, exc_info=(ValueError, error, error.__traceback__))
    assert line.count("\n") == 1
    told = json.loads(line)
    assert told["msg"] == HOSTILE
    assert told["exception"].startswith("Traceback (most recent call last):")
    assert told["lvl"] == "INFO"
    assert told["time"].endswith("Z")


class Refusing:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_extras_reach_the_json_as_what_they_are_and_what_json_lacks_as_text() -> None:
    holds_itself: list[Any] = []
    holds_itself.append(holds_itself)
    extras: dict[str, Any] = {
        "n": 1,
        "share": 0.5,
        "nothing": None,
        "is_so": True,
        "nested": {"a": [1, (2, 3)], 4: {5}},
        "not_a_number": float("nan"),
        "path": Path("/tmp"),
        "refusing": Refusing(),
        "holds_itself": holds_itself,
        "msg_": "kept",
        "lvl": "theirs",
        "time": "theirs",
    }
    told = json.loads(written(structured=True, msg="said", **extras))
    assert (told["n"], told["share"], told["nothing"], told["is_so"]) == (1, 0.5, None, True)
    assert told["nested"] == {"a": [1, [2, 3]], "4": "{5}"}
    assert (told["not_a_number"], told["path"]) == ("nan", "/tmp")
    assert told["refusing"] == "an object of type Refusing"
    assert (told["lvl"], told["extra_lvl"], told["extra_time"]) == ("INFO", "theirs", "theirs")
    assert told["msg"] == "said"


@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("arguments", [("text",), (1, 2), (Refusing(),)])
def test_a_record_whose_arguments_do_not_fit_is_not_lost(
    structured: bool, arguments: tuple[Any, ...]
) -> None:
    line = written(structured=structured, msg="%d things", args=arguments)
    assert "%d things (arguments that do not fit: " in line
    assert line.count("\n") == 1


def test_a_terminal_gets_colours_and_anything_else_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for variable, has_colours in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in variable.items():
            monkeypatch.setenv(name, value)
        stream = Terminal()
        with bare_root():
            set_up_logging(LogSettings(), stream)
            logging.getLogger().warning("said")
        assert ("\x1b[33mWARNING\x1b[0m said" in stream.getvalue()) == has_colours
    assert "\x1b" not in written(msg="said")


@pytest.mark.parametrize(("level", "expected"), [(None, logging.DEBUG), ("info", logging.NOTSET)])
def test_loggers_below_racetrack_are_at_debug_unless_a_level_is_set(level: str | None, expected: int) -> None:
    logger = logging.getLogger("racetrack")
    with bare_root():
        logger.setLevel(logging.NOTSET)
        try:
            set_up_logging(LogSettings(level=level), io.StringIO())
            assert logger.level == expected
        finally:
            logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("name", ["LOG_STRUCTURED", "LOG_CALLER_NAME"])
def test_a_switch_that_is_neither_on_nor_off_is_told_and_off(name: str) -> None:
    settings = LogSettings.from_environment({name: "perhaps"})
    assert not (settings.structured or settings.caller)
    assert settings.remarks == (
        f"{name}: expected one of true, 1, yes, on, false, 0, no, off, found 'perhaps': using false",
    )
    assert all(
        getattr(LogSettings.from_environment({name: text}), name[4:].split("_")[0].lower())
        for text in ("1", "True", " yes ")
    )


def test_the_filter_for_hosts_adds_text_and_keeps_what_a_record_has() -> None:
    record = logging.makeLogRecord({"msg": "said", "caller_name": "theirs"})
    assert ContextFilter().filter(record) is True
    assert (record.__dict__["tracing_id"], record.__dict__["caller_name"]) == ("", "theirs")


def test_the_filter_for_hosts_masks_the_secrets_of_the_job_that_is_served(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    folder = make_job(
        """
        import logging, os
        class Job:
            def __init__(self):
                logging.getLogger("host").warning("at start %s", os.environ["TOKEN"])
            def perform(self):
                secret = os.environ["TOKEN"]
                try:
                    raise RuntimeError(secret)
                except RuntimeError:
                    logger = logging.getLogger("host")
                    logger.exception("with %s", secret, extra={"held": [secret]}, stack_info=True)
        """,
        fields="secret_runtime_env_file: .env",
        files={".env": "TOKEN=planted-value"},
    )
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(ContextFilter())
    handler.setFormatter(JsonFormatter())
    with bare_root() as root:
        root.addHandler(handler)
        client_of(folder).post("/perform", headers={"X-Request-Tracing-Id": "order-66"})
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    at_start, served = (record for record in records if record["logger"] == "host")
    assert at_start["msg"] == "at start ***"
    assert (served["msg"], served["held"], served["tracing_id"]) == ("with ***", ["***"], "order-66")
    assert "RuntimeError: ***" in served["exception"]
    assert "planted-value" not in stream.getvalue()


def test_embedded_nothing_of_the_hosts_logging_is_touched(make_job: MakeJob, client_of: ClientOf) -> None:
    def state() -> Any:
        root = logging.getLogger()
        return (
            [*root.handlers],
            [(handler.formatter, [*handler.filters], handler.level) for handler in root.handlers],
            root.level,
            [*root.filters],
            logging.getLogRecordFactory(),
            logging.getLoggerClass(),
            logging.lastResort,
            threading.excepthook,
            sys.unraisablehook,
            warnings.showwarning,
            threading.Thread.start,
            logging.getLogger("pyjob").handlers,
            logging.getLogger("pyjob").level,
            logging.getLogger("racetrack").level,
        )

    before = state()
    client = client_of(make_job(JOB))
    assert client.post("/perform").status_code == 200
    assert state() == before


CONFIGURED = {
    "basicConfig": "logging.basicConfig(level='INFO', format='own %(message)s')",
    "basicConfig by force": """
logging.basicConfig(level="INFO", format="own %(message)s", stream=sys.stdout, force=True)
""",
    "dictConfig": """
logging.config.dictConfig({
    "version": 1,
    "formatters": {"own": {"format": "own %(message)s %(tracing_id)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own", "stream": "ext://sys.stdout"}},
    "root": {"level": "INFO", "handlers": ["own"]},
})
""",
    "another formatter": """
logging.getLogger().handlers[0].setFormatter(logging.Formatter("own %(message)s %(tracing_id)s"))
""",
    "a formatter that dumps": """
class Dumping(logging.Formatter):
    def format(self, record):
        return "own " + json.dumps(record.__dict__)
logging.getLogger().handlers[0].setFormatter(Dumping())
""",
}


@pytest.mark.parametrize("how", CONFIGURED)
@pytest.mark.parametrize("when", ["at import", "when made"])
def test_a_job_may_set_up_logging_itself_and_no_record_is_lost_or_doubled(
    make_job: MakeJob, how: str, when: str
) -> None:
    indent = "" if when == "at import" else " " * 8
    code = (
        "import json, logging, logging.config, os, sys\n"
        + ("" if indent else CONFIGURED[how])
        + """
logger = logging.getLogger("of.the.job")
class Job:
    def __init__(self):
        pass
"""
        + textwrap.indent(CONFIGURED[how] if indent else "pass", " " * 8)
        + """
    def perform(self, n: int):
        logging.getLogger("of.the.job.too").warning("said %d with %s", n, os.environ["TOKEN"])
"""
    )
    folder = make_job(code, fields="secret_runtime_env_file: .env", files={".env": "TOKEN=planted-value"})
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        for n in range(3):
            ask(server, "POST", "/perform", b'{"n": %d}' % n, X_Request_Tracing_Id=f"id-{n}")
    said = '"args": [%d, "***"]' if "dumps" in how else "said %d with ***"
    assert [server.output.count(said % n) for n in range(3)] == [1, 1, 1]
    assert len([line for line in server.lines if "POST /perform 200" in line and f"id-{n}" in line]) <= 1
    assert len([line for line in server.lines if "POST /perform 200" in line]) == 3
    assert "planted-value" not in server.output
    assert "is ready after" in server.output
    assert "stopped" in server.output
    if how != "basicConfig":
        assert "own said 1" in server.output or "own {" in server.output
    if how in ("dictConfig", "another formatter", "a formatter that dumps"):
        assert any(said % 1 in line and "id-1" in line for line in server.lines)
    assert "Traceback" not in server.output


def test_50_writers_of_long_records_break_no_line(make_job: MakeJob) -> None:
    folder = make_job(
        """
        import logging, threading
        logger = logging.getLogger("writer")
        class Job:
            def perform(self):
                together = threading.Barrier(50)
                def write(n):
                    together.wait(60)
                    for line in range(4):
                        logger.info("%s", f"{n}.{line} " + "x\\n" * 50_000)
                threads = [threading.Thread(target=write, args=(n,)) for n in range(50)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
        """
    )
    with started(pyjob_run(folder), env={"LOG_STRUCTURED": "true"}) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/perform")[0] == 200
    written = [record["msg"] for record in server.records if record["logger"] == "writer"]
    assert sorted(text.split(" ", 1)[0] for text in written) == sorted(
        f"{n}.{line}" for n in range(50) for line in range(4)
    )
    assert {len(text) > 100_000 for text in written} == {True}


@pytest.mark.parametrize("destination", ["/dev/full", "a closed pipe", "nothing"])
def test_a_server_whose_log_nobody_takes_lives_on_and_says_so_once(
    make_job: MakeJob, tmp_path: Path, destination: str
) -> None:
    folder, errors = make_job(JOB), tmp_path / "stderr"
    sockets = f"{tmp_path}/socket"
    command = [sys.executable, "-m", "pyjob", "run", str(folder), "--unix-socket", sockets]
    read, write = os.pipe()
    os.close(read)
    with Path("/dev/full").open("w") as full, errors.open("w") as stderr:
        stdout: Any = {"/dev/full": full, "a closed pipe": write}.get(destination)
        process = subprocess.Popen(
            command,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=(lambda: os.close(1)) if destination == "nothing" else None,
        )
        os.close(write)
        try:
            for _ in range(3):
                assert call_at(sockets) == 200
        finally:
            process.terminate()
            assert process.wait(30) == 0
    told = errors.read_text()
    if destination == "nothing":
        assert "POST /perform 200" in told
    else:
        assert told.count("\n") == 1
        assert told.startswith("pyjob: the log cannot be written (")


def call_at(address: str) -> int:
    """The status of a call by a Unix socket, once the job is ready."""
    for _ in range(6000):
        try:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(address)
                caller.sendall(b"POST /perform HTTP/1.0\r\n\r\n")
                status = int(caller.makefile("rb").readline().split()[1])
        except (FileNotFoundError, ConnectionRefusedError):
            status = 503
        if status != 503:
            return status
        time.sleep(0.01)
    return status
