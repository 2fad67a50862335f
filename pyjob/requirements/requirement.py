"""A distribution that a requirements file asks for.

A line may hold a password in a URL: of such a line, messages show only what stands before the URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_LONGEST = 2000  # characters of one requirement; regular expressions read it
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
URL = re.compile(r"(https?|ftp|file|(git|hg|svn|bzr)\+[a-z]+):/", re.IGNORECASE)
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][-._A-Za-z0-9]*)")
_PATH = re.compile(
    r"\.{1,2}(\[|$)|[^@\s;]*(/|\.(whl|zip|tgz|tbz|txz|tar(\.(gz|bz2|xz|lz|lzma))?)(\s|[;\[]|$))",
    re.IGNORECASE,
)
_VERSION = r"(===|~=|==|!=|<=|>=|<|>)\s*[^\s,;()<>=!~]+"
_VERSIONS = rf"{_VERSION}(\s*,\s*{_VERSION})*(\s*,)?"
# What packaging would read, as far as a regular expression can tell.
_PLAIN = re.compile(
    r"(?P<name>[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?) ?(\[[-._, A-Za-z0-9]*\])? ?"
    rf"(@ ?{URL.pattern}\S+|{_VERSIONS}|\(\s*{_VERSIONS}\s*\))?\s*(?P<marker>;.*)?"
)


class LineError(Exception):
    """A line that pip would not take: what was expected, and what was found."""

    def __init__(self, expected: str, found: str) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"expected {expected}, found {found}")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A distribution that a line asks for; ``accepts`` is None where versions cannot be compared."""

    text: str
    name: str
    accepts: Callable[[str], bool] | None


def requirement_of(text: str) -> Requirement | None:
    """What a line asks for; None where it does not concern this interpreter, or no name is known.

    Raises `LineError`.
    """
    if len(text) > _LONGEST:
        raise LineError(f"a requirement of at most {_LONGEST} characters", "more")
    if URL.match(text):
        egg = _EGG.search(text)
        return Requirement(egg[1], egg[1], lambda _: True) if egg else None
    if _PATH.match(text) and "://" not in text:
        return None
    if VARIABLE.search(text) and "@" not in text:  # what it stands for may be anything
        return None
    try:
        from packaging.requirements import InvalidRequirement
        from packaging.requirements import Requirement as Parsed
    except ImportError:
        return _plain_requirement(text)
    try:
        parsed = Parsed(text)
        is_asked = parsed.marker is None or parsed.marker.evaluate({"extra": ""})
    except (InvalidRequirement, ValueError):  # ValueError: a marker compares what cannot be compared
        raise _not_understood(text) from None
    if parsed.url and not URL.match(parsed.url):
        raise _not_understood(text)
    if not is_asked:
        return None
    versions = parsed.specifier
    return Requirement(
        f"{parsed.name}{versions}", parsed.name, lambda version: versions.contains(version, prereleases=True)
    )


def _plain_requirement(text: str) -> Requirement | None:
    """The same without the library that knows versions and markers."""
    match = _PLAIN.fullmatch(" ".join(text.split()))
    if match is None:
        raise _not_understood(text)
    return None if match["marker"] else Requirement(match["name"], match["name"], None)


def _not_understood(text: str) -> LineError:
    return LineError("a requirement such as flask>=3, a URL or a path", shown(text))


def shown(text: str) -> str:
    """``text`` as messages may have it: without what may be a user or a password."""
    text = text.partition("://")[0] + "://..." if "://" in text else re.sub(r"\S+@", "...@", text)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
