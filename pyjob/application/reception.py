"""Where each request comes in: it gets its id and its caller, and the answer the id (SPEC 7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING

from pyjob.access.access import ADMITTED, Access
from pyjob.environment.mask import Mask
from pyjob.errors import one_line
from pyjob.gate.door import SEAT, Seat
from pyjob.logs.access import TOLD, WHY, AccessLog
from pyjob.openapi.document import CALLS
from pyjob.routing.links import PATH
from pyjob.state import State
from pyjob.trace import CURRENT, Tracer
from pyjob.wire.cors import Cors, Headers

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Asked again and again by machines: what becomes of it is no news.
ASKED_BY_MACHINES = frozenset(("/live", "/ready", "/health", "/metrics", "/status/data"))
LONGEST_PATH = 200
# What caches may keep the answers to, and what of a Cache-Control says whether others may have one.
CACHEABLE = frozenset(("GET", "HEAD"))
DECIDED = re.compile(
    r"(?:^|,)\s*(?:(?:private|public|no-store|no-cache)\s*(?:,|$)|s-maxage\s*=)", re.IGNORECASE
)
# What a script of another origin may read of an answer, beside its ids and what every script may.
EXPOSED = ("Retry-After", "Content-Disposition")
WHY_NOT: Mapping[str, str] = MappingProxyType(
    {"loading": "the job is still loading", "failed": "the job failed to start"}
)


class Reception:
    """Lets requests into one application.

    Calls and pages tell of themselves; it tells of everything else that is refused, and by its ``state`` why
    that is. ``origins`` are those whose pages may call it. ``access`` is None where everybody is let in.
    """

    def __init__(
        self,
        tracer: Tracer,
        mask: Mask,
        access_log: AccessLog,
        state: State,
        *,
        origins: Iterable[str] = (),
        access: Access | None = None,
    ) -> None:
        self.tracer = tracer
        self._mask = mask
        self._access_log = access_log
        self._state = state
        self._access = access
        self._names = tracer.answer_names
        self._lower_names = frozenset(name.lower() for name in tracer.answer_names)
        allowed = tuple(origins)
        self._cors = Cors(allowed, (*self._names, *EXPOSED)) if allowed else None

    def receive(
        self, application: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """The answer of ``application``, made in the context of the request's trace."""
        seat: Seat | None = environ.get(SEAT)
        waiting = None if seat is None else seat.waiting
        is_personal = False
        if self._access is not None:
            self._access.receive(environ)
            is_personal = environ["REQUEST_METHOD"] in CACHEABLE and self._access.is_personal(environ)
        if waiting is None:
            trace = self.tracer.trace_of(environ)
        else:
            # A request that has waited is the same request when it comes again.
            trace = waiting.trace
            if self._access is not None:
                environ[ADMITTED] = True
            self.tracer.tell_job(environ, trace)
        cors = self._cors
        granted: Headers | None = None
        if cors is not None:
            granted = cors.granted(environ.get("HTTP_ORIGIN"))
            if granted is not None and environ["REQUEST_METHOD"] == "OPTIONS":
                application = cors.preflight(environ, granted) or application

        def begin(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            if status[0] > "3" and TOLD not in environ:
                self._tell(status, environ)
            ids = [*zip(self._names, repeat(trace.tracing_id), strict=False)]
            for name, _ in headers:
                if name.lower() in self._lower_names:  # the job may give its answer an id of its own
                    ids = _missing(ids, headers)
                    break
            if is_personal:
                headers = _private(headers)
            headers = (headers if cors is None else cors.shared(headers, granted)) + ids
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        token = CURRENT.set(trace)
        try:
            return application(environ, begin)
        finally:
            CURRENT.reset(token)

    def shared(self, headers: Headers, origin: str | None) -> Headers:
        """``headers`` of an answer to what the application never sees, with those for pages of ``origin``."""
        return headers if self._cors is None else self._cors.shared(headers, self._cors.granted(origin))

    def _tell(self, status: str, environ: WSGIEnvironment) -> None:
        path = environ.get(PATH)
        if path in ASKED_BY_MACHINES and WHY not in environ:
            return
        environ[TOLD] = True
        if path is None:  # one that is refused as it stands
            path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace")
        why = WHY_NOT.get(self._state.status, "") if status.startswith("503") else environ.get(WHY, "")
        self.tell_refused(environ["REQUEST_METHOD"], path, status, why)

    def tell_refused(self, method: str, path: str, status: str, why: str) -> None:
        """The line of a request that was refused; ``path`` is decoded."""
        shown = one_line(self._mask(path.removeprefix(CALLS)))[:LONGEST_PATH]
        self._access_log.refused(one_line(method[:20]), shown, status, why)


def _private(headers: Headers) -> Headers:
    """``headers`` that keep caches between from giving the answer to others, unless they say who may have it.

    How long it lasts does not say that: such caches spare by themselves only what came with an Authorization
    header (RFC 9111, 3.5).
    """
    at = -1
    for index, (name, value) in enumerate(headers):
        if name.lower() == "cache-control":
            if DECIDED.search(value):
                return headers
            at = index
    if at < 0:
        return [*headers, ("Cache-Control", "private")]
    told = headers.copy()
    told[at] = (headers[at][0], f"{headers[at][1]}, private")
    return told


def _missing(ids: list[tuple[str, str]], headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of ``ids`` that ``headers`` do not have."""
    own = {name.lower() for name, _ in headers}
    return [one for one in ids if one[0].lower() not in own]
