"""Where the values of a manifest were written: file, line, and the word itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """``line`` counts from 1; ``written`` is the word that stands there, where the value is a plain one."""

    source: str
    line: int | None = None
    written: str = ""


class Places:
    """Places by path (``jobtype_extra.max_concurrency``, ``public_endpoints[0]``)."""

    def __init__(self, places: Mapping[str, Place] | None = None) -> None:
        self._places = dict(places or {})

    def nearest(self, path: str) -> Place | None:
        """The place of ``path``, or of what holds it: a field that is missing has none of its own."""
        while path:
            if path in self._places:
                return self._places[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None

    def written(self, path: str) -> str:
        """The very word at ``path``, empty where there is no single one."""
        place = self._places.get(path)
        return "" if place is None else place.written

    def under(self, other: Places) -> Places:
        """These places, with ``other`` on top of them."""
        return Places({**self._places, **other._places})

    def renamed(self, old: str, new: str) -> Places:
        """The same with the path ``old``, and those below it, called ``new``."""
        return Places({_renamed(path, old, new): place for path, place in self._places.items()})

    def without_lines(self, source: str) -> Places:
        """The same in a source that has no lines: an option of the command line."""
        return Places({path: Place(source, None, place.written) for path, place in self._places.items()})


def _renamed(path: str, old: str, new: str) -> str:
    rest = path.removeprefix(old)
    return new + rest if path.startswith(old) and rest[:1] in ("", ".", "[") else path
