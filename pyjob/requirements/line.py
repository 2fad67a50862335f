"""One line of a requirements file: what it asks for, and its options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from optparse import SUPPRESS_USAGE, OptionParser, Values
from typing import NoReturn

from pyjob.requirements.requirement import LineError, shown

_LONGEST = 20_000  # with its options, such as many hashes
_COMMENT = re.compile(r"(^|\s)#.*$")
_WITH_VALUE = (
    *(("-r", "--requirement"), ("-c", "--constraint"), ("-e", "--editable")),
    *(("-i", "--index-url"), ("--extra-index-url",), ("-f", "--find-links"), ("--trusted-host",)),
    *(("--no-binary",), ("--only-binary",), ("--use-feature",)),
    *(("--hash",), ("--global-option",), ("-C", "--config-settings")),
)
_FLAGS = ("--no-index", "--prefer-binary", "--require-hashes", "--pre")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it counts, at ``number`` (from 1) of its file: ``asked`` is what stands before options."""

    number: int
    text: str
    asked: str
    options: Values

    @property
    def requirements(self) -> list[str]:
        """What it asks for, as text."""
        return [self.asked] if self.asked else self.options.editable or []

    @property
    def includes(self) -> list[tuple[str, bool]]:
        """Files that it includes, and whether they are constraints."""
        requirements, constraints = self.options.requirement or (), self.options.constraint or ()
        return [*((name, False) for name in requirements), *((name, True) for name in constraints)]


class LineReader:
    """Reads lines; its parser of options is made once."""

    def __init__(self) -> None:
        self._options = _options()

    def read(self, number: int, text: str) -> Line:
        """``text`` taken apart. Raises `LineError`."""
        if len(text) > _LONGEST:
            raise LineError(f"a line of at most {_LONGEST} characters", "more")
        words = text.split(" ")
        at = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
        try:
            options, rest = self._options.parse_args(shlex.split(" ".join(words[at:])))
        except ValueError:
            raise LineError("quotes in pairs", shown(text)) from None
        if rest:
            raise LineError("options alone behind an option", shown(rest[0]))
        return Line(number, text, " ".join(words[:at]).strip(), options)


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers: those that a backslash continues as one, without comments and empty ones."""
    first, parts = 1, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        first = first if parts else number
        is_comment = line.lstrip().startswith("#")
        # A comment ends a continued line, too.
        parts.append(f" {line}" if is_comment else line.rstrip("\\"))
        if line.endswith("\\") and not is_comment:
            continue
        if whole := _COMMENT.sub("", "".join(parts)).strip():
            yield first, whole
        parts = []


class _Options(OptionParser):
    def error(self, msg: str) -> NoReturn:
        raise LineError("a line that pip takes", shown(msg))


def _options() -> OptionParser:
    parser = _Options(add_help_option=False, usage=SUPPRESS_USAGE)
    for names in _WITH_VALUE:
        parser.add_option(*names, action="append")
    for name in _FLAGS:
        parser.add_option(name, action="store_true")
    return parser
