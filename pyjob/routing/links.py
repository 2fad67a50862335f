"""Where a caller is, and links that keep the prefix that he used (SPEC 4.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from pyjob.wire.response import Response, bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# In the environ of a room: text, decoded. PREFIX + PATH is where the caller is, on this host.
PREFIX = "pyjob.prefix"
PATH = "pyjob.path"
# Of who was let in without a token: he is not told of paths that he has not asked for.
STRANGER = "pyjob.stranger"
PLATFORM_PREFIX = re.compile(r"/pub/(?:job|fatman)/[^/]+/[^/]+")
CLOSING_PLATFORM_PREFIX = re.compile(rf"{PLATFORM_PREFIX.pattern}\Z")


def mount_of(environ: WSGIEnvironment) -> str:
    """Where the application is on this host: the prefix that the caller used, less the platform's."""
    prefix: str = environ[PREFIX]
    return CLOSING_PLATFORM_PREFIX.sub("", prefix)


def checked_prefix(prefix: str) -> str:
    """``prefix`` without a closing slash. Raises ValueError where it is no path on this host."""
    if prefix and (not prefix.startswith("/") or prefix.startswith("//") or "\\" in prefix):
        raise ValueError(f"prefix: expected a path that starts with one /, found {prefix!r}")
    return prefix.rstrip("/")


def redirect_to_slash(environ: WSGIEnvironment) -> Response:
    """307 to where the caller is, with a closing slash; the query is kept."""
    return redirect(f"{quoted(environ[PREFIX] + environ[PATH])}/", environ.get("QUERY_STRING", ""))


def quoted(prefix: str) -> str:
    """A prefix as it stands in a link or a Location header (RFC 3986)."""
    return quote(prefix, safe="/-._~!$&'()*+,;=:@")


def quoted_page(page: str) -> str:
    """An author's path, perhaps with query and fragment, for a Location header."""
    return quote(page, safe="/-._~!$&'()*+,;=:@?#%[]")


def redirect(location: str, query: str = "") -> Response:
    """307 to ``location`` on the same host."""
    target = f"{location}?{query}" if query else location
    return bytes_response(307, "text/plain; charset=utf-8", b"", [("Location", target)])
