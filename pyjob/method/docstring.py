"""What a job's author wrote about a method, for its OpenAPI page: reST, Google and NumPy docstrings.

The text is cut into sections, each read in its own style: a docstring may mix them. Time is linear, since a
pattern sees a line a fixed number of times and cannot backtrack far.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

# The name of the group that matched is the kind of the section.
_TITLE = re.compile(
    r"(?i)(?P<parameters>(?:keyword |other )?(?:arg(?:ument)?s|param(?:eter)?s))|"
    r"(?P<kept>notes?|examples?|warnings?|attention|caution|danger|hint|important|tip|references)|"
    r"(?P<returns>returns?|yields?)|(?P<dropped>raises?|except(?:ions)?|warns|attributes|see also|todo)"
)
_FIELD = re.compile(
    r"(?i)\s*+:(?:(?P<parameters>param|parameter|arg|argument|key|keyword|kwarg)|(?P<returns>returns?|yields?)|"
    r"(?P<dropped>type|rtype|raises?|except|exception|var|ivar|cvar|vartype|meta))(?=[\s:]|$)"
)
_NAME = re.compile(r"[\\*`]*+(\w[\w.]*+)[*`]*+")
_NAMES = rf"({_NAME.pattern}(?:\s*+,\s*+{_NAME.pattern})*)"
_GOOGLE_ENTRY = re.compile(rf"(?:[-+*]\s++)?{_NAMES}\s*+(?:\(.*?\)\s*+)?:(?P<text>.*)")
_NUMPY_ENTRY = re.compile(rf"{_NAMES}\s*+(?::(?P<text>.*))?")
_OR = r"(?:(?:\s*+[|,]\s*+|\s++(?:of|or)\s++)[\w.]++)*"
_TYPE = re.compile(rf"[\w.]++{_OR}(?:\[.*\]{_OR})?")
_GOOGLE_RESULT = re.compile(rf"(?P<label>{_TYPE.pattern}):(?:\s(?P<text>.*))?")
_NUMPY_RESULT = re.compile(r"(?P<label>\S[^:]*+)(?::.*)?(?P<text>)")
_UNDERLINE = re.compile(r"\s*+(?:-{3,}|={3,})")
_FENCE = re.compile(r"\s*+(```+|~~~+)([^`]*+)")
_BLOCK = r"[-+*]\s|\d++[.)]\s|[#>|]|```|~~~"
_UNWRAPPED = re.compile(rf"\s|{_BLOCK}")
_END_OF_PARAGRAPH = re.compile(rf"\n(?=\n|{_BLOCK})")


@dataclass(frozen=True)
class Docstring:
    """``summary`` is one line of plain text, the rest Markdown; parameters that have no text are left out."""

    summary: str = ""
    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    returns: str = ""


def parse_docstring(text: str | None) -> Docstring:
    """Read a docstring of any style, or of none, for ``/openapi.json`` (SPEC 4.1); never raises.

    API pages are not read by Python programmers alone: notes, examples, warnings and references stay, below
    the description and under bold titles; Raises, Attributes, See Also, ``:type:`` and the like are dropped.
    The first of two texts counts.
    """
    free: list[str] = []
    kept: list[str] = []
    parameters: dict[str, str] = {}
    returns = ""
    for section in _sections(_lines(text if isinstance(text, str) else "")):
        if section.kind == "free":
            free += ["", *section.lines]
        elif section.kind == "kept" and section.lines:
            kept += ["", f"**{section.opening.strip().rstrip(':')}**", "", *_dedented(section.lines)]
        elif section.kind == "returns":
            returns = returns or _returns(section)
        elif section.kind == "parameters":
            for name, told in _parameters(section):
                if told:
                    parameters.setdefault(name, told)
    first, *rest = _END_OF_PARAGRAPH.split("\n".join(free).strip("\n"), maxsplit=1)
    summary = " ".join(line for line in first.split("\n") if not _UNDERLINE.fullmatch(line))
    description = _description("\n".join([*rest, *kept]).split("\n"))
    return Docstring(" ".join(summary.split()), description, parameters, returns)


def _lines(text: str) -> list[str]:
    """The cleaned lines; blank ones are empty."""
    stripped = "\n".join(map(str.rstrip, text.replace("\r\n", "\n").replace("\r", "\n").split("\n")))
    body = stripped.lstrip("\n")
    # cleandoc takes leading blank lines away one by one, in quadratic time; one of them tells it enough.
    return inspect.cleandoc(body if body == stripped else "\n" + body).split("\n")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedented(lines: Sequence[str]) -> list[str]:
    margin = min((_indent(line) for line in lines if line), default=0)
    return [line[margin:] for line in lines]


@dataclass
class _Section:
    """A run of lines with one purpose: its opening line, and what follows until the next one."""

    kind: str
    style: str = "free"  # or: field, google, numpy
    opening: str = ""
    name: str = ""
    head: str = ""
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.indent = _indent(self.opening)

    def ends_before(self, line: str, *, after_blank: bool) -> bool:
        """Whether ``line``, which opens nothing, is free text again."""
        if self.style == "free" or not line or _indent(line) > self.indent:
            return False
        if self.style == "google" and self.lines and _indent(self.lines[0]) > self.indent:
            return True
        if self.style == "numpy":  # nothing but its look tells free text from a further entry
            is_entry = _NUMPY_ENTRY.fullmatch(line.strip()) or _TYPE.fullmatch(line.strip())
            return after_blank and self.kind != "kept" and bool(self.lines) and not is_entry
        return after_blank


def _sections(lines: Sequence[str]) -> Iterator[_Section]:
    fenced = _fenced(lines)
    current = _Section("free")
    underline = -1
    for index, line in enumerate(lines):
        if index == underline:
            continue
        opened = _opened(lines, index, current) if index not in fenced else None
        if opened is not None:
            underline = index + 1 if opened.style == "numpy" else -1
        elif current.ends_before(line, after_blank=index > 0 and not lines[index - 1]):
            # A title with nothing below it was a part of the text ("Example:", a blank line, a code block).
            was_text = current.style == "google" and not current.head and not current.lines
            opened = _Section("free", lines=[current.opening, "", line] if was_text else [line])
        if opened is not None:
            yield current
            current = opened
        elif line or current.lines or current.head:
            current.lines.append(line)
    yield current


def _fenced(lines: Sequence[str]) -> set[int]:
    """The numbers of the lines within Markdown's code fences, closed ones, where nothing is a title."""
    inside: set[int] = set()
    start, mark = -1, ""
    for index, line in enumerate(lines):
        fence = _FENCE.fullmatch(line) if "```" in line or "~~~" in line else None
        if fence and start < 0:
            start, mark = index, fence[1][0]
        elif fence and fence[1][0] == mark and not fence[2]:
            inside.update(range(start, index + 1))
            start = -1
    return inside


def _opened(lines: Sequence[str], index: int, current: _Section) -> _Section | None:
    """The section that the line opens, if it does."""
    if not (line := lines[index]):
        return None
    deeper = current.style != "free" and _indent(line) > current.indent
    match = _FIELD.match(line) if ":" in line else None
    if match and not (deeper and current.kind == "kept"):
        rest = line[match.end() :].lstrip(": ")
        name, head = _named(rest) if match.lastgroup == "parameters" else ("", rest)
        return _Section(str(match.lastgroup), "field", line, name, head)
    if deeper:
        return None
    if index + 1 < len(lines) and _UNDERLINE.fullmatch(lines[index + 1]):
        if match := _TITLE.fullmatch(line.strip().rstrip(":")):
            return _Section(str(match.lastgroup), "numpy", line)
        return _Section("free", lines=[line]) if current.style != "free" else None
    title, colon, head = line.partition(":")
    match = _TITLE.fullmatch(title.strip()) if colon else None
    capital = title.lstrip()[:1].isupper()
    if match is None or not (capital or index == 0 or not lines[index - 1]):
        return None  # "..., with these\nparameters:" is a sentence
    if head and not (match.lastgroup == "returns" and capital and index > 0):
        return None  # "Returns: the sum" is understood, but not as the docstring's first words
    return _Section(str(match.lastgroup), "google", line, head=head)


def _named(rest: str) -> tuple[str, str]:
    """Name and text of ``x: text``, ``float x: text``, ``x text`` and ``x text: more text``."""
    before, *after = re.split(r":(?=\s|$)", rest, maxsplit=1)
    words = before.split()
    match = _NAME.fullmatch(words[-1]) if after and words else None
    if match and (len(words) <= 2 or _TYPE.fullmatch(" ".join(words[:-1]))):
        return match[1], after[0]
    match = _NAME.match(rest)
    return (match[1], rest[match.end() :].lstrip(": ")) if match else ("", "")


def _parameters(section: _Section) -> Iterator[tuple[str, str]]:
    if section.name:
        yield section.name, _prose(section.head, section.lines)
    if section.style == "field":
        return
    numpy = section.style == "numpy"
    for match, lines in _entries(_NUMPY_ENTRY if numpy else _GOOGLE_ENTRY, section.lines):
        head = (match["text"] or "").strip()
        told = _prose("" if numpy and (any(lines) or _TYPE.fullmatch(head)) else head, lines)
        for name in _NAME.finditer(match[1]):
            yield name[1], told


def _returns(section: _Section) -> str:
    lines = _dedented(section.lines)
    hanging = section.style == "numpy" and any(line[:1].isspace() for line in lines)
    pattern = _NUMPY_RESULT if hanging else _GOOGLE_RESULT
    if section.head or not lines or not pattern.fullmatch(lines[0]):
        return _prose(section.head, lines)
    told = [
        (match["label"].strip(), _prose(match["text"] or "", rest))
        for match, rest in _entries(pattern, lines)
    ]
    return told[0][1] if len(told) == 1 else "\n".join(f"- {label}: {text}" for label, text in told)


def _entries(pattern: re.Pattern[str], lines: Sequence[str]) -> list[tuple[re.Match[str], list[str]]]:
    """The outermost lines that match, each with what follows; lines before the first are no entry's."""
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in _dedented(lines):
        if not line[:1].isspace() and (match := pattern.fullmatch(line)):
            found.append((match, []))
        elif found:
            found[-1][1].append(line)
    return found


def _prose(head: str, lines: Sequence[str]) -> str:
    """Markdown with one line a paragraph; lists, tables and code keep their line breaks."""
    told = [head.strip(), *_dedented(lines)]
    text = "\n".join(told).strip("\n")
    is_plain = not any(_UNWRAPPED.match(line) for line in told)
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text) if is_plain else text


def _description(lines: Sequence[str]) -> str:
    """The paragraphs as they are. Doctests become code blocks: to Markdown, ``>>>`` is a quotation."""
    fenced = _fenced(lines)
    shown = [""]
    in_doctest = False
    for index, line in enumerate(lines):
        in_doctest = bool(line) and (in_doctest or (line.startswith(">>>") and index not in fenced))
        if shown[-1] and in_doctest and not shown[-1].startswith("    "):
            shown.append("")
        if line or shown[-1] or index in fenced:
            shown.append("    " * in_doctest + line)
    return "\n".join(shown).strip("\n")
