"""Values as JSON (SPEC 4.5).

The standard library's C encoder does the work; `plain` is asked for what it does not know. Only when
that fails (a NaN, a strange key, an object of no known kind) is the value walked in Python, which
replaces what can be replaced and names the path of what cannot.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import itertools
import json
import math
import pathlib
import re
import uuid
from collections import abc
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pyjob.errors import ResultError, message_of

DEEPEST = 200
LONGEST_PATH = 200
ATOMS = frozenset({str, int, float, bool, type(None)})
EXACT = ATOMS | {list, tuple, dict}
INHERITED = (str, int, float, list, tuple, dict)
# The usual ones, known at a glance; their subclasses may be anything.
AS_TEXT: Mapping[type, Callable[[Any], str]] = MappingProxyType(
    {
        datetime.datetime: datetime.datetime.isoformat,
        datetime.date: datetime.date.isoformat,
        datetime.time: datetime.time.isoformat,
        uuid.UUID: str,
        decimal.Decimal: str,
    }
)


def encode(value: object) -> bytes:
    """``value`` as JSON in UTF-8. Raises `ResultError`."""
    try:
        return ENCODER.encode(value).encode()
    except UnicodeEncodeError:  # a lone surrogate: legal in JSON when escaped
        return ASCII_ENCODER.encode(value).encode()
    except Exception:  # noqa: BLE001  whatever it is, the walk finds its place
        return ASCII_ENCODER.encode(_simplified(value)).encode()


def _simplified(value: object) -> object:
    try:
        return simplify(value, "result")
    except ResultError:
        raise
    except Exception as error:
        raise ResultError(f"result: object of type {type(value).__name__}: {message_of(error)}") from error


class NotPlainError(TypeError):
    """There is no JSON for this object."""


def plain(value: object) -> object:
    """One step from ``value`` towards JSON. Raises `NotPlainError`."""
    write = AS_TEXT.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, type):
        raise NotPlainError
    for method in ("__json__", "__to_json__"):
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    simpler = _standard(value)
    return simpler if simpler is not value else _by_duck_type(value)


def _standard(value: object) -> object:
    """Types of the standard library; ``value`` itself where it is none of them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat() if value == value else None  # pandas' NaT is a datetime
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (pathlib.PurePath, uuid.UUID, decimal.Decimal)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, abc.Mapping):
        return dict(value)
    if isinstance(value, (abc.Set, abc.Sequence, abc.ValuesView)):
        return list(value)
    return value


def _by_duck_type(value: Any) -> object:
    """Objects of libraries that are not imported here, known by what they can do."""
    if callable(getattr(value, "model_dump", None)):  # pydantic
        return value.model_dump()
    if hasattr(value, "iloc") and callable(getattr(value, "to_dict", None)):  # pandas
        return _rows(value) if hasattr(value, "columns") else value.tolist()
    if hasattr(value, "dtype") and callable(getattr(value, "tolist", None)):  # NumPy
        return _array(value)
    if type(value).__name__ in ("NAType", "NaTType"):  # pandas' missing values
        return None
    raise NotPlainError


def _rows(frame: Any) -> object:
    """What ``frame.to_dict(orient="records")`` gives as JSON, several times as fast where it can be."""
    if type(frame).__module__.partition(".")[0] == "pandas" and frame.columns.is_unique:
        columns = [_column(column) for _, column in frame.items()]
        if columns and None not in columns:
            rows = zip(*columns, strict=True)
            return [*map(dict, map(zip, itertools.repeat(frame.columns.tolist()), rows))]
    return frame.to_dict(orient="records")


def _column(column: Any) -> list[Any] | None:
    """The values of a frame's column as its rows have them; None where pandas would change them for those."""
    values = _times(column)
    if values is None:
        values = column.tolist()
    return None if any(kind.__module__ == "numpy" for kind in set(map(type, values))) else values


def _times(column: Any) -> list[str | None] | None:
    """Points in time as ISO text, much faster than one by one; None where that loses something."""
    if column.dtype.kind != "M" or not hasattr(column.dtype, "byteorder"):  # not NumPy's: it has a zone
        return None
    times = column.to_numpy()
    whole = times.astype("datetime64[us]")
    values: list[Any] = whole.tolist()
    if whole.astype(times.dtype).tobytes() != times.tobytes():
        return None
    # What Python has no year for is an integer.
    if not {datetime.datetime, type(None)}.issuperset(map(type, values)):
        return None
    return [value if value is None else value.isoformat() for value in values]


def _array(value: Any) -> object:
    kind = getattr(value.dtype, "kind", "")
    if kind == "M" and re.search(r"\[\d*[npfa]s\]", value.dtype.str):
        value = value.astype("datetime64[us]")  # finer units than Python has would become integers
    if kind == "m":
        value = value / value.dtype.type(1, "s")
    items = value.tolist()
    if type(items) is type(value):  # a scalar without a plain form, such as a long double
        return float(value)
    return items


def simplify(value: object, path: str, depth: int = 0) -> object:
    """``value`` rebuilt from plain JSON types: NaN and infinities are None, keys are text."""
    if depth > DEEPEST:
        raise _fault(path, "nested too deeply, or holds itself")
    if type(value) not in EXACT:
        value = exact(value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return _written(value, path)
    if isinstance(value, dict):
        names = [(_name(key, path), item) for key, item in value.items()]
        return {name: simplify(item, f"{path}.{name}", depth + 1) for name, item in names}
    if isinstance(value, (list, tuple)):
        return [simplify(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    return simplify(_plain_at(value, path), path, depth + 1)


def exact(value: Any) -> object:
    """``value`` as the type of JSON that its type inherits from, read as the C encoder reads it; else itself.

    Atoms are not asked: str() of an Enum with text as its mixin is its name.
    """
    kind = type(value)
    if kind in EXACT or not issubclass(kind, INHERITED):
        return value
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, (list, tuple)):
        return list(value)
    return dict(value.items()) if dict.__len__(value) else {}


def _plain_at(value: object, path: str) -> object:
    what = f"object of type {type(value).__name__}"
    try:
        return plain(value)
    except NotPlainError:
        # By itself, as the whole result, it would be a stream.
        hint = ": return it by itself, or as a list" if isinstance(value, abc.Iterator) else ""
        raise _fault(path, f"{what} cannot be sent as JSON{hint}") from None
    except Exception as error:
        raise _fault(path, f"{what}: {message_of(error)}") from error


def _written(value: int, path: str) -> int:
    try:
        int.__repr__(value)
    except ValueError:
        raise _fault(path, "integer with too many digits") from None
    return value


def _name(key: object, path: str) -> str:
    """A key as the name of a member: text as it is, anything else as JSON writes it."""
    simpler = simplify(key, f"{path} (key)")
    if isinstance(simpler, (dict, list)):
        raise _fault(path, f"key of type {type(key).__name__} cannot be a name in JSON")
    return simpler if isinstance(simpler, str) else json.dumps(simpler)


def _fault(path: str, what: str) -> ResultError:
    return ResultError(f"{path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + '...'}: {what}")


ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain)
ASCII_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=plain)
