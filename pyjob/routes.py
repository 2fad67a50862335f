"""Which room answers which path (SPEC 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from pyjob.apps.docs import docs_routes
from pyjob.apps.metrics import MetricsRoom
from pyjob.apps.openapi import OpenApiRoom, openapi_document
from pyjob.apps.probes import ProbesRoom
from pyjob.dispatcher import PREFIX, Routes, quoted, quoted_page, redirect
from pyjob.job.job import Job
from pyjob.manifest import Manifest
from pyjob.method.schema import is_plain_json
from pyjob.method.signature import Signature, shown_default
from pyjob.wire.response import json_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CALLS = "/api/v1"


def job_routes(job: Job, calls: Mapping[str, WSGIApplication], manifest: Manifest) -> Routes:
    """What ``job`` offers, its methods by ``calls``; built-in routes shadow short forms."""
    short: dict[str, Mapping[str, WSGIApplication]] = {path: {"POST": room} for path, room in calls.items()}
    for endpoint in job.endpoints:
        if endpoint.path == "/perform":
            short["/parameters"] = {"GET": json_response(200, _parameters(endpoint.signature))}
    extra = manifest.jobtype_extra
    may_be_full = None not in (extra.max_concurrency, extra.max_concurrency_queue)
    document = openapi_document(job, name=manifest.name, version=manifest.version, may_be_full=may_be_full)
    return {
        **short,
        **{f"{CALLS}{path}": methods for path, methods in short.items()},
        "/": {"GET": _home(manifest.jobtype_extra.home_page)},
        "/openapi.json": {"GET": OpenApiRoom(document)},
        **docs_routes(),
    }


def service_routes(probes: ProbesRoom, registry: CollectorRegistry) -> Routes:
    """What answers in every state of a job."""
    return {**probes.routes(), "/metrics": {"GET": MetricsRoom(registry)}}


def waiting_routes(headers: Iterable[tuple[str, str]] = ()) -> Routes:
    """The docs page as a 503 that people can read, at the root too: it looks again by itself."""
    page = docs_routes(503, headers)
    return {**page, "/": page["/docs"]}


def _home(page: str) -> WSGIApplication:
    page = quoted_page(page)

    def home(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return redirect(quoted(environ[PREFIX]) + page)(environ, start_response)

    return home


def _parameters(signature: Signature) -> list[dict[str, object]]:
    """What `/parameters` says: name, type, and the default where there is one (SPEC 4.1)."""
    listed = []
    for parameter in signature.parameters:
        item: dict[str, object] = {"name": parameter.name, "type": parameter.type_name()}
        if not parameter.required:
            default = parameter.default
            item["default_value"] = default if is_plain_json(default) else shown_default(default)
        listed.append(item)
    return listed
