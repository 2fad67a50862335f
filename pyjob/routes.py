"""Which room answers which path (SPEC 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from pyjob.access.credential import TOKEN_HEADER
from pyjob.apps.call import CallRoom
from pyjob.apps.docs import docs_routes, waiting_docs_routes
from pyjob.apps.metrics import MetricsRoom
from pyjob.apps.openapi import OpenApiRoom
from pyjob.apps.probes import ProbesRoom
from pyjob.apps.static import FileRoom, FolderRoom
from pyjob.apps.status import StatusRoom
from pyjob.apps.webview import WebviewRoom
from pyjob.environment.mask import Mask
from pyjob.job.endpoints import Endpoint
from pyjob.job.job import Job, secret_files
from pyjob.manifest import Manifest
from pyjob.method.schema import is_plain_json
from pyjob.method.signature import Signature, shown_default
from pyjob.openapi.document import CALLS, openapi_document
from pyjob.openapi.security import secured
from pyjob.routing.links import PREFIX, quoted, quoted_page, redirect
from pyjob.routing.table import ANY, Methods, Routes, RouteTable
from pyjob.wire.response import json_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def job_routes(
    job: Job,
    calls: Sequence[tuple[Endpoint, CallRoom]],
    webview: WebviewRoom | None,
    manifest: Manifest,
    mask: Mask,
    *,
    has_status: bool,
    open_paths: Callable[[], frozenset[str]] | None,
) -> RouteTable:
    """What ``job`` offers, its methods by ``calls``; built-in routes shadow short forms.

    Defaults, samples and docstrings are told with secret values masked. ``has_status``: whether there is
    `/status` to link to. ``open_paths``: the canonical paths that need no token now; None where nothing needs
    one.
    """
    table = RouteTable()
    for start in ("", CALLS):
        _add_calls(table, start, calls, mask)
        _add_files(table, start, job, manifest)
        if webview is not None:
            table.at_and_below(f"{start}/webview", {ANY: webview})
    extra = manifest.jobtype_extra
    may_be_full = None not in (extra.max_concurrency, extra.max_concurrency_queue)
    document = openapi_document(job, name=manifest.name, version=manifest.version, may_be_full=may_be_full)
    if open_paths is not None:
        document = secured(document, TOKEN_HEADER)
    table.at_all(
        {
            "/": {"GET": _home(extra.home_page)},
            "/openapi.json": {"GET": OpenApiRoom(mask.inside(document), open_paths)},
        }
    )
    has_sign_in = open_paths is not None
    table.at_all(docs_routes(has_webview=webview is not None, has_status=has_status, has_sign_in=has_sign_in))
    return table


def service_routes(probes: ProbesRoom, registry: CollectorRegistry, status: StatusRoom | None) -> Routes:
    """What answers in every state of a job; ``status`` is None where that page is switched off."""
    page = {} if status is None else status.routes()
    return {**probes.routes(), **page, "/metrics": {"GET": MetricsRoom(registry)}}


def waiting_routes(
    headers: Iterable[tuple[str, str]] = (), *, has_status: bool, has_sign_in: bool
) -> RouteTable:
    """The docs page as a 503 that people can read, at the root too: it looks again by itself."""
    page = waiting_docs_routes(headers, has_status=has_status, has_sign_in=has_sign_in)
    table = RouteTable()
    table.at_all({**page, "/": page["/docs"]})
    return table


def _add_calls(table: RouteTable, start: str, calls: Sequence[tuple[Endpoint, CallRoom]], mask: Mask) -> None:
    for endpoint, room in calls:
        methods: Methods = {endpoint.method: room}
        add = table.at_template if endpoint.path_names else table.at
        add(f"{start}{endpoint.path}", methods)
        if endpoint.path == "/perform" and endpoint.method == "POST":
            parameters = json_response(200, mask.inside(_parameters(endpoint.signature)))
            table.at(f"{start}/parameters", {"GET": parameters})


def _add_files(table: RouteTable, start: str, job: Job, manifest: Manifest) -> None:
    secret = secret_files(manifest)
    for static in job.files:
        path = f"{start}{static.path}"
        if static.is_folder:
            table.at_and_below(path, {"GET": FolderRoom(static.target, manifest.folder, secret)})
        else:
            room = FileRoom(static.target, static.content_type, manifest.folder, secret)
            table.at(path, {"GET": room})
    if job.webview_files is not None:
        folder = FolderRoom(job.webview_files, manifest.folder, secret)
        table.at_and_below(f"{start}/webview/static", {"GET": folder})


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
