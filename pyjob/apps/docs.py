"""The room of `/docs`: Swagger UI where it is installed, else a plain page of our own (SPEC 4.1).

Neither needs anything from anywhere else.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pyjob.dispatcher import Routes
from pyjob.wire.file import file_response
from pyjob.wire.response import bytes_response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Scripts, style sheets and icon are from here, and the pages talk to this server only. The icons of Swagger
# UI are data within its style sheet.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
POLICY = ("Content-Security-Policy", CONTENT_SECURITY_POLICY)
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
# What has its version in its address never changes.
FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
PAGE_HEADERS = (POLICY, NO_SNIFFING, ("Cache-Control", "no-cache"))
ASSET_HEADERS = (POLICY, NO_SNIFFING, FOR_EVER)

HTML, SCRIPT, STYLE = (f"text/{kind}; charset=utf-8" for kind in ("html", "javascript", "css"))
TYPES = {".css": STYLE, ".js": SCRIPT, ".svg": "image/svg+xml"}
ICON = "icon.svg"
PLAIN = ("page.css", "plain.css", "page.js", "plain.js")
SWAGGER = ("page.css", "swagger.css", "page.js", "swagger.js")
BUNDLE = ("swagger-ui.css", "swagger-ui-bundle.js")  # all that is used of the package

REQUIREMENT = "swagger-ui-bundle-v2>=5.31"
OLDEST = (5, 31)  # older ones have no dark colours, and those before 5 cannot read OpenAPI 3.1
LINKS = {"Home": "./", "Metrics": "metrics", "Health": "health", "OpenAPI": "openapi.json"}
WEBVIEW_LINK = {"Web view": "api/v1/webview/"}
SERVED_BY = "Served by pyjob"
HOW_TO_GET_SWAGGER_UI = (
    "This page is Swagger UI where that is installed beside the job: "
    f"<code>pip install '{html.escape(REQUIREMENT)}'</code>, which is pyjob's extra <code>docs</code>"
)


def docs_routes(*, has_webview: bool) -> Routes:
    """The page of a job that is ready, all its assets and the icon, read once but for those of Swagger UI.

    ``has_webview``: whether it links to the job's web view. Links are relative to the page.
    """
    own, routes = _own_assets()
    links = {**LINKS, **(WEBVIEW_LINK if has_webview else {})}
    folder = _swagger_ui()
    if folder is None:
        page = _page(own, [own[name] for name in PLAIN], links, [SERVED_BY, HOW_TO_GET_SWAGGER_UI])
    else:
        bundle, bundle_routes = _bundle(folder)
        page = _page(own, [*bundle, *(own[name] for name in SWAGGER)], links, [SERVED_BY])
        routes = {**routes, **bundle_routes}
    return {**routes, "/docs": {"GET": bytes_response(200, HTML, page, PAGE_HEADERS)}}


def waiting_docs_routes(headers: Iterable[tuple[str, str]] = ()) -> Routes:
    """The plain page as a 503 that people can read, with ``headers``: while a job loads, or after it failed.

    It looks again by itself, and makes room for the page of the job.
    """
    own, routes = _own_assets()
    page = _page(own, [own[name] for name in PLAIN], LINKS, [SERVED_BY], mark=" data-waiting")
    return {**routes, "/docs": {"GET": bytes_response(503, HTML, page, [*PAGE_HEADERS, *headers])}}


def _own_assets() -> tuple[Mapping[str, str], Routes]:
    """The address of each, relative to the page, and what answers there.

    All are served in every state: a page from before a change of state may still ask for its own.
    """
    names = [ICON, *dict.fromkeys((*PLAIN, *SWAGGER))]
    content = {name: _read(name) for name in names}
    digest = hashlib.sha256()
    for name, body in content.items():
        digest.update(b"%s %d " % (name.encode(), len(body)))
        digest.update(body)
    addresses = {name: _address(digest.hexdigest(), name) for name in names}
    routes: dict[str, Mapping[str, WSGIApplication]] = {
        f"/{addresses[name]}": {"GET": bytes_response(200, _type(name), body, ASSET_HEADERS)}
        for name, body in content.items()
    }
    icon = bytes_response(200, _type(ICON), content[ICON], PAGE_HEADERS)
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
    addresses = [_address(digest.hexdigest(), name) for name in BUNDLE]
    return addresses, {
        f"/{address}": {"GET": _from_disk(folder / name)}
        for name, address in zip(BUNDLE, addresses, strict=True)
    }


def _from_disk(path: Path) -> WSGIApplication:
    def asset(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer: WSGIApplication
        try:
            answer = file_response(environ, path, _type(path.name), (POLICY, FOR_EVER))
        except OSError as error:
            answer = error_response(404, f"{path.name} has gone since the job started: {error.strerror}")
        return answer(environ, start_response)

    return asset


def _page(
    own: Mapping[str, str],
    assets: Iterable[str],
    links: Mapping[str, str],
    footer: Iterable[str],
    *,
    mark: str = "",
) -> bytes:
    """page.html with ``assets`` in that order; ``mark`` is what its root element says."""
    head = [
        f'<link rel="stylesheet" href="{asset}">'
        if asset.endswith(".css")
        else f'<script src="{asset}" defer></script>'
        for asset in assets
    ]
    return (
        Template(_read("page.html").decode())
        .substitute(
            mark=mark,
            icon=own[ICON],
            head="\n  ".join(head),
            links="\n      ".join(f'<a href="{target}">{name}</a>' for name, target in links.items()),
            footer="\n    ".join(f"<p>{line}</p>" for line in footer),
        )
        .encode()
    )


def _address(digest: str, name: str) -> str:
    return f"docs/_assets/{digest[:12]}/{name}"


def _type(name: str) -> str:
    return TYPES[Path(name).suffix]


def _read(name: str) -> bytes:
    return files("pyjob.apps").joinpath("pages", name).read_bytes()
