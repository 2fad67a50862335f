"""The paths of a job's endpoints: how they may look, and that none is given twice (SPEC 1, 4.1)."""

from __future__ import annotations

import re

from pyjob.errors import EntryPointError, one_line

FORBIDDEN = (
    (re.compile(r"\s"), "a blank"),
    (re.compile(r"\?"), "a query (?): arguments of a query need no mention"),
    (re.compile(r"#"), "a fragment (#)"),
    (re.compile(r"(?:\A|/)\.{1,2}(?:/|\Z)"), "a dotted segment"),
    (re.compile(r"//"), "an empty segment (//)"),
    (re.compile(r"\\"), "a backslash"),
    (re.compile(r"%[0-9A-Fa-f]{2}"), "an encoded character (%): write it as it is"),
    (re.compile("[\x00-\x1f\x7f\ud800-\udfff]"), "a character that no path can have"),
)
BRACES = re.compile(r"\{([^{}]*)\}")
ALL = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def endpoint_path(path: object, place: str) -> str:
    """``path`` with its leading slash, less `/api/v1`.

    Raises `EntryPointError`, which names ``place``, for what can be no path.
    """
    if not isinstance(path, str):
        raise EntryPointError(f"{place}: expected a path as a str, found {type(path).__name__}")
    slashed = path if path.startswith("/") else f"/{path}"
    slashed = slashed.removeprefix("/api/v1") if slashed.startswith("/api/v1/") else slashed
    if slashed == "/":
        raise EntryPointError(f"{place}: expected a path such as '/report', found {path!r}")
    for pattern, what in FORBIDDEN:
        if pattern.search(slashed):
            raise EntryPointError(f"{place}: path {one_line(path)!r} holds {what}")
    return slashed


def path_names(path: str, place: str) -> tuple[str, ...]:
    """The names in braces of ``path``. Raises `EntryPointError` where they are no names, or come twice."""
    names = tuple(BRACES.findall(path))
    for name in names:
        if not name.isidentifier():
            raise EntryPointError(
                f"{place}: path {path!r} holds {{{name}}}: expected a parameter's name there"
            )
    if len(set(names)) < len(names):
        raise EntryPointError(f"{place}: path {path!r} has one name twice")
    # Two in a segment could be told apart in several ways.
    if any(segment.count("{") > 1 for segment in path.split("/")):
        raise EntryPointError(f"{place}: path {path!r} has two names between slashes, one can be bound")
    if set(BRACES.sub("", path)) & set("{}"):
        raise EntryPointError(f"{place}: path {path!r} has a brace without its partner")
    return names


def shape_of(path: str) -> str:
    """Two paths with names in braces match the same requests where this is the same."""
    return BRACES.sub("{}", path)


class Claims:
    """Who has which method at which path below `/api/v1`; each owner is told in messages.

    Calls are claimed first, then files and folders, the web view last.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._at: dict[tuple[str, str], str] = {}
        self._templates: list[tuple[str, str, str]] = []

    def claim(self, path: str, method: str, owner: str) -> None:
        """``owner`` answers ``method`` at ``path``. Raises `EntryPointError` where somebody does already."""
        taken = self._at.get((method, path))
        if taken is not None:
            raise self._collision(taken, owner, f"{method} {path}")
        self._at[method, path] = owner

    def claim_template(self, path: str, method: str, owner: str) -> None:
        """``owner`` answers ``method`` at the paths that match ``path``, which has names in braces."""
        for other, verb, taken in self._templates:
            if shape_of(other) != shape_of(path):
                continue
            if verb == method:
                raise self._collision(taken, owner, f"{method} {path}")
            if other != path:
                raise EntryPointError(
                    f"{self._place}: {owner} and {taken} mean the same paths by other names in braces: "
                    "give them the same names"
                )
        self._templates.append((path, method, owner))

    def claim_below(self, path: str, methods: tuple[str, ...], owner: str) -> None:
        """``owner`` answers ``methods`` at ``path`` and below it; in a folder, one path may be another's."""
        for method in methods:
            self.claim(path, method, owner)
        for template, method, taken in self._templates:
            if method in methods and reaches_into(template, path):
                raise self._collision(taken, owner, f"{method} {template}")
        if methods == ALL:
            for (method, at), taken in self._at.items():
                if at.startswith(f"{path}/"):
                    raise self._collision(taken, owner, f"{method} {at}")

    def _collision(self, taken: str, owner: str, what: str) -> EntryPointError:
        return EntryPointError(f"{self._place}: {owner} and {taken} both answer {what}: rename one of them")


def reaches_into(template: str, path: str) -> bool:
    """Whether something at or below ``path`` matches ``template``."""
    parts, fixed = template.split("/"), path.split("/")
    if len(parts) < len(fixed):
        return False
    return all(
        re.fullmatch(BRACES.sub("[^/]+", re.escape(part).replace(r"\{", "{").replace(r"\}", "}")), segment)
        for part, segment in zip(parts, fixed, strict=False)
    )
