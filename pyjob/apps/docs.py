"""The room of `/docs`: a plain page of our own that needs nothing from anywhere else (SPEC 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from pyjob.wire.response import Response, bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# The page has one script, one style sheet and one icon, all from here, and talks to this server only.
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
SAFE_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-cache"),
)
HTML, SCRIPT, STYLE = (f"text/{kind}; charset=utf-8" for kind in ("html", "javascript", "css"))


def docs_routes(
    status: int = 200, headers: Iterable[tuple[str, str]] = ()
) -> Mapping[str, Mapping[str, WSGIApplication]]:
    """The page, its assets and the icon, read once; links between them are relative to the page.

    ``status`` and ``headers`` are the page's: while a job loads, it is a 503 that people can read.
    """
    icon = _file("icon.svg", "image/svg+xml")
    return {
        "/docs": {"GET": _file("plain.html", HTML, status, headers)},
        "/docs/_assets/plain.js": {"GET": _file("plain.js", SCRIPT)},
        "/docs/_assets/plain.css": {"GET": _file("plain.css", STYLE)},
        "/docs/_assets/icon.svg": {"GET": icon},
        "/favicon.ico": {"GET": icon},
    }


def _file(
    name: str, content_type: str, status: int = 200, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    body = files("pyjob.apps").joinpath("pages", name).read_bytes()
    return bytes_response(status, content_type, body, [*SAFE_HEADERS, *headers])
