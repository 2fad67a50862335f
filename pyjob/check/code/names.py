"""Names that code uses while it is imported, and that nothing binds: Python would stop there."""

from __future__ import annotations

import ast
import sys
import typing
from collections.abc import Iterable, Iterator

from pyjob.check.code.note import ERROR, note
from pyjob.check.code.reading.project import BUILTINS, MISSING, Module, Project
from pyjob.check.code.reading.reach import Reach
from pyjob.check.code.reading.scope import Function, Scope
from pyjob.check.finding import Finding

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def judge_names(project: Project, reach: Reach) -> Iterator[Finding]:
    """Findings of the modules that are imported for certain: the entry file's, and what it imports."""
    for module in reach.certain(project):
        told: set[str] = set()
        for node in _used(module.source.tree.body, frozenset(), is_lazy=annotations_are_lazy(module)):
            if node.id not in told and is_unbound(node.id, module, project):
                told.add(node.id)
                message = f"the name {node.id!r} is used, but nothing defines or imports it"
                yield note("imports", ERROR, module, node, message, _remedy(node))


def is_unbound(name: str, module: Module, project: Project) -> bool:
    """Whether nothing in the module, and nothing of Python, has that name."""
    is_special = name.startswith("__") or name == "_"  # that one is installed by gettext
    is_known = name in BUILTINS or name in module.scope.changing
    return not is_special and not is_known and project.attribute(module, name) is MISSING


def annotations_are_lazy(module: Module) -> bool:
    """Whether Python leaves annotations alone when it makes functions and classes."""
    return sys.version_info >= (3, 14) or any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in module.source.tree.body
    )


def _remedy(node: ast.Name) -> str:
    if node.id in typing.__all__:
        return f"from typing import {node.id}"
    return f"define or import {node.id} above line {node.lineno}"


def _used(statements: Iterable[ast.stmt], bound: frozenset[str], *, is_lazy: bool) -> Iterator[ast.Name]:
    """Names that ``statements`` look up whenever they run; ``bound`` are those of the class around them."""
    for statement in statements:
        for expression in _evaluated(statement, is_lazy=is_lazy):
            yield from (node for node in _looked_up(expression) if node.id not in bound)
        if isinstance(statement, ast.ClassDef) and not getattr(statement, "type_params", ()):
            scope = Scope(statement.body)
            yield from _used(statement.body, bound | scope.bound.keys() | scope.changing, is_lazy=is_lazy)


def _evaluated(node: ast.stmt, *, is_lazy: bool) -> Iterator[ast.expr]:
    if getattr(node, "type_params", ()):  # their names are a scope of their own
        return
    if isinstance(node, Function):
        yield from node.decorator_list
        yield from node.args.defaults
        yield from (default for default in node.args.kw_defaults if default is not None)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [one for one in (node.args.vararg, node.args.kwarg) if one is not None]
        annotations = [node.returns, *(argument.annotation for argument in arguments)]
        yield from (one for one in annotations if one is not None and not is_lazy)
    elif isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords))
    elif isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign)):
        yield node.value
    elif isinstance(node, ast.AnnAssign):
        yield from [node.value] if node.value is not None else []
        yield from [] if is_lazy else [node.annotation]


def _looked_up(expression: ast.expr) -> Iterator[ast.Name]:
    """Names that are looked up whenever the expression is evaluated: not what is behind an `or`."""
    waiting: list[ast.AST] = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node
        elif isinstance(node, ast.IfExp):
            waiting.append(node.test)
        elif isinstance(node, ast.BoolOp):
            waiting.append(node.values[0])
        elif isinstance(node, COMPREHENSIONS):
            waiting.append(node.generators[0].iter)
        elif not isinstance(node, ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
