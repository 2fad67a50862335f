"""The document behind a manifest: YAML text into plain values, and plain values in the words of an error.

Everything here is defensive: a manifest may come from anywhere, so size, number of values and depth are
bounded, what aliases expand to counts in full, and whatever PyYAML raises becomes one ``Problem``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import yaml

from pyjob.errors import ManifestError, Problem

LARGEST = 1024 * 1024  # bytes
_MOST_VALUES = 20_000  # about a second of PyYAML; manifests have dozens
_MOST_DIGITS = 30
_SHORT = 60
_SIMPLE_KEY = re.compile(r"[\w.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Document:
    """A document's top-level mapping and the faults that did not keep it from being read: repeated keys.

    What else is known of the places of values in the text (their lines) belongs here.
    """

    source: str
    values: Mapping[object, object]
    problems: tuple[Problem, ...] = ()


def decode(data: bytes, source: str) -> str:
    """Return the text of a file: UTF-8, with or without a byte order mark.

    Raises :class:`ManifestError` when it is too large or not UTF-8.
    """
    if len(data) > LARGEST:
        raise refused(source, f"at most {LARGEST} bytes", "more")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refused(source, "UTF-8 text", f"the byte 0x{data[error.start]:02x} in line {line}") from None


def parse(text: str, source: str) -> Document:
    """Read YAML text whose top level is a mapping.

    Raises :class:`ManifestError` with one problem when there is no such mapping in it.
    """
    if len(text) > LARGEST:
        raise refused(source, f"at most {LARGEST} bytes", "more")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        census = _Census()
        if node is None:
            raise refused(source, "a mapping of fields to values", "an empty document")
        if census.take(node, "") > _MOST_VALUES:
            raise refused(source, f"at most {_MOST_VALUES} values", "aliases that expand to more")
        value: object = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise refused(source, "valid YAML", _syntax_fault(error, text)) from None
    except RecursionError:
        raise refused(source, "a few levels of nesting", "too many") from None
    if not isinstance(value, dict):
        raise refused(source, "a mapping of fields to values", found(value))
    return Document(source, value, tuple(census.repeated))


def found(value: object) -> str:
    """Name a value in a few words, on one line, whatever it is."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            short = value if len(value) <= _SHORT else value[: _SHORT - 3] + "..."
            return json.dumps(short, ensure_ascii=not short.isprintable())
        case int() if abs(value) >= 10**_MOST_DIGITS:
            return "a huge number"  # Python refuses to print the largest
        case int() | float() | date():
            return str(value)
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case bytes():
            return "binary data"
        case _:
            return f"an object of type {type(value).__name__[:_SHORT]}"


def unquoted(value: object) -> str:
    """Name a value that stands where a string is expected, with a hint for what YAML makes of bare words."""
    match value:
        case bool():
            return f"the boolean {found(value)} (so YAML reads yes, no, on and off): quote it"
        case int() | float():
            return f"the number {found(value)}: quote it"
        case date():
            return f"the date {found(value)}: quote it"
        case _:
            return found(value)


def key_label(key: object) -> str:
    """Name a key of the document in a path: as it is where it is simple, quoted and cut otherwise."""
    return key if isinstance(key, str) and _SIMPLE_KEY.fullmatch(key) else found(key)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, bounded, and with no way out but a YAMLError."""

    values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.values += 1
        if self.values > _MOST_VALUES:
            raise yaml.composer.ComposerError(problem=f"more than {_MOST_VALUES} values")
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        # The constructors of numbers and dates raise what int() and date() raise, and more on tags that lie.
        try:
            value: object = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError):
            raise _unreadable(node) from None
        if isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
            raise _unreadable(node)
        return value


def _unreadable(node: yaml.Node) -> yaml.YAMLError:
    kind = str(node.tag).rpartition(":")[2]
    return yaml.constructor.ConstructorError(
        problem=f"this looks like a value of type {kind} but is none; quote it if it is text",
        problem_mark=node.start_mark,
    )


class _Census:
    """Counts the values of a document with every alias expanded, and notes the keys that repeat."""

    def __init__(self) -> None:
        self.repeated: list[Problem] = []
        self._sizes: dict[int, int] = {}

    def take(self, node: yaml.Node, path: str) -> int:
        """Return how many values ``node`` stands for; a value that contains itself is a YAMLError."""
        size = self._sizes.get(id(node))
        if size is None:
            self._sizes[id(node)] = 0  # while its parts are counted
            size = self._sizes[id(node)] = 1 + self._parts(node, path)
        elif size == 0:
            raise yaml.composer.ComposerError(
                problem="an alias inside of what it stands for", problem_mark=node.start_mark
            )
        return size

    def _parts(self, node: yaml.Node, path: str) -> int:
        if isinstance(node, yaml.SequenceNode):
            return sum(self.take(item, f"{path}[{index}]") for index, item in enumerate(node.value))
        if not isinstance(node, yaml.MappingNode):
            return 0
        size = 0
        keys: set[tuple[str, str]] = set()
        for key, item in node.value:
            label = key_label(key.value) if isinstance(key, yaml.ScalarNode) else found(key.value)
            place = f"{path}.{label}" if path else label
            size += self.take(key, place) + self.take(item, place)
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    self.repeated.append(_repeated(key, place))
                keys.add((key.tag, key.value))
        return size


def _repeated(key: yaml.Node, path: str) -> Problem:
    return Problem(path, "every key once", f"it again in line {key.start_mark.line + 1}")


def _syntax_fault(error: yaml.YAMLError, text: str) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        number = text.count("\n", 0, error.position) + 1
        return f"the character U+{int(error.character):04X} in line {number}"
    if not isinstance(error, yaml.MarkedYAMLError):
        return "something else"
    what = ", ".join(" ".join(part.split()) for part in (error.context, error.problem) if part)
    what = what if what.isprintable() and len(what) <= 3 * _SHORT else f"{json.dumps(what[:_SHORT])}..."
    mark = error.problem_mark
    if mark is None:
        return what
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    hint = "; indent with blanks, not with tabs" if "\t" in indent else ""
    return f"a fault in line {mark.line + 1}, column {mark.column + 1}: {what}{hint}"


def refused(source: str, expected: str, what: str) -> ManifestError:
    """The error of a document that cannot be used at all."""
    return ManifestError(source, [Problem("", expected, what)])
