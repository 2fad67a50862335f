"""What a job seems to be meant to have: `perform`, and other methods of a job under a slightly wrong name."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from pyjob.check.code.job.draft import Draft, is_no_function
from pyjob.check.code.job.endpoints import Routes
from pyjob.check.code.note import ADVICE, ERROR, WARNING, note
from pyjob.check.code.reading.method import Method, read_method
from pyjob.check.code.reading.project import MISSING, Definition
from pyjob.check.code.reading.reach import Reach
from pyjob.check.code.reading.scope import Function
from pyjob.check.finding import Finding
from pyjob.job.entry import OPTIONAL_METHODS

SERVING = ("auxiliary_endpoints", "auxiliary_endpoints_v2", "static_endpoints", "webview_app")
# As near as the start asks for where no class has `perform` at all.
NEAR_PERFORM = 0.75
NEAR = 0.9
# Not near by their letters.
SHORT_FOR = {"webview": "webview_app", "web_view": "webview_app"}


def judge_spelling(draft: Draft, routes: Routes, reach: Reach) -> Iterator[Finding]:
    """Findings of what the class lacks, and of methods that may have been meant to be it."""
    idle = _idle_methods(draft, routes, reach)
    yield from _judge_perform(draft, routes, idle)
    for name, method in idle.items():
        near = difflib.get_close_matches(name, OPTIONAL_METHODS, n=1, cutoff=NEAR)
        meant = near[0] if near else SHORT_FOR.get(name, "")
        if meant and draft.lacks(meant) and len(method.written.required) <= (meant == "webview_app"):
            message = f"`{name}` is no method that a job is asked for, and nothing here calls it"
            yield note("entry-class", WARNING, method.module, method.node, message, f"did you mean {meant}?")


def _judge_perform(draft: Draft, routes: Routes, idle: dict[str, Method]) -> Iterator[Finding]:
    blueprint = draft.blueprint
    found, name = blueprint.find("perform"), blueprint.name
    if isinstance(found, Definition) and is_no_function(found) and draft.is_none("perform"):
        if not isinstance(found.node, ast.Constant) or found.node.value is not None:
            message = "perform is no method and is ignored"
            remedy = f"make it `def perform(self, ...)` of class {name}"
            yield note("perform", ERROR, found.module, found.node, message, remedy)
            return
    elif not draft.lacks("perform"):
        return
    near = difflib.get_close_matches("perform", filter(_may_be_perform, idle), n=1, cutoff=NEAR_PERFORM)
    message = f"class {name} has no `perform` method, so /perform is 404"
    if near and found is MISSING:
        method = idle[near[0]]
        remedy = f"is `{near[0]}` a misspelt `perform`? Rename it"
        yield note("perform", WARNING, method.module, method.node, message, remedy)
        return
    node = blueprint.node if found is MISSING else getattr(found, "node", None)
    is_idle = not routes.known and all(draft.lacks(one) for one in SERVING)
    severity = WARNING if is_idle else ADVICE
    message = f"class {name} has no `perform` method, and nothing else that it serves" if is_idle else message
    yield note("perform", severity, blueprint.module, node, message, "define `def perform(self, ...)`")


def _may_be_perform(name: str) -> bool:
    """Whether it is no longer word with `perform` in it, such as `perform_all`."""
    return not name.startswith("perform") or len(name) < len("perform__")


def _idle_methods(draft: Draft, routes: Routes, reach: Reach) -> dict[str, Method]:
    """Public methods of the job that are plain, and that neither an endpoint nor its code names."""
    named = {
        node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", None)
        for module in reach.modules.values()
        for node in module.source.nodes
        if isinstance(node, (ast.Attribute, ast.Constant))
    }
    named |= {*OPTIONAL_METHODS, "perform"}
    handlers = {method.node for method in routes.handlers}
    idle: dict[str, Method | None] = {}
    for part in draft.blueprint.own:
        for name, bound in part.scope.bound.items():
            is_plain = isinstance(bound, Function) and not bound.decorator_list and bound not in handlers
            if name not in idle and name not in named and not name.startswith("_"):
                found = Definition(bound, part.module) if is_plain else None  # type: ignore[arg-type]
                idle[name] = read_method(name, found, draft.project) if found else None
    return {name: method for name, method in idle.items() if method is not None}
