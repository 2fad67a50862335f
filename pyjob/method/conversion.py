"""Arguments that came as text, in a path or a query, turned into what the annotation asks for (SPEC 1.3).

A text that cannot be turned stays as it is: the check of the parameter then says what is wrong with it.
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Callable

from pyjob.method.annotations import Check
from pyjob.method.binary import kind_of, without_none
from pyjob.method.signature import Parameter

Converter = Callable[[str], object]

INTEGER = re.compile(r"[+-]?[0-9]{1,1000}\Z")
# Possessive: a long text that is no number must not be tried at each of its digits.
NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?\Z")
TRUTH = types.MappingProxyType({"true": True, "1": True, "false": False, "0": False})


def converter_of(parameter: Parameter) -> Converter:
    """What turns the text of an argument into a value for ``parameter``."""
    try:
        annotation = without_none(parameter.annotation)
        # Base64 is text, whatever it looks like.
        simple = SIMPLE.get(annotation) if kind_of(annotation) is None else _text
    except Exception:  # noqa: BLE001  the author's objects
        simple = None
    return simple if simple is not None else _by_check(parameter.check())


def _integer(text: str) -> object:
    return int(text) if INTEGER.match(text) else _number(text)


def _number(text: str) -> object:
    value = float(text) if NUMBER.match(text) else math.inf
    return value if math.isfinite(value) else text


def _boolean(text: str) -> object:
    return TRUTH.get(text.lower(), text)


def _text(text: str) -> object:
    return text


def _by_check(check: Check | None) -> Converter:
    """The text read as JSON; itself where it is none, or where the check takes only the text."""

    def convert(text: str) -> object:
        try:
            value = JSON.decode(text)
        except (ValueError, RecursionError):
            return text
        if check is not None and not check.accepts(value) and check.accepts(text):
            return text
        return value

    return convert


def json_or_text(text: str) -> object:
    """What is done where nothing is known of the parameter."""
    return _by_check(None)(text)


def _refuse(constant: str) -> typing.NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


JSON = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
SIMPLE: types.MappingProxyType[object, Converter] = types.MappingProxyType(
    {int: _integer, float: _number, bool: _boolean, str: _text}
)
