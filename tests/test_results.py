"""What a job may return, and what of it arrives (SPEC 4.5)."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from werkzeug.wrappers import Response

from tests.conftest import ClientOf, JobClient


class Color(enum.Enum):
    RED = "red"


class Size(str, enum.Enum):  # noqa: UP042  what authors write
    BIG = "big"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: float
    tags: tuple[str, ...] = ()


class Pair(NamedTuple):
    left: int
    right: int


class ModelLike:
    def model_dump(self) -> dict[str, Any]:
        return {"from": "model_dump", "when": datetime.date(2026, 1, 2)}


class JsonLike:
    def __json__(self) -> Any:
        return [Color.RED]


class ToJsonLike:
    def __to_json__(self) -> Any:
        return {"a": 1}


class Strange:
    pass


@pytest.fixture(params=["the standard library's encoder", "orjson"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two encoders, as applications choose it."""
    if request.param == "orjson":
        pytest.importorskip("orjson")
    else:
        monkeypatch.setitem(sys.modules, "orjson", None)
        monkeypatch.delitem(sys.modules, "pyjob.wire.results.fast", raising=False)


@pytest.fixture
def result_of(client_of: ClientOf, encoder: None) -> Callable[[Any], Any]:
    """The answer to a call that returns the given object."""

    def result_of(value: Any) -> Any:
        class Job:
            def perform(self) -> Any:
                return value

        return client_of(Job).perform()

    return result_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (1.5, 1.5),
        ("grüße 🙂", "grüße 🙂"),
        ("\ud800", "\ud800"),
        ((1, [2, {"a": None}]), [1, [2, {"a": None}]]),
        (10**30, 10**30),
        (float("nan"), None),
        ({"a": [float("inf"), float("-inf"), 1.0]}, {"a": [None, None, 1.0]}),
        (Point(1.0, ("a",)), {"x": 1.0, "tags": ["a"]}),
        ({"p": [Point(float("nan"))]}, {"p": [{"x": None, "tags": []}]}),
        (Pair(1, 2), [1, 2]),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00+00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (datetime.timedelta(minutes=1.5), 90.0),
        (pathlib.Path("a/b"), "a/b"),
        (Color.RED, "red"),
        ([Size.BIG, Level.HIGH, float("nan")], ["big", 3, None]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.10"), "1.10"),
        ({1}, [1]),
        (frozenset({"a"}), ["a"]),
        (collections.deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        ([Size.BIG], ["big"]),
        ({"raw": b"\x00\xff"}, {"raw": "AP8="}),
        ([bytearray(b"a"), memoryview(b"a")], ["YQ==", "YQ=="]),
        (ModelLike(), {"from": "model_dump", "when": "2026-01-02"}),
        ([JsonLike()], [["red"]]),
        (ToJsonLike(), {"a": 1}),
        ({1: "a", None: "b", 2.5: "d"}, {"1": "a", "null": "b", "2.5": "d"}),
        ({Color.RED: 1, uuid.UUID(int=1): 2}, {"red": 1, "00000000-0000-0000-0000-000000000001": 2}),
        ({datetime.date(2026, 1, 2): float("nan")}, {"2026-01-02": None}),
        ({float("nan"): 1, True: Color.RED, 2.5: 3, None: 4}, {"null": 4, "true": "red", "2.5": 3}),
    ],
)
def test_a_result_is_sent_as_json(result_of: Callable[[Any], Any], value: Any, expected: Any) -> None:
    answer = result_of(value)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.json == expected


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Strange(), "result: object of type Strange"),
        ({"items": [0, 1, 2, {"owner": Strange()}]}, "result.items[3].owner: object of type Strange"),
        ([Point(x=Strange())], "result[0].x: object of type Strange"),  # type: ignore[arg-type]
        (1j, "result: object of type complex"),
        (Strange, "result: object of type type"),
        ([(item for item in [1])], "result[0]: object of type generator"),
        ({(1, 2): 3}, "result: key of type tuple"),
        ({"n": 10**5000}, "result.n: integer with too many digits"),
        ({10**5000: 1}, "result (key): integer with too many digits"),
        ({"k" * 100_000: object()}, "...: object of type object"),
    ],
)
def test_what_cannot_be_encoded_is_a_500_that_names_the_path(
    result_of: Callable[[Any], Any], value: Any, told: str
) -> None:
    answer = result_of(value)
    assert answer.status_code == 500
    assert told in answer.json["error"]


def test_a_value_that_holds_itself_is_a_500(result_of: Callable[[Any], Any]) -> None:
    endless: list[Any] = []
    endless.append(endless)
    answer = result_of(endless)
    assert answer.status_code == 500
    assert "holds itself" in answer.json["error"]


def test_an_object_whose_json_method_fails_is_a_500_that_names_the_path(
    result_of: Callable[[Any], Any],
) -> None:
    class Failing:
        def __json__(self) -> Any:
            raise KeyError("lost")

    answer = result_of({"a": [Failing()]})
    assert answer.status_code == 500
    assert "result.a[0]: object of type Failing" in answer.json["error"]


def test_an_encoding_fault_counts_as_an_internal_error(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> Any:
            return object()

    client = client_of(Job)
    assert client.perform().status_code == 500
    assert 'request_internal_errors_total{endpoint="/perform"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize("value", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
def test_bytes_as_the_whole_result_are_sent_as_they_are(
    result_of: Callable[[Any], Any], value: bytes
) -> None:
    answer = result_of(value)
    assert answer.content_type == "application/octet-stream"
    assert answer.data == b"\x00\xff"


def test_a_wsgi_response_passes_through(result_of: Callable[[Any], Any]) -> None:
    answer = result_of(Response("teapot", status=418, mimetype="text/plain", headers={"X-Tea": "green"}))
    assert (answer.status_code, answer.text, answer.headers["X-Tea"]) == (418, "teapot", "green")


@pytest.mark.parametrize("body_of", [str, iter])
@pytest.mark.parametrize("header", ["Connection", "keep-alive", "Transfer-Encoding", "Upgrade"])
def test_a_wsgi_response_says_nothing_of_the_connection(
    result_of: Callable[[Any], Any], body_of: Callable[[str], Any], header: str
) -> None:
    """Such as the headers of another server's answer, which a job passes on."""
    answer = result_of(Response(body_of("text"), headers={header: "close", "X-Tea": "green"}))
    assert (answer.status_code, answer.text, answer.headers["X-Tea"]) == (200, "text", "green")
    assert header not in answer.headers


@pytest.mark.parametrize("body_of", [str, iter])
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"headers": {"X-Tea": "zi\u00f3\u0142ka"}}, "headers: X-Tea: expected one line of Latin-1"),
        ({"headers": {"X-Tea": "green\x00"}}, "headers: X-Tea: expected one line of Latin-1"),
        ({"headers": {"X Tea": "green"}}, "headers: expected the name of a header"),
        ({"status": "299 zi\u00f3\u0142ka"}, "status: expected one line of Latin-1"),
    ],
)
def test_a_wsgi_response_that_no_server_can_send_is_a_500_and_closed(
    result_of: Callable[[Any], Any], body_of: Callable[[str], Any], fields: dict[str, Any], told: str
) -> None:
    closed = []
    response = Response(body_of("text"), **fields)
    response.call_on_close(lambda: closed.append(True))
    answer = result_of(response)
    assert answer.status_code == 500
    assert told in answer.json["error"]
    assert closed == [True]


@pytest.mark.parametrize("body_of", [str, iter])
def test_a_wsgi_response_is_closed_when_it_has_been_sent(
    result_of: Callable[[Any], Any], body_of: Callable[[str], Any]
) -> None:
    closed = []
    response = Response(body_of("text"))
    response.call_on_close(lambda: closed.append(True))
    assert result_of(response).text == "text"
    assert closed == [True]


STREAMING = """
from werkzeug.wrappers import Response
produced = []
"""
STREAM = """
def perform(self, fail: bool = False):
    def items():
        for number in range(3):
            produced.append(number)
            if fail and number == 1:
                raise RuntimeError("broken")
            yield f"{number}{self.request_context.get().headers.get('X-Caller-Name')};"
    return Response(items(), mimetype="text/plain")

def metrics(self):
    return [{"name": "produced", "value": len(produced)}]
"""


def test_a_streamed_response_keeps_its_request_and_counts_until_its_end(
    job_of: Callable[..., JobClient],
) -> None:
    client = job_of(STREAM, head=STREAMING)
    answer = client.open("/perform", method="POST", headers={"X-Caller-Name": "ann"}, streamed=True)
    stream = answer.iter_encoded()
    assert next(stream) == b"0ann;"
    page = client.get("/metrics").text
    assert "produced 1.0" in page
    assert "requests_started_total 1.0" in page
    assert "requests_done_total 0.0" in page
    assert b"".join(stream) == b"1ann;2ann;"
    answer.close()
    assert "requests_done_total 1.0" in client.get("/metrics").text


def test_a_stream_that_breaks_is_logged_and_counted_as_an_error(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = job_of(STREAM, head=STREAMING)
    answer = client.open("/perform", method="POST", json={"fail": True}, streamed=True)
    with pytest.raises(RuntimeError, match="broken"):
        list(answer.iter_encoded())
    answer.close()
    assert "/perform failed: broken" in caplog.text
    page = client.get("/metrics").text
    assert "requests_done_total 1.0" in page
    assert 'request_internal_errors_total{endpoint="/perform"} 1.0' in page


def test_a_response_that_fails_while_it_is_made_ready_is_a_500(client_of: ClientOf) -> None:
    class Odd(Response):
        def get_app_iter(self, environ: Any) -> Any:
            raise RuntimeError("no body")

    class Job:
        def perform(self) -> Any:
            return Odd("x")

    answer = client_of(Job).perform()
    assert (answer.status_code, answer.json) == (500, {"error": "no body", "type": "RuntimeError"})


def test_every_answer_says_how_long_it_is(result_of: Callable[[Any], Any]) -> None:
    for value in ({"a": "ä"}, b"abc", Response("xyz")):
        answer = result_of(value)
        assert answer.headers["Content-Length"] == str(len(answer.data))


def test_numpy_arrays_and_scalars_are_plain_at_any_depth(result_of: Callable[[Any], Any]) -> None:
    numpy = pytest.importorskip("numpy")
    value = {
        "matrix": numpy.array([[1, 2], [3, 4]]),
        "floats": numpy.array([1.5, numpy.nan]),
        "scalars": [numpy.int64(1), numpy.float32(0.5), numpy.float64(2.5), numpy.bool_(True)],
        "text": numpy.array(["a", "b"]),
        "days": numpy.array(["2026-01-02", "NaT"], dtype="datetime64[D]"),
        "nanoseconds": numpy.datetime64("2026-01-02T03:04:05.000000000"),
        "durations": numpy.array([1500], dtype="timedelta64[ms]"),
        "objects": numpy.array([{"a": numpy.int8(1)}], dtype=object),
        numpy.int64(7): numpy.array(8),
        "long": numpy.longdouble(1.5),
    }
    assert result_of(value).json == {
        "matrix": [[1, 2], [3, 4]],
        "floats": [1.5, None],
        "scalars": [1, 0.5, 2.5, True],
        "text": ["a", "b"],
        "days": ["2026-01-02", None],
        "nanoseconds": "2026-01-02T03:04:05",
        "durations": [1.5],
        "objects": [{"a": 1}],
        "7": 8,
        "long": 1.5,
    }


def test_pandas_frames_are_lists_of_rows_and_series_are_lists(result_of: Callable[[Any], Any]) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"n": [1, 2], "f": [1.5, None], "when": pandas.to_datetime(["2026-01-02", None]), "s": ["a", None]}
    )
    answer = result_of({"frame": frame, "series": frame["n"], "days": frame["when"], "index": frame.index})
    assert answer.json == {
        "frame": [
            {"n": 1, "f": 1.5, "when": "2026-01-02T00:00:00", "s": "a"},
            {"n": 2, "f": None, "when": None, "s": None},
        ],
        "series": [1, 2],
        "days": ["2026-01-02T00:00:00", None],
        "index": [0, 1],
    }
    assert result_of(frame[["n"]]).json == [{"n": 1}, {"n": 2}]
    assert result_of([pandas.NA, pandas.Timedelta(seconds=2)]).json == [None, 2.0]


def times(numpy: Any, unit: str, *texts: str) -> Any:
    return numpy.array(texts, dtype=f"datetime64[{unit}]")


# Made of columns, or of something else, with the two libraries.
FRAMES: dict[str, Callable[[Any, Any], Any]] = {
    "mixed": lambda _, numpy: {"n": [1, 2], "f": [1.5, None], "s": ["a", None], "b": [True, False]},
    "empty": lambda _, numpy: {},
    "columns without rows": lambda _, numpy: {"a": [], "b": []},
    "rows without columns": lambda pandas, _: pandas.DataFrame(index=range(3)),
    "seconds": lambda _, numpy: {"t": times(numpy, "s", "2026-01-02T03:04:05", "NaT")},
    "years that datetime has not": lambda _, numpy: {"t": times(numpy, "s", "12026-01-02", "-0026-01-02")},
    "nanoseconds": lambda _, numpy: {"t": times(numpy, "ns", "2026-01-02T03:04:05.123456789", "NaT")},
    "microseconds": lambda _, numpy: {"t": times(numpy, "ns", "2026-01-02T03:04:05.123456", "2026-01-02")},
    "a zone": lambda pandas, _: {"t": pandas.date_range("2026-03-28", periods=3, tz="Europe/Berlin")},
    "durations": lambda pandas, _: {"d": pandas.to_timedelta(["1h", None])},
    "periods": lambda pandas, _: {"p": pandas.period_range("2026", periods=2)},
    "categories": lambda pandas, _: {"c": pandas.Categorical(["a", None]), "n": pandas.Categorical([1, 2])},
    "days as categories": lambda pandas, _: {
        "c": pandas.Categorical(pandas.to_datetime(["2026-01-01", None]))
    },
    "integers or none": lambda pandas, _: {"n": pandas.array([1, None], dtype="Int64")},
    "truth or none": lambda pandas, _: {"b": pandas.array([True, None], dtype="boolean")},
    "text or none": lambda pandas, _: {"s": pandas.array(["a", None], dtype="string")},
    "small floats": lambda _, numpy: {"f": numpy.array([0.1, numpy.nan], dtype="float32")},
    "large integers": lambda _, numpy: {"n": numpy.array([2**64 - 1], dtype="uint64")},
    "long floats": lambda _, numpy: {"f": numpy.array([1.5], dtype="longdouble")},
    "complex numbers": lambda _, numpy: {"c": [1j]},
    "objects": lambda _, numpy: {
        "o": [datetime.date(2026, 1, 2), {"a": numpy.arange(2)}],
        "s": [b"a", Color.RED],
    },
    "NumPy's objects": lambda _, numpy: {"o": [numpy.datetime64("2026-01-02"), numpy.float32(0.1), "a"]},
    "nothing but objects": lambda pandas, numpy: {"o": pandas.Series([numpy.int8(1), "a"], dtype=object)},
    "sparse": lambda pandas, numpy: {"t": pandas.arrays.SparseArray(times(numpy, "ns", "2026-01-02"))},
    "numbered columns": lambda _, numpy: [[1, 2.5], [3, 4.5]],
    "columns of several levels": lambda pandas, numpy: pandas.DataFrame(
        [[1, 2]], columns=pandas.MultiIndex.from_tuples([("a", "b"), ("a", "c")])
    ),
    "days as columns": lambda pandas, _: pandas.DataFrame([[1]], columns=pandas.to_datetime(["2026-01-01"])),
}


def test_the_rows_of_a_frame_are_those_that_pandas_makes(result_of: Callable[[Any], Any]) -> None:
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    for name, made_of in FRAMES.items():
        frame = pandas.DataFrame(made_of(pandas, numpy))
        expected, answer = result_of(frame.to_dict(orient="records")), result_of(frame)
        assert (answer.status_code, answer.text) == (expected.status_code, expected.text), name


def test_a_frame_of_another_make_tells_its_rows_itself(result_of: Callable[[Any], Any]) -> None:
    DataFrame: Any = pytest.importorskip("pandas").DataFrame  # noqa: N806

    class Frame(DataFrame):  # type: ignore[misc]
        def to_dict(self, **options: Any) -> Any:
            return [options]

    assert result_of(Frame({"a": [1]})).json == [{"orient": "records"}]


def test_of_columns_with_one_name_the_last_is_sent(result_of: Callable[[Any], Any]) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    with pytest.warns(UserWarning, match="not unique"):
        answer = result_of(frame)
    assert answer.json == [{"a": 3, "b": 2}]


def test_pyjob_imports_neither_numpy_nor_pandas(job_of: Callable[..., JobClient]) -> None:
    client = job_of(
        """
        def perform(self):
            import subprocess, sys
            code = "import sys, pyjob; print([m for m in ('numpy', 'pandas', 'asyncio') if m in sys.modules])"
            return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        """
    )
    assert client.perform().json == "[]\n"
