"""Logging of a process that is the job's own (SPEC 7, 9)."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pyjob.environment.mask import Mask
from pyjob.logs import MaskingHandler, hide_in_logs, set_up_logging
from tests.commands import COMMANDS
from tests.conftest import MakeJob
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
        set_up_logging(level, stream)
        assert root.level == expected
    assert ("LOG_LEVEL" in stream.getvalue()) == (level == "loud")


def test_a_record_is_one_line_with_time_level_and_message() -> None:
    stream = io.StringIO()
    with bare_root():
        set_up_logging("info", stream)
        logging.getLogger("anything").info("something happened")
    assert stream.getvalue().endswith("INFO something happened\n")
    assert stream.getvalue().count("\n") == 1


def test_a_bare_basic_config_is_replaced_and_anything_else_left_alone() -> None:
    own = logging.NullHandler()
    with bare_root() as root:
        logging.basicConfig()
        set_up_logging("info", io.StringIO())
        assert [type(handler) for handler in root.handlers] == [MaskingHandler]
        assert root.handlers[0].stream is not sys.stderr  # type: ignore[attr-defined]
        root.handlers[:] = [own]
        set_up_logging("info", io.StringIO())
        assert root.handlers == [own]


def test_characters_that_the_stream_lacks_are_written_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with bare_root():
        set_up_logging("info", stream)
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
        set_up_logging("info", Gone())
        logging.getLogger("job").warning("%s", "a secret, perhaps")
    told = capsys.readouterr().err
    assert "a record of job (" in told
    assert "secret" not in told


def test_where_stderr_is_gone_too_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    for stderr in (Gone(), None):
        monkeypatch.setattr(sys, "stderr", stderr)
        with bare_root():
            set_up_logging("info", Gone())
            logging.getLogger("job").warning("something happened")


def test_the_secrets_of_several_jobs_of_one_process_are_hidden() -> None:
    stream = io.StringIO()
    with bare_root():
        set_up_logging("info", stream)
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
