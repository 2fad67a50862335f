"""The room of `/docs`: Swagger UI where it is installed, else a plain page of our own (SPEC 4.1).

Neither needs anything from anywhere else.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.apps.pages.assets import (
    FOR_EVER,
    HTML,
    ICON,
    PAGE_HEADERS,
    POLICY,
    SERVED_BY,
    asset_address,
    content_type,
    links_from,
    own_assets,
    page_of,
    read,
)
from pyjob.routing.table import Routes
from pyjob.wire.file import file_response
from pyjob.wire.response import bytes_response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PLAIN = ("page.css", "plain.css", "elements.js", "page.js", "plain.js")
SWAGGER = ("page.css", "swagger.css", "elements.js", "page.js", "swagger.js")
BUNDLE = ("swagger-ui.css", "swagger-ui-bundle.js")  # all that is used of the package

REQUIREMENT = "swagger-ui-bundle-v2>=5.31"
OLDEST = (5, 31)  # older ones have no dark colours, and those before 5 cannot read OpenAPI 3.1
HOW_TO_GET_SWAGGER_UI = (
    "This page is Swagger UI where that is installed beside the job: "
    f"<code>pip install '{html.escape(REQUIREMENT)}'</code>, which is pyjob's extra <code>docs</code>"
)


def docs_routes(*, has_webview: bool, has_status: bool, has_sign_in: bool) -> Routes:
    """The page of a job that is ready, all its assets and the icon, read once but for those of Swagger UI.

    What it links to: see `links_from`.
    """
    own, routes = _own_assets()
    links = links_from("docs", has_status=has_status, has_webview=has_webview, has_sign_in=has_sign_in)
    folder = _swagger_ui()
    if folder is None:
        assets = [own[name] for name in PLAIN]
        page = _page(own, assets, links, footer=[SERVED_BY, HOW_TO_GET_SWAGGER_UI])
    else:
        bundle, bundle_routes = _bundle(folder)
        page = _page(own, [*bundle, *(own[name] for name in SWAGGER)], links)
        routes = {**routes, **bundle_routes}
    return {**routes, "/docs": {"GET": bytes_response(200, HTML, page, PAGE_HEADERS)}}


def waiting_docs_routes(
    headers: Iterable[tuple[str, str]] = (), *, has_status: bool, has_sign_in: bool
) -> Routes:
    """The plain page as a 503 that people can read, with ``headers``: while a job loads, or after it failed.

    It looks again by itself, and makes room for the page of the job.
    """
    own, routes = _own_assets()
    links = links_from("docs", has_status=has_status, has_sign_in=has_sign_in)
    page = _page(own, [own[name] for name in PLAIN], links, mark=" data-waiting")
    return {**routes, "/docs": {"GET": bytes_response(503, HTML, page, [*PAGE_HEADERS, *headers])}}


def _own_assets() -> tuple[Mapping[str, str], Routes]:
    """As `own_assets`, with the icon that browsers look for.

    All are served in every state: a page from before a change of state may still ask for its own.
    """
    addresses, routes = own_assets("docs", dict.fromkeys((*PLAIN, *SWAGGER)))
    icon = bytes_response(200, content_type(ICON), read(ICON), PAGE_HEADERS)
    return addresses, {**routes, "/favicon.ico": {"GET": icon}}


def _swagger_ui() -> Path | None:
    """The folder of Swagger UI, if one that serves our purpose is installed."""
    try:
        from swagger_ui_bundle import swagger_ui_path  # the extra `docs`; loads nothing more
    except ImportError:
        return None
    # Another package of the same module brings older ones; only the name of the folder tells.
    version = re.search(r"(\d+)\.(\d+)[^/]*\Z", str(swagger_ui_path))
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        return None
    folder = Path(swagger_ui_path).resolve()
    return folder if all((folder / name).is_file() for name in BUNDLE) else None


def _bundle(folder: Path) -> tuple[list[str], Routes]:
    """As `_own_assets`, of Swagger UI in ``folder``; its 1.7 MB stay on the disk."""
    digest = hashlib.sha256()
    for name in BUNDLE:
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    addresses = [asset_address("docs", digest.hexdigest(), name) for name in BUNDLE]
    return addresses, {
        f"/{address}": {"GET": _from_disk(folder / name)}
        for name, address in zip(BUNDLE, addresses, strict=True)
    }


def _from_disk(path: Path) -> WSGIApplication:
    def asset(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer: WSGIApplication
        try:
            answer = file_response(environ, path, content_type(path.name), (POLICY, FOR_EVER))
        except OSError as error:
            answer = error_response(404, f"{path.name} has gone since the job started: {error.strerror}")
        return answer(environ, start_response)

    return asset


def _page(
    own: Mapping[str, str],
    assets: Iterable[str],
    links: Mapping[str, str],
    *,
    footer: Iterable[str] = (SERVED_BY,),
    mark: str = "",
) -> bytes:
    return page_of("page.html", icon=own[ICON], assets=assets, links=links, footer=footer, mark=mark)
