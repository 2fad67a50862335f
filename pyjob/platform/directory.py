"""Children by the name and version of their jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from pyjob.errors import JobError, one_line
from pyjob.platform.child import Child

LATEST = "latest"
PREFIXES = ("job", "fatman")
# What a name that nobody has may take of a message, in characters.
LONGEST_NAME = 80

Precedence = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]


class Directory:
    """Finds the child that is meant by a path. Their names may change, with --reload."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children)

    def __len__(self) -> int:
        return len(self._children)

    async def find(self, path: str) -> Child | None:
        """The child of ``/pub/job/NAME/VERSION...``; None where ``path`` is no such.

        Raises `JobError`, 404, where there is no such job.
        """
        parts = path.split("/", 5)
        if len(parts) < 5 or parts[1] != "pub" or parts[2] not in PREFIXES or not parts[3] or not parts[4]:
            return None
        name, version = unquote(parts[3]), unquote(parts[4])
        child = self._named(name, version)
        if child is None and any(one.may_change for one in self._children):
            for one in self._children:
                await one.look()
            child = self._named(name, version)
        if child is None:
            raise JobError(404, self._told_of(name, version), kind="Not Found")
        return child

    def latest(self, name: str) -> Child | None:
        """The highest version of ``name``."""
        known = [child for child in self._children if child.name == name]
        return max(known, key=lambda child: precedence(child.version), default=None)

    def _named(self, name: str, version: str) -> Child | None:
        if version == LATEST:
            return self.latest(name)
        known = [child for child in self._children if child.name == name]
        exact = [child for child in known if child.version == version]
        # One whose manifest cannot be read may be that version: it says why it is not there.
        return next(iter((*exact, *(child for child in known if not child.version))), None)

    def _told_of(self, name: str, version: str) -> str:
        wanted = f"{name} {version}" if self.latest(name) is not None else name
        there = ", ".join(f"{child.name} {child.version}".strip() for child in self._children)
        return f"there is no job {one_line(wanted[:LONGEST_NAME])} here, there are {there}"


def precedence(version: str) -> Precedence:
    """What orders versions as https://semver.org does; what is none comes first."""
    core, _, rest = version.partition("+")[0].partition("-")
    numbers = core.split(".")
    if not all(number.isascii() and number.isdigit() for number in numbers):
        return (), False, ()
    # Numbers come before words; a version comes after all that lead to it (1.0.0-rc.1).
    words = [(not word.isdigit(), int(word) if word.isdigit() else 0, word) for word in rest.split(".")]
    return tuple(map(int, numbers)), not rest, tuple(words)
