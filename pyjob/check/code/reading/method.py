"""One method as it is written, and as callers of the bound method see it after its decorators."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from pyjob.check.code.reading.project import Definition, Module, Outside, Project
from pyjob.check.code.reading.scope import Function, within_scope

# Decorators that keep the parameters of what they decorate, called or not.
KEEPING = frozenset(
    {
        "abc.abstractmethod",
        "contextlib.asynccontextmanager",
        "contextlib.contextmanager",
        "functools.cache",
        "functools.lru_cache",
        "typing.final",
        "typing.no_type_check",
        "typing.override",
        "typing_extensions.override",
        "warnings.deprecated",
    }
)
WRAPS = frozenset({"functools.wraps"})
PROPERTIES = frozenset({"builtins.property", "functools.cached_property", "abc.abstractproperty"})
SELVES = ("self", "_self", "this", "_", "s")
# What can never be called.
VALUES = frozenset({"bool", "bytes", "dict", "float", "int", "list", "None", "set", "str", "tuple"})
_LITERALS = (
    *(ast.Constant, ast.JoinedStr, ast.Dict, ast.List, ast.Set, ast.Tuple),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
UNBOUND, OF_CLASS = "builtins.staticmethod", "builtins.classmethod"


@dataclass(frozen=True)
class Argument:
    """One parameter: as it is written, with its default if there is one."""

    node: ast.arg
    default: ast.expr | None = None
    positional: bool = True
    named: bool = True

    @property
    def name(self) -> str:
        """Its name."""
        return self.node.arg


@dataclass(frozen=True)
class Parameters:
    """What a caller may give, without what Python fills in; ``first`` is that (`self`), if there is one."""

    named: tuple[Argument, ...]
    star: str | None
    open: bool
    first: str | None = None
    is_unbindable: bool = False

    @property
    def required(self) -> list[Argument]:
        """Those without a default."""
        return [one for one in self.named if one.default is None]


@dataclass(frozen=True, eq=False)
class Method:
    """A function of a class as it is written; ``binding`` is "self", "cls" or "" for a static one."""

    name: str
    node: Function | ast.Lambda
    module: Module
    project: Project
    binding: str = "self"
    wrapper: Function | None = None
    wrapper_name: str = ""
    is_changed: bool = False
    is_property: bool = False

    @cached_property
    def written(self) -> Parameters:
        """The parameters that its author wrote."""
        return read_parameters(self.node.args, bound=bool(self.binding))

    @cached_property
    def parameters(self) -> Parameters | None:
        """The parameters that count: those of what a decorator makes of it; None where nobody knows."""
        if self.is_changed or self.is_property:
            return None
        if self.wrapper is not None:
            return read_parameters(self.wrapper.args, bound=bool(self.binding))
        return self.written

    @property
    def forgets_self(self) -> bool:
        """Whether its first parameter, which Python fills with the job, seems to be one for callers."""
        is_plain = self.binding == "self" and not getattr(self.node, "decorator_list", ())
        return is_plain and self.written.first is not None and self.written.first not in SELVES

    @property
    def is_faulty(self) -> bool:
        """Whether callers cannot reach its parameters as they were meant."""
        parameters = self.parameters
        if parameters is None or self.forgets_self or parameters.is_unbindable:
            return parameters is not None
        return parameters.star is not None or not all(one.named for one in parameters.named)

    @property
    def gives_a_value(self) -> bool:
        """Whether its body, or else its annotation, tells that it gives nothing that can be called."""
        node = self.node
        if isinstance(node, ast.Lambda) or self.wrapper is not None or self.is_changed or self.is_property:
            return False
        inside = [inner for statement in node.body for inner in within_scope(statement)]
        if isinstance(node, ast.AsyncFunctionDef) or any(
            isinstance(n, (ast.Yield, ast.YieldFrom)) for n in inside
        ):
            return True
        given = [inner.value for inner in inside if isinstance(inner, ast.Return)]
        if all(isinstance(one, _LITERALS) or one is None for one in given):
            return True
        functions = {inner.name for inner in inside if isinstance(inner, Function)}
        is_one = any(isinstance(o, ast.Lambda) or getattr(o, "id", "") in functions for o in given)
        return self._is_annotated_as_value and not is_one

    @property
    def _is_annotated_as_value(self) -> bool:
        written = getattr(self.node, "returns", None)
        if isinstance(written, ast.Subscript):
            written = written.value
        text = ast.unparse(written) if written is not None else ""
        return text.strip("\"'").partition("[")[0] in VALUES and text not in self.module.scope.bound

    @property
    def docstring(self) -> str | None:
        """Its text."""
        return None if isinstance(self.node, ast.Lambda) else ast.get_docstring(self.node)


def read_method(name: str, found: Definition, project: Project, *, bound: bool = True) -> Method | None:
    """The method that ``found`` is, or None where it is no function; ``bound``: it stands in a class."""
    node, module = found.node, found.module
    if not isinstance(node, (Function, ast.Lambda)):
        return None
    if isinstance(node, ast.Lambda):
        return Method(name, node, module, project, "self" if bound else "")
    binding = "self" if bound else ""
    if bound and name in ("__new__", "__init_subclass__", "__class_getitem__"):
        binding = "cls"
    wrapper: Function | None = None
    wrapper_name, is_changed, is_property = "", False, False
    for index, decorator in enumerate(reversed(node.decorator_list)):
        is_last = index == len(node.decorator_list) - 1
        full = _name_of(decorator, module, project)
        if full in (UNBOUND, OF_CLASS) and is_last and bound:
            binding = "" if full == UNBOUND else "cls"
        elif full in PROPERTIES:
            is_property = True
        elif full not in KEEPING:
            made = _made_by(decorator, module, project)
            is_changed = is_changed or made is None
            if isinstance(made, Function):
                wrapper, wrapper_name = made, ast.unparse(decorator)
    return Method(name, node, module, project, binding, wrapper, wrapper_name, is_changed, is_property)


def read_parameters(arguments: ast.arguments, *, bound: bool) -> Parameters:
    """The parameters of a function; of a ``bound`` one without its first."""
    positional = [*arguments.posonlyargs, *arguments.args]
    padding: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults = chain(padding, arguments.defaults)
    named = [
        Argument(node, default, named=index >= len(arguments.posonlyargs))
        for index, (node, default) in enumerate(zip(positional, defaults, strict=True))
    ]
    first = named.pop(0) if bound and named else None
    unbindable = bound and first is None and arguments.vararg is None
    named += [
        Argument(node, default, positional=False)
        for node, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return Parameters(
        tuple(named),
        arguments.vararg.arg if arguments.vararg else None,
        arguments.kwarg is not None,
        first.name if first else None,
        unbindable,
    )


def _name_of(decorator: ast.expr, module: Module, project: Project) -> str:
    return project.full_name(decorator.func if isinstance(decorator, ast.Call) else decorator, module)


def _made_by(decorator: ast.expr, module: Module, project: Project) -> Function | str | None:
    """What a decorator of the job's own makes: a function of its own, "the same", or None: who knows."""
    called = isinstance(decorator, ast.Call)
    found = project.resolve(decorator.func if isinstance(decorator, ast.Call) else decorator, module)
    if isinstance(found, Outside) or not isinstance(found, Definition):
        return None
    function = _returned(found.node) if called and isinstance(found.node, Function) else found.node
    if not isinstance(function, ast.FunctionDef) or function.decorator_list or not function.args.args:
        return None
    if _returned_name(function) == function.args.args[0].arg:
        return "the same" if not _stores(function, function.args.args[0].arg) else None
    inner = _returned(function)
    if inner is None:
        return None
    if not inner.decorator_list:
        return inner
    names = {_name_of(one, found.module, project) for one in inner.decorator_list}
    return "the same" if names == WRAPS else None


def _returned(function: Function) -> Function | None:
    """The inner function that a function gives, where it does nothing else with it."""
    name = _returned_name(function)
    inner = [one for one in function.body if isinstance(one, Function) and one.name == name]
    uses = [node for node in _names_in(function) if node.id == name]
    return inner[0] if len(inner) == 1 and len(uses) == 1 else None


def _returned_name(function: Function) -> str:
    inside = [node for statement in function.body for node in within_scope(statement)]
    returns = [node for node in inside if isinstance(node, ast.Return)]
    if len(returns) == 1 and returns[0] in function.body and isinstance(returns[0].value, ast.Name):
        return returns[0].value.id
    return ""


def _stores(function: Function, name: str) -> bool:
    return any(node.id == name and not isinstance(node.ctx, ast.Load) for node in _names_in(function))


def _names_in(function: Function) -> Iterator[ast.Name]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Name))
