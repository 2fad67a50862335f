"""Markers of FastAPI by their names: ``x: int = Query(5)``, ``x: Annotated[int, Query()]`` (SPEC 1.3)."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any

NOTHING = inspect.Parameter.empty
BOUND = frozenset(("Body", "File", "Form", "Path", "Query"))
# What is no argument of a call: from a request's head, or from another function.
UNBOUND = frozenset(("Cookie", "Depends", "Header", "Security"))


def unmarked(annotation: Any, default: Any) -> tuple[Any, Any]:
    """Annotation and default of a parameter; a marker that is its default is moved into the annotation."""
    kind = type(default)
    if kind.__name__ not in BOUND | UNBOUND or kind.__module__.partition(".")[0] != "fastapi":
        return annotation, default
    value = getattr(default, "default", NOTHING)
    if value is ... or type(value).__name__ == "PydanticUndefinedType":
        value = NOTHING
    return Annotated[Any if annotation is NOTHING else annotation, default], value


def faults_of(name: str, annotation: Any) -> Iterator[str]:
    """What a parameter of this ``name`` asks for that is not done, in words."""
    for marker in getattr(annotation, "__metadata__", ()):
        kind = (marker if isinstance(marker, type) else type(marker)).__name__
        if kind in UNBOUND:
            yield f"{name}: {kind} is not bound, only path, query and body are"
        elif kind in BOUND and (alias := getattr(marker, "alias", None)) not in (None, name):
            yield f"{name}: callers name it so, not by the alias {alias!r}"
        if kind in BOUND and getattr(marker, "default_factory", None) is not None:
            yield f"{name}: its default_factory is not called, so that callers have to send it"
    inner = getattr(annotation, "__origin__", annotation)
    if isinstance(inner, type) and hasattr(inner, "model_validate"):
        yield f"{name}: gets a dict, not {inner.__name__}"
