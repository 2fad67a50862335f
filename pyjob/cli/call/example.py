"""The samples that a job publishes in its OpenAPI document, as requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from pyjob.errors import PyjobError, one_line
from pyjob.openapi.document import CALLS

MANY = 10


class NoExampleError(PyjobError):
    """The job publishes no such sample; the message says which it does."""


@dataclass(frozen=True)
class Example:
    """A sample ready to be sent: ``path`` quoted, ``query`` as pairs, ``arguments`` of the body.

    ``others`` counts what else is published for the endpoint.
    """

    name: str
    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    arguments: Any = None
    others: int = 0


def example_of(document: Any, path: str, which: str | None, method: str | None = None) -> Example:
    """The sample of the endpoint at ``path`` that is called ``which``, or has that number; else the first.

    ``document`` is what the job answers for `/openapi.json`: anything. Raises `NoExampleError`.
    """
    paths = _dict(_dict(document).get("paths"))
    known = _path_among(paths, path)
    operations = _dict(paths.get(known))
    wanted = (method,) if method is not None else ("POST", "GET", *map(str.upper, operations))
    for one in wanted:
        samples = _samples(_dict(operations.get(one.lower())))
        if samples:
            name = _chosen(samples, which, path)
            return _example(name, one, known, samples[name], len(samples) - 1)
    raise NoExampleError(f"the job publishes no sample for {path}; {_those_with_samples(paths)}")


# A sample: what stands in the path, in the query, in the body.
_Sample = dict[str, Any]


def _samples(operation: Mapping[str, Any]) -> dict[str, _Sample]:
    """By name, in the order in which they are published."""
    samples: dict[str, _Sample] = {}
    body = _dict(_dict(_dict(operation.get("requestBody")).get("content")).get("application/json"))
    for name, value in _examples(body):
        samples.setdefault(name, {})["body"] = value
    parameters = operation.get("parameters")
    for parameter in map(_dict, parameters if isinstance(parameters, list) else ()):
        as_json = _dict(_dict(parameter.get("content")).get("application/json"))
        for name, value in _examples(as_json or parameter):
            text = value if isinstance(value, str) and not as_json else json.dumps(value)
            place = samples.setdefault(name, {}).setdefault(str(parameter.get("in")), {})
            place[str(parameter.get("name"))] = text
    return samples


def _examples(media: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, example in _dict(media.get("examples")).items():
        if "value" in _dict(example):
            yield str(name), example["value"]
    if "example" in media:  # as other servers do
        yield "example", media["example"]


def _example(name: str, method: str, path: str, sample: _Sample, others: int) -> Example:
    filled = path
    for key, text in sample.get("path", {}).items():
        filled = filled.replace(f"{{{key}}}", quote(text, safe=""))
    query = list(sample.get("query", {}).items())
    return Example(name, method, filled, query, sample.get("body"), others)


def _path_among(paths: Mapping[str, Any], path: str) -> str:
    """``path`` as the document spells it: with its template, with or without `/api/v1`."""
    wanted = unquote(path)
    for spelling in (wanted, f"{CALLS}{wanted}", wanted.removeprefix(CALLS)):
        if spelling in paths:
            return spelling
    return wanted


def _chosen(samples: Mapping[str, _Sample], which: str | None, path: str) -> str:
    names = list(samples)
    if which is None:
        return names[0]
    if which in samples:
        return which
    if which.isascii() and which.isdigit() and len(which) < 6 and 1 <= int(which) <= len(names):
        return names[int(which) - 1]
    told = ", ".join(one_line(repr(name)) for name in names[:MANY])
    raise NoExampleError(f"{path} has no sample {which!r}; its samples: {told}")


def _those_with_samples(paths: Mapping[str, Any]) -> str:
    found = [
        path.removeprefix(CALLS)
        for path, operations in paths.items()
        if any(_samples(_dict(operation)) for operation in _dict(operations).values())
    ]
    told = ", ".join(one_line(path) for path in found[:MANY])
    return f"it does for {told}" if told else "docs_input_example of the job would be one"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
