"""One endpoint of a job as an OpenAPI operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pyjob.job.endpoints import Endpoint
from pyjob.method.binary import binary_of
from pyjob.method.schema import BINARY, SchemaBuilder
from pyjob.method.signature import Parameter
from pyjob.openapi.answers import JSON, Document, success

FORM = "multipart/form-data"
WHOLE = "application/octet-stream"


def operation_of(endpoint: Endpoint, builder: SchemaBuilder, errors: Mapping[str, int]) -> Document:
    """``endpoint`` as it is called; ``errors`` are the names and statuses of answers described elsewhere."""
    listing, docstring = endpoint.listing, endpoint.docstring
    operation: Document = {
        "tags": list(listing.tags),
        "operationId": operation_id(endpoint.method, endpoint.path),
        "responses": {"200": success(endpoint, builder)}
        | {str(status): {"$ref": f"#/components/responses/{key}"} for key, status in errors.items()},
    }
    parameters = list(_parameters(endpoint, builder))
    if parameters:
        operation["parameters"] = parameters
    if endpoint.method == "POST":
        operation["requestBody"] = _body(endpoint, builder)
    summary = listing.summary or docstring.summary
    if summary:
        operation["summary"] = summary
    if docstring.description:
        operation["description"] = docstring.description
    if listing.deprecated:
        operation["deprecated"] = True
    return operation


def operation_id(method: str, path: str) -> str:
    """A name for programs, the same for as long as method and path are."""
    words = path.strip("/").replace("{", "").replace("}", "").replace("/", "_")
    return words if method == "POST" else f"{method.lower()}_{words}"


def _parameters(endpoint: Endpoint, builder: SchemaBuilder) -> Iterator[Document]:
    """What stands in path and query."""
    by_name = {parameter.name: parameter for parameter in endpoint.signature.parameters}
    for name in endpoint.path_names:
        yield _parameter(by_name.get(name), name, "path", endpoint, builder)
    for name, parameter in by_name.items():
        if endpoint.is_in_query(name):
            yield _parameter(parameter, name, "query", endpoint, builder)


def _parameter(
    parameter: Parameter | None, name: str, place: str, endpoint: Endpoint, builder: SchemaBuilder
) -> Document:
    described: Document = {
        "name": name,
        "in": place,
        "required": place == "path" or (parameter is not None and parameter.required),
    }
    text = endpoint.docstring.parameters.get(name)
    if text:
        described["description"] = text
    values = {label: sample[name] for label, sample in endpoint.samples.items() if name in sample}
    media: Document = {"schema": {"type": "string"} if parameter is None else builder.parameter(parameter)}
    if values:
        media["examples"] = {label: {"value": value} for label, value in values.items()}
    compound = _may_be(("array", "object"), media["schema"], builder)
    if compound or any(isinstance(value, (dict, list)) for value in values.values()):
        described["content"] = {JSON: media}  # its text is JSON: not repeated, not separated by commas
    else:
        described.update(media)
    return described


def _body(endpoint: Endpoint, builder: SchemaBuilder) -> Document:
    described = endpoint.docstring.parameters
    elsewhere = set(endpoint.path_names)
    elsewhere.update(p.name for p in endpoint.signature.parameters if endpoint.is_in_query(p.name))
    inside = [p for p in endpoint.signature.parameters if p.name not in elsewhere]
    samples = {
        label: {name: value for name, value in sample.items() if name not in elsewhere}
        for label, sample in endpoint.samples.items()
    }
    schema = builder.arguments(inside, described, is_open=endpoint.signature.open)
    if endpoint.body_name is not None and len(inside) == 1 and not endpoint.signature.open:
        value = builder.parameter(inside[0])
        # An object would be read as named arguments.
        if not _may_be(("object",), value, builder, unknown="object"):
            schema = value
            samples = {k: s[endpoint.body_name] for k, s in samples.items() if endpoint.body_name in s}
    content: Document = {"schema": schema}
    if samples:
        content["examples"] = {label: {"value": value} for label, value in samples.items()}
    forms = _forms(endpoint, inside, builder)
    return {"required": any(p.required for p in inside), "content": {**forms, JSON: content}}


def _forms(endpoint: Endpoint, inside: Iterable[Parameter], builder: SchemaBuilder) -> Document:
    """How a body with files may be sent, where there are any ``inside``."""
    binaries = {p.name: binary for p in inside if (binary := binary_of(p)) is not None}
    if not binaries:
        return {}
    schema = builder.form(inside, endpoint.docstring.parameters, is_open=endpoint.signature.open)
    form: Document = {"schema": schema}
    # Otherwise a list would be sent as several fields.
    as_json = [
        name
        for name, one in schema["properties"].items()
        if name not in binaries and _may_be(("array", "object"), one, builder)
    ]
    if as_json:
        values = builder.arguments(inside, endpoint.docstring.parameters, is_open=False)["properties"]
        schema["properties"].update({name: values[name] for name in as_json})
        form["encoding"] = {name: {"contentType": JSON} for name in as_json}
    others = any(p.required for p in inside if p.name not in binaries)
    if others or len(binaries) > 1 or any(binary.is_list for binary in binaries.values()):
        return {FORM: form}
    return {FORM: form, WHOLE: {"schema": dict(BINARY)}}


def _may_be(wanted: Iterable[str], schema: Document, builder: SchemaBuilder, unknown: str = "") -> bool:
    """Whether what fits ``schema`` may be of a JSON type that is ``wanted``.

    ``unknown`` is the type where the schema says nothing of it.
    """
    if "$ref" in schema:
        schema = builder.components.get(schema["$ref"].rpartition("/")[2], {}) or {"type": "object"}
    if "enum" in schema:
        return False
    if "anyOf" in schema:
        return any(_may_be(wanted, one, builder, unknown) for one in schema["anyOf"])
    kinds = schema.get("type", unknown)
    return not set(wanted).isdisjoint(kinds if isinstance(kinds, list) else [kinds])
