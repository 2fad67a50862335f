"""What our own pages are made of: templates, what they load, and how they link to one another (SPEC 4.1).

All addresses are relative to the page, so that they are right below every prefix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pyjob.routing.table import Routes
from pyjob.wire.compression import Prepared
from pyjob.wire.response import bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def policy(*, form_action: str = "'none'", frame_ancestors: str = "'self'") -> tuple[str, str]:
    """The Content-Security-Policy of our pages.

    Scripts, style sheets and icon are from here, and the pages talk to this server only. The icons of Swagger
    UI are data within its style sheet.
    """
    rules = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        f"form-action {form_action}",
        f"frame-ancestors {frame_ancestors}",
    )
    return ("Content-Security-Policy", "; ".join(rules))


POLICY = policy()
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
# What has its version in its address never changes.
FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
PAGE_HEADERS = (POLICY, NO_SNIFFING, ("Cache-Control", "no-cache"))
ASSET_HEADERS = (POLICY, NO_SNIFFING, FOR_EVER)

HTML, SCRIPT, STYLE = (f"text/{kind}; charset=utf-8" for kind in ("html", "javascript", "css"))
TYPES = {".css": STYLE, ".js": SCRIPT, ".svg": "image/svg+xml"}
ICON = "icon.svg"

LINKS = {
    "Home": "./",
    "Docs": "docs",
    "Status": "status",
    "Metrics": "metrics",
    "Health": "health",
    "OpenAPI": "openapi.json",
    "Web view": "api/v1/webview/",
    "Sign out": "sign-out",
}
SERVED_BY = "Served by pyjob"


def own_assets(page: str, names: Iterable[str]) -> tuple[Mapping[str, str], Routes]:
    """The icon and ``names``, read once: the address of each below ``page``, and what answers there."""
    content = {name: read(name) for name in (ICON, *names)}
    digest = digest_of(content)
    addresses = {name: asset_address(page, digest, name) for name in content}
    routes: dict[str, Mapping[str, WSGIApplication]] = {
        f"/{addresses[name]}": {"GET": Prepared(bytes_response(200, content_type(name), body, ASSET_HEADERS))}
        for name, body in content.items()
    }
    return addresses, routes


def page_of(
    template: str,
    *,
    icon: str,
    assets: Iterable[str],
    links: Mapping[str, str],
    footer: Iterable[str] = (SERVED_BY,),
    mark: str = "",
) -> bytes:
    """``template`` with the ``assets`` at these addresses, in that order, and ``links`` by their names.

    ``mark`` is what the root element says; ``footer`` is HTML.
    """
    return filled(
        template,
        icon=icon,
        assets=assets,
        mark=mark,
        links="\n      ".join(f'<a href="{target}">{name}</a>' for name, target in links.items()),
        footer="\n    ".join(f"<p>{line}</p>" for line in footer),
    )


def filled(template: str, *, icon: str, assets: Iterable[str], **parts: str) -> bytes:
    """``template`` with icon and ``assets`` at these addresses; ``parts`` are HTML."""
    head = [
        f'<link rel="stylesheet" href="{asset}">'
        if asset.endswith(".css")
        else f'<script src="{asset}" defer></script>'
        for asset in assets
    ]
    text = Template(read(template).decode()).substitute(parts, icon=icon, head="\n  ".join(head))
    return text.encode()


def links_from(
    page: str, *, has_status: bool = True, has_webview: bool = False, has_sign_in: bool = False
) -> dict[str, str]:
    """Names and addresses of the other pages.

    ``has_status``: whether that one is switched on. ``has_webview``: whether the job has one.
    ``has_sign_in``: whether people sign in with a token, and out again.
    """
    there = {"Status": has_status, "Web view": has_webview, "Sign out": has_sign_in}
    return {name: target for name, target in LINKS.items() if target != page and there.get(name, True)}


def digest_of(content: Mapping[str, bytes]) -> str:
    """Another one once a name or a body in ``content`` is another."""
    digest = hashlib.sha256()
    for name, body in content.items():
        digest.update(b"%s %d " % (name.encode(), len(body)))
        digest.update(body)
    return digest.hexdigest()


def asset_address(page: str, digest: str, name: str) -> str:
    """Where ``page`` finds the asset ``name``: another place once what ``digest`` is of has changed."""
    return f"{page}/_assets/{digest[:12]}/{name}"


def content_type(name: str) -> str:
    """The type of the asset ``name``."""
    return TYPES[Path(name).suffix]


def read(name: str) -> bytes:
    """A file of this folder."""
    return files("pyjob.apps.pages").joinpath(name).read_bytes()
