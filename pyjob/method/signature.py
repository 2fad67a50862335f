"""The parameters of one method of the job: read once, then every call is bound and checked against them."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from types import SimpleNamespace
from typing import Any

from pyjob.errors import EntryPointError, PayloadError
from pyjob.method.annotations import Check, compile_check, first_problems, optional
from pyjob.method.marker import unmarked

NOTHING = inspect.Parameter.empty
LONGEST_DEFAULT = 1000
MOST_NAMED = 20


@dataclass(frozen=True)
class Parameter:
    """One named parameter; ``annotation`` and ``default`` are `NOTHING` where there is none."""

    name: str
    annotation: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether a call without it is refused."""
        return self.default is NOTHING

    def check(self) -> Check | None:
        """The check of its values, null included where the default is None (SPEC 4.3)."""
        if self.annotation is NOTHING:
            return None
        try:
            check = compile_check(self.annotation)
        except Exception:  # noqa: BLE001  the author's objects: what cannot be read is not checked
            return None
        if check is not None and self.default is None:
            return optional(check)
        return check

    def is_marked(self, name: str) -> bool:
        """Whether its annotation carries a marker of a class called ``name``: `Annotated[int, Query()]`."""
        metadata = getattr(self.annotation, "__metadata__", ())
        # Called as such or not: both are written.
        return any((m if isinstance(m, type) else type(m)).__name__ == name for m in metadata)

    def type_name(self) -> str | None:
        """As `/parameters` shows it (SPEC 4.1): a class's name, ``str()`` of a generic, None without.

        `Annotated[T, ...]` counts as T (SPEC 1.3).
        """
        shown = self.annotation
        if typing.get_origin(shown) is typing.Annotated:
            shown = typing.get_args(shown)[0]
        if shown is NOTHING:
            return None
        try:
            if isinstance(shown, type) and not typing.get_args(shown):
                return shown.__name__
            return str(shown)
        except Exception:  # noqa: BLE001  the author's __str__
            return type(shown).__name__


def shown_default(default: object) -> str:
    """The repr of a default that is not JSON, cut where it is very long."""
    try:
        text = repr(default)
    except Exception:  # noqa: BLE001  the author's __repr__
        return f"<{type(default).__name__}>"
    return text if len(text) <= LONGEST_DEFAULT else f"{text[:LONGEST_DEFAULT]}..."


class Signature:
    """What a method takes and gives.

    ``parameters`` in order of definition; ``open`` with ``**kwargs``; ``returns`` is the resolved return
    annotation or `NOTHING`; ``unmarked`` are the defaults that stand in markers of FastAPI; ``warnings`` are
    meant for the author.
    """

    def __init__(
        self,
        parameters: tuple[Parameter, ...],
        *,
        returns: Any = NOTHING,
        open: bool = False,  # noqa: A002  the word for a signature that takes any name
        reserved: frozenset[str] = frozenset(),
        check_types: bool = True,
        unmarked: Mapping[str, object] | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.parameters = parameters
        self.unmarked = unmarked or {}
        self.returns = returns
        self.open = open
        self.warnings = warnings
        self._reserved = reserved
        self._names = frozenset(parameter.name for parameter in parameters)
        checks = [(p.name, p.check()) for p in parameters] if check_types else []
        self._checks = tuple((name, check.accepts, check) for name, check in checks if check is not None)

    def check(self, arguments: Mapping[str, object]) -> None:
        """Raise `PayloadError` unless the method can be called with ``arguments`` (SPEC 4.3)."""
        names = arguments.keys()
        if names != self._names:
            self._check_names(names)
        for name, accepts, _ in self._checks:
            if name in arguments and not accepts(arguments[name]):
                raise PayloadError("; ".join(self._type_problems(arguments)))

    def _check_names(self, names: typing.AbstractSet[str]) -> None:
        problems = []
        missing = [p.name for p in self.parameters if p.required and p.name not in names]
        if missing:
            problems.append(_naming("missing", missing))
        unwanted = self._reserved if self.open else None
        # In the order in which they came, and no more than are told: there may be millions.
        unexpected = (n for n in names if (n in unwanted if unwanted is not None else n not in self._names))
        told = [str(name) for name in islice(unexpected, MOST_NAMED)]
        if told:
            problems.append(_naming("unexpected", sorted(told)))
        if problems:
            expected = ", ".join(p.name if p.required else f"{p.name} (optional)" for p in self.parameters)
            problems.append(f"expected: {expected or 'none'}")
            raise PayloadError("; ".join(problems))

    def _type_problems(self, arguments: Mapping[str, object]) -> list[str]:
        problems: list[str] = []
        for name, _, check in self._checks:
            if name in arguments:
                problems.extend(first_problems(check, arguments[name], name))
        return problems[:10]


def read_signature(method: Callable[..., object], place: str, *, check_types: bool = True) -> Signature:
    """The `Signature` of a bound ``method``; ``place`` names file, class and method in messages.

    Raises `EntryPointError` where a caller could not reach a parameter by name (SPEC 1.1).
    """
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError) as error:
        forgot = " (it takes no `self`)" if inspect.ismethod(method) else ""
        raise EntryPointError(f"{place}: its parameters cannot be read{forgot}: {error}") from error
    kinds = {parameter.kind for parameter in parameters}
    annotations = _resolved_annotations(method)
    open_ended = inspect.Parameter.VAR_KEYWORD in kinds
    warnings = (
        *_check_kinds(parameters, place, open_ended=open_ended),
        *_check_self(method, place),
        *_check_resolved(annotations, place),
    )
    written = [
        Parameter(parameter.name, annotations.get(parameter.name, parameter.annotation), parameter.default)
        for parameter in parameters
        if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    ]
    named = tuple(Parameter(one.name, *unmarked(one.annotation, one.default)) for one in written)
    moved = {
        new.name: new.default
        for old, new in zip(written, named, strict=True)
        if new.default is not old.default
    }
    return Signature(
        named,
        returns=annotations.get("return", NOTHING),
        open=open_ended,
        reserved=_bound_names(method),
        check_types=check_types,
        unmarked={name: default for name, default in moved.items() if default is not NOTHING},
        warnings=warnings,
    )


def _check_kinds(
    parameters: typing.Iterable[inspect.Parameter], place: str, *, open_ended: bool
) -> tuple[str, ...]:
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise EntryPointError(
                f"{place}: parameter {parameter.name!r} is positional-only, but callers send names: "
                "remove the '/' from its parameters"
            )
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            if not open_ended:
                raise EntryPointError(
                    f"{place}: takes *{parameter.name}, but callers send names: "
                    "use named parameters or **kwargs"
                )
            return (
                f"{place}: takes *{parameter.name} and **kwargs, which hides its parameters: "
                "if a decorator does this, give it functools.wraps",
            )
    return ()


def _check_self(method: Callable[..., object], place: str) -> tuple[str, ...]:
    function = getattr(method, "__func__", None)
    code = getattr(function, "__code__", None)
    if code is None or not code.co_argcount or isinstance(getattr(method, "__self__", None), type):
        return ()
    first = code.co_varnames[0]
    if first in ("self", "_self", "this", "_", "s"):
        return ()
    return (
        f"{place}: its first parameter is {first!r}, which Python fills with the job: is `self` missing?",
    )


def _check_resolved(annotations: Mapping[str, Any], place: str) -> tuple[str, ...]:
    return tuple(
        f"{place}: the annotation {annotation!r} of {name} cannot be resolved, so its values are not checked"
        for name, annotation in annotations.items()
        if isinstance(annotation, str) and name != "return"
    )


def _resolved_annotations(method: Callable[..., object]) -> dict[str, Any]:
    """Annotations with strings resolved, each on its own: one unknown name does not lose the others."""
    function = function_of(method)
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001  resolving runs the author's expressions
        raw: dict[str, Any] = dict(getattr(function, "__annotations__", {}))
    names = getattr(function, "__globals__", {})
    resolved = {}
    for name, annotation in raw.items():
        try:
            one = SimpleNamespace(__annotations__={name: annotation})
            resolved.update(typing.get_type_hints(one, globalns=names, include_extras=True))
        except Exception:  # noqa: BLE001  stays as written, and unchecked
            resolved[name] = annotation
    return resolved


def function_of(method: Callable[..., object]) -> Callable[..., object]:
    """The function that has the annotations and the text: behind wrappers, partials, callable objects."""
    function = inspect.unwrap(method)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    call: Callable[..., object] = inspect.unwrap(type(function).__call__)
    return call


def _bound_names(method: Callable[..., object]) -> frozenset[str]:
    """Names that a caller must not send to a method with ``**kwargs``: Python fills them (``self``)."""
    function = getattr(method, "__func__", None)
    if function is None:
        return frozenset()
    codes = [getattr(f, "__code__", None) for f in (function, inspect.unwrap(function))]
    bound = [c.co_varnames[0] for c in codes if c and c.co_argcount and not c.co_posonlyargcount]
    return frozenset(bound)


def _naming(fault: str, names: list[str]) -> str:
    plural = "s" if len(names) > 1 else ""
    return f"{fault} argument{plural}: {', '.join(name[:60] for name in names[:MOST_NAMED])}"
