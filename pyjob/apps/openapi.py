"""The room of `/openapi.json`: the contract of a job as OpenAPI 3.1, built once (SPEC 4.1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pyjob.dispatcher import PREFIX, quoted
from pyjob.job.job import Endpoint, Job
from pyjob.method.schema import SchemaBuilder
from pyjob.method.signature import NOTHING
from pyjob.wire.response import bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Document = dict[str, Any]

ERRORS = {
    "BadRequest": (400, "The payload does not fit the endpoint, or the job refused its values"),
    "TooLarge": (413, "The body is larger than the job allows"),
    "UnsupportedMediaType": (415, "The body is of a content type that is not read here"),
    "InternalError": (500, "The job failed"),
    "Unavailable": (503, "The job is loading, failed to start, is going down or has no room for more"),
}
FULL = {"TooManyRequests": (429, "As many calls wait as the job allows: see Retry-After")}


class OpenApiRoom:
    """Serves ``document`` with `servers` as the caller reached it."""

    def __init__(self, document: Document) -> None:
        # Encoded once, and left open for the one member that depends on the request.
        self._open = json.dumps(document).encode().removesuffix(b"}")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        servers = json.dumps([{"url": quoted(environ[PREFIX]) or "/"}]).encode()
        body = b'%s, "servers": %s}' % (self._open, servers)
        return bytes_response(200, "application/json", body)(environ, start_response)


def openapi_document(job: Job, *, name: str, version: str, may_be_full: bool) -> Document:
    """The OpenAPI 3.1 document of ``job``, all but its `servers`.

    ``may_be_full``: whether calls are refused because too many wait.
    """
    errors = ERRORS | (FULL if may_be_full else {})
    builder = SchemaBuilder()
    builder.components["Error"] = {
        "type": "object",
        "properties": {"error": {"type": "string"}, "type": {"type": "string"}},
        "required": ["error", "type"],
    }
    paths = {f"/api/v1{e.path}": {"post": _operation(e, builder, errors)} for e in job.endpoints}
    return {
        "openapi": "3.1.0",
        "info": _info(job, name, version),
        "tags": [
            {"name": "job", "description": "What this job does"},
            {"name": "service", "description": "State and metrics of the service"},
        ],
        "paths": paths | _parameters_path(job) | _service_paths(),
        "components": {
            "schemas": builder.components,
            "responses": {key: _error(description) for key, (_, description) in errors.items()},
        },
    }


def _info(job: Job, name: str, version: str) -> Document:
    info = {"title": name, "version": version}
    if job.docstring.summary:
        info["summary"] = job.docstring.summary
        info["description"] = job.docstring.description or job.docstring.summary
    return info


def _operation(endpoint: Endpoint, builder: SchemaBuilder, errors: Mapping[str, tuple[int, str]]) -> Document:
    content: Document = {"schema": builder.payload(endpoint.signature, endpoint.docstring.parameters)}
    if endpoint.samples:
        content["examples"] = {name: {"value": value} for name, value in endpoint.samples.items()}
    required = any(parameter.required for parameter in endpoint.signature.parameters)
    operation: Document = {
        "tags": ["job"],
        "operationId": endpoint.path.strip("/"),
        "requestBody": {"required": required, "content": {"application/json": content}},
        "responses": {"200": _success(endpoint, builder)}
        | {str(status): {"$ref": f"#/components/responses/{key}"} for key, (status, _) in errors.items()},
    }
    if endpoint.docstring.summary:
        operation["summary"] = endpoint.docstring.summary
    if endpoint.docstring.description:
        operation["description"] = endpoint.docstring.description
    return operation


def _success(endpoint: Endpoint, builder: SchemaBuilder) -> Document:
    returns = endpoint.signature.returns
    description = endpoint.docstring.returns or "The result"
    if any(returns is kind for kind in (bytes, bytearray, memoryview)):
        return {"description": description, "content": {"application/octet-stream": {}}}
    schema = {} if returns is NOTHING else builder.result(returns)
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _error(description: str) -> Document:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _parameters_path(job: Job) -> Document:
    if not job.endpoints:
        return {}
    item = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "type": {"type": ["string", "null"]}, "default_value": {}},
        "required": ["name", "type"],
    }
    schema = {"type": "array", "items": item}
    return {
        "/api/v1/parameters": {
            "get": {
                "tags": ["job"],
                "operationId": "parameters",
                "summary": "The parameters of perform",
                "responses": {"200": _json("Names, types and defaults", schema), "503": _unavailable()},
            }
        }
    }


def _service_paths() -> Document:
    paths: Document = {
        f"/{name}": {
            "get": {
                "tags": ["service"],
                "operationId": name,
                "summary": summary,
                "responses": {
                    "200": _json("Yes", {"type": "object"}),
                    "500": _json("No", {"type": "object"}),
                },
            }
        }
        for name, summary in (
            ("live", "Whether the process is fine"),
            ("ready", "Whether the job can be called"),
            ("health", "State, version and deployment"),
        )
    }
    text = {"schema": {"type": "string"}}
    paths["/metrics"] = {
        "get": {
            "tags": ["service"],
            "operationId": "metrics",
            "summary": "Metrics for Prometheus",
            "responses": {
                "200": {
                    "description": "All metrics",
                    "content": {"text/plain": text, "application/openmetrics-text": text},
                }
            },
        }
    }
    return paths


def _json(description: str, schema: Document) -> Document:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _unavailable() -> Document:
    return {"$ref": "#/components/responses/Unavailable"}
