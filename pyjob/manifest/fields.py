"""Readers: each takes one value of the document and returns the typed value of a field.

A reader is a pure function that raises :class:`FieldError` on a value that breaks the field's rule. Which
field has which reader is said in ``table.py``. Faults never repeat values at length, and those of environment
variables not at all, save for numbers and booleans that only lack quotes.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from posixpath import normpath
from typing import TypeVar

from pyjob.errors import Problem
from pyjob.manifest.document import found, key_label, unquoted

T = TypeVar("T")

# The platform sets these, and the last one says who is let in: no job decides that.
RESERVED_NAMES = ("PUB_URL", "JOB_NAME", "JOB_VERSION", "PYJOB_ACCESS")

LARGEST_COUNT = 2**31 - 1
MOST_REPLICAS = 50
LARGEST_SIZE = sys.maxsize
LONGEST_WAIT = 1_000_000_000  # seconds; what locks and events of every platform still take
_DEEPEST = 50
_QUOTE_NAME = "quote the name"

# Each is to match the whole value, and is a pattern of JavaScript too: json_schema.py has them.
NAME = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
EMAIL = re.compile(r".+@.+")
JOBTYPE = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*:[A-Za-z0-9][-+._A-Za-z0-9]*")
_NUMBER, _WORD = r"(0|[1-9][0-9]*)", r"[0-9]*[-A-Za-z][-0-9A-Za-z]*"
VERSION = re.compile(
    rf"{_NUMBER}(\.{_NUMBER}){{2}}(-({_NUMBER}|{_WORD})(\.({_NUMBER}|{_WORD}))*)?(\+[-0-9A-Za-z]+(\.[-0-9A-Za-z]+)*)?"
)
HOME_PAGE = re.compile(r"/(?!/)[^\\]*")
DIGITS = re.compile(r"[0-9]{1,20}")
QUANTITY = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})([EPTGMKkmunp]|[EPTGMK]i)?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VARIABLE_VALUE = re.compile(r"[^\u0000\ud800-\udfff]*")
RELATIVE_PATH = re.compile(r"(?!/).*")
BASE_PATH = re.compile(r"(?!/).*\.ya?ml")
INNER_PATH = re.compile(r"(?!/).*[^/]")
ENDPOINT = re.compile(r"(/(?!\.{1,2}(/|$))[^/\\]+)+/?")
PACKAGE = re.compile(r"[a-z0-9][-a-z0-9+.]+(:[-a-z0-9]+)?(=[-A-Za-z0-9.+:~]+)?")
ORIGIN = re.compile(r"\*|[a-z][-a-z0-9+.]*://[^/?#@\\\s]+")

_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6, "m": -1, "u": -2, "n": -3, "p": -4}


class FieldError(Exception):
    """A value that its field does not take; the paths of ``problems`` are relative to the field."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def amount(quantity: str) -> Decimal:
    """Return the number behind a quantity that :func:`quantity` has let through (``1Ki`` is 1024)."""
    match = QUANTITY.fullmatch(quantity)
    if match is None:
        raise _wrong("a quantity", found(quantity))
    unit = match[2] or ""
    base = Decimal(1024 if unit.endswith("i") else 1000)
    return Decimal(match[1]) * base ** _POWERS[unit[:1]]


def text(value: object) -> str:
    """Any string."""
    return _string(value, "a string")


def name(value: object) -> str:
    """The job's name."""
    expected = 'at most 63 letters, digits, "-", "_" and ".", a letter or digit at both ends (house-price)'
    return _matching(value, NAME, expected)


def email(value: object) -> str:
    """An address that somebody may write to."""
    return _matching(value, EMAIL, "an e-mail address")


def jobtype(value: object) -> str:
    """Name and version of a job type."""
    return _matching(value, JOBTYPE, "a job type and its version, such as python3:latest")


def version(value: object) -> str:
    """A version as Semantic Versioning 2.0 has it."""
    return _matching(value, VERSION, "a semantic version, such as 1.2.3")


def relative_path(value: object) -> str:
    """A path that may lead out of the job's folder, to somewhere else in the repository."""
    return _matching(value, RELATIVE_PATH, "a relative path")


def base_path(value: object) -> str:
    """The path of another manifest in the repository."""
    return _matching(value, BASE_PATH, "the relative path of a .yaml file")


def inner_path(value: object) -> str:
    """A path that stays inside the job's folder."""
    expected = "the path of a file inside the job's folder, relative to it"
    path = _matching(value, INNER_PATH, expected)
    if normpath(path).split("/")[0] in (".", ".."):
        raise _wrong(expected, found(path))
    return path


def home_page(value: object) -> str:
    """A path on this server; ``//host`` and its spellings with a backslash would lead to another."""
    return _matching(value, HOME_PAGE, 'a path on this server that starts with one "/"')


def flag(value: object) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise _wrong("true or false", found(value))
    return value


def count(value: object) -> int:
    """A whole number from 0, or its digits in a string."""
    number = int(value) if isinstance(value, str) and DIGITS.fullmatch(value) else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise _wrong("an integer >= 0", found(value))
    if number > LARGEST_COUNT:
        raise _wrong(f"an integer <= {LARGEST_COUNT}", found(value))
    return number


def cap(value: object) -> int | None:
    """A count of which 0 means that there is no limit."""
    return count(value) or None


def replicas(value: object) -> int:
    """How many copies of the job a platform starts."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_REPLICAS:
        raise _wrong(f"an integer from 1 to {MOST_REPLICAS}", found(value))
    return value


def seconds(value: object) -> float:
    """A length of time."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
        raise _wrong("a number of seconds > 0", found(value))
    if value > LONGEST_WAIT:
        raise _wrong(f"a number of seconds <= {LONGEST_WAIT}", found(value))
    return float(value)


def quantity(value: object) -> str:
    """A number with an optional unit; kept as written, since platforms read it on."""
    expected = "a quantity, such as 500m, 0.5 or 256Mi"
    if isinstance(value, float) and 0 <= value < math.inf:
        value = format(Decimal(repr(abs(value))), "f")  # without the sign of -0.0
    elif isinstance(value, int) and not isinstance(value, bool):
        value = found(value)
    if not isinstance(value, str) or not QUANTITY.fullmatch(value):
        raise _wrong(expected, found(value))
    return value


def size(value: object) -> int:
    """A number of bytes, written as a quantity."""
    number = int(amount(quantity(value)))
    if not 1 <= number <= LARGEST_SIZE:
        hint = ' (a small "m" is a thousandth)' if str(value).endswith("m") else ""
        raise _wrong("a number of bytes from 1, such as 100Mi", found(value) + hint)
    return number


def build_env(value: object) -> dict[str, str]:
    """Environment variables of the build."""
    return _environment(value, reserved=())


def runtime_env(value: object) -> dict[str, str]:
    """Environment variables of the job's process, less those that the server sets itself."""
    return _environment(value, reserved=RESERVED_NAMES)


def endpoints(value: object) -> tuple[str, ...]:
    """Paths that are to be open without a token (SPEC 8.3)."""
    return _each(value, "a list of paths", _endpoint)


def packages(value: object) -> tuple[str, ...]:
    """Names of Debian packages; what is no name could be read as an option of apt."""
    return _each(
        value, "a list of Debian packages", lambda one: _matching(one, PACKAGE, "a Debian package name")
    )


def origins(value: object) -> tuple[str, ...]:
    """Origins in the sense of RFC 6454: scheme, host and port."""
    expected = 'an origin such as "https://example.com" (no path, no closing slash), or "*"'
    return _each(value, "a list of origins", lambda one: _matching(one, ORIGIN, expected))


def labels(value: object) -> dict[str, object]:
    """A mapping of names to whatever the author likes."""
    if not isinstance(value, Mapping):
        raise _wrong("a mapping", found(value))
    if odd := [key for key in value if not isinstance(key, str)]:
        raise FieldError(
            Problem(f".{key_label(key)}", "a string as name", unquoted(key, _QUOTE_NAME)) for key in odd
        )
    return {key: _copied(item) for key, item in value.items()}


def anything(value: object) -> object:
    """A value that is kept and not looked at."""
    return _copied(value)


def _wrong(expected: str, what: str) -> FieldError:
    return FieldError([Problem("", expected, what)])


def _string(value: object, expected: str) -> str:
    if not isinstance(value, str):
        raise _wrong(expected, unquoted(value))
    if not value.isprintable():
        raise _wrong("text of one line without control characters", found(value))
    return value


def _matching(value: object, pattern: re.Pattern[str], expected: str) -> str:
    content = _string(value, expected)
    if not pattern.fullmatch(content):
        raise _wrong(expected, found(content))
    return content


def _each(value: object, expected: str, read: Callable[[object], T]) -> tuple[T, ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(expected, found(value))
    items: list[T] = []
    problems: list[Problem] = []
    for index, item in enumerate(value):
        try:
            items.append(read(item))
        except FieldError as error:
            problems += [Problem(f"[{index}]{one.path}", one.expected, one.found) for one in error.problems]
    if problems:
        raise FieldError(problems)
    return tuple(items)


def _endpoint(value: object) -> str:
    expected = 'a path that starts with "/" and names an endpoint, without "//", ".", ".." and backslashes'
    return _matching(value, ENDPOINT, expected)


def _environment(value: object, reserved: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _wrong("a mapping of names to strings", found(value))
    problems = [fault for key, item in value.items() if (fault := _variable_fault(key, item, reserved))]
    if problems:
        raise FieldError(problems)
    return {str(key): str(item) for key, item in value.items()}


def _variable_fault(key: object, value: object, reserved: tuple[str, ...]) -> Problem | None:
    path = f".{key_label(key)}"
    if not isinstance(key, str) or not VARIABLE.fullmatch(key):
        return Problem(path, 'letters, digits and "_" as name, no digit first', unquoted(key, _QUOTE_NAME))
    if key in reserved:
        return Problem(path, "a name that is not reserved", found(key))
    if value is None:
        return Problem(path, "a string", 'null: write "" for an empty value')
    if not isinstance(value, str):
        return Problem(path, "a string", unquoted(value))
    if not VARIABLE_VALUE.fullmatch(value):
        return Problem(path, "text that an environment variable can hold", "NUL or half a character")
    return None


def _copied(value: object, depth: int = 0) -> object:
    """Copy mappings and lists, so that the manifest does not change with the document."""
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if depth == _DEEPEST:  # a mapping at hand may even contain itself
        raise _wrong(f"at most {_DEEPEST} levels of nesting", "more")
    if isinstance(value, Mapping):
        return {key: _copied(item, depth + 1) for key, item in value.items()}
    return [_copied(item, depth + 1) for item in value]
