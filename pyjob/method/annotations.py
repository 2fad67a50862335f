"""Checks of JSON values against annotations (SPEC 4.3), compiled once when the job loads.

``compile_check`` turns an annotation into a `Check`, or into None where the annotation is outside the
list that is checked. A check answers twice: ``accepts`` is the quick yes or no of every call,
``problems`` is asked only after a no, and names the path of each fault.
"""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

LONGEST_SHOWN = 60


class Check(Protocol):
    """What is asked of a value; ``expected`` names the type in messages."""

    expected: str

    def accepts(self, value: object) -> bool:
        """Whether the value fits; quick, since every call asks."""
        ...

    def problems(self, value: object, path: str) -> Iterator[str]:
        """Each fault of the value at ``path``, with the path inside it; none where it fits."""
        ...


class Scalar:
    """A value of one of the JSON scalar types."""

    expected: str
    exact: frozenset[type]

    def accepts(self, value: object) -> bool:
        return type(value) in self.exact or self.also_accepts(value)

    def also_accepts(self, value: object) -> bool:
        """The rarer forms: subclasses, and what counts as the type without being of it."""
        return False

    def problems(self, value: object, path: str) -> Iterator[str]:
        if not self.accepts(value):
            yield mismatch(path, self.expected, value)


class Integer(Scalar):
    """An int, or a float without fraction."""

    expected = "int"
    exact = frozenset[type]({int})

    def also_accepts(self, value: object) -> bool:
        if isinstance(value, float):
            return value.is_integer()
        return isinstance(value, int) and not isinstance(value, bool)


class Float(Scalar):
    """A float or an int."""

    expected = "float"
    exact = frozenset[type]({int, float})

    def also_accepts(self, value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)


class Boolean(Scalar):
    """True or false."""

    expected = "bool"
    exact = frozenset[type]({bool})


class String(Scalar):
    """Text."""

    expected = "str"
    exact = frozenset[type]({str})

    def also_accepts(self, value: object) -> bool:
        return isinstance(value, str)


class Null(Scalar):
    """None."""

    expected = "null"
    exact = frozenset[type]({types.NoneType})


class ListOf:
    """A list, its items checked where there is a check for them."""

    expected = "list"

    def __init__(self, item: Check | None) -> None:
        self.item = item
        # Long lists of plain numbers or texts are judged by the set of their types, without a call an item.
        self.exact_items = item.exact if isinstance(item, Scalar) else frozenset()

    def accepts(self, value: object) -> bool:
        if not isinstance(value, (list, tuple)):
            return False
        if self.item is None or self.exact_items.issuperset(map(type, value)):
            return True
        return all(map(self.item.accepts, value))

    def problems(self, value: object, path: str) -> Iterator[str]:
        if not isinstance(value, (list, tuple)):
            yield mismatch(path, self.expected, value)
        elif self.item is not None:
            for index, item in enumerate(value):
                if not self.item.accepts(item):
                    yield from self.item.problems(item, f"{path}[{index}]")


class DictOf:
    """An object, its values checked where there is a check for them; its keys are not."""

    expected = "dict"

    def __init__(self, item: Check | None) -> None:
        self.item = item

    def accepts(self, value: object) -> bool:
        return isinstance(value, dict) and (self.item is None or all(map(self.item.accepts, value.values())))

    def problems(self, value: object, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield mismatch(path, self.expected, value)
        elif self.item is not None:
            for key, item in value.items():
                if not self.item.accepts(item):
                    yield from self.item.problems(item, f"{path}.{shorten(str(key))}")


class OneOf:
    """One of the values of a Literal or an Enum."""

    def __init__(self, values: tuple[object, ...], members: type[enum.Enum] | None = None) -> None:
        self.values = values
        self.members = members
        self.expected = "one of " + ", ".join(json.dumps(value, ensure_ascii=False) for value in values)

    def accepts(self, value: object) -> bool:
        if self.members is not None and isinstance(value, self.members):
            return True
        # 1 == True in Python, but not in JSON.
        boolean = isinstance(value, bool)
        return any(value == known and boolean == isinstance(known, bool) for known in self.values)

    def problems(self, value: object, path: str) -> Iterator[str]:
        if not self.accepts(value):
            yield mismatch(path, self.expected, value)


class AnyOf:
    """A value that fits one of several checks (Optional, Union)."""

    def __init__(self, choices: tuple[Check, ...]) -> None:
        self.choices = choices
        self.expected = " or ".join(choice.expected for choice in choices)

    def accepts(self, value: object) -> bool:
        return any(choice.accepts(value) for choice in self.choices)

    def problems(self, value: object, path: str) -> Iterator[str]:
        if self.accepts(value):
            return
        # Where the container fits one choice and only something inside is wrong, name the inside.
        here = mismatch_start(path)
        for choice in self.choices:
            first = next(choice.problems(value, path), "")
            if not first.startswith(here):
                yield from choice.problems(value, path)
                return
        yield mismatch(path, self.expected, value)


def compile_check(annotation: Any, *, _open: tuple[object, ...] = ()) -> Check | None:
    """The check for ``annotation``, or None where it is outside the list of SPEC 4.3.

    ``_open`` holds the type aliases being expanded: a recursive one is unchecked where it recurs.
    """
    annotation = plain_type(annotation)
    if hasattr(annotation, "__value__"):  # `type X = ...` of Python 3.12
        if annotation in _open:
            return None
        return compile_check(annotation.__value__, _open=(*_open, annotation))
    scalar = _scalar_check(annotation)
    if scalar is not None:
        return scalar
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        if is_open_enum(annotation):
            return None
        return _one_of(tuple(member.value for member in annotation), annotation)
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin is typing.Literal and arguments:
        return _one_of(tuple(a.value if isinstance(a, enum.Enum) else a for a in arguments))
    if origin is list:
        return ListOf(compile_check(arguments[0], _open=_open) if arguments else None)
    if origin is dict:
        return DictOf(compile_check(arguments[1], _open=_open) if arguments else None)
    if origin in (typing.Union, types.UnionType) and arguments:
        return _any_of(tuple(compile_check(argument, _open=_open) for argument in arguments))
    return None


def is_open_enum(annotation: type[enum.Enum]) -> bool:
    """Whether more values than its members' stand for a member: flags, and enums that look further."""
    own_look_up = getattr(annotation._missing_, "__func__", None) is not enum.Enum._missing_.__func__  # type: ignore[attr-defined]
    return issubclass(annotation, enum.Flag) or own_look_up


def plain_type(annotation: Any) -> Any:
    """``annotation`` without `Annotated` and `NewType` around it."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = annotation.__origin__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def _scalar_check(annotation: object) -> Check | None:
    if annotation is int:
        return Integer()
    if annotation is float:
        return Float()
    if annotation is bool:
        return Boolean()
    if annotation is str:
        return String()
    if annotation is None or annotation is types.NoneType:
        return Null()
    return None


def _one_of(values: tuple[object, ...], members: type[enum.Enum] | None = None) -> Check | None:
    # Values that JSON cannot carry (bytes, tuples, objects) cannot be compared with what a caller sends.
    if all(isinstance(value, (str, int, float, bool, types.NoneType)) for value in values):
        return OneOf(values, members)
    return None


def _any_of(choices: tuple[Check | None, ...]) -> Check | None:
    known = tuple(choice for choice in choices if choice is not None)
    # One unchecked choice may accept anything.
    return AnyOf(known) if len(known) == len(choices) else None


def optional(check: Check) -> Check:
    """``check``, with null allowed: for parameters whose default is None."""
    return check if check.accepts(None) else AnyOf((check, Null()))


def first_problems(check: Check, value: object, path: str, most: int = 10) -> list[str]:
    """The first ``most`` faults of ``value``, each with its path."""
    return list(islice(check.problems(value, path), most))


def mismatch_start(path: str) -> str:
    """How the message of a fault at exactly this path begins."""
    return f"{path}: expected "


def mismatch(path: str, expected: str, value: object) -> str:
    """The message of a value that is of another type than ``expected``."""
    return f"{mismatch_start(path)}{expected}, got {shown(value)}"


def shown(value: object) -> str:
    """``value`` for a message: short, and as the caller wrote it in JSON."""
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, str):
        return json.dumps(shorten(value), ensure_ascii=False)
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge integer"
    if value is None or isinstance(value, (int, float)):
        return json.dumps(value)
    return f"an object of type {type(value).__name__}"


def shorten(text: str) -> str:
    """``text``, cut where it is long: messages repeat what callers send."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
