"""Which token came with a request, and whether a browser sent it by itself (SPEC 8.2, 8.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from werkzeug.http import parse_cookie

from pyjob.access.decision import Credential

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The header and the cookie that carry a token; the header may also be `Authorization: Bearer`.
TOKEN_HEADER = "X-Racetrack-Auth"  # noqa: S105  a name, no token
HEADER_KEY = "HTTP_X_RACETRACK_AUTH"
AUTHORIZATION_KEY = "HTTP_AUTHORIZATION"
COOKIE_KEY = "HTTP_COOKIE"
# Longer headers are not looked through: none of ours is.
LONGEST_COOKIES = 16 * 1024
# What `Sec-Fetch-Site` says of a request by one of our own pages, or by the user himself.
OWN_PAGE = frozenset(("same-origin", "none"))


class Holder(Protocol):
    """Whose a token is."""

    @property
    def name(self) -> str: ...


def taken(
    environ: WSGIEnvironment, holder_of: Callable[[str], Holder | None]
) -> tuple[Credential | None, bool]:
    """The valid token of a request, if any, and whether it had one at all.

    It is taken out of ``environ``: neither the job nor its log has any use for it. A header wins over the
    cookie. Of two headers that differ nobody knows which one is meant, so none counts.
    """
    header = environ.pop(HEADER_KEY, None)
    bearer = _bearer(environ)
    cookie = _cookie(environ)
    if header is None and bearer is None:
        holder = None if cookie is None else holder_of(cookie)
        if holder is None:
            return None, cookie is not None
        return Credential(holder.name, True, is_own_page(environ)), True
    token = bearer if header is None else header
    holder = holder_of(token) if token and bearer in (None, token) else None
    if holder is None:
        return None, True
    if bearer is not None:
        del environ[AUTHORIZATION_KEY]
    return Credential(holder.name), True


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


def _bearer(environ: WSGIEnvironment) -> str | None:
    """The token of an Authorization header of that scheme (RFC 6750)."""
    scheme, _, rest = environ.get(AUTHORIZATION_KEY, "").partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else None


def _cookie(environ: WSGIEnvironment) -> str | None:
    """The token of the first cookie of our name: of several, browsers send that of the longest path first."""
    header = environ.get(COOKIE_KEY)
    if header is None or TOKEN_HEADER not in header or len(header) > LONGEST_COOKIES:
        return None
    token = parse_cookie(header).get(TOKEN_HEADER)
    others = [one for one in header.split(";") if one.partition("=")[0].strip() != TOKEN_HEADER]
    if others:
        environ[COOKIE_KEY] = ";".join(others).strip()
    else:
        del environ[COOKIE_KEY]
    return token
