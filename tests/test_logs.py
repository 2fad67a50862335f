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
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pyjob.environment.mask import Mask
from pyjob.logs.handler import MaskingHandler
from pyjob.logs.setting_up import LogSettings, hide_in_logs, set_up_logging
from tests.commands import COMMANDS
from tests.conftest import ClientOf, MakeJob
from tests.hosts import bare_root
from tests.servers import ask, pyjob_run, started


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


def written(
    *, structured: bool = False, caller: bool = False, secrets: tuple[str, ...] = (), **record: Any
) -> str:
    """What a record becomes on a stream that is no terminal."""
    stream = io.StringIO()
    with bare_root():
        set_up_logging(LogSettings(structured=structured, caller=caller), stream, mask=Mask(secrets))
        logging.getLogger("a.logger").handle(
            logging.makeLogRecord({"levelno": 20, "levelname": "INFO", **record})
        )
    return stream.getvalue()


HOSTILE = "fine\r\n[2026-01-01 00:00:00] INFO forged\x1b[2K\x85\u2028end"


def test_no_message_can_forge_a_line() -> None:
    first, *rest = written(msg=HOSTILE).splitlines()
    assert first.endswith(r"INFO fine\r")
    assert rest == [r"    [2026-01-01 00:00:00] INFO forged\x1b[2K\x85\u2028end"]


def test_what_turns_the_order_of_text_or_has_no_width_is_shown() -> None:
    text = "a\u202eb\u200bc\u2066d\u200fe\ufefff\u061cg"
    shown = r"a\u202eb\u200bc\u2066d\u200fe\ufefff\u061cg"
    assert written(msg=text).endswith(f"INFO {shown}\n")
    line = written(msg="said", caller=True, tracing_id=text, caller_name=text)
    assert line.isascii()
    assert r"\u202eb\u200bc" in line
    line = written(msg="said\n" + text)
    assert line.endswith(f"INFO said\n    {shown}\n")


@pytest.mark.parametrize("structured", [False, True])
def test_a_level_may_have_any_name_and_a_record_of_it_is_one_line(structured: bool) -> None:
    line = written(structured=structured, msg="said", levelno=35, levelname="LOUD\n[2026] INFO forged\x1b[2K")
    assert line.count("\n") == 1
    assert line[:-1].isprintable()
    assert "forged" in line


def error_with(text: str) -> Any:
    try:
        raise RuntimeError(text)
    except RuntimeError as error:
        return type(error), error, error.__traceback__


@pytest.mark.parametrize("secret", ['it\x07\'s "planted"', "abc\ndef\nghi\njkl", "\x1b[31mplanted\r\n"])
@pytest.mark.parametrize("structured", [False, True])
def test_secrets_that_are_escaped_or_indented_are_masked_all_the_same(structured: bool, secret: str) -> None:
    spoken = [secret, repr(secret)[1:-1], secret.replace("\n", "\n    ")]
    spoken += [json.dumps(secret)[1:-1], repr(repr(secret))[2:-2]]
    line = written(
        structured=structured,
        secrets=(secret,),
        msg="with %s and %r",
        args=(secret, secret),
        exc_info=error_with(secret),
        stack_info=f"Stack\n{secret}",
    )
    assert not [one for one in spoken if one in line]
    assert "RuntimeError: ***" in line
    assert "with *** and " in line


ACCOUNT = 123456789012


@pytest.mark.parametrize(
    "value",
    [
        ACCOUNT,
        ACCOUNT * 10 + 9,
        -ACCOUNT,
        float(ACCOUNT),
        [ACCOUNT, {"n": ACCOUNT}],
        {ACCOUNT: {"deep": (ACCOUNT,)}},
        str(ACCOUNT),
        {ACCOUNT},
    ],
)
def test_a_secret_that_is_a_number_is_masked_and_the_line_is_json(value: object) -> None:
    line = written(structured=True, secrets=(str(ACCOUNT),), msg="of %d", args=(ACCOUNT,), account=value)
    told = json.loads(line)
    assert told["msg"] == "of ***"
    assert "***" in str(told["account"])
    assert str(ACCOUNT) not in line


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
    access = [line for line in server.lines if "POST /perform 200" in line]
    assert len(access) == 3
    # Where the job has a format of its own, it is for that one to name the id.
    has_ids = how != "basicConfig by force"
    assert [sum(f"id-{n}" in line for line in access) for n in range(3)] == [has_ids] * 3
    assert "planted-value" not in server.output
    assert "is ready after" in server.output
    assert "stopped" in server.output
    if how != "basicConfig":
        assert "own said 1" in server.output or "own {" in server.output
    if how in ("dictConfig", "another formatter", "a formatter that dumps"):
        assert any(said % 1 in line and "id-1" in line for line in server.lines)
    assert "Traceback" not in server.output


OWN_FILTER = """
logging.config.dictConfig({
    "version": 1,
    "filters": {"request": {"()": "pyjob.logs.ContextFilter"}},
    "formatters": {"own": {"format": "own %(message)s %(tracing_id)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own", "stream": "ext://sys.stdout",
                         "filters": ["request"]}},
    "root": {"level": "INFO", "handlers": ["own"]},
})
"""


@pytest.mark.parametrize("how", ["dictConfig with the filter", "dictConfig", "basicConfig by force"])
def test_a_job_that_sets_up_logging_itself_tells_no_secret_wherever_it_logs(
    make_job: MakeJob, how: str
) -> None:
    code = (
        "import logging, logging.config, os, sys, threading\n"
        + CONFIGURED.get(how, OWN_FILTER)
        + """
logger = logging.getLogger("of.the.job")
def say(place):
    logger.warning("said in %s with %s", place, os.environ["TOKEN"])
class Job:
    def __init__(self):
        say("init")
    def perform(self):
        thread = threading.Thread(target=say, args=("a thread",))
        thread.start()
        thread.join()
        say("the method")
"""
    )
    folder = make_job(code, fields="secret_runtime_env_file: .env", files={".env": "TOKEN=planted-value"})
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        ask(server, "POST", "/perform", X_Request_Tracing_Id="order-66")
    assert "planted" not in server.output
    said = [line for line in server.lines if "said in" in line]
    assert [line.split()[3:6] for line in said[:1]] == [["init", "with", "***"]]
    assert len(said) == 3
    assert all("with ***" in line for line in said)
    assert ("order-66" in said[2]) == (how != "basicConfig by force")


@pytest.mark.parametrize("when", ["at import", "when made"])
def test_a_job_that_silences_all_loggers_and_fails_is_told_of(make_job: MakeJob, when: str) -> None:
    code = (
        "import logging, logging.config\n"
        + (CONFIGURED["dictConfig"] + "raise RuntimeError('no model')\n" if when == "at import" else "")
        + "class Job:\n    def __init__(self):\n"
        + textwrap.indent(CONFIGURED["dictConfig"], " " * 8)
        + "        raise RuntimeError('no model')\n    def perform(self): ...\n"
    )
    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/live", 500)
        assert ask(server, "POST", "/perform")[0] == 503
    assert "failed to start: no model" in server.output
    assert "RuntimeError: no model" in server.output
    assert "POST /perform 503: the job failed to start" in server.output


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


class Held(io.StringIO):
    """Holds whoever writes first until it is let go, and knows who wrote what."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.writers: list[tuple[str, str]] = []

    def write(self, text: str, /) -> int:
        self.begun.set()
        assert self.let_go.wait(60)
        self.writers.append((text.rstrip(), threading.current_thread().name))
        return super().write(text)


class Slow(io.StringIO):
    """Takes a millisecond for a line, and counts those of each thread that writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = Counter[int]()

    def write(self, text: str, /) -> int:
        time.sleep(0.001)
        self.written[threading.get_ident()] += 1
        return super().write(text)


def record_of(name: str, level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 0, text, (), None)


def test_an_access_line_waits_for_no_other_line_and_is_written_in_its_turn() -> None:
    stream = Held()
    handler = MaskingHandler(stream)
    first = threading.Thread(target=handler.emit, args=[record_of("job", logging.INFO, "first")])
    first.start()
    assert stream.begun.wait(60)
    # From this thread, while the other one writes.
    handler.emit(record_of("pyjob.access", logging.INFO, "second"))
    handler.emit(record_of("pyjob.access", logging.INFO, "third"))
    assert stream.getvalue() == ""
    stream.let_go.set()
    first.join(60)
    assert stream.getvalue() == "first\nsecond\nthird\n"


@pytest.mark.parametrize(
    ("name", "level"), [("job", logging.INFO), ("pyjob.access", logging.WARNING), ("pyjob", logging.ERROR)]
)
def test_what_may_be_the_last_word_of_a_process_is_written_before_it_goes_on(name: str, level: int) -> None:
    stream = Held()
    handler = MaskingHandler(stream)
    first = threading.Thread(target=handler.emit, args=[record_of("pyjob.access", logging.INFO, "first")])
    first.start()
    assert stream.begun.wait(60)
    seen: list[str] = []

    def go_on() -> None:
        handler.emit(record_of(name, level, "second"))
        seen.append(stream.getvalue())

    second = threading.Thread(target=go_on)
    second.start()
    second.join(0.1)
    assert not seen
    stream.let_go.set()
    first.join(60)
    second.join(60)
    assert seen == ["first\nsecond\n"]


def test_who_waits_to_write_goes_on_in_place_of_who_has_written() -> None:
    stream = Held()
    handler = MaskingHandler(stream)

    def begin(name: str, logger: str) -> threading.Thread:
        thread = threading.Thread(
            target=handler.emit, args=[record_of(logger, logging.INFO, name)], name=name
        )
        thread.start()
        return thread

    first = begin("first", "pyjob.access")
    assert stream.begun.wait(60)
    second = begin("second", "job")
    deadline = time.monotonic() + 60
    while not handler._waiting and time.monotonic() < deadline:
        time.sleep(0.001)
    begin("third", "pyjob.access").join(60)
    stream.let_go.set()
    first.join(60)
    second.join(60)
    assert stream.writers == [("first", "first"), ("second", "second"), ("third", "second")]


def test_a_log_that_is_read_slowly_holds_up_those_who_write_and_nobody_for_ever() -> None:
    stream = Slow()
    handler = MaskingHandler(stream)
    lines: list[int] = []  # that one record's thread has written meanwhile
    pending: list[int] = []

    def go_on() -> None:
        me = threading.get_ident()
        for _ in range(250):
            before = stream.written[me]
            handler.emit(record_of("pyjob.access", logging.INFO, "x"))
            lines.append(stream.written[me] - before)
            pending.append(len(handler._pending))
            time.sleep(0.0001)  # others come to write

    writers = [threading.Thread(target=go_on) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    handler.flush()
    assert max(pending) <= 100
    assert max(lines) <= 100
    assert stream.getvalue() == "x\n" * 1000


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_writes_nothing_of_its_parent() -> None:
    stream = Held()
    handler = MaskingHandler(stream)
    first = threading.Thread(target=handler.emit, args=[record_of("job", logging.INFO, "first")])
    first.start()
    assert stream.begun.wait(60)
    handler.emit(record_of("pyjob.access", logging.INFO, "second"))
    child = os.fork()
    if child == 0:
        stream.let_go.set()
        handler.emit(record_of("job", logging.INFO, "of the child"))
        os._exit(0 if stream.getvalue() == "of the child\n" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stream.let_go.set()
    first.join(60)
    assert stream.getvalue() == "first\nsecond\n"


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


FLOOD = """
    import logging
    class Job:
        def perform(self):
            for n in range(100):
                logging.getLogger("of.job").warning("%s", "x" * 10_000)
"""


def test_a_server_whose_log_nobody_reads_answers_and_ends_as_any_other(
    make_job: MakeJob, tmp_path: Path
) -> None:
    address, errors = f"{tmp_path}/socket", tmp_path / "stderr"
    command = [sys.executable, "-m", "pyjob", "run", str(make_job(FLOOD)), "--unix-socket", address]
    read, write = os.pipe()
    with errors.open("w") as stderr:
        process = subprocess.Popen(command, stdout=write, stderr=stderr)
    os.close(write)
    try:
        for _ in range(3):
            assert call_at(address) == 200
            assert call_at(address, b"GET /live HTTP/1.0\r\n\r\n") == 200
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(read)
    told = errors.read_text()
    assert told.startswith("pyjob: the log cannot be written (its reader stands still)")
    assert told.count("\n") == 1


def test_a_log_that_is_read_again_goes_on_and_says_how_much_was_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pyjob.logs.handler.PATIENCE", 0.01)
    read, write = os.pipe()
    os.set_blocking(read, False)

    def taken() -> str:
        pieces = []
        with suppress(BlockingIOError):
            while piece := os.read(read, 65536):
                pieces.append(piece)
        return b"".join(pieces).decode()

    with os.fdopen(write, "w") as stream, bare_root():
        set_up_logging(LogSettings(), stream)
        logger = logging.getLogger("of.job")
        for n in range(50):
            logger.warning("%s", f"record {n}. " + "x" * 9_000)
        before = taken()
        logger.warning("goes on")
        logger.warning("and on")
        after = taken()
    os.close(read)
    assert capsys.readouterr().err.count("the log cannot be written") == 1
    whole = [line for line in before.splitlines() if line.endswith("x" * 9_000)]
    assert 0 < len(whole) < 50
    torn, lost, goes_on, and_on = after.splitlines()
    assert torn == ""  # the end of the line that was left in the middle
    assert f"WARNING {50 - len(whole)} records were lost" in lost
    assert goes_on.endswith("WARNING goes on")
    assert and_on.endswith("WARNING and on")


STRUCK = """
    import sys

    class Unspeakable(BaseException):
        def __str__(self):
            raise SystemExit("no text")
        __repr__ = __str__

    def strike(frame, event, argument):
        if event == "call" and frame.f_code.co_name == "next_task":
            raise Unspeakable

    class Job:
        def perform(self, how: str = ""):
            if how == "raise":
                raise Unspeakable
            if how == "strike":  # once it has answered, as libraries do that throw time-outs at a thread
                sys.setprofile(strike)
"""


@pytest.mark.parametrize(("how", "status"), [("raise", 500), ("strike", 200)])
def test_threads_that_serve_outlive_what_is_thrown_at_them(make_job: MakeJob, how: str, status: int) -> None:
    with started(pyjob_run(make_job(STRUCK), "--threads", "2")) as server:
        server.wait_until("/ready", 200)
        for _ in range(12):  # twice as many as there are threads, spare ones included
            assert ask(server, "POST", "/perform", json.dumps({"how": how}).encode())[0] == status
        for _ in range(3):
            assert ask(server, "POST", "/perform")[0] == 200
        assert ask(server, "GET", "/live")[0] == 200


def call_at(address: str, request: bytes = b"POST /perform HTTP/1.0\r\n\r\n") -> int:
    """The status of a request by a Unix socket, once the job is ready."""
    for _ in range(6000):
        try:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(30)
                caller.connect(address)
                caller.sendall(request)
                status = int(caller.makefile("rb").readline().split()[1])
        except (FileNotFoundError, ConnectionRefusedError):
            status = 503
        if status != 503:
            return status
        time.sleep(0.01)
    return status
