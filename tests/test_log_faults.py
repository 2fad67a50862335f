"""Whatever objects of authors, handlers of hosts and readers of the log do: it is told, and nobody waits."""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from werkzeug.test import Client

import pyjob
from pyjob.errors import JobError
from pyjob.logs.setting_up import LogSettings, set_up_logging
from tests.conftest import MakeJob
from tests.hosts import bare_root
from tests.servers import PATIENCE, pyjob_run, started
from tests.test_log_filter import SECRET, Exiting, Refusing, filtered, told


class Undecided:
    def __bool__(self) -> bool:
        raise RuntimeError("no")


class Closed(Mapping[str, object]):
    """A mapping that says how long it is, and no more."""

    def __getitem__(self, key: str) -> object:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("name", ["caller_name", "tracing_id"])
@pytest.mark.parametrize(
    "value", [Refusing(), Exiting(), Undecided(), Closed(), 10**5000], ids=lambda value: type(value).__name__
)
def test_no_extra_under_a_name_of_ours_keeps_a_record_from_being_told(name: str, value: object) -> None:
    extra: dict[str, Any] = {name: value}
    seen = told(filtered(**extra))
    assert (seen["msg"], seen["tracing_id"], seen["caller_name"]) == ("said", "order-66", "alice")
    assert f"extra_{name}" in seen


@pytest.mark.parametrize("name", ["caller_name", "tracing_id"])
def test_an_array_under_a_name_of_ours_keeps_no_record_from_being_told(name: str) -> None:
    numpy = pytest.importorskip("numpy")
    assert told(filtered(**{name: numpy.arange(3)}))["tracing_id"] == "order-66"


@pytest.mark.parametrize("held", [Closed(), [Closed()]])
def test_a_mapping_that_cannot_be_read_keeps_no_record_from_being_told(held: object) -> None:
    assert told(filtered(msg="said %s", args=(SECRET,), held=held))["msg"] == "said ***"


@pytest.mark.parametrize("kind", [list, dict])
def test_an_extra_that_holds_itself_many_times_is_told_as_quickly_as_any(kind: type) -> None:
    held: Any = kind()
    if kind is list:
        held.extend([held] * 40)
    else:
        held.update({f"{n}": held for n in range(40)})
    assert len(json.dumps(told(filtered(held=held)))) < 2_000_000


class Fragile(Exception):
    """An exception whose parts cannot be read."""

    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]
        raise RuntimeError("no")


def test_an_exception_that_cannot_be_read_is_told_by_any_formatter() -> None:
    try:
        raise Fragile(SECRET)
    except Fragile as error:
        record = filtered(msg="failed", exc_info=(Fragile, error, error.__traceback__))
    assert "test_log_faults.py" in logging.Formatter().format(record)
    assert SECRET not in str(record.exc_info)


def raising(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a fault of the host's")


def test_an_error_that_a_job_answers_on_purpose_is_answered_where_logging_raises() -> None:

    class Lent:
        def perform(self) -> None:
            raise JobError(418, "a teapot")

    client = Client(pyjob.create(Lent, load="now"))
    with bare_root() as root:
        root.addHandler(handler := logging.NullHandler())
        handler.handle = raising  # type: ignore[method-assign]
        assert client.post("/perform").status_code == 418


def test_a_callers_name_that_fails_costs_no_answer_where_logging_raises() -> None:

    class Job:
        def perform(self) -> int:
            return 1

    client = Client(pyjob.create(Job, load="now", caller=lambda environ: environ["no such key"]))
    with bare_root() as root:
        root.addHandler(handler := logging.NullHandler())
        handler.handle = raising  # type: ignore[method-assign]
        assert client.post("/perform").status_code == 200


def test_a_job_is_ready_where_logging_raises() -> None:

    class Job:
        def perform(self) -> int:
            return 1

    with bare_root() as root:
        root.setLevel(logging.INFO)
        root.addHandler(handler := logging.NullHandler())
        handler.handle = raising  # type: ignore[method-assign]
        application = pyjob.create(Job)
        with suppress(RuntimeError):
            application.load()
    assert application.state.status == "ready"


BREAKING = """
    import sys
    from werkzeug.wrappers import Response

    def pieces():
        yield b"one"
        sys.exit("enough")

    class Breaking:
        def perform(self):
            return Response(pieces())

        def webview_app(self, base_url):
            def page(environ, start_response):
                write = start_response("200 OK", [("Content-Type", "text/plain")])
                if environ["QUERY_STRING"] == "writes":
                    write(b"one")
                    raise RuntimeError("broken")
                return pieces()
            return page
    """


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/perform"), ("GET", "/webview/"), ("GET", "/webview/?writes")]
)
def test_what_exits_or_breaks_after_write_is_told_of_once(make_job: MakeJob, method: str, path: str) -> None:
    with started(pyjob_run(make_job(BREAKING)), env={"LOG_STRUCTURED": "true"}) as server:
        server.wait_until("/ready", 200)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request(method, path, headers={"X-Request-Tracing-Id": "order-66"})
        with suppress(http.client.IncompleteRead):
            assert connection.getresponse().read() == b"one"
        connection.close()
    errors = [record for record in server.records if record["lvl"] == "ERROR"]
    assert Counter(one.get("tracing_id") for one in errors) == {"order-66": 1}


def test_what_comes_after_a_piece_of_a_record_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
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
        for _ in range(50):
            logging.getLogger("of.job").warning("%s", "x" * 9_000)
        before = taken()
        logging.getLogger("of.job").warning("goes on")
        after = taken()
    os.close(read)
    assert not before.endswith("\n")  # else the test proves nothing
    assert after.startswith("\n")


def test_a_reader_that_stands_still_stops_nobody_where_text_is_written_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1024 characters take up to 10 bytes each in an ASCII stream (backslashreplace): poll promises 4096."""
    monkeypatch.setattr("pyjob.logs.handler.PATIENCE", 0.01)
    read, write = os.pipe()
    written: list[int] = []
    plain = os.write

    class Raw(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def fileno(self) -> int:
            return write

        def write(self, data: Any) -> int:
            written.append(len(data))
            return plain(write, data)

    with bare_root():
        set_up_logging(LogSettings(), io.TextIOWrapper(io.BufferedWriter(Raw()), encoding="ascii"))
        logging.getLogger("of.job").warning("\U0001f600" * 2000)
    os.close(read)
    os.close(write)
    assert max(written) <= 4096
