"""From a path to the room that answers it, by hand: an exact table first (SPEC 4.1).

A room is a WSGI application. The dispatcher leaves PATH_INFO and SCRIPT_NAME as they came; it tells a
room the prefix that the caller used as ``environ["pyjob.prefix"]``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from pyjob.wire.response import Response, bytes_response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "pyjob.prefix"
PLATFORM_PREFIX = re.compile(r"/pub/(?:job|fatman)/[^/]+/[^/]+")
HOSTILE = re.compile(r"//|/\.{1,2}(?:/|\Z)|\\|\x00")
LONGEST_COMPARED = 100

Routes = Mapping[str, Mapping[str, "WSGIApplication"]]


class Dispatcher:
    """A WSGI application that holds ``routes``: path to method to room.

    ``otherwise`` answers every other path; without it they are 404, with the nearest known path.
    ``prefix`` is what a proxy in front has stripped: every link begins with it.
    """

    def __init__(self, routes: Routes, *, prefix: str = "", otherwise: WSGIApplication | None = None) -> None:
        self._routes = {path: _with_head(methods) for path, methods in routes.items()}
        self._prefix = prefix
        self._otherwise = otherwise

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        methods = self._routes.get(environ.get("PATH_INFO", ""))
        room = self._search(environ) if methods is None else self._room(methods, environ, "")
        return room(environ, start_response)

    def _room(
        self, methods: Mapping[str, WSGIApplication], environ: WSGIEnvironment, stripped: str
    ) -> WSGIApplication:
        room = methods.get(environ["REQUEST_METHOD"])
        if room is None:
            return _refusal(environ, _method_not_allowed(methods))
        environ[PREFIX] = self._base(environ) + stripped
        return room

    def _search(self, environ: WSGIEnvironment) -> WSGIApplication:
        """The room of a path that is not in the table as it stands: prefixed, empty, unknown or hostile."""
        try:
            path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
        except UnicodeError:
            return _refusal(environ, error_response(400, "the path is not valid UTF-8"))
        if HOSTILE.search(path):
            what = "an empty or dotted segment, a backslash or a NUL"
            return _refusal(environ, error_response(400, f"the path holds {what}"))
        found = PLATFORM_PREFIX.match(path)
        stripped = found.group() if found else ""
        rest = path[len(stripped) :]
        if stripped and not rest:
            return self._with_slash(environ, stripped)
        methods = self._routes.get(rest or "/")
        if methods is not None:
            return self._room(methods, environ, stripped)
        return _refusal(environ, self._otherwise or self._not_found(rest))

    def _base(self, environ: WSGIEnvironment) -> str:
        mounted: str = environ.get("SCRIPT_NAME", "")
        if not mounted.isascii():
            mounted = mounted.encode("latin-1").decode("utf-8", "replace")
        prefix = self._prefix
        if not prefix or mounted == prefix or mounted.startswith(f"{prefix}/"):
            return mounted
        return f"{prefix}{mounted}"

    def _with_slash(self, environ: WSGIEnvironment, stripped: str) -> WSGIApplication:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _method_not_allowed(("GET", "HEAD"))
        location = f"{quoted(self._base(environ) + stripped)}/"
        return _refusal(environ, redirect(location, environ.get("QUERY_STRING", "")))

    def _not_found(self, path: str) -> Response:
        known = [route for route in self._routes if route != "/"]
        near = difflib.get_close_matches(path[:LONGEST_COMPARED], known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return error_response(404, f"there is nothing at {path[:LONGEST_COMPARED]}{hint}")


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


def _with_head(methods: Mapping[str, WSGIApplication]) -> dict[str, WSGIApplication]:
    rooms = dict(methods)
    if "GET" in rooms:
        rooms.setdefault("HEAD", _without_body(rooms["GET"]))
    return rooms


def _without_body(room: WSGIApplication) -> WSGIApplication:
    def head(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = room(environ, start_response)
        close = getattr(body, "close", None)
        if close is not None:
            close()
        return []

    return head


def _method_not_allowed(methods: Iterable[str]) -> Response:
    allowed = ", ".join(sorted(methods))
    how = ": send a JSON object" if allowed == "POST" else ""
    return error_response(405, f"only {allowed} is served here{how}", headers=[("Allow", allowed)])


def _refusal(environ: WSGIEnvironment, answer: WSGIApplication) -> WSGIApplication:
    """``answer``, without its body where HEAD asked: not every server takes it away."""
    return _without_body(answer) if environ["REQUEST_METHOD"] == "HEAD" else answer
