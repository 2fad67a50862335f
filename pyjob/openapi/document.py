"""The OpenAPI 3.1 document of a job, built once."""

from __future__ import annotations

from collections.abc import Mapping

from pyjob.job.job import Job
from pyjob.method.schema import SchemaBuilder
from pyjob.openapi.answers import Document, json_answer
from pyjob.openapi.operations import operation_id, operation_of

CALLS = "/api/v1"

ERRORS = {
    "BadRequest": (400, "The payload does not fit the endpoint, or the job refused its values"),
    "TooLarge": (413, "The body is larger than the job allows"),
    "UnsupportedMediaType": (415, "The body is of a content type that is not read here"),
    "InternalError": (500, "The job failed"),
    "Unavailable": (503, "The job is loading, failed to start, is going down or has no room for more"),
}
FULL = {"TooManyRequests": (429, "As many calls wait as the job allows: see Retry-After")}
TAGS = {
    "job": "What this job does",
    "files": "Files and pages of this job",
    "service": "State and metrics of the service",
}


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
    paths = _calls(job, builder, {key: status for key, (status, _) in errors.items()})
    for more in (_parameters_path(job), _files(job), _service_paths()):
        for path, methods in more.items():
            paths.setdefault(path, {}).update(methods)
    _number_equal_ids(paths)
    return {
        "openapi": "3.1.0",
        "info": _info(job, name, version),
        "tags": _tags(paths),
        "paths": paths,
        "components": {
            "schemas": builder.components,
            "responses": {key: _error(description) for key, (_, description) in errors.items()},
        },
    }


def _number_equal_ids(paths: Document) -> None:
    """Make each operationId unique, as it has to be; those of the service keep theirs."""
    operations = [one for methods in paths.values() for one in methods.values()]
    taken: set[str] = set()
    for operation in sorted(operations, key=lambda one: one["tags"] != ["service"]):
        name, number = operation["operationId"], 2
        while operation["operationId"] in taken:
            operation["operationId"] = f"{name}_{number}"
            number += 1
        taken.add(operation["operationId"])


def _info(job: Job, name: str, version: str) -> Document:
    info = {"title": name, "version": version}
    if job.docstring.summary:
        info["summary"] = job.docstring.summary
        info["description"] = job.docstring.description or job.docstring.summary
    return info


def _tags(paths: Mapping[str, Document]) -> list[Document]:
    """All tags that are used, those of the author after ours of the job."""
    used = dict.fromkeys(t for methods in paths.values() for one in methods.values() for t in one["tags"])
    own = [tag for tag in TAGS if tag in used]
    order = [*own[:1], *(tag for tag in used if tag not in TAGS), *own[1:]]
    return [{"name": tag, "description": TAGS[tag]} if tag in TAGS else {"name": tag} for tag in order]


def _calls(job: Job, builder: SchemaBuilder, errors: Mapping[str, int]) -> Document:
    paths: Document = {}
    for endpoint in job.endpoints:
        if endpoint.listing.included:
            methods = paths.setdefault(f"{CALLS}{endpoint.path}", {})
            methods[endpoint.method.lower()] = operation_of(endpoint, builder, errors)
    return paths


def _files(job: Job) -> Document:
    paths: Document = {}
    for static in job.files:
        path = f"{CALLS}{_literal(static.path)}"
        if static.is_folder:
            operation = _file(static.path, f"Files of the folder {static.target.name}", None)
            operation["parameters"] = [
                {"name": "path", "in": "path", "required": True, "schema": {"type": "string"}}
            ]
            paths[f"{path}/{{path}}"] = {"get": operation}
        else:
            title = f"The file {static.target.name}"
            paths[path] = {"get": _file(static.path, title, static.content_type)}
    if job.webview is not None:
        paths[f"{CALLS}/webview/"] = {"get": _file("/webview", "The web view of the job", "text/html")}
    return paths


def _literal(path: str) -> str:
    """A path with braces of its own, which in a template would be names."""
    return path.replace("{", "%7B").replace("}", "%7D")


def _file(path: str, summary: str, content_type: str | None) -> Document:
    return {
        "tags": ["files"],
        "operationId": operation_id("GET", path),
        "summary": summary,
        "responses": {
            "200": {"description": "It", "content": {content_type or "*/*": {}}},
            "404": json_answer("It is not there", {"$ref": "#/components/schemas/Error"}),
        },
    }


def _error(description: str) -> Document:
    return json_answer(description, {"$ref": "#/components/schemas/Error"})


def _parameters_path(job: Job) -> Document:
    if not any(endpoint.path == "/perform" and endpoint.method == "POST" for endpoint in job.endpoints):
        return {}
    item = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "type": {"type": ["string", "null"]}, "default_value": {}},
        "required": ["name", "type"],
    }
    schema = {"type": "array", "items": item}
    unavailable = {"$ref": "#/components/responses/Unavailable"}
    return {
        f"{CALLS}/parameters": {
            "get": {
                "tags": ["job"],
                "operationId": "parameters",
                "summary": "The parameters of perform",
                "responses": {"200": json_answer("Names, types and defaults", schema), "503": unavailable},
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
                    "200": json_answer("Yes", {"type": "object"}),
                    "500": json_answer("No", {"type": "object"}),
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
