"""Which class of the entry file is the job: the rules of SPEC 1.1."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import inspect
from functools import partialmethod
from types import ModuleType
from typing import TypeGuard

from pyjob.errors import EntryPointError

OPTIONAL_METHODS = (
    "docs_input_example",
    "docs_input_examples",
    "auxiliary_endpoints",
    "auxiliary_endpoints_v2",
    "static_endpoints",
    "webview_app",
    "metrics",
)


def offers_a_job(candidate: object) -> bool:
    """Whether a class or an instance at hand has any method that makes it a job."""
    return any(callable(getattr(candidate, name, None)) for name in ("perform", *OPTIONAL_METHODS))


def find_entry_class(module: ModuleType, wanted: str | None, file: str) -> type:
    """The entry point class of ``module``; ``file`` is its name in messages.

    Raises `EntryPointError` where the class named ``wanted`` is missing, or where, with no name given,
    there is not exactly one candidate.
    """
    if wanted:
        return _named_class(module, wanted, file)
    own = [value for value in vars(module).values() if _is_candidate(value, module)]
    performing = [cls for cls in own if _has(cls, "perform")]
    if performing:
        return _only(performing, "a `perform` method", file)
    helpful = [cls for cls in own if any(_has(cls, name) for name in OPTIONAL_METHODS)]
    if helpful:
        return _only(helpful, "a method of a job", file)
    raise EntryPointError(f"{file}: expected a class with a `perform` method, found {_instead(module, own)}")


def _instead(module: ModuleType, own: list[type]) -> str:
    """What there is in place of a job, and what to do about it."""
    for cls in own:
        near = difflib.get_close_matches("perform", [name.lower() for name in vars(cls)], n=1, cutoff=0.75)
        if near:
            return f"class {cls.__name__} with a method {near[0]!r}: is that a misspelt `perform`?"
    if callable(vars(module).get("perform")):
        return "a function `perform` outside of any class: indent it into one"
    if own:
        names = ", ".join(cls.__name__ for cls in own)
        return f"only classes without it: {names}. Add `def perform(self, ...)` to one of them"
    return (
        "no class. Write one, under any name, with `def perform(self, ...)`, "
        "or name an imported one in jobtype_extra.entrypoint_class"
    )


def _named_class(module: ModuleType, wanted: str, file: str) -> type:
    found = getattr(module, wanted, None)
    if _is_class(found):
        return found
    classes = [name for name, value in vars(module).items() if _is_candidate(value, module)]
    raise EntryPointError(
        f"{file}: jobtype_extra.entrypoint_class names {wanted!r}, but the file has "
        f"{'no such class' if found is None else 'something else of that name'}; "
        f"its classes: {', '.join(classes) or 'none'}"
    )


def _is_candidate(value: object, module: ModuleType) -> bool:
    """Classes made in this file, but for those that cannot be a job: enums, protocols, abstract ones."""
    return (
        _is_class(value)
        and value.__module__ == module.__name__
        and not issubclass(value, enum.Enum)
        and not inspect.isabstract(value)
        and not vars(value).get("_is_protocol", False)
    )


def _is_class(value: object) -> TypeGuard[type]:
    # Not by isinstance(): that asks lazy objects, such as Django's settings, what they stand for.
    return issubclass(type(value), type)


def _has(cls: type, method: str) -> bool:
    # By its own and its bases' namespaces: a metaclass may answer to any name.
    found = [vars(base)[method] for base in cls.__mro__ if method in vars(base)]
    return bool(found) and (callable(found[0]) or isinstance(found[0], (classmethod, partialmethod)))


def _only(candidates: list[type], what: str, file: str) -> type:
    unique = list(dict.fromkeys(candidates))
    # A dataclass is a helper, unless it is all there is.
    unique = [cls for cls in unique if not dataclasses.is_dataclass(cls)] or unique
    if len(unique) == 1:
        return unique[0]
    names = ", ".join(cls.__name__ for cls in unique)
    raise EntryPointError(
        f"{file}: {len(unique)} classes have {what}: {names}. Name one in jobtype_extra.entrypoint_class"
    )
