"""Who is let in (SPEC 8.2, 8.3): a pure function of what is asked, by whom, and what is open.

Paths are those that the dispatcher dispatches: decoded once, without the prefix that the caller used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

API = "/api/v1"
# An orchestrator asks for these, and has no token.
PROBES = frozenset(("/live", "/ready", "/health"))
SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
# Paths of the service itself, which are no short forms; and what its pages are made of.
SERVICE = PROBES | {"/", "/docs", "/openapi.json", "/metrics", "/status", "/status/data", "/favicon.ico"}
SERVICE |= {SIGN_IN, SIGN_OUT}
ASSETS = re.compile(r"/(?:docs|status|sign-in)/_assets/")
# What needs no token, whatever a manifest says.
ALWAYS_OPEN = PROBES | {SIGN_IN, SIGN_OUT}
# Methods that change nothing, and that browsers send without an Origin.
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


class Verdict(Enum):
    """What becomes of a request."""

    OPEN = "needs no token"
    LET_IN = "has a token"
    UNKNOWN = "has no valid token"
    FOREIGN = "has a cookie, but comes from the page of another site"


class Credential(NamedTuple):
    """A valid token: ``name`` is whose it is; ``is_cookie`` where a browser has sent it by itself.

    ``is_own_page``: whether the browser says that one of our pages has asked; None where it says nothing.
    """

    name: str
    is_cookie: bool = False
    is_own_page: bool | None = None


def canonical(path: str) -> str:
    """``path`` as it is judged: a short form as its path below `/api/v1`, without a slash at the end."""
    path = path.rstrip("/") or "/"
    if path in SERVICE or path == API or path.startswith(f"{API}/") or ASSETS.match(path):
        return path
    return f"{API}{path}"


def is_covered(path: str, endpoints: Iterable[str]) -> bool:
    """Whether canonical ``path`` is one of the canonical ``endpoints``, or below one by whole segments."""
    return any(path == one or path.startswith(f"{one}/") for one in endpoints)


def judge(path: str, method: str, credential: Credential | None, public: Iterable[str]) -> Verdict:
    """Whether a request for ``path`` may go on; ``public`` are the canonical paths that need no token.

    HEAD and OPTIONS are judged as GET: what is open is so for every method.
    """
    if credential is not None and not credential.is_cookie:
        return Verdict.LET_IN
    if path in ALWAYS_OPEN or path.startswith(f"{SIGN_IN}/_assets/") or is_covered(canonical(path), public):
        return Verdict.OPEN
    if credential is None:
        return Verdict.UNKNOWN
    return Verdict.LET_IN if is_meant(credential, method) else Verdict.FOREIGN


def is_meant(credential: Credential, method: str) -> bool:
    """Whether whose token it is has sent it: no page of another site has made a browser do so."""
    if not credential.is_cookie:
        return True
    # Where a browser says nothing, it has not asked for what may change something.
    return method in SAFE_METHODS if credential.is_own_page is None else credential.is_own_page
