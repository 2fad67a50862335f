"""Which token came with a request, and whether a browser sent it by itself (SPEC 8.2, 8.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from werkzeug.http import parse_cookie

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The header and the cookie that carry a token; the header may also be `Authorization: Bearer`.
TOKEN_HEADER = "X-Racetrack-Auth"  # nosec B105 # a name, no token
HEADER_KEY = "HTTP_X_RACETRACK_AUTH"
AUTHORIZATION_KEY = "HTTP_AUTHORIZATION"
COOKIE_KEY = "HTTP_COOKIE"
# Where a server has joined two Cookie headers, and ours is the second one.
JOINT = re.compile(rf",[ \t]*(?={TOKEN_HEADER}=)")
# What `Sec-Fetch-Site` says of a request by one of our own pages, or by the user himself.
OWN_PAGE = frozenset(("same-origin", "none"))


# What a request has given as its token, and whether as a cookie; an empty one is none that counts.
Given = tuple[str, bool]


def taken(environ: WSGIEnvironment) -> Given | None:
    """The token of a request, out of its ``environ``: neither the job nor its log has any use for it.

    A header wins over the cookie. Of two headers that differ nobody knows which one is meant, so none counts.
    """
    header: str | None = environ.pop(HEADER_KEY, None)
    bearer = _taken_bearer(environ) if AUTHORIZATION_KEY in environ else None
    cookie = _taken_cookie(environ) if COOKIE_KEY in environ else None
    if header is not None:
        return header if bearer is None or bearer == header else "", False
    if bearer is not None:
        return bearer, False
    return None if cookie is None else (cookie, True)


def is_own_page(environ: WSGIEnvironment) -> bool | None:
    """Whether a browser says that one of our own pages asks, or its user; None where it says nothing.

    Browsers that have no `Sec-Fetch-Site`, or no TLS to send it over, tell the Origin of what may change
    something.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site.strip().lower() in OWN_PAGE
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return None
    own = f"{environ.get('wsgi.url_scheme', 'http')}://{environ.get('HTTP_HOST', '')}"
    return bool(origin.lower() == own.lower())


def _taken_bearer(environ: WSGIEnvironment) -> str | None:
    """The token of an Authorization header of that scheme (RFC 6750); others are the job's own affair."""
    scheme, _, token = environ[AUTHORIZATION_KEY].partition(" ")
    if scheme.lower() != "bearer":
        return None
    del environ[AUTHORIZATION_KEY]
    return str(token.strip())


def _taken_cookie(environ: WSGIEnvironment) -> str | None:
    """The token of the first cookie of our name: of several, browsers send that of the longest path first."""
    header = environ[COOKIE_KEY]
    if TOKEN_HEADER not in header:
        return None
    own: list[str] = []
    others: list[str] = []
    for pair in JOINT.sub(";", header).split(";"):
        (own if pair.partition("=")[0].strip() == TOKEN_HEADER else others).append(pair)
    if not own:
        return None
    if others:
        environ[COOKIE_KEY] = ";".join(others).strip()
    else:
        del environ[COOKIE_KEY]
    # Alone, since others may be in any encoding; it may be quoted.
    return parse_cookie(own[0]).get(TOKEN_HEADER) if own[0].isascii() else ""
