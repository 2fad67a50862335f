"""Results by orjson, the extra `fast`: values and errors are those of the standard library (SPEC 4.5)."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import pathlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

pytest.importorskip("orjson")
pytest.importorskip("hypothesis")
import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from pyjob.errors import ResultError
from pyjob.wire.results import encoding, fast
from pyjob.wire.results.encoder import encoder
from tests.conftest import ClientOf, MakeJob
from tests.servers import ask, pyjob_run, started

# Written differently, so that it shows who wrote it.
TINY = 1e-7
BY_ORJSON, BY_STANDARD = b"1e-7", b"1e-07"


class Color(enum.Enum):
    RED = "red"
    DAY = datetime.date(2026, 1, 2)


class Size(str, enum.Enum):  # noqa: UP042  what authors write
    BIG = "big"


class Labelled(str, enum.Enum):  # noqa: UP042
    """What is text, and has another value."""

    ONE = "raw", "label"

    def __new__(cls, raw: str, label: str) -> Labelled:
        member = str.__new__(cls, raw)
        member._value_ = label
        return member


class Named(enum.Enum):
    ONE = 1

    def __json__(self) -> Any:
        return {"name": self.name}


class Asked(enum.Enum):
    ONE = 1

    @property
    def value(self) -> str:  # type: ignore[override]
        return "asked"


class Level(enum.IntEnum):
    HIGH = 3
    HIGHEST = 2**70


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Ratio(float, enum.Enum):
    HALF = 0.5


@dataclasses.dataclass
class Point:
    x: Any
    _hidden: Any = 0
    unit: ClassVar[str] = "m"
    tags: tuple[str, ...] = dataclasses.field(default=(), repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: Any


@dataclasses.dataclass
class Own:
    x: Any

    def __json__(self) -> Any:
        return [self.x]


@dataclasses.dataclass
class Place(dict):  # type: ignore[type-arg]
    x: Any = 1


class Pair(NamedTuple):
    left: Any
    right: Any


class Text(str):
    def __str__(self) -> str:
        return "not this"

    def __iter__(self) -> Any:
        return iter("nor this")


class Number(int):
    def __int__(self) -> int:
        return 13


class Real(float):
    def __float__(self) -> float:
        return 13.0


class Items(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(["not these"])


class Backwards(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return [(name, "own") for name in self]


class Model:
    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def model_dump(self) -> Any:
        return {"inside": self.inside}


class Strange:
    pass


class Failing:
    def __to_json__(self) -> Any:
        raise KeyError("lost")


def outcome(encode: Callable[[object], bytes], value: object) -> tuple[str, str]:
    """What ``value`` becomes: its JSON read and written again, which tells 1 from 1.0; or the error."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is not JSON")

    try:
        text = encode(value)
    except ResultError as error:
        return "error", str(error)
    return "value", json.dumps(json.loads(text, parse_constant=refuse))


def agree(value: object) -> None:
    assert outcome(fast.encode, value) == outcome(encoding.encode, value)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=5)
ZONES = st.none() | st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)).map(
    datetime.timezone
)
JSON_ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**66), 2**66), st.floats(), ANY_TEXT
)
ODD_ATOMS = st.one_of(
    st.sampled_from([*Color, *Size, *Labelled, *Named, *Asked, *Level, *Ratio, *Right, Right(3), Right(0)]),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.times(timezones=ZONES),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.binary(max_size=5),
    st.binary(max_size=5).map(bytearray),
    ANY_TEXT.map(Text),
    st.integers().map(Number),
    st.floats().map(Real),
    st.just(pathlib.PurePosixPath("a/b")),
    st.sets(st.integers(), max_size=3),
    st.frozensets(ANY_TEXT, max_size=3),
)
WRONG = st.one_of(
    st.sampled_from([Strange(), Strange, Failing(), 1j, Level, orjson.Fragment(b"1"), iter([1]), object()]),
    st.builds(lambda: 10**5000),
)
KEYS = st.one_of(
    ANY_TEXT, ANY_TEXT.map(Text), JSON_ATOMS, st.sampled_from([*Size, *Color, *Level]), st.uuids()
)


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[Any] = KEYS) -> st.SearchStrategy[Any]:
    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        lists, dicts = st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)
        return st.one_of(
            lists,
            dicts,
            st.dictionaries(ANY_TEXT, inner, max_size=4),
            lists.map(tuple),
            lists.map(Items),
            lists.map(collections.deque),
            dicts.map(Backwards),
            dicts.map(collections.OrderedDict),
            st.builds(Pair, inner, inner),
            *(st.builds(kind, inner) for kind in (Point, Slotted, Own, Place, Model)),
        )

    return st.recursive(leaves, around, max_leaves=12)


@given(nested(JSON_ATOMS | ODD_ATOMS))
@example([[1.5] * 100, (True, None), {"a": [{}, []]}])
@example([[member] for kind in (Color, Size, Labelled, Named, Asked, Ratio, Right) for member in kind])
@example([[{"in": member}] * 50 for member in (Color.DAY, Size.BIG, Labelled.ONE, Named.ONE, Asked.ONE)])
@example([Size.BIG, Labelled.ONE, Level.HIGH, 2**64 - 1, -(2**63), 1.5, None])
@example([2**64, -(2**63) - 1])
@example({"day": datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(seconds=1)))})
def test_values_are_the_same(value: Any) -> None:
    agree(value)


@given(nested(JSON_ATOMS | ODD_ATOMS | WRONG))
def test_errors_are_the_same(value: Any) -> None:
    agree(value)


@pytest.mark.parametrize("leaf", [1, float("nan"), Point(float("inf")), Strange()])
@pytest.mark.parametrize(
    "wrap", [lambda value: [value], lambda value: {"a": value}, Point, lambda value: [0, value]]
)
def test_deep_values_are_the_same(leaf: Any, wrap: Callable[[Any], Any]) -> None:
    value, depth = leaf, 0
    while depth < 300:
        value, depth = wrap(value), depth + 1
        if depth % 10 == 0 or 195 < depth < 205:
            agree(value)


@pytest.mark.parametrize("times", [1, 2, 100])
@pytest.mark.parametrize(
    "beside", [(), ([1.5, "a"], {"b": 2}), (Point(1),)], ids=["alone", "plain", "object"]
)
def test_what_holds_itself_is_the_same_error(times: int, beside: tuple[Any, ...]) -> None:
    items: list[Any] = [*beside]
    items.extend([items, {"again": items}] * times)
    with pytest.raises(ResultError, match="holds itself") as caught:
        fast.encode(items)
    assert ("error", str(caught.value)) == outcome(encoding.encode, items)


def test_numpy_values_are_the_same() -> None:
    numpy = pytest.importorskip("numpy")
    arrays = pytest.importorskip("hypothesis.extra.numpy")
    kinds = st.one_of(
        arrays.scalar_dtypes(),
        st.sampled_from([numpy.dtype(kind) for kind in ("longdouble", "longlong", "O", "i4,f4")]),
    )
    shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)

    @st.composite
    def laid_out(draw: Any) -> Any:
        """Any array, perhaps seen in other steps or at an odd address, perhaps one item of it."""
        kind = draw(kinds)
        array = draw(arrays.arrays(kind, draw(shapes), elements=JSON_ATOMS if kind.hasobject else None))
        match draw(st.integers(0, 6)):
            case 0:
                array = array.T
            case 1 if array.ndim:
                array = array[:: draw(st.sampled_from([2, -1, -2]))]
            case 2 if array.size:
                array = array.flat[0]
            case 3 if array.dtype != object:
                shifted = numpy.empty(array.nbytes + 1, dtype="u1")[1:].view(array.dtype).reshape(array.shape)
                shifted[...] = array
                array = shifted
            case 4:
                array = numpy.asfortranarray(array)
            case 5:
                array = numpy.ma.masked_array(array)
        return array

    @given(nested(laid_out() | JSON_ATOMS, ANY_TEXT))
    @example(
        [numpy.float32(0.1), numpy.float16(0.1), numpy.float64(0.1), numpy.str_("a"), numpy.bytes_(b"a")]
    )
    @example(numpy.array([0.1, numpy.nan, -0.0, 1e-45], dtype="float32"))
    @example([numpy.uint64(2**64 - 1), numpy.int8(-1), numpy.bool_(True), numpy.longlong(1), numpy.intc(1)])
    @example(numpy.zeros(2, dtype="V3"))
    @example(numpy.zeros((0, 3)))
    @example(numpy.zeros((3, 0)))
    @example(numpy.zeros((1,) * 32))
    @example({"a": numpy.array([[{"b": numpy.arange(3)}, None]])})
    def same(value: Any) -> None:
        agree(value)

    same()


def test_pandas_values_are_the_same() -> None:
    pandas = pytest.importorskip("pandas")
    columns = st.sampled_from(
        [
            [1, 2],
            [1.5, None],
            ["a", None],
            [datetime.datetime(2026, 1, 2, 3), None],
            [Size.BIG, Strange()],
            pandas.Categorical(["a", None]),
            pandas.array([1, None], dtype="Int64"),
            pandas.to_datetime(["2026-01-02T03:04:05.123456789", None]),
            pandas.date_range("2026-03-28", periods=2, tz="Europe/Berlin"),
            pandas.to_timedelta(["1h", None]),
        ]
    )
    names = ANY_TEXT | st.integers() | st.tuples(st.just("a"), st.just("b"))
    frames = st.dictionaries(names, columns, max_size=4).map(pandas.DataFrame)
    series = columns.map(pandas.Series)
    scalars = st.sampled_from(
        [
            pandas.NaT,
            pandas.NA,
            pandas.Timestamp(1),
            pandas.Timestamp("2026-01-02", tz="UTC"),
            pandas.Timedelta(1),
        ]
    )

    @given(nested(frames | series | series.map(pandas.Index) | scalars | JSON_ATOMS, ANY_TEXT))
    def same(value: Any) -> None:
        agree(value)

    same()


def test_arrays_are_written_from_their_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = pytest.importorskip("numpy")

    def refuse(value: object) -> object:
        raise AssertionError("a list was made")

    monkeypatch.setattr(fast, "plain", refuse)
    for kind in ("float64", "float32", "float16", ">f8", ">i4", "uint64", "bool"):
        value = {"tiny": TINY, "a": [numpy.ones((2, 2), dtype=kind).T[::-1]]}
        text = fast.encode(value)
        assert BY_ORJSON in text
        assert ("value", json.dumps(json.loads(text))) == outcome(encoding.encode, value)


@pytest.mark.parametrize("count", [1, 100])
def test_one_value_of_another_kind_does_not_slow_the_rest(count: int) -> None:
    for value in (datetime.date(2026, 1, 2), b"a", Point(1), Named.ONE, {1}, Pair(1, 2)):
        assert BY_ORJSON in fast.encode({"rows": [{"n": TINY, "value": value}] * count})


def test_what_orjson_cannot_read_in_an_array_does_not_slow_the_rest() -> None:
    numpy = pytest.importorskip("numpy")
    for array in (numpy.array(8), numpy.array(["a"]), numpy.array(["2026-01-02"], dtype="datetime64[D]")):
        assert BY_ORJSON in fast.encode([TINY, array])


def test_a_float_that_is_too_long_gives_no_warning() -> None:
    numpy = pytest.importorskip("numpy")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert fast.encode([TINY, numpy.array([numpy.longdouble("1e4000")])]) == b"[1e-7,[null]]"
    assert not told


def test_lists_that_change_while_they_are_encoded_do_no_harm() -> None:
    # A process of its own: orjson may crash where it calls back.
    code = """
        from pyjob.wire.results import fast

        class Clearing:
            def __init__(self, around):
                self.around = around

            def __json__(self):
                self.around.clear()
                return [bytes(200) for _ in range(1000)]

        for number in range(50):
            items = []
            items += [Clearing(items), *(f"{'x' * 50}{number}" for number in range(1000))]
            fast.encode(items)
            members = {}
            members |= {"first": Clearing(members)} | {str(number): "x" * number for number in range(1000)}
            try:
                fast.encode(members)
            except Exception as error:
                pass
        print("alive")
    """
    done = subprocess.run(
        [sys.executable, "-c", "import textwrap, sys; exec(textwrap.dedent(sys.argv[1]))", code],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "alive\n", (done.returncode, done.stderr)


def test_what_ends_a_call_is_not_swallowed() -> None:
    class Ending:
        """Ends the call at the first try only."""

        has_tried = False

        def __json__(self) -> Any:
            if not self.has_tried:
                self.has_tried = True
                raise SystemExit(3)
            return 1

    for encode in (fast.encode, encoding.encode):
        with pytest.raises(SystemExit):
            encode([Ending()])


def test_the_encoder_is_that_of_orjson_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert encoder()(TINY) == BY_ORJSON
    monkeypatch.setitem(sys.modules, "orjson", None)
    monkeypatch.delitem(sys.modules, fast.__name__)
    assert encoder()(TINY) == BY_STANDARD


def test_importing_pyjob_does_not_import_orjson() -> None:
    code = "import sys, pyjob, pyjob.cli; print([m for m in ('orjson', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_encoding_does_not_import_numpy() -> None:
    code = """
import sys
from pyjob.wire.results.fast import encode
print(encode([{1}, {"a": b"x"}, 2.5]), "numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == 'b\'[[1],{"a":"eA=="},2.5]\' False\n'


JOB = """
class Job:
    def perform(self, count: int):
        if count < 0:
            return {"items": [object()]}
        return {"numbers": [1e-7] * count, "set": {1}, "large": 2**70}
"""


@pytest.mark.parametrize("is_there", [True, False], ids=["with orjson", "without orjson"])
def test_a_served_job_answers_the_same(make_job: MakeJob, tmp_path: Path, is_there: bool) -> None:
    environment = {}
    if not is_there:
        (tmp_path / "hidden").mkdir()
        (tmp_path / "hidden/orjson.py").write_text("raise ImportError('as if not installed')")
        environment["PYTHONPATH"] = str(tmp_path / "hidden")
    with started(pyjob_run(make_job(JOB)), env=environment) as server:
        server.wait_until("/ready", 200)
        _, _, answer = ask(server, "POST", "/perform", b'{"count": 2}')
        assert answer == {"numbers": [TINY, TINY], "set": [1], "large": 2**70}
        status, _, answer = ask(server, "POST", "/perform", b'{"count": -1}')
        assert (status, answer["error"]) == (
            500,
            "result.items[0]: object of type object cannot be sent as JSON",
        )


def test_an_application_asks_once_for_its_encoder(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Job:
        def perform(self) -> Any:
            return [TINY]

        def auxiliary_endpoints(self) -> Any:
            return {"/more": self.perform}

    client = client_of(Job)
    monkeypatch.setitem(sys.modules, "orjson", None)
    monkeypatch.delitem(sys.modules, fast.__name__)
    assert client.perform().data == client.post("/more").data == b"[" + BY_ORJSON + b"]"
    assert client_of(Job).perform().data == b"[" + BY_STANDARD + b"]"
