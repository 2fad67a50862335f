"""Whether the job's class can be made without arguments (SPEC 1)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.note import ERROR, note
from pyjob.check.code.reading.blueprint import DATACLASS, Blueprint
from pyjob.check.code.reading.method import read_method
from pyjob.check.code.reading.project import Definition
from pyjob.check.finding import Finding


def judge_making(draft: Draft) -> Iterator[Finding]:
    """What `__init__` asks for, written or made by `dataclass`."""
    for part in draft.blueprint.line:
        if not isinstance(part, Blueprint):
            if part.is_plain:
                continue
            return
        if "__init__" in part.scope.bound:
            yield from _judge_written(draft, part)
            return
        made = [node for node in part.node.decorator_list if part.decorator_name(node) == DATACLASS]
        if made:
            yield from _judge_made(draft, part, made[0])
            return


def _judge_written(draft: Draft, part: Blueprint) -> Iterator[Finding]:
    found = part.own_member("__init__")
    method = read_method("__init__", found, draft.project) if isinstance(found, Definition) else None
    if method is None or method.parameters is None or method.binding != "self":
        return
    required = [one.name for one in method.parameters.required]
    if isinstance(method.node, ast.AsyncFunctionDef):
        message, remedy = (
            "`__init__` is `async def`, which Python does not allow",
            "write `def __init__(self)`",
        )
    elif required:
        message = f"`__init__` asks for {', '.join(required)}, but the job is made without arguments"
        remedy = f"give a default: `{required[0]}=...`, or read it from a file or the environment"
    elif method.parameters.is_unbindable:
        message, remedy = "`__init__` does not take `self`", "write `def __init__(self)`"
    else:
        return
    yield note("init-arguments", ERROR, method.module, method.node, message, remedy)


def _judge_made(draft: Draft, part: Blueprint, decorator: ast.expr) -> Iterator[Finding]:
    if isinstance(decorator, ast.Call) and any(one.arg in ("init", None) for one in decorator.keywords):
        return
    required: dict[str, ast.AnnAssign] = {}
    for one in reversed([p for p in part.line if isinstance(p, Blueprint)]):
        if not any(one.decorator_name(node) == DATACLASS for node in one.node.decorator_list):
            continue
        for node in one.node.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                required.pop(node.target.id, None)
                kind = ast.unparse(node.annotation)
                if node.value is None and "ClassVar" not in kind and "KW_ONLY" not in kind:
                    required[node.target.id] = node
    # A value bound otherwise, such as a method of that name, would be a default.
    asked = [name for name in required if not any(name in p.scope.bound for p in draft.blueprint.own)]
    if asked:
        message = f"dataclass {part.name} asks for {', '.join(asked)}, but the job is made without arguments"
        yield note(
            "init-arguments", ERROR, part.module, required[asked[0]], message, "give each field a default"
        )
