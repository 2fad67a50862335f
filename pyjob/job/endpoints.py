"""The methods of a job that callers can call: `perform`, and auxiliary ones of two kinds (SPEC 1, 1.3)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPMethod
from typing import Any, Literal

from pyjob.errors import EntryPointError
from pyjob.job.paths import endpoint_path, path_names
from pyjob.method.binary import is_mistaken
from pyjob.method.docstring import Docstring, parse_docstring
from pyjob.method.marker import faults_of
from pyjob.method.signature import Signature, function_of, read_signature

Method = Literal["GET", "POST"]

V1, V2 = "auxiliary_endpoints", "auxiliary_endpoints_v2"
OPTIONS = ("tags", "summary", "deprecated", "include_in_schema")


@dataclass(frozen=True)
class EndpointConfig:
    """One item of `auxiliary_endpoints_v2` (SPEC 1.3).

    ``path`` may hold names of parameters in braces; ``method`` is GET or POST; of ``other_options``, tags,
    summary, deprecated and include_in_schema count.
    """

    path: str
    method: HTTPMethod | str
    handler: Callable[..., Any]
    other_options: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Listing:
    """How an endpoint is listed in the docs; ``summary`` wins over that of the docstring."""

    tags: tuple[str, ...] = ("job",)
    summary: str = ""
    deprecated: bool = False
    included: bool = True


@dataclass(frozen=True)
class Endpoint:
    """One method that callers can call: ``path`` is the short one (`/perform`), ``samples`` name payloads.

    ``takes_text``: its arguments may also stand in path (``path_names``) and query. ``body_name`` is the one
    parameter that a body which is no object is the value of, if there is such a one.
    """

    path: str
    method: Method
    handler: Callable[..., Any]
    signature: Signature
    docstring: Docstring
    samples: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    listing: Listing = Listing()
    takes_text: bool = False
    path_names: tuple[str, ...] = ()
    body_name: str | None = None

    def is_in_query(self, name: str) -> bool:
        """Whether the docs show the parameter ``name`` in the query; callers may put any of them there."""
        if not self.takes_text or name in self.path_names or name == self.body_name:
            return False
        if self.method == "GET" or self.body_name is not None:
            return True
        return any(p.name == name and p.is_marked("Query") for p in self.signature.parameters)


class EndpointReader:
    """Reads endpoints of the class at ``place``; ``warn`` is told what is odd, but stops no start."""

    def __init__(self, place: str, warn: Callable[[str], None], *, check_types: bool) -> None:
        self._place = place
        self._warn = warn
        self._check_types = check_types

    def perform(self, handler: Callable[..., Any]) -> Endpoint:
        """The endpoint of the `perform` method."""
        place = f"{self._place}: method {getattr(handler, '__name__', 'perform')}"
        return self._endpoint("/perform", "POST", handler, place)

    def auxiliary(self, given: object) -> Iterator[Endpoint]:
        """What `auxiliary_endpoints` gave. Raises `EntryPointError` naming method and path."""
        if not isinstance(given, Mapping):
            raise self._unexpected(V1, "a dict of path to method", given)
        for key, handler in given.items():
            path = endpoint_path(key, f"{self._place}: {V1}")
            place = f"{self._place}: {V1}, POST {path}"
            if path_names(path, place):
                raise EntryPointError(f"{place}: names in braces need {V2}, which binds them")
            yield self._endpoint(path, "POST", handler, place)

    def auxiliary_v2(self, given: object) -> Iterator[Endpoint]:
        """What `auxiliary_endpoints_v2` gave. Raises `EntryPointError` naming method and path."""
        if not isinstance(given, Iterable) or isinstance(given, (str, Mapping)):
            raise self._unexpected(V2, "a list of EndpointConfig", given)
        for item in given:
            # By what it has, not by its class: another runtime's EndpointConfig is as good.
            if not all(hasattr(item, name) for name in ("path", "method", "handler")):
                raise self._unexpected(V2, "EndpointConfig(path, method, handler)", item)
            yield self._from_config(item)

    def _from_config(self, config: Any) -> Endpoint:
        path = endpoint_path(config.path, f"{self._place}: {V2}")
        method = _method(config.method, f"{self._place}: {V2}, {path}")
        place = f"{self._place}: {V2}, {method} {path}"
        names = path_names(path, place)
        endpoint = self._endpoint(
            path,
            method,
            config.handler,
            place,
            listing=self._listing(getattr(config, "other_options", None), place),
            takes_text=True,
            path_names=names,
        )
        for parameter in endpoint.signature.parameters:
            for fault in faults_of(parameter.name, parameter.annotation):
                self._warn(f"{place}: {fault}")
        taken = {parameter.name for parameter in endpoint.signature.parameters}
        for name in names:
            if name not in taken and not endpoint.signature.open:
                raise EntryPointError(
                    f"{place}: the path holds {{{name}}}, but its handler has no parameter {name!r}: "
                    f"it has {', '.join(sorted(taken)) or 'none'}"
                )
        return endpoint

    def _endpoint(self, path: str, method: Method, handler: object, place: str, **further: Any) -> Endpoint:
        if not callable(handler):
            raise EntryPointError(f"{place}: expected a method to call, found {type(handler).__name__}")
        signature = read_signature(handler, place, check_types=self._check_types)
        if signature.unmarked:
            # Left to Python, a marker would be the value of what a call leaves out.
            handler = functools.partial(handler, **signature.unmarked)
        for warning in signature.warnings:
            self._warn(warning)
        for mistaken in (one for one in signature.parameters if is_mistaken(one.annotation)):
            self._warn(
                f"{place}: {mistaken.name} takes no file, being a {mistaken.type_name()}: annotate it as "
                "bytes, BinaryIO or werkzeug's FileStorage"
            )
        names = further.get("path_names", ())
        bodies = [p.name for p in signature.parameters if p.is_marked("Body") and p.name not in names]
        takes_text = further.get("takes_text", False)
        return Endpoint(
            path=path,
            method=method,
            handler=handler,
            signature=signature,
            docstring=parse_docstring(_text_of(handler)),
            body_name=bodies[0] if takes_text and method == "POST" and len(bodies) == 1 else None,
            **further,
        )

    def _listing(self, options: object, place: str) -> Listing:
        if options is None:
            return Listing()
        if not isinstance(options, Mapping):
            raise EntryPointError(f"{place}: other_options: expected a dict, found {type(options).__name__}")
        others = sorted(str(name) for name in options if name not in OPTIONS)
        if others:
            self._warn(f"{place}: other_options: {', '.join(others)} not used, only {', '.join(OPTIONS)}")
        tags = options.get("tags") or ()
        if isinstance(tags, str) or not isinstance(tags, Iterable):
            raise EntryPointError(f"{place}: other_options: tags: expected a list of str, found {tags!r}")
        return Listing(
            tags=tuple(str(getattr(tag, "value", tag)) for tag in tags) or ("job",),
            summary=str(options.get("summary") or ""),
            deprecated=bool(options.get("deprecated")),
            included=bool(options.get("include_in_schema", True)),
        )

    def _unexpected(self, method: str, expected: str, found: object) -> EntryPointError:
        return EntryPointError(f"{self._place}: {method}: expected {expected}, found {type(found).__name__}")


def _method(given: object, place: str) -> Method:
    name = str(getattr(given, "value", given)).upper()
    if name == "GET":
        return "GET"
    if name == "POST":
        return "POST"
    raise EntryPointError(f"{place}: method: expected GET or POST, found {given!r}")


def _text_of(handler: Callable[..., Any]) -> str | None:
    """The docstring of what is called: not that of `functools.partial`, or of a callable object's class."""
    if inspect.isroutine(handler) or inspect.isclass(handler):
        return inspect.getdoc(handler)
    return inspect.getdoc(function_of(handler)) or inspect.getdoc(type(handler))
