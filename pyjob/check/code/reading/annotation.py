"""Annotations as types, as far as they are on the lists of SPEC 4.3 and 4.8; `Any` for everything else."""

from __future__ import annotations

import ast
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from werkzeug.datastructures import FileStorage

from pyjob.check.code.reading.blueprint import ENUMS, Blueprint, Unseen
from pyjob.check.code.reading.literal import NotLiteral, literal
from pyjob.check.code.reading.method import Argument, Parameters
from pyjob.check.code.reading.project import Definition, Module, Outside, Project
from pyjob.check.code.reading.scope import Function, Scope
from pyjob.method.signature import NOTHING, Parameter, Signature

DEEPEST = 20
PLAIN: Mapping[str, Any] = MappingProxyType(
    {
        "builtins.int": int,
        "builtins.float": float,
        "builtins.bool": bool,
        "builtins.str": str,
        "builtins.bytes": bytes,
        "builtins.None": None,
        "builtins.list": list,
        "builtins.dict": dict,
        "typing.List": list,
        "typing.Dict": dict,
        "typing.BinaryIO": typing.BinaryIO,
        "werkzeug.datastructures.FileStorage": FileStorage,
    }
)
VALUES_OF_AN_ENUM = (str, int, float, bool)
# An enumeration that has one of these decides for itself which values stand for its members.
OWN_LOOK_UP = frozenset({"_missing_", "__new__", "_generate_next_value_", "_ignore_", "_value_", "__init__"})


class AnnotationReader:
    """Resolves annotations of a class whose body binds ``scope``, in ``module``."""

    def __init__(self, project: Project, module: Module, scope: Scope | None = None) -> None:
        self._project = project
        self._module = module
        self._scope = scope

    def read(self, node: ast.expr | None, depth: int = 0) -> Any:
        """The type that ``node`` stands for: `Any` where it is not on the list, or reading cannot tell."""
        if node is None or depth > DEEPEST:
            return Any
        if isinstance(node, ast.Constant):
            return self._constant(node, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._union([node.left, node.right], depth)
        if isinstance(node, ast.Subscript):
            return self._generic(self._full_name(node.value), node.slice, depth)
        if not isinstance(node, (ast.Name, ast.Attribute)) or self._is_shadowed(node):
            return Any
        found = self._project.resolve(node, self._module)
        if isinstance(found, Outside):
            return PLAIN.get(found.name, Any)
        if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
            return self._enum(Blueprint(found.node, found.module, self._project))
        if isinstance(found, Definition) and isinstance(found.node, ast.expr):
            return AnnotationReader(self._project, found.module).read(found.node, depth + 1)
        return Any

    def _constant(self, node: ast.Constant, depth: int) -> Any:
        if node.value is None:
            return None
        if not isinstance(node.value, str):
            return Any
        try:
            return self.read(ast.parse(node.value.strip(), mode="eval").body, depth + 1)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return Any

    def _generic(self, name: str, inside: ast.expr, depth: int) -> Any:
        arguments = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        name = name.replace("typing_extensions.", "typing.")
        if name == "typing.Annotated":
            return self.read(arguments[0], depth + 1)
        if name == "typing.Optional":
            return self._union([inside, ast.Constant(None)], depth)
        if name == "typing.Union":
            return self._union(arguments, depth)
        if name == "typing.Literal":
            return _literal_of(arguments)
        if name in ("typing.List", "builtins.list") and len(arguments) == 1:
            return list[self.read(arguments[0], depth + 1)]  # type: ignore[misc]
        if name in ("typing.Dict", "builtins.dict") and len(arguments) == 2:
            return dict[str, self.read(arguments[1], depth + 1)]  # type: ignore[misc]
        return Any

    def _union(self, nodes: list[ast.expr], depth: int) -> Any:
        choices = [self.read(node, depth + 1) for node in nodes]
        # One that may be anything makes all of it anything.
        return Any if Any in choices or not choices else typing.Union[tuple(choices)]  # noqa: UP007

    def _full_name(self, node: ast.expr) -> str:
        return "" if self._is_shadowed(node) else self._project.full_name(node, self._module)

    def _is_shadowed(self, node: ast.expr) -> bool:
        """Whether the class has something else under this name: a method called `list`."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and self._scope is not None and node.id in self._scope.bound

    def _enum(self, blueprint: Blueprint) -> Any:
        """A Literal of its values: what a caller can send of an enumeration."""
        bases = {part.name for part in blueprint.line if isinstance(part, Unseen)}
        own = {name for part in blueprint.own for name in part.scope.bound}
        plain_bases = {"enum.Enum", "enum.IntEnum", "enum.StrEnum", "builtins.str", "builtins.int"}
        if not bases & ENUMS or bases - plain_bases or own & OWN_LOOK_UP or blueprint.scope.doubtful:
            return Any
        if blueprint.is_opaque or len(blueprint.own) > 1:
            return Any
        members = [
            node
            for name, node in blueprint.scope.bound.items()
            if not isinstance(node, Function) and not name.startswith("_")
        ]
        if not all(isinstance(node, ast.expr) for node in members):
            return Any
        of_int = bool(bases & {"enum.IntEnum", "builtins.int"})
        return _literal_of([node for node in members if isinstance(node, ast.expr)], only_int=of_int)


def signature_of(
    parameters: Parameters, reader: AnnotationReader, skipped: frozenset[str], *, check_types: bool
) -> Signature:
    """The `Signature` that calls would be checked against; the values of ``skipped`` are not."""
    named = tuple(_parameter(one, reader, unchecked=one.name in skipped) for one in parameters.named)
    first = frozenset({parameters.first} if parameters.first else ())
    return Signature(named, open=parameters.open, reserved=first, check_types=check_types)


def _parameter(argument: Argument, reader: AnnotationReader, *, unchecked: bool) -> Parameter:
    annotation = Any if unchecked else reader.read(argument.node.annotation)
    default: object = argument.default
    if argument.default is None:
        default = NOTHING
    elif isinstance(argument.default, ast.Constant) and argument.default.value is None:
        default = None
    return Parameter(argument.name, annotation, default)


def _literal_of(nodes: list[ast.expr], *, only_int: bool = False) -> Any:
    """A Literal of values that are written out, else anything; ``only_int``: others would be converted."""
    try:
        values = [literal(node) for node in nodes]
    except NotLiteral:
        return Any
    if not values or not all(value is None or isinstance(value, VALUES_OF_AN_ENUM) for value in values):
        return Any
    if only_int and not all(type(value) is int for value in values):
        return Any
    return typing.Literal[tuple(values)]
