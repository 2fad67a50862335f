"""Which function of pyjob belongs to which part of a call."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import CodeType
from typing import Any

# In the order of the road. Longer names win over shorter ones; a module or package stands for all that is in
# it. What is in none of them counts for whoever called it: the locks, the decoders written in C.
PARTS: dict[str, tuple[str, ...]] = {
    "context": ("pyjob.application", "pyjob.trace", "pyjob.context"),
    "dispatch": ("pyjob.routing",),
    "parse": ("pyjob.wire.body", "json.decoder"),
    # Checks of scalars call nothing, so that no look ever finds one (see `stages.py`): one part, not two.
    "bind, check": ("pyjob.method",),
    "gate": ("pyjob.gate",),
    "call": ("pyjob.apps.call", "summing:Summing.perform"),
    "encode": ("pyjob.wire.results", "json.encoder"),
    "metrics": ("pyjob.metrics", "pyjob.calls.record", "pyjob.logs"),
    "respond": ("pyjob.wire.response", "pyjob.application.reception:Reception.receive.<locals>.begin"),
}
OTHER = "other"


class PartsError(Exception):
    """The table names something that is no more."""


def check_parts() -> None:
    """Raise `PartsError` for each name in the table that nothing has."""
    for names in PARTS.values():
        for name in names:
            module, _, function = name.partition(":")
            try:
                _resolve(import_module(module), function)
            except (ImportError, LookupError) as error:
                raise PartsError(
                    f"benchmarks/inside/parts.py names {name}, which is no more: {error}"
                ) from error


def _resolve(module: Any, function: str) -> None:
    """Raises `LookupError`."""
    found: Any = module
    for step in function.split(".") if function else ():
        if step == "<locals>":
            continue
        inner = found if isinstance(found, CodeType) else getattr(found, "__code__", None)
        if isinstance(inner, CodeType):
            found = {code.co_name: code for code in _codes(inner)}[step]
        elif hasattr(found, step):
            found = getattr(found, step)
        else:
            raise LookupError(step)


def _codes(code: CodeType) -> Iterator[CodeType]:
    return (const for const in code.co_consts if isinstance(const, CodeType))


class Attribution:
    """Tells the part of a function, and remembers it."""

    def __init__(self) -> None:
        self._by_name = {name: part for part, names in PARTS.items() for name in names}
        self._known: dict[CodeType, str | None] = {}

    def part_of(self, code: CodeType, module: str) -> str | None:
        """The part, or None where the one who called it tells."""
        if code not in self._known:
            self._known[code] = self._look_up(code, module)
        return self._known[code]

    def _look_up(self, code: CodeType, module: str) -> str | None:
        exact = self._by_name.get(f"{module}:{code.co_qualname}")
        while exact is None and module:
            exact = self._by_name.get(module)
            module = module.rpartition(".")[0]
        return exact
