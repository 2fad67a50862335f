"""Endpoints that the manifest lists as public, held against those that the job has (SPEC 8.3)."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Iterator

from pyjob.access.decision import API, ASSETS, SERVICE, canonical, is_covered
from pyjob.check.code.job.draft import Draft
from pyjob.check.code.job.endpoints import Routes
from pyjob.check.code.note import WARNING, note_of_field
from pyjob.check.code.reading.literal import items_of
from pyjob.check.code.reading.project import MISSING
from pyjob.check.finding import Finding
from pyjob.errors import EntryPointError
from pyjob.job.paths import endpoint_path, reaches_into
from pyjob.manifest import Manifest
from pyjob.routing.links import PLATFORM_PREFIX

FIELD = "public_endpoints"
FILES, WEBVIEW = "static_endpoints", "webview_app"
_PUB = re.compile(rf"{PLATFORM_PREFIX.pattern}(?P<rest>/.*)?")


def judge_spelled(manifest: Manifest) -> Iterator[Finding]:
    """Entries that open nothing, whatever the job has."""
    for index, entry in enumerate(manifest.public_endpoints):
        fault = fault_of(entry)
        if fault is not None:
            message, remedy = fault
            text = f"{FIELD}: {message}"
            yield note_of_field("manifest", WARNING, manifest, f"{FIELD}[{index}]", text, remedy)


def judge_answered(draft: Draft, routes: Routes) -> Iterator[Finding]:
    """Entries that nothing of the job answers, where all that it has is written out."""
    files = _files_of(draft)
    if not routes.is_whole or files is None:
        return
    folders = [*files, *(() if draft.is_none(WEBVIEW) else ("/webview",))]
    paths = [one.path for one in routes.known]
    for index, entry, remedy in unanswered(draft.manifest, paths, folders):
        field = f"{FIELD}[{index}]"
        yield note_of_field("endpoints", WARNING, draft.manifest, field, no_answer(entry), remedy)


def unanswered(
    manifest: Manifest, paths: Iterable[str], folders: Iterable[str]
) -> Iterator[tuple[int, str, str]]:
    """Which public endpoints nothing answers at or below: place in the list, the path, and a remedy.

    ``paths`` are short forms, perhaps with names in braces; below ``folders`` anything may be.
    """
    within = [f"{API}{folder}" for folder in folders]
    known = [*SERVICE, f"{API}/parameters", *(f"{API}{path}" for path in paths), *within]
    for index, entry in enumerate(manifest.public_endpoints):
        path = canonical(entry)
        if fault_of(entry) or is_covered(path, within) or ASSETS.match(path):
            continue
        if not any(reaches_into(one, path) for one in known):
            near = difflib.get_close_matches(path, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else "correct it, or take it out"
            yield index, entry, remedy


def no_answer(entry: str) -> str:
    """What is said of an entry that nothing answers."""
    return f"{FIELD}: nothing of the job answers {entry}"


def fault_of(entry: str) -> tuple[str, str] | None:
    """What is wrong with an entry by itself, and what to do."""
    pub = _PUB.fullmatch(entry)
    if pub:
        rest = pub["rest"] or "/"
        # Never what would open more than was meant.
        remedy = f"write {rest}" if rest.strip("/") else "name the path behind it that is to be open"
        return f"{entry} opens nothing: paths are judged without that prefix", remedy
    if "?" in entry:
        return f"{entry} opens nothing: a query is no part of a path", "name the path alone"
    if "{" in entry or "}" in entry:
        before = re.split("[{}]", entry)[0].rpartition("/")[0]
        # Never what would open everything.
        is_some = canonical(before or "/") not in ("/", API)
        remedy = f"name what is before it, which covers all below: {before}" if is_some else "name each path"
        return f"{entry} opens nothing: a name in braces stands for no other there", remedy
    return None


def _files_of(draft: Draft) -> list[str] | None:
    """The paths of static endpoints; None where they are not all known."""
    given = draft.given(FILES)
    if given is MISSING or (isinstance(given, ast.Constant) and given.value is None):
        return []
    if not isinstance(given, ast.Dict):
        return None
    items = items_of(given)
    try:
        return [endpoint_path(one.key, FILES) for one in items.known] if items.is_whole else None
    except EntryPointError:
        return None
