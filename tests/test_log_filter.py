"""The filter for a host's own logging: whatever a record holds it is told, and no secret of a job in it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

import pyjob
from pyjob.environment.mask import Mask
from pyjob.logs import ContextFilter
from pyjob.logs.structured import JsonFormatter
from pyjob.trace import Trace, traced
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.hosts import host_log

SECRET = "planted-value"
SECRETS: dict[str, Any] = {"fields": "secret_runtime_env_file: .env", "files": {".env": f"TOKEN={SECRET}\n"}}


def filtered(*, secrets: tuple[str, ...] = (SECRET,), **record: Any) -> logging.LogRecord:
    """A record as the filter leaves it, made in a request to a job that has ``secrets``."""
    made = logging.makeLogRecord({"levelno": 20, "levelname": "INFO", "msg": "said", **record})
    with traced(Trace("order-66", "alice", (Mask(secrets),))):
        assert ContextFilter().filter(made) is True
    return made


def told(record: logging.LogRecord) -> Any:
    """``record`` as a host reads it, having made sure that no formatter finds the secret in it."""
    for text in (
        JsonFormatter().format(record),
        logging.Formatter("%(name)s %(threadName)s %(message)s").format(record),
        text_of_all(record),
    ):
        assert SECRET not in text
    return json.loads(JsonFormatter().format(record))


def text_of_all(record: logging.LogRecord) -> str:
    try:
        return str(vars(record))
    except BaseException:  # of an object that refuses
        return ""


class Refusing:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Exiting(Refusing):
    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class Incomparable:
    """As arrays of NumPy are: a comparison has no truth."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class Open:
    """An object that tells of what it holds."""

    def __init__(self, held: str) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"Open({self.held})"


def holding_itself(kind: type) -> Any:
    held: Any = kind()
    if kind is list:
        held.append(held)
    else:
        held["self"] = held
    return held


def test_the_filter_adds_text_and_keeps_what_a_record_has() -> None:
    record = logging.makeLogRecord({"msg": "said", "caller_name": "theirs"})
    assert ContextFilter().filter(record) is True
    assert (record.__dict__["tracing_id"], record.__dict__["caller_name"]) == ("", "theirs")


@pytest.mark.parametrize(
    "value",
    [
        Refusing(),
        Exiting(),
        Incomparable(),
        [Refusing(), {"a": Incomparable()}, (Incomparable(), Exiting())],
        {Refusing(): 1},
        holding_itself(list),
        holding_itself(dict),
        10**5000,
        "x" * 100_000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_extra_keeps_a_record_from_being_told(value: object) -> None:
    seen = told(filtered(msg="said %s", args=(SECRET,), held=value))
    assert seen["msg"] == "said ***"
    assert (seen["tracing_id"], seen["caller_name"]) == ("order-66", "alice")
    assert "held" in seen


def test_arrays_and_frames_are_extras_like_any() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    for value in (numpy.arange(3), numpy.array([SECRET]), pandas.DataFrame({"a": [1, SECRET]})):
        seen = told(filtered(held=value))
        assert (seen["msg"], seen["tracing_id"]) == ("said", "order-66")
        assert "held" in seen


class Speechless(Exception):
    __str__ = Refusing.__str__
    __repr__ = __str__


def test_an_exception_that_cannot_be_read_is_told_with_its_place() -> None:
    try:
        raise Speechless(SECRET)
    except Speechless as error:
        record = filtered(msg="failed", exc_info=(Speechless, error, error.__traceback__))
    seen = told(record)
    assert seen["msg"] == "failed"
    assert "test_log_filter.py" in seen["exception"]
    assert SECRET not in logging.Formatter().format(record)


@pytest.mark.parametrize(
    "record",
    [
        {"msg": f"with {SECRET}"},
        {"msg": "with %s", "args": (SECRET,)},
        {"msg": "with %(a)s", "args": ({"a": SECRET},)},
        {"msg": "with %.3s", "args": (SECRET,)},
        {"msg": "with %d", "args": (SECRET,)},
        {"msg": Open(SECRET)},
        {"held": SECRET},
        {"held": Open(SECRET)},
        {"held": [Open(SECRET)]},
        {"held": {SECRET}},
        {"held": {SECRET: (SECRET, {"deep": [[[[[SECRET]]]]]})}},
        {"held": SECRET.encode()},
        {"held": Path(SECRET)},
        {SECRET: 1},
        {"caller_name": SECRET},
        {"tracing_id": SECRET},
        {"caller_name": Open(SECRET)},
        {"name": f"logger.of.{SECRET}"},
        {"threadName": SECRET},
        {"exc_text": f"Traceback: {SECRET}"},
        {"stack_info": f"Stack: {SECRET}"},
    ],
    ids=str,
)
def test_a_secret_is_masked_wherever_a_record_holds_it(record: dict[str, Any]) -> None:
    made = filtered(**record)
    told(made)
    assert SECRET not in str(vars(made))


def test_what_holds_no_secret_is_left_as_it_was() -> None:
    held = {"a": [1, (2, Open("fine"))]}
    record = filtered(msg="said %s", args=("fine",), held=held)
    assert (record.msg, record.args, record.__dict__["held"]) == ("said %s", ("fine",), held)
    assert record.__dict__["held"] is held


def test_a_secret_that_is_a_number_is_masked_and_the_line_is_still_json() -> None:
    account = 123456789012
    record = filtered(secrets=(str(account),), account=account, longer=account * 10 + 9, held=[account, 7])
    line = JsonFormatter().format(record)
    assert str(account) not in line
    assert json.loads(line)["held"][1] == 7


# In a host.

LEAKY = """
    import logging, os
    logger = logging.getLogger("of.job")
    class Job:
        def __init__(self):
            logger.warning("made with %s", os.environ["TOKEN"])
        def perform(self, n: int):
            logger.warning("called with %s", os.environ["TOKEN"])
        def docs_input_example(self):
            return {"n": 1}
    """


def messages(records: list[Any]) -> list[str]:
    return [record["msg"] for record in records]


def test_the_filter_masks_the_secrets_of_the_job_that_is_served(
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
        **SECRETS,
    )
    with host_log() as log:
        client_of(folder).post("/perform", headers={"X-Request-Tracing-Id": "order-66"})
    at_start, served = log.of("host")
    assert at_start["msg"] == "at start ***"
    assert (served["msg"], served["held"], served["tracing_id"]) == ("with ***", ["***"], "order-66")
    assert "RuntimeError: ***" in served["exception"]
    assert "planted-value" not in log.text


def test_a_self_test_of_an_embedded_job_tells_no_secret(make_job: MakeJob, client_of: ClientOf) -> None:
    with host_log() as log:
        client_of(make_job(LEAKY, **SECRETS), settings=pyjob.Settings(self_test=60.0))
    made, called = log.of("of.job")
    assert messages([made, called]) == ["made with ***", "called with ***"]
    assert called["tracing_id"]
    assert SECRET not in log.text


def test_a_load_in_the_background_tells_no_secret(make_job: MakeJob, client_of: ClientOf) -> None:
    with host_log() as log:
        client = client_of(make_job(LEAKY, **SECRETS), load="background")
        assert client.get("/live").status_code == 200
        assert client.application.state.wait(60) == "ready"
    assert messages(log.of("of.job")) == ["made with ***"]
    assert SECRET not in log.text


def test_a_load_that_fails_in_the_background_tells_no_secret(make_job: MakeJob, client_of: ClientOf) -> None:
    code = LEAKY.replace("logger.warning(", "raise RuntimeError(", 1)
    with host_log() as log:
        client = client_of(make_job(code, **SECRETS), load="background")
        client.application.start()
        assert client.application.state.wait(60) == "failed"
    assert "failed to start" in log.text
    assert "***" in log.text
    assert SECRET not in log.text


def test_a_job_that_is_called_in_the_request_of_another_tells_the_secrets_of_neither(
    make_job: MakeJob,
) -> None:
    """Each knows its own, and may be given that of the other."""
    inner = """
        import logging, os
        class Inner:
            def perform(self, given: str):
                logging.getLogger("of.job").warning("inner: %s and %s", given, os.environ["INNER"])
                return os.environ["INNER"]
        """
    outer = """
        import logging, os, sys
        import pyjob
        class Outer:
            def __init__(self):
                self.inner = pyjob.create(os.environ["INNER_FOLDER"])
            def perform(self):
                given = self.inner.call("/perform", {"given": os.environ["OUTER"]})
                logging.getLogger("of.job").warning("outer: %s", os.environ["OUTER"])
                return len(given)
        """
    fields, files = SECRETS["fields"], {".env": "INNER=planted-in\n"}
    folder = make_job(inner, name="inner", entry="inner.py", fields=fields, files=files)
    fields = f"{fields}\nruntime_env:\n  INNER_FOLDER: {folder}"
    at = make_job(outer, name="outer", entry="outer.py", fields=fields, files={".env": "OUTER=planted-out\n"})
    with host_log() as log:
        client = JobClient(pyjob.create(at, load="now"), "")
        answer = client.post("/perform", headers={"X-Request-Tracing-Id": "order-66"})
        assert answer.json == len("planted-in")
    records = log.of("of.job")
    assert messages(records) == ["inner: *** and ***", "outer: ***"]
    assert {record["tracing_id"] for record in records} == {"order-66"}
    assert "planted" not in log.text


def test_start_up_and_shut_down_of_an_asgi_web_view_tell_no_secret(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    pytest.importorskip("a2wsgi")
    code = """
        import logging, os
        logger, HEADERS = logging.getLogger("of.page"), [(b"content-type", b"text/plain")]
        class Job:
            def perform(self): ...
            def webview_app(self, base_url):
                return page
        async def page(scope, receive, send):
            if scope["type"] == "lifespan":
                for part in ("startup", "shutdown"):
                    await receive()
                    logger.warning("%s with %s", part, os.environ["TOKEN"])
                    await send({"type": f"lifespan.{part}.complete"})
                return
            logger.warning("page with %s", os.environ["TOKEN"])
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": b"page"})
        """
    with host_log() as log:
        client = client_of(make_job(code, **SECRETS))
        assert client.get("/webview/", headers={"X-Request-Tracing-Id": "order-66"}).text == "page"
        client.application.close(0)
    records = log.of("of.page")
    assert messages(records) == ["startup with ***", "page with ***", "shutdown with ***"]
    # The first and the last belong to no request.
    assert [record.get("tracing_id") for record in records] == [None, "order-66", None]
    assert SECRET not in log.text


def test_a_filter_that_is_told_what_to_hide_hides_it_outside_of_requests() -> None:
    one = ContextFilter()
    one.hide(Mask([SECRET]))
    record = logging.makeLogRecord({"msg": f"with {SECRET}"})
    assert one.filter(record) is True
    assert record.getMessage() == "with ***"
