"""What callers may send to perform, and what they are told when it is wrong (SPEC 4.3)."""

from __future__ import annotations

import enum
import io
import json
from collections.abc import Callable
from typing import Any, Literal

import pytest
from werkzeug.test import Client

from pyjob import PayloadError
from tests.conftest import ClientOf, JobClient


class Typed:
    """Takes every kind of checked argument."""

    def perform(
        self, numbers: list[float], count: int = 1, flag: bool = False, name: str | None = None
    ) -> Any:
        return {"numbers": numbers, "count": count, "flag": flag, "name": name}


class Anything:
    def perform(self, **fields: Any) -> Any:
        return fields


@pytest.fixture
def typed(client_of: ClientOf) -> JobClient:
    return client_of(Typed)


@pytest.fixture
def anything(client_of: ClientOf) -> JobClient:
    return client_of(Anything)


def error_of(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    assert set(response.json) == {"error", "type"}
    assert "Traceback" not in response.text
    return str(response.json["error"])


def test_arguments_are_bound_by_name(typed: JobClient) -> None:
    answer = typed.perform(numbers=[1, 2.5], count=3, flag=True, name="x")
    assert answer.status_code == 200
    assert answer.json == {"numbers": [1, 2.5], "count": 3, "flag": True, "name": "x"}


def test_absent_optional_arguments_take_their_defaults(typed: JobClient) -> None:
    assert typed.perform(numbers=[]).json == {"numbers": [], "count": 1, "flag": False, "name": None}


def test_an_empty_body_means_no_arguments(anything: JobClient) -> None:
    assert anything.post("/perform").json == {}
    assert anything.post("/perform", data="", content_type="text/plain").json == {}


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/problem+json",
        "application/x-www-form-urlencoded",
    ],
)
def test_json_is_read_under_every_content_type_that_may_announce_it(
    anything: JobClient, content_type: str | None
) -> None:
    assert anything.post("/perform", data='{"a": 1}', content_type=content_type).json == {"a": 1}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"a": 1}', "text/plain"),
        ("<a/>", "application/xml"),
        ('{"a": 1}', "application/jsonp"),
        ('{"a": 1}', "nonsense"),
    ],
)
def test_another_content_type_is_415_and_names_the_header_to_send(
    anything: JobClient, body: str, content_type: str
) -> None:
    error = error_of(anything.post("/perform", data=body, content_type=content_type), 415)
    assert "Content-Type: application/json" in error


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b"[1, 2]", "must be a JSON object of named arguments, not a list"),
        (b'"text"', "not a string"),
        (b"12", "not a number"),
        (b"null", "not null"),
        (b"true", "not a boolean"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": [Infinity]}', "Infinity"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e400}', "too large"),
        (b'{"a": 1E+0400}', "too large"),
        (b'{"a": ' + b"1" * 400 + b".5}", "too large"),
        (b'{"a": ' + b"1" * 250 + b"e99}", "too large"),
        (b'{"a": "\xff"}', "not valid UTF-8"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"a": ' + b'{"b":' * 100_000 + b"1" + b"}" * 100_001, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"a": 1, "a": 2}', "repeated argument: a"),
        (b'{"a": 1, "b": 2, "a": 3, "b": 4}', "repeated arguments: a, b"),
    ],
)
def test_what_is_no_json_object_is_400_and_says_why(anything: JobClient, body: bytes, told: str) -> None:
    assert told in error_of(anything.post("/perform", data=body, content_type="application/json"), 400)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": [' + b",".join([b"1" * 199 + b".0"] * 20_000) + b"]}",
        b'{"a": "' + b"1" * 4_000_000 + b'"}',
        b"{" + b",".join(b'"%d": 1' % (number // 2) for number in range(400_000)) + b"}",
    ],
    ids=["long numbers", "digits in a text", "repeated names"],
)
def test_bodies_that_invite_quadratic_work_are_answered(anything: JobClient, body: bytes) -> None:
    # Quadratic, each of these would take minutes to hours.
    assert anything.post("/perform", data=body).status_code in (200, 400)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "missing argument: numbers"),
        ({"numbers": [], "nmae": "x"}, "unexpected argument: nmae"),
        ({"b": 1, "a": 2}, "missing argument: numbers; unexpected arguments: a, b"),
    ],
)
def test_missing_and_unexpected_arguments_are_named(
    typed: JobClient, arguments: dict[str, Any], told: str
) -> None:
    error = error_of(typed.perform(**arguments), 400)
    assert told in error
    assert "expected: numbers, count (optional), flag (optional), name (optional)" in error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"numbers": [1, 2, 3, "x"]}, 'numbers[3]: expected float, got "x"'),
        ({"numbers": {}}, "numbers: expected list, got an object"),
        ({"numbers": [], "count": 1.5}, "count: expected int, got 1.5"),
        ({"numbers": [], "count": True}, "count: expected int, got true"),
        ({"numbers": [True]}, "numbers[0]: expected float, got true"),
        ({"numbers": [], "flag": 1}, "flag: expected bool, got 1"),
        ({"numbers": [], "flag": None}, "flag: expected bool, got null"),
        ({"numbers": [], "name": 7}, "name: expected str or null, got 7"),
        ({"numbers": None, "flag": "no"}, "numbers: expected list, got null; flag: expected bool"),
    ],
)
def test_a_value_of_another_type_is_400_and_names_its_path(
    typed: JobClient, arguments: dict[str, Any], told: str
) -> None:
    assert told in error_of(typed.perform(**arguments), 400)


@pytest.mark.parametrize(
    "arguments", [{"numbers": [1]}, {"numbers": [1], "count": 2.0}, {"numbers": [1], "name": None}]
)
def test_values_that_fit_are_passed_on_as_they_came(typed: JobClient, arguments: dict[str, Any]) -> None:
    answer = typed.perform(**arguments)
    assert answer.status_code == 200
    sent = json.dumps(arguments)
    received = {key: answer.json[key] for key in arguments}
    assert json.dumps(received) == sent


class Unit(enum.Enum):
    METRE = "m"
    FOOT = "ft"


class Nested:
    def perform(
        self,
        maybe: list[float] | None = None,
        either: int | dict[str, int] = 0,
        table: dict[str, list[int]] | None = None,
        mode: Literal["fast", 1, True] = "fast",
        unit: Unit = Unit.METRE,
        raw: Literal[b"x"] | bytes | None = None,
    ) -> str:
        return "fine"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"maybe": [1, "x"]}, 'maybe[1]: expected float, got "x"'),
        ({"maybe": "x"}, 'maybe: expected list or null, got "x"'),
        ({"either": {"a": "x"}}, 'either.a: expected int, got "x"'),
        ({"either": "x"}, 'either: expected int or dict, got "x"'),
        ({"table": {"a": [1], "b": [2, None]}}, "table.b[1]: expected int, got null"),
        ({"table": {"k" * 1000: 1}}, "...: expected list, got 1"),
        ({"mode": 2}, 'mode: expected one of "fast", 1, true, got 2'),
        ({"mode": False}, "got false"),
        ({"unit": "METRE"}, 'unit: expected one of "m", "ft", got "METRE"'),
        ({"unit": ["m"]}, "got a list"),
        ({"maybe": 10**60}, "got 1000"),
        ({"maybe": 10**70}, "got a huge integer"),
    ],
)
def test_the_path_leads_into_whatever_is_nested(
    client_of: ClientOf, arguments: dict[str, Any], told: str
) -> None:
    assert told in error_of(client_of(Nested).perform(**arguments), 400)


@pytest.mark.parametrize(
    "arguments",
    [
        {"maybe": None, "either": {"a": 1}, "table": {}, "mode": True, "unit": "ft", "raw": 7},
        {"maybe": [], "either": 1.0, "mode": 1.0},
    ],
)
def test_nested_values_that_fit_are_let_through(client_of: ClientOf, arguments: dict[str, Any]) -> None:
    assert client_of(Nested).perform(**arguments).json == "fine"


def test_members_and_tuples_are_fine_in_process(client_of: ClientOf) -> None:
    application = client_of(Nested).application
    assert application.call("/perform", {"unit": Unit.FOOT, "maybe": (1, 2.5)}) == "fine"
    with pytest.raises(PayloadError, match="got an object of type object"):
        application.call("/perform", {"unit": object()})


def test_a_faulty_list_names_ten_faults_and_no_more(typed: JobClient) -> None:
    error = error_of(typed.perform(numbers=["x"] * 100_000), 400)
    assert error.count("expected float") == 10


def test_long_values_are_cut_in_errors(typed: JobClient) -> None:
    assert len(error_of(typed.perform(numbers="x" * 1_000_000), 400)) < 200


def test_the_name_of_self_is_no_argument_even_with_open_keywords(anything: JobClient) -> None:
    assert "unexpected argument: self" in error_of(anything.post("/perform", json={"self": 1}), 400)


def test_self_is_no_argument_behind_a_decorator_either(job_of: Callable[..., JobClient]) -> None:
    head = """
import functools
def deco(f):
    @functools.wraps(f)
    def inner(*args, **kwargs): return f(*args, **kwargs)
    return inner
"""
    client = job_of("@deco\ndef perform(self, **fields): return fields", head=head)
    assert "unexpected argument: self" in error_of(client.post("/perform", json={"self": 1}), 400)


@pytest.mark.parametrize(
    "perform", ["staticmethod(functools.partial(add, 5))", "Adder()", "staticmethod(Adder())"]
)
def test_annotations_of_partials_and_callable_objects_are_checked(
    job_of: Callable[..., JobClient], perform: str
) -> None:
    head = """
from __future__ import annotations
import functools
def add(a: int, b: int): return b
class Adder:
    def __call__(self, b: int): return b
"""
    client = job_of(f"perform = {perform}", head=head)
    assert client.perform(b=2).json == 2
    assert "b: expected int" in error_of(client.perform(b="x"), 400)


def test_flags_and_enums_with_a_look_up_of_their_own_are_not_checked(
    job_of: Callable[..., JobClient],
) -> None:
    head = """
import enum
class Permission(enum.IntFlag):
    READ = 1
    WRITE = 2
class Loose(enum.Enum):
    A = "a"
    @classmethod
    def _missing_(cls, value): return cls.A
"""
    client = job_of(
        "def perform(self, p: Permission, l: Loose): return [Permission(p).name, Loose(l)]", head=head
    )
    assert client.perform(p=3, l="x").json == ["READ|WRITE", "a"]


def test_any_other_name_reaches_open_keywords(anything: JobClient) -> None:
    arguments = {"class": 1, "": 2, "ä b": 3}
    assert anything.post("/perform", json=arguments).json == arguments


def test_check_types_false_switches_the_check_off(client_of: ClientOf) -> None:
    manifest = {"jobtype_extra": {"check_types": False}}
    assert client_of(Typed, manifest=manifest).perform(numbers="x").status_code == 200


def test_a_body_above_the_limit_is_413_and_never_reaches_the_job(client_of: ClientOf) -> None:
    client = client_of(Anything, manifest={"jobtype_extra": {"max_body_size": "1Ki"}})
    assert client.perform(a="x" * 1000).status_code == 200
    assert "1024 bytes" in error_of(client.perform(a="x" * 1024), 413)
    assert client.application.call("/perform", {}) == {}
    assert "requests_started_total 2.0" in client.get("/metrics").text


class Chunks(io.BytesIO):
    """A body of unknown length, from a server that ends it by itself."""


def test_a_body_without_a_length_is_read_where_the_server_ends_it(client_of: ClientOf) -> None:
    client = client_of(Anything, manifest={"jobtype_extra": {"max_body_size": "1Ki"}})

    def send(body: bytes) -> Any:
        environ = {"wsgi.input": Chunks(body), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        return client.post("/perform", environ_overrides=environ)

    assert send(b'{"a": 1}').json == {"a": 1}
    assert "1024 bytes" in error_of(send(b'{"a": "' + b"x" * 1024 + b'"}'), 413)


def test_a_chunked_body_is_411_where_the_server_does_not_decode_it(anything: JobClient) -> None:
    environ = {"wsgi.input": Chunks(b"8\r\n"), "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    answer = anything.post("/perform", environ_overrides=environ)
    assert "send a Content-Length" in error_of(answer, 411)


def test_a_connection_that_breaks_while_it_is_read_is_a_400(anything: JobClient) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ConnectionResetError

    environ = {"wsgi.input": Broken(), "CONTENT_LENGTH": "10"}
    assert "connection ended" in error_of(anything.post("/perform", environ_overrides=environ), 400)


def test_zeros_before_a_length_do_not_hide_it(anything: JobClient) -> None:
    answer = anything.post("/perform", data=b'{"a": 1}', environ_overrides={"CONTENT_LENGTH": "0" * 30 + "8"})
    assert answer.json == {"a": 1}


def test_a_body_shorter_than_announced_is_400(anything: JobClient) -> None:
    answer = anything.post("/perform", data=b'{"a": 1}', environ_overrides={"CONTENT_LENGTH": "100"})
    assert "after 8 of 100 bytes" in error_of(answer, 400)


@pytest.mark.parametrize("length", ["+1", "abc", "1_0", "1.0", "\xb2"])
def test_a_length_that_is_no_number_is_400(client_of: ClientOf, length: str) -> None:
    # Without the validator, which itself refuses such an environ.
    client = Client(client_of(Anything).application)
    answer = client.post("/perform", environ_overrides={"CONTENT_LENGTH": length})
    assert "Content-Length" in error_of(answer, 400)
