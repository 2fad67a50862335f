"""The items of a request, as HTTPie writes them: ``name=value``, ``name:=json``, ``name@file`` and so on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pyjob.errors import PyjobError


class UsageError(PyjobError):
    """The command line makes no sense; the message says what would, and no value, which may be secret."""


class Kind(Enum):
    """What an item is, by its separator."""

    JSON_FILE = ":=@"
    JSON = ":="
    QUERY = "=="
    TEXT_FILE = "=@"
    TEXT = "="
    FILE = "@"
    HEADER = ":"


STDIN = "-"
IN_BODY = frozenset({Kind.JSON_FILE, Kind.JSON, Kind.TEXT_FILE, Kind.TEXT, Kind.FILE})
OF_FILES = frozenset({Kind.JSON_FILE, Kind.TEXT_FILE, Kind.FILE})

# The longest first, since one begins with another.
_SEPARATOR = re.compile("|".join(re.escape(kind.value) for kind in Kind))
_ESCAPED = re.compile(r"\\([:=@\\])")
# RFC 9110, 5.6.2 and 5.5.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What the rest of a request says already.
_OURS = frozenset({"host", "content-length", "transfer-encoding"})
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")


@dataclass(frozen=True)
class Item:
    """One item: its ``kind``, its ``name``, and what stands behind the separator."""

    kind: Kind
    name: str
    value: str

    @property
    def is_in_body(self) -> bool:
        """Whether it is sent in the body."""
        return self.kind in IN_BODY

    @property
    def reads_stdin(self) -> bool:
        """Whether its value is what stands on standard input."""
        return self.kind in OF_FILES and self.value == STDIN

    @property
    def shown(self) -> str:
        """Name and separator."""
        return f"{self.name}{self.kind.value}"


def item_of(text: str) -> Item:
    """Read one item; a backslash before ``:``, ``=`` or ``@`` takes its meaning away. Raises `UsageError`."""
    separator = _first_separator(text)
    if separator is None:
        expected = "expected name=value, name:=json, name@file, name==value or Header:value"
        if re.fullmatch(r"[\w./-]+", text):
            endpoint = f"/{text.lstrip('/')}"
            raise UsageError(f"{text!r}: {expected}; for the endpoint, write {endpoint} before all items")
        raise UsageError(expected)
    name = _ESCAPED.sub(r"\1", text[: separator.start()])
    item = Item(Kind(separator.group()), name, text[separator.end() :])
    if not name:
        raise UsageError(f"expected a name before {item.kind.value}")
    if item.kind is Kind.HEADER:
        return _header(item)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{item.shown!a}: expected UTF-8") from None
    if item.kind in OF_FILES and not item.value:
        raise UsageError(f"{item.shown}: expected the name of a file behind it, or - for standard input")
    return item


def items_of(texts: Iterable[str]) -> list[Item]:
    """Read all items. Raises `UsageError`, also where two are the same argument or want standard input."""
    items = [item_of(text) for text in texts]
    taken: dict[str, Item] = {}
    for item in items:
        other = taken.setdefault(item.name, item) if item.is_in_body else item
        if other is not item and not (item.kind is other.kind is Kind.FILE):  # several files are a list
            raise UsageError(f"{item.name} is given twice; a list is {item.name}:='[1, 2]'")
    if sum(item.reads_stdin for item in items) > 1:
        raise UsageError("standard input can be read only once")
    return items


def value_of(item: Item, text: str) -> Any:
    """``text``, that of an item or of its file, as the value that is sent. Raises `UsageError`."""
    if item.kind not in (Kind.JSON, Kind.JSON_FILE):
        return text
    try:
        return json.loads(text, parse_constant=_refused, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        fault = str(error) or "it is nested too deep"
        as_text = Kind.TEXT if item.kind is Kind.JSON else Kind.TEXT_FILE
        raise UsageError(
            f"{item.shown} expects JSON, such as 5, true, [1, 2] or '\"text\"' ({fault}); "
            f"{item.name}{as_text.value} sends text"
        ) from None


def _first_separator(text: str) -> re.Match[str] | None:
    start = 0
    while (found := _SEPARATOR.search(text, start)) is not None:
        before = text[: found.start()]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return found
        start = found.start() + 1
    return None


def _header(item: Item) -> Item:
    value = item.value.strip()
    if not _HEADER_NAME.fullmatch(item.name):
        raise UsageError(f"{item.shown!a}: no header can be called so; JSON is name:=json")
    if item.name.lower() in _OURS:
        raise UsageError(f"{item.shown} follows from the URL and the body, and cannot be given")
    if not _HEADER_VALUE.fullmatch(value):
        raise UsageError(f"{item.shown}: expected one line of Latin-1 text")
    return Item(item.kind, item.name, value)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a float")
    return number
