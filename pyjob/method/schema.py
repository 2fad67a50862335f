"""JSON Schema (draft 2020-12, as OpenAPI 3.1 uses it) from annotations, for the docs of a job.

The schema of a payload agrees with what `pyjob.method.annotations` checks; beyond that list (dataclasses,
dates, tuples, ...) it describes what is not checked. What it cannot describe is ``{}``: anything.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import types
import typing
import uuid
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyjob.method.annotations import is_open_enum, plain_type
from pyjob.method.binary import binary_of, kind_of, without_none
from pyjob.method.signature import NOTHING, Parameter

JsonSchema = dict[str, Any]

PLAIN_SCHEMAS: Mapping[object, JsonSchema] = types.MappingProxyType(
    {
        int: {"type": "integer"},
        float: {"type": "number"},
        bool: {"type": "boolean"},
        str: {"type": "string"},
        None: {"type": "null"},
        types.NoneType: {"type": "null"},
        datetime.datetime: {"type": "string", "format": "date-time"},
        datetime.date: {"type": "string", "format": "date"},
        datetime.time: {"type": "string", "format": "time"},
        datetime.timedelta: {"type": "number", "description": "seconds"},
        uuid.UUID: {"type": "string", "format": "uuid"},
        decimal.Decimal: {"type": "string"},
        pathlib.Path: {"type": "string"},
        dict: {"type": "object"},
        list: {"type": "array"},
    }
)
BASE64: Mapping[str, str] = types.MappingProxyType({"type": "string", "contentEncoding": "base64"})
# As OpenAPI calls the bytes of a part or of a body: pages offer a file picker for it.
BINARY: Mapping[str, str] = types.MappingProxyType({"type": "string", "format": "binary"})
ARRAYS = (list, set, frozenset, abc.Sequence, abc.Iterable, abc.Set, abc.Collection)
OBJECTS = (dict, abc.Mapping, abc.MutableMapping)


class SchemaBuilder:
    """Builds schemas; classes met on the way become ``components`` and are referred to by name."""

    def __init__(self) -> None:
        self.components: dict[str, JsonSchema] = {}
        self._names: dict[object, str] = {}

    def arguments(
        self, parameters: Iterable[Parameter], described: Mapping[str, str], *, is_open: bool
    ) -> JsonSchema:
        """The object of some named arguments; any further ones are allowed where it ``is_open``."""
        parameters = tuple(parameters)
        properties = {p.name: self._property(p, described.get(p.name)) for p in parameters}
        schema: JsonSchema = {"type": "object", "properties": properties}
        required = [p.name for p in parameters if p.required]
        if required:
            schema["required"] = required
        schema["additionalProperties"] = is_open
        return schema

    def form(
        self, parameters: Iterable[Parameter], described: Mapping[str, str], *, is_open: bool
    ) -> JsonSchema:
        """As `arguments`, but in a form: files as they are, and no text means null, nor the empty list."""
        parameters = tuple(parameters)
        schema = self.arguments(parameters, described, is_open=is_open)
        for parameter in parameters:
            description = described.get(parameter.name)
            schema["properties"][parameter.name] = self._form_property(parameter, description)
        return schema

    def _form_property(self, parameter: Parameter, description: str | None) -> JsonSchema:
        binary = binary_of(parameter)
        if binary is not None:
            schema = (
                {"type": "array", "items": dict(BINARY), "minItems": 1} if binary.is_list else dict(BINARY)
            )
            return {**schema, "description": description} if description else schema
        default = NOTHING if parameter.default is None else parameter.default
        annotation = (
            parameter.annotation
            if isinstance(parameter.annotation, str)
            else without_none(parameter.annotation)
        )
        return self._property(Parameter(parameter.name, annotation, default), description)

    def parameter(self, parameter: Parameter) -> JsonSchema:
        """One argument by itself."""
        return self._property(parameter, None)

    def result(self, annotation: Any) -> JsonSchema:
        """The schema of a result: NaN and infinities are sent as null (SPEC 4.5)."""
        schema: JsonSchema = _with_null_numbers(self._known(annotation))
        return schema

    def _property(self, parameter: Parameter, description: str | None) -> JsonSchema:
        schema = {} if parameter.annotation is NOTHING else dict(self._known(parameter.annotation))
        if parameter.default is None and schema:
            schema = nullable(schema)
        if description:
            schema["description"] = description
        if not parameter.required and is_plain_json(parameter.default):
            schema["default"] = parameter.default
        return schema

    def _known(self, annotation: Any) -> JsonSchema:
        try:
            return self.schema(annotation)
        except Exception:  # noqa: BLE001  annotations are the author's objects, and docs stop no start
            return {}

    def schema(self, annotation: Any) -> JsonSchema:
        """The schema of one annotation, ``{}`` where nothing is known."""
        annotation = plain_type(annotation)
        if annotation is Any or annotation is object or isinstance(annotation, str):
            return {}
        if hasattr(annotation, "__value__"):
            return self._component(annotation, lambda: self.schema(annotation.__value__))
        if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            if is_open_enum(annotation):
                return {"type": "integer"} if issubclass(annotation, enum.Flag) else {}
            return self._component(annotation, lambda: one_of([member.value for member in annotation]))
        plain = plain_schema(annotation)
        return plain if plain is not None else self._compound(annotation)

    def _compound(self, annotation: Any) -> JsonSchema:
        origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
        if origin is typing.Literal:
            return one_of([a.value if isinstance(a, enum.Enum) else a for a in arguments])
        if origin in (typing.Union, types.UnionType):
            return self._union(arguments)
        if origin is tuple:
            return self._tuple(arguments)
        if origin in ARRAYS:
            return {"type": "array", "items": self.schema(arguments[0])} if arguments else {"type": "array"}
        if origin in OBJECTS:
            values = self.schema(arguments[1]) if len(arguments) > 1 else {}
            return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
        if dataclasses.is_dataclass(origin):
            return self._component(origin, lambda: self._dataclass(origin))
        if typing.is_typeddict(origin):
            return self._component(origin, lambda: self._typed_dict(origin))
        return {}

    def _union(self, arguments: tuple[Any, ...]) -> JsonSchema:
        schemas = [self.schema(argument) for argument in arguments]
        if {} in schemas:
            return {}
        return {"anyOf": schemas}

    def _tuple(self, arguments: tuple[Any, ...]) -> JsonSchema:
        if not arguments:
            return {"type": "array"}
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": self.schema(arguments[0])}
        items = [self.schema(argument) for argument in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}

    def _dataclass(self, annotation: Any) -> JsonSchema:
        hints = _hints(annotation)
        fields = dataclasses.fields(annotation)
        required = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
        return self._object({f.name: hints.get(f.name, Any) for f in fields}, required)

    def _typed_dict(self, annotation: Any) -> JsonSchema:
        hints = _hints(annotation)
        return self._object(hints, sorted(annotation.__required_keys__, key=list(hints).index))

    def _object(self, hints: Mapping[str, Any], required: list[str]) -> JsonSchema:
        properties = {name: self.schema(hint) for name, hint in hints.items()}
        schema: JsonSchema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        return schema

    def _component(self, annotation: Any, build: Callable[[], JsonSchema]) -> JsonSchema:
        if annotation not in self._names:
            name = self._free_name(getattr(annotation, "__name__", "Type"))
            # Named before it is built: a class that holds itself refers to this name.
            self._names[annotation] = name
            self.components[name] = {}
            self.components[name] = build()
        return {"$ref": f"#/components/schemas/{self._names[annotation]}"}

    def _free_name(self, name: str) -> str:
        taken, number, free = self._names.values(), 2, name
        while free in taken or free in self.components:
            free, number = f"{name}{number}", number + 1
        return free


def plain_schema(annotation: Any) -> JsonSchema | None:
    """The schema of a class that needs no looking into, or None."""
    try:
        return dict(BASE64) if kind_of(annotation) is not None else PLAIN_SCHEMAS.get(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return {}


def one_of(values: list[Any]) -> JsonSchema:
    """The schema of a choice of values, as far as JSON can carry them; with their type, if they have one."""
    if not all(map(is_plain_json, values)):
        return {}
    if values and all(isinstance(value, str) for value in values):
        return {"type": "string", "enum": values}
    return {"enum": values}


def nullable(schema: JsonSchema) -> JsonSchema:
    """``schema``, with null allowed too."""
    if schema.get("type") == "null" or {"type": "null"} in schema.get("anyOf", ()):
        return schema
    if "anyOf" in schema:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]}


def _with_null_numbers(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_null_numbers(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "number":
        return {**schema, "type": ["number", "null"]}
    return {key: _with_null_numbers(value) for key, value in schema.items()}


def is_plain_json(value: object) -> bool:
    """Whether ``value`` can stand in a JSON document as it is."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except Exception:  # noqa: BLE001  defaults are the author's objects
        return False


def _hints(annotation: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(annotation)
    except Exception:  # noqa: BLE001  resolving runs the author's expressions
        return dict(getattr(annotation, "__annotations__", {}))
