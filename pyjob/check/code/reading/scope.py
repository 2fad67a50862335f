"""What the names of a module or of a class body stand for, once its statements have run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeGuard

Function = ast.FunctionDef | ast.AsyncFunctionDef
# What may put names into a module that no statement shows.
DYNAMIC = frozenset({"exec", "globals", "setattr", "locals", "vars"})
DYNAMIC_ATTRIBUTES = frozenset({"__dict__", "_convert_"})  # that one of `enum` fills a module


@dataclass(frozen=True)
class Imported:
    """A name that an import binds: the module itself where ``name`` is None."""

    module: str
    name: str | None = None
    level: int = 0


# None: bound, but to something that reading cannot tell.
Bound = ast.expr | ast.ClassDef | Function | Imported | None


class Scope:
    """The names that ``statements`` bind, each to what it was bound to last.

    Whatever stands in an `if`, a `try` or a loop may run or not: such names are bound to None, and
    ``doubtful`` has their classes, and those that lost their name. ``stars``: the modules of star imports.
    ``changing``: names that stood for something else before, or that are deleted again: what uses them may
    mean either.
    """

    def __init__(self, statements: Iterable[ast.stmt]) -> None:
        self.bound: dict[str, Bound] = {}
        self.doubtful: list[ast.ClassDef] = []
        self.stars: list[Imported] = []
        self.changing: set[str] = set()
        for statement in statements:
            self._read(statement)

    def _read(self, node: ast.stmt) -> None:
        if isinstance(node, (Function, ast.ClassDef)):
            self._bind(node.name, node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self._read_import(node)
        elif isinstance(node, ast.Assign) and all(
            isinstance(t, (ast.Name, ast.Attribute)) for t in node.targets
        ):
            self._doubt(node.value)
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._bind(target.id, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if node.value is not None:
                self._bind(node.target.id, node.value)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._bind(target.id, None)
                    self.changing.add(target.id)
                    del self.bound[target.id]
        elif is_main_guard(node):
            for statement in node.orelse:
                self._doubt(statement)
        elif type(node).__name__ == "TypeAlias":  # Python 3.12
            self._bind(node.name.id, node.value)  # type: ignore[attr-defined]
        else:
            self._doubt(node)

    def _read_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for name, imported in imports_of(node):
            if name == "*":
                self.stars.append(imported)
                self.forget(self.bound)  # it may bind any of them anew
            else:
                self._bind(name, imported)

    def _doubt(self, node: ast.AST) -> None:
        """Everything that ``node`` may bind."""
        for inner in within_scope(node):
            if isinstance(inner, ast.ClassDef):
                self.doubtful.append(inner)
            if isinstance(inner, (ast.Import, ast.ImportFrom)):
                for name, imported in imports_of(inner):
                    if name == "*":
                        self.stars.append(imported)
                    self._bind(name, None)
            for name in _bound_by(inner):
                self._bind(name, None)

    def forget(self, names: Iterable[str]) -> None:
        """From now on nobody knows what these names are bound to."""
        for name in list(names):
            self._bind(name, None)

    def _bind(self, name: str, bound: Bound) -> None:
        before = self.bound.get(name)
        if name in self.bound and before != bound:
            self.changing.add(name)
        if isinstance(before, ast.ClassDef):
            self.doubtful.append(before)
        self.bound[name] = bound


def within_scope(node: ast.AST) -> Iterator[ast.AST]:
    """``node`` and what is below it, but for bodies of functions and classes: they are other scopes."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        if isinstance(current, (Function, ast.ClassDef)):
            waiting.extend(current.decorator_list)
        elif not isinstance(current, ast.Lambda):
            waiting.extend(ast.iter_child_nodes(current))


def run_at_import(statements: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """What runs when these statements do: bodies of functions do not, bodies of classes do."""
    waiting: list[ast.AST] = [node for node in statements if not is_main_guard(node)]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Function):
            waiting.extend(node.decorator_list)
        elif not isinstance(node, ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def handed_out(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Names whose objects other code gets hold of while the statements run: it may change them.

    To be called, to be asked for an attribute or to be a base changes nothing.
    """
    waiting: list[ast.AST] = [node for node in statements if not is_main_guard(node)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
            if not isinstance(node.ctx, ast.Load):
                yield node.value.id if isinstance(node.value, ast.Name) else node.value.attr
        elif isinstance(node, ast.Call):
            waiting.extend([*node.args, *(keyword.value for keyword in node.keywords)])
            waiting.extend([] if isinstance(node.func, ast.Name) else [node.func])
        elif isinstance(node, ast.ClassDef):
            waiting.extend([*node.decorator_list, *node.keywords, *node.body])
        elif isinstance(node, ast.AnnAssign):
            waiting.extend([node.target, *([] if node.value is None else [node.value])])
        elif isinstance(node, Function):
            waiting.extend(node.decorator_list)
        elif not isinstance(node, ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Imported]]:
    """Each name that an import binds, and to what."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, Imported(node.module or "", alias.name, node.level)
        elif alias.asname:
            yield alias.asname, Imported(alias.name)
        else:
            top = alias.name.partition(".")[0]
            yield top, Imported(top)


def is_main_guard(node: ast.AST) -> TypeGuard[ast.If]:
    """Whether it is an ``if __name__ == "__main__"``: a job is never that."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and isinstance(node.test.left, ast.Name)
        and node.test.left.id == "__name__"
        and isinstance(node.test.ops[0], ast.Eq)
        and isinstance(node.test.comparators[0], ast.Constant)
        and node.test.comparators[0].value == "__main__"
    )


def is_dynamic(nodes: Iterable[ast.AST]) -> bool:
    """Whether names may be bound in a way that no statement shows."""
    return any(
        (isinstance(node, ast.Name) and node.id in DYNAMIC)
        or (isinstance(node, ast.Attribute) and node.attr in DYNAMIC_ATTRIBUTES)
        or is_attribute(node, "sys", "modules")
        for node in nodes
    )


def is_attribute(node: ast.AST, name: str, attribute: str) -> bool:
    """Whether it is ``name.attribute``."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == attribute
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    )


def _bound_by(node: ast.AST) -> Iterator[str]:
    name: str | None = None
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        name = node.id
    elif isinstance(node, (Function, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        name = node.name
    elif isinstance(node, ast.MatchMapping):
        name = node.rest
    if name is not None:
        yield name
