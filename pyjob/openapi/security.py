"""What a document says of tokens: how they are sent, who needs one, and what is open (SPEC 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyjob.openapi.answers import Document, json_answer

REFUSALS = {
    "Unauthorized": (401, "A token is needed: there is none, or it is not valid"),
    "Forbidden": (403, "The cookie counts for pages of this service only"),
}
OPEN = "Open: needs no token."
TOKEN = "A token of this service. A browser that is signed in needs none"  # nosec B105 # a text


def secured(document: Mapping[str, Any], header: str) -> Document:
    """``document`` of a job that wants a token for all, in ``header`` or as `Authorization: Bearer`."""
    schemes = {
        "token": {"type": "apiKey", "in": "header", "name": header, "description": TOKEN},
        "bearer": {"type": "http", "scheme": "bearer", "description": "The same token"},
    }
    error = {"$ref": "#/components/schemas/Error"}
    answers = {name: json_answer(description, error) for name, (_, description) in REFUSALS.items()}
    statuses = {
        str(status): {"$ref": f"#/components/responses/{name}"} for name, (status, _) in REFUSALS.items()
    }
    components = document["components"]
    return {
        **document,
        "security": [{name: []} for name in schemes],  # one of them is enough
        "paths": _changed(
            document["paths"], lambda _, one: {**one, "responses": {**one["responses"], **statuses}}
        ),
        "components": {
            **components,
            "responses": {**components["responses"], **answers},
            "securitySchemes": schemes,
        },
    }


def with_open(document: Mapping[str, Any], is_open: Callable[[str], bool]) -> Document:
    """A ``document`` that is `secured`, in which operations at a path that ``is_open`` need no token."""
    refused = {str(status) for status, _ in REFUSALS.values()}

    def opened(path: str, operation: Document) -> Document:
        if not is_open(_certain(path)):
            return operation
        return {
            **operation,
            "description": "\n\n".join(filter(None, (operation.get("description"), OPEN))),
            "security": [],
            "responses": {key: one for key, one in operation["responses"].items() if key not in refused},
        }

    return {**document, "paths": _changed(document["paths"], opened)}


def _changed(paths: Mapping[str, Document], change: Callable[[str, Document], Document]) -> Document:
    return {
        path: {method: change(path, operation) for method, operation in methods.items()}
        for path, methods in paths.items()
    }


def _certain(path: str) -> str:
    """What all paths like ``path`` begin with, in whole segments: decoded, and not as a template."""
    fixed, brace, _ = path.partition("{")
    if brace:
        fixed = fixed.rpartition("/")[0]
    return fixed.replace("%7B", "{").replace("%7D", "}")
