"""How the methods that callers reach are written: parameters, annotations, docstrings (SPEC 1.1)."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.names import annotations_are_lazy, is_unbound
from pyjob.check.code.note import ADVICE, ERROR, WARNING, note
from pyjob.check.code.reading.literal import constant
from pyjob.check.code.reading.method import Method, Parameters
from pyjob.check.code.reading.scope import Function
from pyjob.check.finding import Finding
from pyjob.method.docstring import parse_docstring

# Which rule a method breaks that the start calls without arguments, and that asks for some.
ASKED = (
    ("docs_input_example", "broken-sample"),
    ("docs_input_examples", "broken-sample"),
    ("auxiliary_endpoints", "endpoints"),
    ("auxiliary_endpoints_v2", "endpoints"),
    ("static_endpoints", "static-files"),
    ("metrics", "metrics"),
)


def judge_methods(draft: Draft, methods: list[Method]) -> Iterator[Finding]:
    """Findings of ``methods``, which callers reach, and of those that the start calls."""
    for method in methods:
        if method.parameters is not None and method.name not in draft.blueprint.instance_names:
            yield from _judge_parameters(method, method.parameters)
        yield from _judge_annotations(method)
        yield from _judge_resolved(draft, method)
        yield from _judge_docstring(draft, method)
    for name, rule in ASKED:
        yield from _judge_asked(draft, name, rule)
    yield from _judge_webview(draft)


def _judge_parameters(method: Method, parameters: Parameters) -> Iterator[Finding]:
    name, node, module = method.name, method.node, method.module
    if parameters.is_unbindable:
        message = f"{name} has no parameter that Python can fill with the job"
        yield note("named-parameters", ERROR, module, node, message, f"write `def {name}(self, ...)`")
    elif method.forgets_self:
        message = f"the first parameter of {name} is {parameters.first!r}, which Python fills with the job"
        remedy = f"is `self` missing? `def {name}(self, {parameters.first}, ...)`"
        yield note("named-parameters", WARNING, module, node, message, remedy)
    unnamed = [one.name for one in parameters.named if not one.named]
    if unnamed:
        message = f"{name}: positional-only: {', '.join(unnamed)}; but callers send names"
        yield note("named-parameters", ERROR, module, node, message, "remove the '/' from its parameters")
    if parameters.star is not None:
        yield _star(method, parameters)


def _star(method: Method, parameters: Parameters) -> Finding:
    stars = f"*{parameters.star}" + (" and **kwargs" if parameters.open else "")
    if method.wrapper is not None:
        message = f"{method.name}: its decorator {method.wrapper_name} makes it take {stars}"
        remedy = f"give the inner function of {method.wrapper_name} `@functools.wraps(...)`"
    else:
        message = f"{method.name} takes {stars}" + ("" if parameters.open else ", but callers send names")
        remedy = "use named parameters" + (" with **kwargs alone" if parameters.open else " or **kwargs")
    return note("star-args", ERROR, method.module, method.node, message, remedy)


def _judge_annotations(method: Method) -> Iterator[Finding]:
    if isinstance(method.node, ast.Lambda):
        return
    bare = [one.name for one in method.written.named if one.node.annotation is None]
    if bare:
        message = (
            f"{method.name}: no type annotation of {', '.join(bare)}, so callers' values are not checked"
        )
        yield note("annotations", ADVICE, method.module, method.node, message, f"such as `{bare[0]}: float`")


def _judge_resolved(draft: Draft, method: Method) -> Iterator[Finding]:
    """Annotations that Python resolves late, if ever: those that are strings."""
    are_lazy = annotations_are_lazy(method.module)
    for one in method.written.named:
        text = constant(one.node.annotation)
        if one.node.annotation is None or not (are_lazy or isinstance(text, str)):
            continue
        written = text if isinstance(text, str) else ast.unparse(one.node.annotation)
        unbound = _unbound_in(draft, method, written)
        if unbound:
            what = f"the annotation {written[:60]!r} of {one.name} cannot be resolved"
            message = f"{method.name}: {what}, so its values are not checked"
            yield note(
                "annotations", WARNING, method.module, one.node, message, f"define or import {unbound}"
            )


def _unbound_in(draft: Draft, method: Method, annotation: str) -> str:
    """A name in the annotation that nothing binds, or nothing."""
    try:
        names = [
            node.id for node in ast.walk(ast.parse(annotation, mode="eval")) if isinstance(node, ast.Name)
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return annotation[:60]
    return next((name for name in names if is_unbound(name, method.module, draft.project)), "")


def _judge_docstring(draft: Draft, method: Method) -> Iterator[Finding]:
    if isinstance(method.node, ast.Lambda) or method.is_changed:
        return
    text = method.docstring
    if text is None:
        if not _inherits_docstring(draft, method):
            message = f"{method.name} has no docstring, so callers read nothing about it"
            yield note(
                "docstring", ADVICE, method.module, method.node, message, "say what it takes and gives"
            )
        return
    if method.written.open:
        return
    names = [one.name for one in method.written.named]
    for told in parse_docstring(text).parameters:
        if told.isidentifier() and told not in (*names, method.written.star, method.written.first):
            near = difflib.get_close_matches(told, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names) or 'none'}"
            message = f"the docstring of {method.name} tells of {told!r}, which is no parameter of it"
            yield note("docstring", ADVICE, method.module, method.node, message, hint)


def _inherits_docstring(draft: Draft, method: Method) -> bool:
    """Whether a base has the text, or may have it."""
    own = draft.blueprint.own
    bodies = [member for part in own for member in part.node.body]
    return len(own) < len(draft.blueprint.line) or any(
        ast.get_docstring(member) is not None
        for member in bodies
        if isinstance(member, Function) and member.name == method.name
    )


def _judge_asked(draft: Draft, name: str, rule: str) -> Iterator[Finding]:
    method = draft.method(name)
    if method is None or method.parameters is None or name in draft.blueprint.instance_names:
        return
    required = [one.name for one in method.parameters.required]
    if required or method.parameters.is_unbindable:
        what = f"asks for {', '.join(required)}" if required else "does not take `self`"
        message = f"{name} {what}, but it is called without arguments"
        yield note(rule, ERROR, method.module, method.node, message, f"write `def {name}(self)`")


def _judge_webview(draft: Draft) -> Iterator[Finding]:
    method = draft.method("webview_app")
    if method is None or method.parameters is None or method.name in draft.blueprint.instance_names:
        return
    parameters = method.parameters
    positional = [one for one in parameters.named if one.positional]
    too_many = len([one for one in parameters.required if not (positional and one is positional[0])])
    takes_one = (bool(positional) or parameters.star is not None) and not parameters.is_unbindable
    if too_many or not takes_one:
        message = "webview_app is called with the base URL alone, which does not fit its parameters"
        yield note(
            "endpoints", ERROR, method.module, method.node, message, "write `def webview_app(self, base_url)`"
        )
