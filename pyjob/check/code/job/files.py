"""Static endpoints as far as they are written out: by the reader that the start uses (SPEC 1)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.note import ADVICE, ERROR, WARNING, note, note_of_field
from pyjob.check.code.reading.literal import Item, NotLiteral, items_of, literal
from pyjob.check.code.reading.method import Method
from pyjob.check.code.reading.project import MISSING
from pyjob.check.finding import Finding
from pyjob.errors import EntryPointError
from pyjob.job.files import StaticEndpoint, StaticReader
from pyjob.job.job import secret_files
from pyjob.job.paths import Claims
from pyjob.wire.content_type import UNKNOWN, guess_content_type

RULE = "static-files"
METHOD = "static_endpoints"


def judge_files(draft: Draft, claims: Claims) -> Iterator[Finding]:
    """Findings of what `static_endpoints` gives."""
    given, method = draft.given(METHOD), draft.method(METHOD)
    if not isinstance(given, ast.expr) or method is None:
        return
    if isinstance(given, ast.Dict):
        for item in items_of(given).known:
            yield from _judge_item(draft, claims, method, item)
        return
    try:
        found = literal(given)
    except NotLiteral:
        return
    if found is not None:
        message = f"{METHOD}: expected a dict of path to file, found {type(found).__name__}"
        yield note(RULE, ERROR, method.module, given, message, 'such as {"/page": "page.html"}')


def judge_home_page(draft: Draft, claims: Claims, *, is_whole: bool) -> Iterator[Finding]:
    """A home page in the web view of a job that has none.

    ``claims`` has the job's endpoints, all of them if ``is_whole``.
    """
    manifest = draft.manifest
    home = re.split(r"[?#]", manifest.jobtype_extra.home_page)[0].removeprefix("/api/v1")
    static = draft.given(METHOD)
    is_known = is_whole and (
        static is MISSING or (isinstance(static, ast.Dict) and items_of(static).is_whole)
    )
    if not f"{home}/".startswith("/webview/") or not is_known or not draft.lacks("webview_app"):
        return
    try:
        claims.claim_below("/webview", ("GET",), "the web view")
    except EntryPointError:
        return
    field = "jobtype_extra.home_page"
    message = f"{field} leads to {home}, but the job has no web view"
    yield note_of_field(
        "endpoints", WARNING, manifest, field, message, "define `def webview_app(self, base_url)`"
    )


def _judge_item(draft: Draft, claims: Claims, method: Method, item: Item) -> Iterator[Finding]:
    try:
        value = literal(item.node)
    except NotLiteral:
        return
    warnings: list[str] = []
    folder = draft.manifest.folder
    reader = StaticReader("", warnings.append, folder=folder, secret=secret_files(draft.manifest))
    try:
        (static,) = reader.read({item.key: value})
        _claim(claims, static)
    except (EntryPointError, ValueError) as error:
        message = str(error).removeprefix(": ").replace(f"inside {folder}", "inside the job's folder")
        yield note(RULE, ERROR, method.module, item.node, message)
        return
    for warning in warnings:
        message = warning.removeprefix(": ").replace(f"{folder}/", "")
        remedy = "write it relative to the job's folder, and put the file there"
        yield note(RULE, WARNING, method.module, item.node, message, remedy)
    if static.is_folder and draft.project.entry.is_relative_to(static.target):
        message = f"{METHOD} {static.path}: the folder has the job's code, which is served, too"
        remedy = "put what callers may read into a folder of its own"
        yield note(RULE, WARNING, method.module, item.node, message, remedy)
    yield from _judge_type(method, item, static)


def _claim(claims: Claims, static: StaticEndpoint) -> None:
    owner = f"{METHOD} {static.path}"
    if static.is_folder:
        claims.claim_below(static.path, ("GET",), owner)
    else:
        claims.claim(static.path, "GET", owner)


def _judge_type(method: Method, item: Item, static: StaticEndpoint) -> Iterator[Finding]:
    name = static.target.name
    if static.is_folder or static.content_type is not None:
        return
    if guess_content_type(name) == UNKNOWN:
        remedy = f'say which, such as ("{name}", "text/plain")'
        message = f"{METHOD} {static.path}: no mime type is given, and the name {name!r} tells none"
        yield note("mime-type", ADVICE, method.module, item.node, message, remedy)
