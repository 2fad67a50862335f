"""The job's own metrics as far as they are written out (SPEC 6)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.note import ERROR, note
from pyjob.check.code.reading.literal import NotLiteral, constant, items_of, literal
from pyjob.check.code.reading.method import Method
from pyjob.check.finding import Finding
from pyjob.metrics.report.plain import LABEL, NAME


def judge_metrics(draft: Draft) -> Iterator[Finding]:
    """Findings of what `metrics` gives."""
    given, method = draft.given("metrics"), draft.method("metrics")
    if not isinstance(given, ast.expr) or method is None:
        return
    if isinstance(given, (ast.List, ast.Tuple)):
        for node in given.elts:
            for place, message, remedy in _faults(node):
                yield _note(method, place, message, remedy)
        for node, name in _repeated(given.elts):
            message = f"{name} is reported twice with the same labels"
            yield _note(method, node, message, "give each its own labels")
    elif (isinstance(given, ast.Dict) and given.keys) or (
        isinstance(given, ast.Constant) and given.value is not None
    ):
        found = "a dict" if isinstance(given, ast.Dict) else ast.unparse(given)[:60]
        yield _note(
            method, given, f"expected a list of dicts, found {found}", "put brackets around it: [{...}]"
        )


def _faults(node: ast.expr) -> Iterator[tuple[ast.expr, str, str]]:
    """Where, what and what to do, of one metric."""
    if not isinstance(node, ast.Dict):
        if isinstance(node, (ast.Constant, ast.List, ast.Tuple, ast.Set)):
            yield node, "expected a dict with name and value", 'such as {"name": "age_days", "value": 3}'
        return
    items = items_of(node)
    fields = {item.key: item.node for item in items.known}
    for key in ("name", "value"):
        if key not in fields and items.is_whole:
            yield node, f"a metric without {key!r}", f'give it a "{key}"'
    name, value = fields.get("name"), fields.get("value")
    if isinstance(name, ast.Constant) and not (isinstance(name.value, str) and NAME.match(name.value)):
        yield (
            name,
            f"{name.value!r} is not the name of a metric",
            "use letters, digits, _ and :, such as age_days",
        )
    if value is not None and not _may_be_number(value):
        yield value, f"the value {ast.unparse(value)[:60]} is no number", "give an int or a float"
    if "labels" in fields:
        yield from _faults_of_labels(fields["labels"])


def _may_be_number(node: ast.expr) -> bool:
    try:
        value = literal(node)
    except NotLiteral:
        return not isinstance(node, (ast.Dict, ast.List, ast.Tuple, ast.Set))
    try:
        return value is None or float(value) is not None  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False


def _faults_of_labels(node: ast.expr) -> Iterator[tuple[ast.expr, str, str]]:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) or constant(node) is not None:
        yield node, "labels: expected a dict", 'such as {"model": "oslo"}'
    elif isinstance(node, ast.Dict):
        for item in items_of(node).known:
            if not isinstance(item.key, str) or not LABEL.match(item.key):
                message = f"{item.key!r} is not the name of a label"
                yield item.key_node, message, "use letters, digits and _, and no __ at the start"


def _repeated(nodes: list[ast.expr]) -> Iterator[tuple[ast.expr, str]]:
    """Metrics of which the name and all labels are written out, and were before."""
    seen: set[tuple[str, str]] = set()
    for node in nodes:
        items = items_of(node) if isinstance(node, ast.Dict) else None
        fields = {item.key: item.node for item in items.known} if items and items.is_whole else {}
        try:
            name, labels = literal(fields["name"]), literal(fields.get("labels") or ast.Dict([], []))
            is_left_out = constant(fields["value"]) is None and isinstance(fields["value"], ast.Constant)
        except (NotLiteral, KeyError):
            continue
        if not isinstance(labels, dict) or is_left_out:
            continue
        key = (str(name), repr(sorted((str(label), str(value)) for label, value in labels.items())))
        if key in seen:
            yield node, str(name)
        seen.add(key)


def _note(method: Method, node: ast.expr, message: str, remedy: str) -> Finding:
    return note("metrics", ERROR, method.module, node, f"metrics: {message}", remedy)
