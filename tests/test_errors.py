"""What callers see when a job fails: JSON, the right status, never a traceback (SPEC 4.4)."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException, NotFound, TooManyRequests
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response

from pyjob import JobError
from pyjob.wire.failure import failure_of
from tests.conftest import ClientOf, JobClient, MakeJob


class Teapot(Exception):
    code = 418
    description = "short and stout"


class LikeStarlette(Exception):
    status_code = 409
    detail = "already there"


class OddCode(Exception):
    code = 17


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Failing:
    """Raises what it is told to."""

    error: BaseException = RuntimeError()

    def perform(self, recurse: bool = False) -> Any:
        if recurse:
            return self.perform(recurse=True)
        raise self.error


@pytest.fixture
def answer_to(client_of: ClientOf) -> Callable[[BaseException], Any]:
    def answer_to(error: BaseException) -> Any:
        job = Failing()
        job.error = error
        return client_of(job).perform()

    return answer_to


@pytest.mark.parametrize(
    ("error", "status", "message", "kind"),
    [
        (ValueError("x must be positive"), 400, "x must be positive", "ValueError"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), 400, "bad", "UnicodeDecodeError"),
        (RuntimeError("model is gone"), 500, "model is gone", "RuntimeError"),
        (TypeError("unsupported operand"), 500, "unsupported operand", "TypeError"),
        (KeyError("x"), 500, "no such key: 'x'", "KeyError"),
        (AssertionError(), 500, "AssertionError", "AssertionError"),
        (SystemExit(404), 500, "the job called sys.exit(404)", "SystemExit"),
        (KeyboardInterrupt(), 500, "KeyboardInterrupt", "KeyboardInterrupt"),
        (GeneratorExit(), 500, "GeneratorExit", "GeneratorExit"),
        (Unprintable(), 500, "Unprintable", "Unprintable"),
        (RuntimeError("\ud800"), 500, "\ud800", "RuntimeError"),
        (JobError(409, "exists already"), 409, "exists already", "JobError"),
        (JobError(99, "odd status"), 500, "odd status", "JobError"),
        (NotFound("no such customer"), 404, "no such customer", "NotFound"),
        (Teapot(), 418, "short and stout", "Teapot"),
        (LikeStarlette(), 409, "already there", "LikeStarlette"),
        (OddCode("seventeen"), 500, "seventeen", "OddCode"),
        (JobError(True, "no status"), 500, "no status", "JobError"),
        (JobError(600, "no status"), 500, "no status", "JobError"),
    ],
)
def test_an_exception_becomes_a_json_error_with_its_status(
    answer_to: Callable[[BaseException], Any], error: BaseException, status: int, message: str, kind: str
) -> None:
    answer = answer_to(error)
    assert answer.status_code == status
    assert answer.content_type == "application/json"
    assert set(answer.json) == {"error", "type"}
    assert message in answer.json["error"]
    assert answer.json["type"] == kind


class EvilText(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class EvilCode(Exception):
    @property
    def code(self) -> int:
        raise RuntimeError("no code")


class EvilStatus(Exception):
    @property
    def status_code(self) -> int:
        raise SystemExit(1)


class EvilDescription(Exception):
    code = 404

    @property
    def description(self) -> str:
        raise RuntimeError("no description")


class Unmade(JobError):
    def __init__(self) -> None:
        pass


class EvilHeaders(NotFound):
    def get_headers(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no headers")


@pytest.mark.parametrize(
    "error",
    [
        EvilText(),
        EvilCode(),
        EvilStatus(),
        EvilDescription(),
        Unmade(),
        EvilHeaders(),
        JobError(409, {"a": {1}}),  # type: ignore[arg-type]
        JobError(409, None),  # type: ignore[arg-type]
        JobError(409, "x", kind=object()),  # type: ignore[arg-type]
        JobError(409, "x", headers={"X": "a\r\nb", "Y": "\u20ac", "Connection": "close", "Z": 1}),  # type: ignore[dict-item]
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_that_fights_back_is_still_answered_in_json(
    answer_to: Callable[[BaseException], Any], error: BaseException
) -> None:
    answer = answer_to(error)
    assert answer.status_code in (409, 500)
    assert [type(value) for value in (answer.json["error"], answer.json["type"])] == [str, str]
    assert not {"X", "Y", "Connection"} & set(answer.headers.keys())


class Sly(str):
    """Text that does not do what text does."""

    def __str__(self) -> str:
        return self

    def encode(self, *_: Any) -> Any:
        return object()

    def isprintable(self) -> bool:
        raise SystemExit(1)

    def __getitem__(self, _: Any) -> str:
        raise SystemExit(1)


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit(1)


class NamelessError(Exception, metaclass=Nameless):
    """Not even its type can be told."""


class SlyError(Exception):
    def __str__(self) -> str:
        return Sly("sly")


class SlyDetail(Exception):
    status_code = 409
    detail = Sly("sly")


class SlyCode(int):
    def __int__(self) -> int:
        return 200

    def __le__(self, _: object) -> bool:
        return True

    __ge__ = __le__


class Disguised(BaseException):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("of no class")


class SlyExit(SystemExit):
    @property
    def code(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no code")


@pytest.mark.parametrize(
    ("error", "status", "message", "kind"),
    [
        (NamelessError("nameless"), 500, "nameless", "Exception"),
        (NamelessError(), 500, "Exception", "Exception"),
        (type(Sly("SlyName"), (Exception,), {})("x"), 500, "x", "SlyName"),
        (SlyError(), 500, "sly", "SlyError"),
        (SlyDetail(), 409, "sly", "SlyDetail"),
        (JobError(409, Sly("sly"), kind=Sly("kind"), headers={Sly("X"): Sly("y")}), 409, "sly", "kind"),
        (JobError(SlyCode(42), "odd status"), 500, "odd status", "JobError"),
        (Disguised(), 500, "Disguised", "Disguised"),
        (SlyExit(), 500, "SlyExit", "SlyExit"),
    ],
    ids=range(9),
)
def test_an_exception_that_is_not_what_it_seems_is_answered_in_json(
    answer_to: Callable[[BaseException], Any], error: BaseException, status: int, message: str, kind: str
) -> None:
    answer = answer_to(error)
    assert answer.status_code == status
    assert answer.json == {"error": message, "type": kind}


def test_what_is_read_of_an_exception_is_plain_text() -> None:
    failure = failure_of(JobError(409, Sly("sly"), kind=Sly("kind"), headers={Sly("X"): Sly("y")}))
    texts = [failure.message, failure.kind, *(text for header in failure.headers for text in header)]
    assert texts == ["sly", "kind", "X", "y"]
    assert [type(text) for text in texts] == [str] * 4


def test_an_enum_of_text_is_told_as_what_it_holds(answer_to: Callable[[BaseException], Any]) -> None:
    class Reason(str, enum.Enum):  # noqa: UP042  whose str() is its name, not what it holds
        GONE = "it has gone"

    assert answer_to(JobError(409, Reason.GONE)).json["error"] == "it has gone"


def test_a_job_whose_load_raises_what_cannot_be_named_has_failed(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    code = """
        class Nameless(type):
            @property
            def __name__(cls):
                raise SystemExit(1)
        class Error(SyntaxError, metaclass=Nameless):
            @property
            def filename(self):
                raise SystemExit(1)
        raise Error("broken")
    """
    client = client_of(make_job(code), load="background")
    client.get("/live")
    assert client.application.state.wait(20)
    assert "broken, cause=Exception" in client.get("/live").text


def test_the_response_of_an_abort_is_sent_as_it_is(answer_to: Callable[[BaseException], Any]) -> None:
    response = Response("custom", status=409, headers={"WWW-Authenticate": "Basic"})
    answer = answer_to(HTTPException(response=response))
    assert (answer.status_code, answer.text) == (409, "custom")
    assert answer.headers["WWW-Authenticate"] == "Basic"


def test_an_http_exception_that_is_no_error_is_a_500(answer_to: Callable[[BaseException], Any]) -> None:
    assert answer_to(RequestRedirect("http://elsewhere.example")).status_code == 500


def test_a_message_can_forge_neither_line_nor_colour_in_the_log(
    answer_to: Callable[[BaseException], Any], caplog: pytest.LogCaptureFixture
) -> None:
    answer_to(JobError(404, "no\n[2026-01-01] INFO forged \x1b[31m"))
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage() == "/perform answered 404: no\\n[2026-01-01] INFO forged \\x1b[31m"


def test_headers_of_an_http_exception_are_kept(answer_to: Callable[[BaseException], Any]) -> None:
    answer = answer_to(TooManyRequests(retry_after=7))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "7"
    assert answer.content_type == "application/json"


def test_endless_recursion_in_a_job_is_a_500(client_of: ClientOf) -> None:
    client = client_of(Failing)
    answer = client.perform(recurse=True)
    assert answer.status_code == 500
    assert answer.json["type"] == "RecursionError"
    assert client.get("/live").status_code == 200


@pytest.mark.parametrize("error", [ValueError("told"), RuntimeError("told"), SystemExit(3)])
def test_what_a_job_raises_is_logged_with_its_traceback_and_counted(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    job = Failing()
    job.error = error
    client = client_of(job)
    client.perform()
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 1
    assert records[0].exc_info is not None
    assert records[0].exc_info[1] is error
    page = client.get("/metrics").text
    assert 'request_internal_errors_total{endpoint="/perform"} 1.0' in page
    assert "requests_done_total 1.0" in page


def test_an_answer_on_purpose_is_one_line_without_traceback(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    job = Failing()
    job.error = JobError(404, "no such customer")
    client_of(job).perform()
    records = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [(record.getMessage(), record.exc_info) for record in records] == [
        ("/perform answered 404: no such customer", None)
    ]


def test_wrong_payloads_are_no_internal_errors(client_of: ClientOf) -> None:
    client = client_of(Failing)
    assert client.perform(unknown=1).status_code == 400
    page = client.get("/metrics").text
    assert 'request_internal_errors_total{endpoint="/perform"} 0.0' in page
    assert "requests_started_total 0.0" in page


def test_a_type_error_inside_the_job_is_not_blamed_on_the_caller(job_of: Callable[..., JobClient]) -> None:
    client = job_of(
        """
        def perform(self, x: int) -> int:
            return len(x)
        """
    )
    assert client.perform(x=1).status_code == 500
