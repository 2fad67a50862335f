"""Binding and encoding on generated values: what the schema says, what the check does, what arrives."""

from __future__ import annotations

import json
import math
import typing
from typing import Any, Literal, Optional, Union

import pytest
from werkzeug.test import Client

import pyjob
from pyjob.method.annotations import compile_check
from pyjob.method.schema import SchemaBuilder

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ANNOTATIONS = st.recursive(
    st.sampled_from([int, float, bool, str, None, Literal["a", 1, True], list, dict]),
    lambda inner: st.one_of(
        inner.map(lambda a: typing.List[a]),  # type: ignore[valid-type]  # noqa: UP006
        inner.map(lambda a: dict[str, a]),  # type: ignore[valid-type]
        inner.map(lambda a: Optional[a]),  # noqa: UP045
        st.tuples(inner, inner).map(lambda pair: Union[pair]),  # noqa: UP007
    ),
    max_leaves=4,
)


class Echo:
    def perform(self, **fields: Any) -> Any:
        return fields


ECHO = pyjob.create(Echo, settings=pyjob.Settings(access_log=False), load="now")


@given(st.dictionaries(st.text(), JSON, max_size=5).filter(lambda fields: "self" not in fields))
def test_what_is_sent_is_what_comes_back(fields: dict[str, Any]) -> None:
    answer = Client(ECHO).post("/perform", json=fields)
    assert answer.status_code == 200
    assert answer.json == json.loads(json.dumps(fields))


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_and_never_a_500(body: bytes) -> None:
    assert Client(ECHO).post("/perform", data=body).status_code in (200, 400)


@given(ANNOTATIONS, JSON)
def test_the_check_agrees_with_the_published_schema(annotation: Any, value: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    check = compile_check(annotation)
    assert check is not None
    builder = SchemaBuilder()
    schema = {**builder.schema(annotation), "$defs": builder.components}
    assert check.accepts(value) == jsonschema.Draft202012Validator(schema).is_valid(value)


@given(ANNOTATIONS, JSON)
def test_a_refused_value_has_a_problem_and_an_accepted_one_has_none(annotation: Any, value: Any) -> None:
    check = compile_check(annotation)
    assert check is not None
    problems = list(check.problems(value, "value"))
    assert bool(problems) != check.accepts(value)
    assert all(problem.startswith("value") for problem in problems)


RESULTS = st.recursive(
    SCALARS
    | st.floats()
    | st.binary(max_size=8)
    | st.decimals()
    | st.datetimes()
    | st.uuids()
    | st.timedeltas(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers() | st.none() | st.floats(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("encoder", ["encoding", "fast"])
@given(RESULTS)
def test_every_result_of_the_known_kinds_is_strict_json(encoder: str, result: Any) -> None:
    encode = pytest.importorskip(f"pyjob.wire.results.{encoder}").encode

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is not JSON")

    decoded = json.loads(encode(result), parse_constant=refuse)
    if isinstance(result, float):
        assert decoded == (result if math.isfinite(result) else None)
