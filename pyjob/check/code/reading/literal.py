"""Values that are written out in the code; what is computed stays unknown, and only that."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from pyjob.check.code.reading.scope import Function, within_scope


class NotLiteral(Exception):  # noqa: N818  no error: most code is none
    """An expression has no value before it runs."""


@dataclass(frozen=True)
class Item:
    """One item of a dict: ``key`` is written out, ``node`` is its value."""

    key: object
    key_node: ast.expr
    node: ast.expr


@dataclass(frozen=True)
class Items:
    """The items of a dict that have keys written out; ``is_whole`` where there are no others."""

    known: list[Item] = field(default_factory=list)
    is_whole: bool = True


def literal(node: ast.expr) -> object:
    """The value of an expression. Raises `NotLiteral` where it, or a part of it, is computed."""
    try:
        value: object = ast.literal_eval(node)
        repr(value)  # what Python does not print cannot be told either: integers of thousands of digits
        return value
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise NotLiteral from error


def constant(node: ast.expr | None) -> object:
    """The value of a plain constant; None for anything else."""
    return node.value if isinstance(node, ast.Constant) else None


def items_of(node: ast.Dict) -> Items:
    """The items of a dict, of several with one key the last."""
    known: dict[object, Item] = {}
    is_whole = True
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant):
            known[key.value] = Item(key.value, key, value)
        else:
            is_whole = False
    return Items(list(known.values()), is_whole)


def only_return(function: Function | ast.Lambda) -> ast.expr | None:
    """What a function gives whenever it is called, where it has one `return`, and on no condition."""
    if isinstance(function, ast.Lambda):
        return function.body
    inside = [node for statement in function.body for node in within_scope(statement)]
    returns = [node for node in inside if isinstance(node, ast.Return)]
    if len(returns) != 1 or returns[0] not in function.body:
        return None
    if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in inside):
        return None
    return returns[0].value
