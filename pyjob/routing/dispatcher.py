"""From a path to the room that answers it, by hand: an exact table first (SPEC 4.1).

A room is a WSGI application. The dispatcher leaves PATH_INFO and SCRIPT_NAME as they came, and tells a room
beside them: the prefix that the caller used, the path below it, and what only this room's path has.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pyjob.environment.mask import Mask
from pyjob.routing.links import PATH, PLATFORM_PREFIX, PREFIX, STRANGER, quoted, redirect
from pyjob.routing.table import ANY, REST, Lane, Methods, RouteTable
from pyjob.wire.body.arguments import ROUTING_ARGS
from pyjob.wire.response import Response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOSTILE = re.compile(r"//|(?:\A|/)\.{1,2}(?:/|\Z)|\\|\x00")
NAME_IN_BRACES = re.compile(r"\{([^{}]*)\}")
LONGEST_COMPARED = 100
# Below a page of the service: what it loads, and nothing else.
ASSETS = "/_assets/"


class Dispatcher:
    """A WSGI application that holds ``routes``.

    ``otherwise`` answers every other path; without it they are 404, with the nearest known path in which
    ``mask`` finds no secret. ``prefix`` is what a proxy in front has stripped: every link begins with it.
    ``refuse`` answers a request that is not let in, by the path in its environ: the very one that is
    dispatched, and before it is looked for.
    """

    def __init__(
        self,
        routes: RouteTable,
        *,
        prefix: str = "",
        otherwise: WSGIApplication | None = None,
        mask: Mask | None = None,
        refuse: Callable[[WSGIEnvironment], WSGIApplication | None] | None = None,
    ) -> None:
        # Who is let in to these is let in to a page of ours, and to nothing of the job.
        self._own = frozenset(routes.own)
        self._own_below = tuple(
            {path[: path.index(ASSETS)] + ASSETS for path in routes.own if ASSETS in path}
        )
        self._exact = {
            path: _with_head(methods)
            for path, methods in routes.exact.items()
            if path in self._own or not path.startswith(self._own_below)
        }
        self._below = {path: _with_head(methods) for path, methods in routes.below.items()}
        self._depth = max((path.count("/") for path in self._below), default=0)
        # Where two match, the one with more of the path spelled out.
        templates = sorted(routes.templates.items(), key=lambda item: -len(NAME_IN_BRACES.sub("", item[0])))
        self._templates = [(_pattern(path), _with_head(methods)) for path, methods in templates]
        known = (path for path in (*routes.exact, *routes.templates) if path != "/")
        self._mask = mask or Mask()
        # Who does not know of a path with a secret in it shall not be told.
        self._known = [path for path in known if self._mask(path) == path]
        # As PATH_INFO has them, where that is the text itself: any other is decoded first.
        self._quick = {path: methods for path, methods in self._exact.items() if path.isascii()}
        self._prefix = prefix
        self._otherwise = otherwise
        self._refuse = refuse

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        methods = self._quick.get(path)
        room = None if methods is None else methods.get(environ["REQUEST_METHOD"])
        if room is None:
            room = self._search(environ)
        else:
            environ[PREFIX] = self._base(environ)
            environ[PATH] = path
            if self._refuse is not None:
                room = self._refused(environ) or room
        return room(environ, start_response)

    def lane_of(self, method: str, path: str) -> Lane | None:
        """The lane of the room for a request, None where there is no room; ``path`` as in PATH_INFO."""
        room = self._quick.get(path, {}).get(method) or self._room_of(method, path)
        lane: Lane | None = None if room is None else getattr(room, "lane", "quick")
        return lane

    def _room_of(self, method: str, path: str) -> WSGIApplication | None:
        text = _decoded(path)
        if text is not None:
            for methods, _ in self._candidates(text[len(_platform_prefix(text)) :] or "/"):
                room = methods.get(method) or methods.get(ANY)
                if room is not None:
                    return room
        return None

    def _search(self, environ: WSGIEnvironment) -> WSGIApplication:
        """The room of a path that is not in the table as it stands: prefixed, open, unknown or hostile."""
        path = _decoded(environ.get("PATH_INFO", ""))
        if path is None:
            return _refusal(environ, error_response(400, "the path is not valid UTF-8"))
        if HOSTILE.search(path):
            what = "an empty or dotted segment, a backslash or a NUL"
            return _refusal(environ, error_response(400, f"the path holds {what}"))
        stripped = _platform_prefix(path)
        rest = path[len(stripped) :]
        environ[PREFIX] = self._base(environ) + stripped
        environ[PATH] = rest or "/"
        refused = self._refused(environ)
        if refused is not None:
            return refused
        if stripped and not rest:
            return self._with_slash(environ)
        rest = rest or "/"
        method = environ["REQUEST_METHOD"]
        # The usual one first: a call below the platform's prefix.
        return self._exact.get(rest, {}).get(method) or self._closest(rest, method, environ)

    def _closest(self, path: str, method: str, environ: WSGIEnvironment) -> WSGIApplication:
        allowed: set[str] = set()
        for methods, found in self._candidates(path):
            room = methods.get(method) or methods.get(ANY)
            if room is not None:
                environ.update(found)
                return room
            allowed.update(methods)
        if allowed:
            return _refusal(environ, _method_not_allowed(allowed))
        return _refusal(environ, self._otherwise or self._not_found(path, environ))

    def _candidates(self, path: str) -> Iterator[tuple[Methods, Mapping[str, object]]]:
        """What may answer ``path``, the closest first, and what the environ then says beside."""
        exact = self._exact.get(path)
        if exact is not None:
            yield exact, {REST: ""}
        if path in self._own or path.startswith(self._own_below):
            return
        for pattern, methods in self._templates:
            found = pattern.match(path)
            if found:
                yield methods, {ROUTING_ARGS: ((), found.groupdict())}
        if self._below:
            for end in reversed(_first_slashes(path, self._depth)):
                below = self._below.get(path[:end])
                if below is not None:
                    yield below, {REST: path[end:]}

    def _refused(self, environ: WSGIEnvironment) -> WSGIApplication | None:
        answer = None if self._refuse is None else self._refuse(environ)
        return None if answer is None else _refusal(environ, answer)

    def _base(self, environ: WSGIEnvironment) -> str:
        mounted: str = environ.get("SCRIPT_NAME", "")
        if mounted.startswith("//"):  # to a browser, what follows would be another host
            mounted = f"/{mounted.lstrip('/')}"
        if not mounted.isascii():
            mounted = mounted.encode("latin-1").decode("utf-8", "replace")
        prefix = self._prefix
        if not prefix or mounted.endswith(prefix) or mounted.startswith(f"{prefix}/"):
            return mounted
        return f"{prefix}{mounted}"

    def _with_slash(self, environ: WSGIEnvironment) -> WSGIApplication:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _method_not_allowed(("GET", "HEAD"))
        location = f"{quoted(environ[PREFIX])}/"
        return _refusal(environ, redirect(location, environ.get("QUERY_STRING", "")))

    def _not_found(self, path: str, environ: WSGIEnvironment) -> Response:
        known = () if STRANGER in environ else self._known
        near = difflib.get_close_matches(path[:LONGEST_COMPARED], known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return error_response(404, f"there is nothing at {self._mask(path)[:LONGEST_COMPARED]}{hint}")


def without_body(room: WSGIApplication) -> WSGIApplication:
    """``room`` as HEAD wants it: not every server takes the body away."""

    def head(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = room(environ, start_response)
        close: Callable[[], None] | None = getattr(body, "close", None)
        if close is not None:
            close()
        return []

    head.lane = getattr(room, "lane", "quick")  # type: ignore[attr-defined]
    return head


def _decoded(path: str) -> str | None:
    """PATH_INFO as text; None where it is no UTF-8."""
    try:
        return path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None


def _platform_prefix(path: str) -> str:
    found = PLATFORM_PREFIX.match(path)
    return found.group() if found else ""


def _first_slashes(path: str, count: int) -> list[int]:
    """Where the first slashes after the leading one are; a hostile path has many more."""
    found: list[int] = []
    at = path.find("/", 1)
    while at > 0 and len(found) < count:
        found.append(at)
        at = path.find("/", at + 1)
    return found


def _pattern(template: str) -> re.Pattern[str]:
    parts = NAME_IN_BRACES.split(template)
    literals, names = map(re.escape, parts[::2]), parts[1::2]
    pattern = next(literals)
    for name, literal in zip(names, literals, strict=True):
        pattern += f"(?P<{name}>[^/]+){literal}"
    return re.compile(rf"{pattern}\Z")


def _with_head(methods: Methods) -> dict[str, WSGIApplication]:
    rooms = dict(methods)
    if "GET" in rooms:
        rooms.setdefault("HEAD", without_body(rooms["GET"]))
    return rooms


def _method_not_allowed(methods: Iterable[str]) -> Response:
    allowed = ", ".join(sorted(methods))
    how = ": send a JSON object" if allowed == "POST" else ""
    return error_response(405, f"only {allowed} is served here{how}", headers=[("Allow", allowed)])


def _refusal(environ: WSGIEnvironment, answer: WSGIApplication) -> WSGIApplication:
    """``answer``, without its body where HEAD asked."""
    return without_body(answer) if environ["REQUEST_METHOD"] == "HEAD" else answer
