"""The JSON Schema of job.yaml: for editors, made of the table that manifests are read by.

It says what a reader takes, as far as structure, types and patterns go; rules between fields are not in it.
"""

from __future__ import annotations

import re

from pyjob.manifest import fields
from pyjob.manifest.table import DEPRECATED, OPEN_SECTION, ROWS, SECTIONS, Row

Schema = dict[str, object]


def _text(pattern: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": pattern.pattern}


def _list(pattern: re.Pattern[str]) -> Schema:
    return {"type": "array", "items": _whole(_text(pattern))}


def _whole(schema: Schema) -> Schema:
    """The pattern matches all of a value, as readers have it; editors look for it anywhere."""
    return {**schema, "pattern": f"^(?:{schema['pattern']})$"} if "pattern" in schema else schema


def _variables(*reserved: str) -> Schema:
    names: Schema = _whole(_text(fields.VARIABLE))
    if reserved:
        names["not"] = {"enum": list(reserved)}
    value = _whole(
        {**_text(fields.VARIABLE_VALUE), "type": ["string", "null"]}
    )  # null removes one of the base
    return {"type": "object", "propertyNames": names, "additionalProperties": value}


_COUNT: Schema = {
    "type": ["integer", "string"],
    "minimum": 0,
    "maximum": fields.LARGEST_COUNT,
    "pattern": fields.DIGITS.pattern,
}
_QUANTITY: Schema = {
    "type": ["number", "string"],
    "minimum": 0,
    "exclusiveMaximum": 10**20,
    "pattern": fields.QUANTITY.pattern,
}
_BY_READER: dict[object, Schema] = {
    fields.text: {"type": "string"},
    fields.name: _text(fields.NAME),
    fields.email: _text(fields.EMAIL),
    fields.jobtype: _text(fields.JOBTYPE),
    fields.version: _text(fields.VERSION),
    fields.relative_path: _text(fields.RELATIVE_PATH),
    fields.base_path: _text(fields.BASE_PATH),
    fields.inner_path: _text(fields.INNER_PATH),
    fields.home_page: _text(fields.HOME_PAGE),
    fields.flag: {"type": "boolean"},
    fields.count: _COUNT,
    fields.cap: _COUNT,
    fields.replicas: {"type": "integer", "minimum": 1, "maximum": fields.MOST_REPLICAS},
    fields.seconds: {"type": "number", "exclusiveMinimum": 0, "maximum": fields.LONGEST_WAIT},
    fields.quantity: _QUANTITY,
    fields.size: {**_QUANTITY, "minimum": 1, "maximum": fields.LARGEST_SIZE},
    fields.build_env: _variables(),
    fields.runtime_env: _variables(*fields.RESERVED_NAMES),
    fields.endpoints: _list(fields.ENDPOINT),
    fields.packages: _list(fields.PACKAGE),
    fields.origins: _list(fields.ORIGIN),
    fields.labels: {"type": "object"},
    fields.anything: {},
}

_INSIDE = "inside the job's folder"
DESCRIPTIONS = {
    "name": "the job's name: letters, digits, -, _ and ., at most 63",
    "owner_email": "whom to ask about the job",
    "jobtype": "the job type and its version, such as python3:latest",
    "git": "where the job's source is kept",
    "git.remote": "the https:// URL of the repository",
    "git.branch": "the branch",
    "git.directory": "the job's folder inside the repository",
    "version": "the job's version, by Semantic Versioning 2.0",
    "extends": "a base manifest, by its relative path; what stands here wins",
    "jobtype_extra": "what the job's server is told; other job types keep fields of their own here",
    "jobtype_extra.entrypoint_path": f"the Python file with the job's class, {_INSIDE}",
    "jobtype_extra.entrypoint_class": "the job's class, where the file leaves a choice",
    "jobtype_extra.requirements_path": "a pip requirements file, anywhere in the repository",
    "jobtype_extra.max_concurrency": "most calls that run at once; 0 or none: no cap",
    "jobtype_extra.max_concurrency_queue": "most calls that wait, the next is answered 429; none: no bound",
    "jobtype_extra.queue_timeout": "seconds after which a waiting call is answered 503; none: it waits",
    "jobtype_extra.max_body_size": "the largest request body, in bytes; larger ones are answered 413",
    "jobtype_extra.check_types": "whether arguments are checked against annotations",
    "jobtype_extra.stuck_after": "seconds of one call after which /live is 500; none: never",
    "jobtype_extra.cancel_on_disconnect": "whether an async def is cancelled once its caller has left",
    "jobtype_extra.home_page": "the path that / leads to",
    "jobtype_extra.python_version": "the version of Python of the job's image",
    "jobtype_extra.debian_version": "the release of Debian of the job's image",
    "jobtype_extra.check_requirements": "whether building refuses requirements that do not fit pyjob's own",
    "jobtype_extra.cors_origins": "origins whose pages may call it (https://example.com); \"*\" for any",
    "build_env": "environment variables of the build",
    "runtime_env": "environment variables of the job's process",
    "secret_build_env_file": f"an env file with secrets of the build, {_INSIDE}",
    "secret_runtime_env_file": f"an env file with secrets of the job's process, {_INSIDE}",
    "public_endpoints": "paths to be open to callers without a token",
    "labels": "names and values to describe the job",
    "replicas": "how many pods of the job a cluster runs",
    "resources": "what a platform gives to the job",
    "resources.memory_min": "the memory that the job needs",
    "resources.memory_max": "the most memory that the job may take",
    "resources.cpu_min": "the processors that the job needs",
    "resources.cpu_max": "the most processors that the job may take",
    "system_dependencies": "Debian packages of the job's image",
    "image_type": "kept for other job types",
    "infrastructure_target": "kept for a platform",
    "docker": "kept for other job types",
    "golang": "kept for other job types",
}  # fmt: skip


def manifest_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of a manifest."""
    definitions = {section: _section(section) for section in SECTIONS}
    definitions |= {row.key: _field(row) for row in ROWS if not row.section}
    properties: dict[str, Schema] = {name: {"$ref": f"#/$defs/{name}"} for name in definitions}
    for old, modern in DEPRECATED.items():
        note = f"deprecated spelling of {modern}"
        properties[old] = {"$ref": f"#/$defs/{modern}", "deprecated": True, "description": note}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "job.yaml",
        "description": "The manifest of a job that pyjob serves.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        # What such a manifest lacks, its base may have; and null removes what that one has.
        "if": {"properties": {"extends": {"type": "string", "minLength": 1}}, "required": ["extends"]},
        "else": {
            "allOf": [_required(row) for row in ROWS if row.required],
            "properties": {
                row.key: {"additionalProperties": {"type": "string"}}
                for row in ROWS
                if row.read in (fields.build_env, fields.runtime_env)
            },
        },
        "$defs": definitions,
    }


def _section(name: str) -> Schema:
    return {
        "description": DESCRIPTIONS[name],
        "type": ["object", "null"],
        "properties": {row.key: _field(row) for row in ROWS if row.section == name},
        "additionalProperties": name == OPEN_SECTION,
    }


def _field(row: Row) -> Schema:
    """The schema of a field: what its reader takes, or nothing at all."""
    schema = dict(_BY_READER[row.read])
    if "pattern" in schema and row.may_be_empty:
        schema["pattern"] = f"|{schema['pattern']}"
    if "type" in schema:
        kinds = schema["type"]
        schema["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
    default = {} if row.required else {"default": list(row.default) if row.default == () else row.default}
    return {"description": DESCRIPTIONS[row.path], **default, **_whole(schema)}


def _required(row: Row) -> Schema:
    """The field is there, and is not null, under one of its spellings."""

    def present(key: str, schema: Schema) -> Schema:
        return {"type": "object", "required": [key], "properties": {key: schema}}

    field = present(row.key, {"not": {"type": "null"}})
    top = row.section or row.key
    spellings = [top, *(old for old, modern in DEPRECATED.items() if modern == top)]
    ways = [
        present(one, field) if row.section else present(one, {"not": {"type": "null"}}) for one in spellings
    ]
    return ways[0] if len(ways) == 1 else {"anyOf": ways}
