"""What a call is answered with, as its return annotation tells."""

from __future__ import annotations

import inspect
import types
import typing
from collections import abc
from typing import Any

from pyjob.job.endpoints import Endpoint
from pyjob.method.annotations import plain_type
from pyjob.method.returns import declared_type, is_text, members_of, type_by_annotation
from pyjob.method.schema import SchemaBuilder
from pyjob.method.signature import NOTHING

Document = dict[str, Any]

JSON = "application/json"
STREAMS = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator)
# How a stream comes otherwise than as one array of JSON (SPEC 4.8).
TEXTS: abc.Mapping[str, str] = types.MappingProxyType(
    {
        "text/event-stream": "Server-sent events, with an id each: text as it is, other items as JSON",
        "application/x-ndjson": "A line of JSON for each item",
    }
)


def success(endpoint: Endpoint, builder: SchemaBuilder) -> Document:
    """The answer to a call that succeeds."""
    returns = endpoint.signature.returns
    if _is_stream(endpoint):
        content = _stream(plain_type(returns), declared_type(returns), builder)
    else:
        content = _content(returns, builder)
    return {"description": endpoint.docstring.returns or "The result", "content": content}


def json_answer(description: str, schema: Document) -> Document:
    """An answer in JSON."""
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _content(returns: Any, builder: SchemaBuilder) -> Document:
    """Schemas by content type; what is JSON of a union is one of them."""
    others: Document = {}
    rest = []
    named = declared_type(returns)
    for member in members_of(returns) or (returns,):
        content_type = type_by_annotation(member, named)
        if content_type is None:
            rest.append(member)
        else:
            others[content_type] = {"schema": _bytes(is_text(member))}
    if not rest:
        return others
    as_json = typing.Union[tuple(rest)] if others else returns  # noqa: UP007
    return {JSON: {"schema": {} if returns is NOTHING else builder.result(as_json)}, **others}


def _is_stream(endpoint: Endpoint) -> bool:
    handler, returns = endpoint.handler, plain_type(endpoint.signature.returns)
    # What makes items may be annotated as Iterable, which of others is a list.
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        return True
    origin = typing.get_origin(returns) or returns
    return any(origin is stream for stream in STREAMS)


def _bytes(is_text: bool) -> Document:
    return {"type": "string"} if is_text else {"type": "string", "format": "binary"}


def _stream(returns: Any, declared: str | None, builder: SchemaBuilder) -> Document:
    arguments = typing.get_args(returns)
    array: Document = {"type": "array"}
    items = builder.result(arguments[0]) if arguments else {}
    if items:
        array["items"] = items
    texts = {kind: {"schema": {"type": "string", "description": text}} for kind, text in TEXTS.items()}
    formats = {JSON: {"schema": array}, **texts}
    if declared is None:
        return formats
    return {declared: formats.get(declared, {"schema": {"type": "string"}})}
