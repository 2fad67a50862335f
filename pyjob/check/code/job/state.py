"""What a call leaves behind for the next one: a job must be stateless (SPEC 1.5)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.note import WARNING, note
from pyjob.check.code.reading.literal import constant
from pyjob.check.code.reading.method import Method
from pyjob.check.code.reading.scope import Function
from pyjob.check.finding import Finding

REMEDY = "keep it in a local variable, or make it in `__init__`"
Guards = frozenset[str]


def judge_state(draft: Draft, handlers: list[Method]) -> Iterator[Finding]:
    """Findings of ``handlers``, and of the methods of the job that they call."""
    methods = {method.node: method for method in handlers if method.binding}
    for method in list(methods.values()):
        for name in _called(method):
            called = draft.method(name)
            if called is not None and called.binding:
                methods.setdefault(called.node, called)
    for method in methods.values():
        for node, what in _Traces(method).found():
            message = f"{method.name} {what}, which the next call may meet, or not"
            yield note("stateless", WARNING, method.module, node, message, REMEDY)


def _called(method: Method) -> list[str]:
    """Names of the methods of the job that ``method`` calls."""
    return [
        node.func.attr
        for node in ast.walk(method.node)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == method.written.first
    ]


class _Traces:
    """Finds what one method sets that outlives the call."""

    def __init__(self, method: Method) -> None:
        self.node = method.node
        self.first = method.written.first or ""

    def found(self) -> Iterator[tuple[ast.AST, str]]:
        """Each place, and what happens there."""
        if not isinstance(self.node, ast.Lambda):
            yield from self._in_block(self.node.body, frozenset())

    def _in_block(self, statements: list[ast.stmt], guards: Guards) -> Iterator[tuple[ast.AST, str]]:
        for statement in statements:
            yield from self._in_node(statement, guards)
            # `if self.x is not None: return self.x` leaves the rest to the first call.
            if isinstance(statement, ast.If) and isinstance(statement.body[-1], (ast.Return, ast.Raise)):
                guards |= self._present(statement.test)

    def _in_node(self, node: ast.AST, guards: Guards) -> Iterator[tuple[ast.AST, str]]:
        if isinstance(node, (Function, ast.Lambda)) and self._rebinds_first(node):
            return
        if isinstance(node, ast.Global):
            yield node, f"declares `global {', '.join(node.names)}`"
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            attribute = self._attribute(node)
            if attribute and attribute not in guards:
                verb = "deletes" if isinstance(node.ctx, ast.Del) else "sets"
                yield node, f"{verb} `{ast.unparse(node)[:60]}`"
        if isinstance(node, ast.If):
            yield from self._in_block(node.body, guards | self._absent(node.test))
            yield from self._in_block(node.orelse, guards | self._present(node.test))
            return
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield from self._in_block(value, guards)
            else:
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        yield from self._in_node(child, guards)

    def _attribute(self, node: ast.expr) -> str:
        """``x`` of ``self.x`` and of ``self.x[...]``."""
        while isinstance(node, ast.Subscript):
            node = node.value
        is_own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if is_own and self.first and node.value.id == self.first:  # type: ignore[attr-defined]
            return node.attr  # type: ignore[attr-defined, no-any-return]
        return ""

    def _rebinds_first(self, node: Function | ast.Lambda) -> bool:
        arguments = node.args
        return any(
            a.arg == self.first for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        )

    def _absent(self, test: ast.expr) -> Guards:
        """Attributes that are not there yet where ``test`` holds: only the first call sets them."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return frozenset().union(*(self._absent(value) for value in test.values))
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self._present(test.operand)
        if _is_none_test(test, ast.Is):
            return self._names(test.left)  # type: ignore[attr-defined]
        return frozenset()

    def _present(self, test: ast.expr) -> Guards:
        """Attributes that are there where ``test`` holds, and missing where it does not."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self._absent(test.operand)
        if _is_none_test(test, ast.IsNot):
            return self._names(test.left)  # type: ignore[attr-defined]
        if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "hasattr":
            return frozenset({str(constant(test.args[-1]))} if test.args else ())
        return self._names(test)

    def _names(self, node: ast.expr) -> Guards:
        if isinstance(node, ast.NamedExpr):
            node = node.value
        name = self._attribute(node) if isinstance(node, ast.Attribute) else ""
        return frozenset({name} if name else ())


def _is_none_test(test: ast.expr, operator: type[ast.cmpop]) -> bool:
    return (
        isinstance(test, ast.Compare)
        and len(test.ops) == 1
        and isinstance(test.ops[0], operator)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )
