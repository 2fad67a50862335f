"""Values as JSON by orjson, the extra `fast` (SPEC 4.5).

What it writes decodes to what the standard encoder's does. orjson has ways of its own with dataclasses,
enumerations, dates and float32, and it crashes where a list changes while it is written, as another thread
may do during a call back to Python. So it gets only what it writes as the standard encoder does, and never
calls back: the rest is made plain before. What it refuses (a large integer, half a surrogate pair, a key that
is not text) and what has no JSON is left to the standard encoder, whose errors name the path.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any

from orjson import OPT_SERIALIZE_NUMPY, Fragment, dumps

from pyjob.wire.results import encoding
from pyjob.wire.results.encoding import AS_TEXT, ATOMS, DEEPEST, INHERITED, exact, plain

CONTAINERS = frozenset({list, tuple, dict})
PLAIN = ATOMS | CONTAINERS
# NumPy's scalars that are numbers of JSON. Not float32: orjson writes just enough digits for 32 bits.
NUMBERS = frozenset(
    {"float64", "bool", "bool_", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
)
# Left to the standard encoder, which refuses some of what is nested deeper than DEEPEST: an array at the end
# has up to 64 dimensions more.
DEEPEST_HERE = DEEPEST // 2
TOO_DEEP = "nested too deeply, or holds itself"
# Below it, a loop in Python is faster than setting up those in C.
SHORT = 30


def encode(value: object) -> bytes:
    """``value`` as JSON in UTF-8. Raises `ResultError`."""
    try:
        # The option is for numbers of NumPy; NumPy is not imported for what has none.
        written: bytes = dumps(_ready(value, 0), option=OPT_SERIALIZE_NUMPY)
        return written
    except Exception:  # noqa: BLE001  whatever it is, the standard encoder does it, or tells where it is
        return encoding.encode(value)


def _ready(value: Any, depth: int) -> object:
    """``value`` as orjson may have it; itself where it is that already. Raises whatever the walk meets."""
    kind = type(value)
    if kind in ATOMS or (kind in CONTAINERS and _is_plain(value, depth)):
        return value
    if kind in AS_TEXT:
        return AS_TEXT[kind](value)
    if depth > DEEPEST_HERE:
        raise RecursionError(TOO_DEEP)
    depth += 1
    if kind is dict:
        return {name: item if type(item) in ATOMS else _ready(item, depth) for name, item in value.items()}
    if kind in CONTAINERS:
        return [item if type(item) in ATOMS else _ready(item, depth) for item in value]
    if issubclass(kind, INHERITED):
        return value if _is_written_alike(kind) else _ready(exact(value), depth)
    if kind.__module__ == "numpy":
        if _is_written_alike(kind):
            return value
        if kind.__name__ == "ndarray":
            array = _numbers(value)
            if array is not None:
                return Fragment(dumps(array, option=OPT_SERIALIZE_NUMPY))
    return _ready(plain(value), depth)


def _is_plain(container: Any, depth: int) -> bool:
    """Whether orjson writes all that ``container`` holds as the standard encoder does.

    What is large is looked through level by level, without a loop in Python. Raises `RecursionError`.
    """
    level: Collection[Any] = container.values() if type(container) is dict else container
    if len(level) < SHORT:
        return _are_plain(level, depth + 1)
    while depth < DEEPEST_HERE:
        depth += 1
        kinds = _kinds(level)
        if not (kinds <= PLAIN or all(kind in PLAIN or _is_written_alike(kind) for kind in kinds)):
            return False
        if not kinds & CONTAINERS:
            return True
        level = _below(level, kinds)
    raise RecursionError(TOO_DEEP)


def _are_plain(items: Iterable[Any], depth: int) -> bool:
    for item in items:
        kind = type(item)
        if kind in ATOMS:
            continue
        if kind not in CONTAINERS:
            if not _is_written_alike(kind):
                return False
        elif depth > DEEPEST_HERE:
            raise RecursionError(TOO_DEEP)
        elif not _is_plain(item, depth):
            return False
    return True


def _kinds(items: Collection[Any]) -> frozenset[type]:
    kinds = list(map(type, items))
    # Faster than a set by half, and the rule for what is large.
    if kinds and kinds[0] is kinds[-1] and kinds.count(kinds[0]) == len(kinds):
        return frozenset(kinds[:1])
    return frozenset(kinds)


def _below(level: Collection[Any], kinds: frozenset[type]) -> Collection[Any]:
    """All that the containers among ``level`` hold."""
    if not kinds <= CONTAINERS:
        level = [item for item in level if type(item) in CONTAINERS]
    # Each once: what holds itself twice would double at each level.
    distinct = {id(item): item for item in level}.values()
    if kinds == {dict}:
        return list(chain.from_iterable(map(dict.values, distinct)))
    return list(chain.from_iterable(item.values() if type(item) is dict else item for item in distinct))


def _is_written_alike(kind: type) -> bool:
    return issubclass(kind, (str, int)) or (kind.__module__ == "numpy" and kind.__name__ in NUMBERS)


def _numbers(array: Any) -> object:
    """A NumPy ``array`` laid out as orjson reads it; None where its items are no numbers of up to 64 bits."""
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8 or not array.ndim:
        return None
    kind = "float64" if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    array = array.astype(kind, order="C", copy=False)
    return array if array.flags.aligned else array.copy()
