"""The document behind a manifest: YAML text into plain values, and plain values in the words of an error.

Everything here is defensive: a manifest may come from anywhere, so size, number of values and depth are
bounded, what aliases expand to counts in full, and whatever PyYAML raises becomes one ``Problem``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import yaml

from pyjob.errors import ManifestError, Problem, Remark
from pyjob.manifest.place import Place, Places

LARGEST = 256 * 1024  # bytes; PyYAML takes two seconds for a megabyte, of comments even
_MOST_VALUES = 20_000  # about a second of PyYAML; manifests have dozens
_MOST_LEVELS = 100
_MOST_DIGITS = 30
_SURVEYED_LEVELS = 3  # no field has parts below
_SHORT = 60
_LONGEST_PATH = 200
_QUOTE_IT = "quote it"
_SIMPLE_KEY = re.compile(r"[\w-]{1,60}")
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML counts as the end of a line
_ENV_FILE = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:export[ \t]+)?[A-Za-z_]\w*[ \t]*=")
_NAMED = re.compile(r"""\b(alias|anchor|tag|handle) (['"]).*\2""")


@dataclass(frozen=True, slots=True)
class Document:
    """A document's top-level mapping, the faults that did not keep it from being read, and where what is.

    ``is_partial``: what it lacks may be in a base manifest that could not be read. ``remarks``: to be told.
    """

    source: str
    values: Mapping[object, object]
    problems: tuple[Problem, ...] = ()
    places: Places = field(default_factory=Places)
    is_partial: bool = False
    remarks: tuple[Remark, ...] = ()

    def place_of(self, path: str) -> Place:
        """Where ``path`` is written, or what holds it; the document without a line where neither is."""
        return self.places.nearest(path) or Place(self.source)

    def located(self, problem: Problem) -> Problem:
        """``problem`` with its file and line, and the written word where YAML made something else of it."""
        if problem.line is not None or problem.source:
            return problem
        place, written = self.place_of(problem.path), self.places.written(problem.path)
        is_hint = written and problem.found.endswith(_QUOTE_IT)
        found = f'{problem.found}: "{written}"' if is_hint else problem.found
        return replace(problem, found=found, line=place.line, source=place.source)


@dataclass(frozen=True, slots=True)
class Part:
    """Any YAML value, its repeated keys, where what is; ``line`` is None where there is nothing at all."""

    value: object
    problems: tuple[Problem, ...]
    places: Places
    line: int | None


def parse(text: str, source: str) -> Document:
    """Read YAML text whose top level is a mapping.

    Raises :class:`ManifestError` with one problem when there is no such mapping in it.
    """
    expected = "a mapping of fields to values"
    if _ENV_FILE.match(text):  # one that begins so may hold secrets, and is not to be told by its keys
        raise refused(source, expected, "lines of NAME=value, as in an env file")
    part = parse_value(text, source)
    if part.line is None:
        raise refused(source, expected, "an empty document")
    if not isinstance(part.value, dict):
        # The text of a file that is no manifest may be anything, even a secret.
        what = "text" if isinstance(part.value, str) else found(part.value)
        raise refused(source, expected, what, part.line)
    return Document(source, part.value, part.problems, part.places)


def parse_value(text: str, source: str, path: str = "") -> Part:
    """Read YAML text that is the value of ``path``. Raises :class:`ManifestError` with one problem."""
    if len(text) > LARGEST:
        raise refused(source, f"at most {LARGEST} bytes", "more")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Part(None, (), Places({path: Place(source)}), None)
        census = _Census()
        census.take(node, path)
        value: object = loader.construct_document(node)
        places = _Surveyor(loader, source).places_of(node, path)
    except yaml.YAMLError as error:
        raise refused(source, "valid YAML", *_syntax_fault(error, text)) from None
    except (ValueError, OverflowError):  # of the scanner: an escape that is no character
        raise refused(source, "valid YAML", r"a character that there is none, such as \U00110000") from None
    except RecursionError:  # the caller is deep down already
        raise refused(source, "a few levels of nesting", "too many") from None
    return Part(value, tuple(census.repeated), places, node.start_mark.line + 1)


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
        case list() | tuple() | bytes():
            return "binary data" if isinstance(value, bytes) else "a list"
        case _:
            return f"an object of type {type(value).__name__[:_SHORT]}"


def unquoted(value: object, hint: str = _QUOTE_IT) -> str:
    """Name a value that stands where a string is expected, with a hint for what YAML makes of bare words."""
    match value:
        case bool():
            return f"the boolean {found(value)} (so YAML reads yes, no, on and off): {hint}"
        case int() | float() | date():
            kind = "date" if isinstance(value, date) else "number"
            return f"the {kind} {found(value)}: {hint}"
        case _:
            return found(value)


def key_label(key: object) -> str:
    """Name a key of the document in a path: as it is where it is simple, quoted and cut otherwise."""
    return key if isinstance(key, str) and _SIMPLE_KEY.fullmatch(key) else found(key)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, bounded, and with no way out but a YAMLError."""

    values = 0
    levels = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.values += 1
        self.levels += 1
        if self.values > _MOST_VALUES:
            raise self._beyond(f"more than {_MOST_VALUES} values")
        if self.levels > _MOST_LEVELS:
            raise self._beyond(f"more than {_MOST_LEVELS} levels of nesting")
        node = super().compose_node(parent, index)
        self.levels -= 1
        return node

    def _beyond(self, problem: str) -> yaml.YAMLError:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        return yaml.composer.ComposerError(problem=problem, problem_mark=mark)

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
        """Return how many values ``node`` stands for; too many, or one inside itself, are a YAMLError."""
        size = self._sizes.get(id(node))
        if size is None:
            self._sizes[id(node)] = 0  # while its parts are counted
            size = self._sizes[id(node)] = 1 + self._parts(node, path[:_LONGEST_PATH])
        problem = "an alias inside of what it stands for" if size == 0 else ""
        if size > _MOST_VALUES:
            problem = f"aliases that expand to more than {_MOST_VALUES} values"
        if problem:
            raise yaml.composer.ComposerError(problem=problem, problem_mark=node.start_mark)
        return size

    def _parts(self, node: yaml.Node, path: str) -> int:
        if isinstance(node, yaml.SequenceNode):
            return sum(self.take(item, f"{path}[{index}]") for index, item in enumerate(node.value))
        if not isinstance(node, yaml.MappingNode):
            return 0
        size = 0
        keys: dict[tuple[str, str], int] = {}
        for key, item in node.value:
            label = key_label(key.value) if isinstance(key, yaml.ScalarNode) else found(key.value)
            place = f"{path}.{label}" if path else label
            size += self.take(key, place) + self.take(item, place)
            if isinstance(key, yaml.ScalarNode):
                name = (key.tag, key.value)
                if name in keys:
                    self.repeated.append(_repeated(key, place, keys[name]))
                keys.setdefault(name, key.start_mark.line + 1)
        return size


def _repeated(key: yaml.Node, path: str, first: int) -> Problem:
    return Problem(path, "every key once", f"it again after line {first}", key.start_mark.line + 1)


class _Surveyor:
    """Notes where every value of a document stands, once its construction has spread out merge keys."""

    def __init__(self, loader: _Loader, source: str) -> None:
        self._loader = loader
        self._source = source
        self._places: dict[str, Place] = {}

    def places_of(self, node: yaml.Node, path: str) -> Places:
        """The places of ``node``, which is at ``path``, and of what is below it."""
        self._note(node, node, path, _SURVEYED_LEVELS)
        return Places(self._places)

    def _survey(self, node: yaml.Node, path: str, levels: int) -> None:
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._note(item, item, f"{path}[{index}]", levels)
        elif isinstance(node, yaml.MappingNode):
            for key, item in node.value:
                label = key_label(self._loader.construct_object(key, deep=True))
                self._note(key, item, f"{path}.{label}" if path else label, levels)

    def _note(self, start: yaml.Node, node: yaml.Node, path: str, levels: int) -> None:
        # What was written is of use where it is a plain word that YAML took for something else.
        is_plain = isinstance(node, yaml.ScalarNode) and not node.style and len(node.value) <= _SHORT
        written = node.value if is_plain and node.value.isprintable() else ""
        self._places[path] = Place(self._source, start.start_mark.line + 1, written)
        if levels:
            self._survey(node, path, levels - 1)


def _syntax_fault(error: yaml.YAMLError, text: str) -> tuple[str, int | None]:
    """What is wrong, and in which line."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{int(error.character):04X}", line_at(text, error.position)
    if not isinstance(error, yaml.MarkedYAMLError):
        return "something else", None
    what = ", ".join(" ".join(part.split()) for part in (error.context, error.problem) if part)
    what = _NAMED.sub(r"\1", what)  # may be a password that lacks quotes
    what = what if what.isprintable() and len(what) <= 3 * _SHORT else f"{json.dumps(what[:_SHORT])}..."
    mark = error.problem_mark
    if mark is None:
        return what, None
    what += _syntax_hint(what, _BREAK.split(text), mark.line)
    return f"a fault in column {mark.column + 1}: {what}", mark.line + 1


def _syntax_hint(what: str, lines: list[str], number: int) -> str:
    """What is often the reason of a fault in the line at ``number``, in other words than a parser's."""
    line = "".join(lines[number : number + 1])
    before = next((one for one in reversed(lines[:number]) if one.strip()), "")
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "; indent with blanks, not with tabs"
    if "mapping values are not allowed" in what and ":" not in before:
        return "; is a colon missing in the line before?"
    return "; is the indentation that of the lines before?" if "expected <block end>" in what else ""


def line_at(text: str, position: int) -> int:
    """The line, from 1, in which YAML has the character at ``position``."""
    return len(_BREAK.findall(text, 0, position)) + 1


def refused(source: str, expected: str, what: str, line: int | None = None) -> ManifestError:
    """The error of a document that cannot be used at all."""
    return ManifestError(source, [Problem("", expected, what, line)])
