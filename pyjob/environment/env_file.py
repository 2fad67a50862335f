"""Env files: lines of ``NAME = value`` that hold the secrets of a job (SPEC 3.2).

A strict reader: what is not part of the grammar is an error with its line, and no error holds any part of a
value. Text that may be a value out of place counts as one: a line without ``=`` may be a mistyped secret.
The time is linear in the size of the file, whatever its references expand to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyjob.errors import ManifestError, Problem
from pyjob.manifest.document import key_label
from pyjob.manifest.file import read_bytes

_LARGEST = 1024 * 1024  # bytes of a file, and characters of all its values
_LARGEST_ENTRY = 128 * 1024  # bytes: Linux starts no program with a longer NAME=value and its NUL
_MOST_FAULTS = 100
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_NO_TEXT = re.compile("[\0\r\ud800-\udfff]")
_NO_VALUE = re.compile("[\0\ud800-\udfff]")
_BLANK = re.compile("[ \t]*(?:#[^\n]*)?(?:\n|\\Z)")
# Not before a second "=": that is how base64 ends, a line of a key that lacks its quotes.
_ASSIGNMENT = re.compile(rf"[ \t]*(?:export[ \t]+)?({_NAME})[ \t]*=(?!=)")
_QUOTE = re.compile("[ \t]*(['\"])")
_QUOTE_NAMES = {"'": "single", '"': "double"}
_QUOTED = {"'": re.compile("([^']*)'"), '"': re.compile(r'((?:[^"\\]++|\\.)*+)"', re.DOTALL)}
_END = re.compile("(?:[ \t]+(?:#[^\n]*)?)?(?:\n|\\Z)")
_COMMENT = re.compile("[ \t]#")
_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_PAIR_OR_REFERENCE = re.compile(rf"\\.|{_REFERENCE.pattern}", re.DOTALL)
_INSIDE = re.compile(f"({_NAME})(?::-(.*))?", re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What an env file sets, and the line (from 1) in which it sets it."""

    source: str
    values: Mapping[str, str] = field(repr=False)  # they are secrets
    lines: Mapping[str, int]


def read_env_file(
    file: Path, source: str, environ: Mapping[str, str], *, reserved: tuple[str, ...] = ()
) -> EnvFile:
    """Read an env file; ``source`` names it in the errors. See :func:`parse_env`."""
    data = read_bytes(file, source, _LARGEST)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    else:
        return parse_env(text, source, environ, reserved=reserved)
    # Raised out here, so that no chain of errors leads to the one that holds the data.
    raise ManifestError(source, [Problem("", "UTF-8 text", "a byte that is no part of it", line=line)])


def parse_env(
    text: str, source: str, environ: Mapping[str, str], *, reserved: tuple[str, ...] = ()
) -> EnvFile:
    """Read the text of an env file.

    What ``${NAME}`` stands for is looked up in earlier lines, then in ``environ``. Names in ``reserved``
    may not be set. Raises :class:`ManifestError` with every fault, or the first 100.
    """
    return _Reader(text.removeprefix("\ufeff").replace("\r\n", "\n"), source, environ, reserved).read()


class _Reader:
    """Reads one text, from its first line to its last; of a line with a fault it reads on in the next."""

    def __init__(self, text: str, source: str, environ: Mapping[str, str], reserved: tuple[str, ...]) -> None:
        self._text = text
        self._source = source
        self._environ = environ
        self._reserved = reserved
        self._at = 0
        self._line = 1
        self._name = ""  # of the variable that is read, as an error may tell it
        self._in_doubt = False  # this line may belong to the value of an earlier one
        self._size = 0
        self._values: dict[str, str] = {}
        self._lines: dict[str, int] = {}
        self._problems: list[Problem] = []

    def read(self) -> EnvFile:
        """Return what the text sets."""
        self._refuse_what_is_no_text()
        while self._at < len(self._text):
            if blank := _BLANK.match(self._text, self._at):
                self._go_to(blank.end())
            elif assignment := _ASSIGNMENT.match(self._text, self._at):
                self._assign(assignment)
            else:
                self._refuse_line()
        if self._problems:
            raise self._error()
        return EnvFile(self._source, self._values, self._lines)

    def _refuse_what_is_no_text(self) -> None:
        for bad in _NO_TEXT.finditer(self._text):
            self._go_to(bad.start())
            if not self._problems or self._problems[-1].line != self._line:
                name = {"\0": "NUL", "\r": "a carriage return that ends no line"}
                self._fault("text", name.get(bad.group(), "half a character"), self._line)
        if self._problems:
            raise self._error()

    def _refuse_line(self) -> None:
        line = self._line
        rest = self._rest()
        self._name = ""
        self._in_doubt = True
        if "==" in rest:
            self._fault('NAME = value, with quotes around a value that begins with "="', "other text", line)
        elif "=" in rest:
            self._fault('letters, digits and "_" as name before the "=", no digit first', "other text", line)
        else:
            self._fault("NAME = value", 'a line without "="', line)

    def _assign(self, assignment: re.Match[str]) -> None:
        name, line = assignment.group(1), self._line
        self._name = "" if self._in_doubt else key_label(name)
        self._in_doubt = False
        if name in self._reserved:
            self._fault("a name that is not reserved", "one that pyjob sets", line)
        if name in self._lines:
            self._fault("every name once", f"it in line {self._lines[name]} already", line)
        self._at = assignment.end()
        value = self._value(name)
        self._lines[name] = line
        if value is not None:
            self._values[name] = value

    def _value(self, name: str) -> str | None:
        """Read a value to the end of its last line; None when it has a fault."""
        line = self._line
        if quote := _QUOTE.match(self._text, self._at):
            self._at = quote.end()
            inner = self._quoted(quote.group(1), line)
            if inner is None:
                return None
            if quote.group(1) == "'":
                return self._kept(name, [inner], line)
            return self._expanded(name, inner, line, _PAIR_OR_REFERENCE)
        rest = self._rest()
        if comment := _COMMENT.search(rest):
            rest = rest[: comment.start()]
        if "'" in rest or '"' in rest:
            self._fault("quotes around the whole value, or none", "a stray quote", line)
            return None
        return self._expanded(name, rest.strip(" \t"), line, _REFERENCE)

    def _quoted(self, quote: str, line: int) -> str | None:
        """Return what is before the closing quote, once only blanks and a comment are behind it."""
        quoted = _QUOTED[quote].match(self._text, self._at)
        if quoted is None:
            # All that follows may be the value.
            raise self._last(f"a closing {_QUOTE_NAMES[quote]} quote", "none", line)
        self._go_to(quoted.end())
        if end := _END.match(self._text, self._at):
            self._go_to(end.end())
            return quoted.group(1)
        place = "" if self._line == line else f" in line {self._line}"
        self._fault(f"a blank and a comment, or nothing, behind the closing quote{place}", "more", line)
        self._in_doubt = True
        self._rest()
        return None

    def _expanded(self, name: str, raw: str, line: int, special: re.Pattern[str]) -> str | None:
        """Return ``raw`` with its references replaced, and its backslash pairs where ``special`` has them."""
        known = True
        parts: list[str] = []
        end = 0
        for match in special.finditer(raw):
            parts.append(raw[end : match.start()])
            end = match.end()
            if match.group(1) is None:
                parts.append(_unescaped(match.group()))
                continue
            value = self._referred(match, special, line)
            known = known and value is not None
            parts.append(value or "")
        parts.append(raw[end:])
        return self._kept(name, parts, line) if known else None

    def _referred(self, reference: re.Match[str], special: re.Pattern[str], line: int) -> str | None:
        """Return what ``${...}`` stands for; None when that is not known."""
        inside = _INSIDE.fullmatch(reference.group(1))
        if not reference.group(2):
            fault = ('a "}" for every "${"', "none")
        elif "${" in reference.group(1):
            fault = ("a default without a reference", "one inside of another")
        elif inside is None:
            fault = ("${NAME} or ${NAME:-default}", 'something else behind a "${"')
        else:
            name, default = inside.group(1), inside.group(2)
            if name in self._lines and name not in self._values:
                return None  # its own fault has been told
            value = self._values.get(name, self._environ.get(name))
            if default is not None and not value:
                value = _unescaped(default) if special is _PAIR_OR_REFERENCE else default
            if value is not None:
                return value
            fault = ("a variable that is set, or a default", f"${{{key_label(name)}}}, which is not set")
        self._fault(*fault, line + reference.string.count("\n", 0, reference.start()))
        return None

    def _kept(self, name: str, parts: list[str], line: int) -> str | None:
        """Return the value that ``parts`` make, if an environment can hold it."""
        expected = f"at most {_LARGEST_ENTRY - 2} bytes of name and value"
        length = sum(map(len, parts))
        if length > _LARGEST_ENTRY:
            self._fault(expected, "more", line)
            return None
        self._size += length
        if self._size > _LARGEST:
            raise self._last(f"at most {_LARGEST} characters in all values", "more", line)
        value = "".join(parts)
        if _NO_VALUE.search(value):  # the text has none, so it is from the environment
            self._fault("text that an environment variable can hold", "NUL or half a character", line)
        elif len(f"{name}={value}".encode()) >= _LARGEST_ENTRY:
            self._fault(expected, "more", line)
        else:
            return value
        return None

    def _rest(self) -> str:
        """Read the rest of the line."""
        start, end = self._at, self._text.find("\n", self._at)
        self._go_to(len(self._text) if end < 0 else end + 1)
        return self._text[start : self._at].rstrip("\n")

    def _go_to(self, position: int) -> None:
        self._line += self._text.count("\n", self._at, position)
        self._at = position

    def _fault(self, expected: str, found: str, line: int) -> None:
        if len(self._problems) == _MOST_FAULTS:
            self._problems.append(Problem("", f"at most {_MOST_FAULTS} faults", "more", line=line))
            raise self._error()
        self._problems.append(Problem(self._name, expected, found, line=line))

    def _last(self, expected: str, found: str, line: int) -> ManifestError:
        """Note a fault behind which nothing can be read."""
        self._fault(expected, found, line)
        return self._error()

    def _error(self) -> ManifestError:
        return ManifestError(self._source, self._problems)


def _unescaped(text: str) -> str:
    return _PAIR.sub(lambda pair: _ESCAPES.get(pair.group(1), pair.group()), text)
