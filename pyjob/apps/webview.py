"""The room of the job's own web application (SPEC 4.7): any WSGI application, through a gate of its own."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from werkzeug.exceptions import RequestEntityTooLarge

from pyjob.context import JobContext
from pyjob.environment.mask import Mask
from pyjob.errors import BodyError, JobError, kind_of, one_line
from pyjob.gate.admission import Admission, Call
from pyjob.gate.door import SEAT, Seat
from pyjob.gate.gate import stays
from pyjob.logs.access import TOLD, AccessLog
from pyjob.logs.failure import log_failure
from pyjob.openapi.document import CALLS
from pyjob.routing.dispatcher import without_body
from pyjob.routing.links import PATH, redirect_to_slash
from pyjob.routing.table import REST, Lane
from pyjob.wire.body.payload import BoundedBody, too_long
from pyjob.wire.failure import failure_of
from pyjob.wire.page import Page
from pyjob.wire.response import error_response
from pyjob.wire.stream import mark_logged

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Of a path, so many characters are logged.
LONGEST_PATH = 200

logger = logging.getLogger(__name__)


class WebviewRoom:
    """Serves ``application``, made for ``base_url``, wherever the caller found it.

    ``prefix`` is the part of ``base_url`` that a proxy strips, or where we are mounted. Where it
    ``is_relative`` (ASGI), the application finds its base in SCRIPT_NAME, else at the start of PATH_INFO.
    ``knows_threads``: whether somebody has said how many the server has.
    """

    lane: Lane = "pages"

    def __init__(
        self,
        application: WSGIApplication,
        *,
        base_url: str,
        prefix: str,
        is_relative: bool,
        admission: Admission,
        context: JobContext,
        knows_threads: bool,
        max_body_size: int,
        access_log: AccessLog,
        mask: Mask,
        meet: Callable[[WSGIEnvironment], None],
    ) -> None:
        self._application = application
        self._base = _as_wsgi(base_url)
        self._prefix = _as_wsgi(prefix)
        self._is_relative = is_relative
        self._admission = admission
        self._context = context
        self._max_body_size = max_body_size
        self._access_log = access_log
        self._mask = mask
        self._meet = meet
        self._has_told_of_mount = False
        self._has_told_of_threads = knows_threads

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        serve = without_body(self._serve) if environ["REQUEST_METHOD"] == "HEAD" else self._serve
        return serve(environ, start_response)

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[TOLD] = True
        # Taken out: nothing that the application does may park our request.
        seat: Seat | None = environ.pop(SEAT, None)
        waited = None if seat is None else seat.take()
        if not environ.get(REST, "") and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return redirect_to_slash(environ)(environ, start_response)
        method, path = asked = self._asked(environ)
        try:
            call = self._let_in(environ, seat, waited if isinstance(waited, Call) else None, asked)
        except JobError as error:
            refusal = failure_of(error).answer()
            waited = getattr(error, "waited", None)
            self._access_log.refused(method, path, refusal.status, error.message, waited)
            return refusal(environ, start_response)

        def ended(status: str, size: int | None, is_whole: bool) -> None:
            call.end(failed=False)
            has_left = not is_whole and call.is_gone()
            self._access_log.ended(method, path, status, call, size, has_left=has_left)

        page = Page(self._application, f"{method} {path}", ended, self._mask)
        try:
            with self._context.serving(inner := self._inner(environ), _holds_none):
                return page(inner, start_response)
        except BaseException as error:  # sys.exit() in a page must not end the server
            if isinstance(error, (BodyError, RequestEntityTooLarge)) and not page.has_begun:
                failed = failure_of(error).answer()  # of the caller's making
                page.end(failed.status)
                return failed(environ, start_response)
            log_failure(logger, f"the web view failed at {method} {path}", error, self._mask)
            failed = error_response(500, "the web view failed: the log says why", kind_of(error))
            page.end(failed.status)
            if page.has_begun:
                if isinstance(error, Exception):
                    mark_logged(error)
                    raise
                raise mark_logged(RuntimeError(f"the web view ended by {kind_of(error)}")) from error
            return failed(environ, start_response)

    def _let_in(
        self, environ: WSGIEnvironment, seat: Seat | None, waited: Call | None, asked: tuple[str, str]
    ) -> Call:
        """A slot for a page. Raises `JobError` where there is none, and `Parked` where it has to wait."""
        if waited is not None:
            self._admission.begin(waited)
            return waited
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isascii() and length.isdigit() and int(length[:20]) > self._max_body_size:
            raise too_long(self._max_body_size)
        if seat is not None:
            return self._admission.by_seat(None, seat, lambda page: self._access_log.left(*asked, page))
        connected = environ.get("waitress.client_disconnected")
        if connected is not None:
            self._meet(environ)  # a waitress that has not been taken over: perhaps it is a new one
        if environ.get("wsgi.multithread") and not self._has_told_of_threads:
            self._has_told_of_threads = True
            logger.warning(
                "pages of the web view hold threads of this server, which probes and calls then wait for: "
                "say how many there are, create(..., threads=N), to keep some free"
            )
        return self._admission.by_thread({}, connected or stays)

    def _asked(self, environ: WSGIEnvironment) -> tuple[str, str]:
        """Method and short path, for the log."""
        path = one_line(self._mask(environ[PATH].removeprefix(CALLS)))
        return one_line(environ["REQUEST_METHOD"][:20]), path[:LONGEST_PATH]

    def _inner(self, environ: WSGIEnvironment) -> WSGIEnvironment:
        """The environ as the application sees it: its own base, whatever alias the caller used."""
        mounted: str = environ.get("SCRIPT_NAME", "")
        script = mounted.removesuffix(self._prefix)
        if script and not self._is_relative and not self._has_told_of_mount:
            self._has_told_of_mount = True
            logger.warning(
                "the web view is mounted at %s, which its base_url does not hold: "
                "url_for is right, links made of base_url are not; create(..., prefix=%r)",
                *(one_line(mounted), mounted),
            )
        if not environ.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated"):
            # Of a length that nobody knows beforehand: who reads too much gets a 413 to pass on.
            body = BoundedBody(environ["wsgi.input"], self._max_body_size)
            environ = {**environ, "wsgi.input": io.BufferedReader(body)}
        inner = {name: value for name, value in environ.items() if not name.startswith("pyjob.")}
        rest = _as_wsgi(environ.get(REST, ""))
        if self._is_relative:
            inner["SCRIPT_NAME"], inner["PATH_INFO"] = script + self._base, rest
        else:
            inner["SCRIPT_NAME"], inner["PATH_INFO"] = script, self._base + rest
        return inner


def _holds_none() -> bool:
    """A page runs in no slot of the job's calls: one that it makes needs its own."""
    return False


def _as_wsgi(text: str) -> str:
    """Text as it stands in a WSGI environ (PEP 3333)."""
    return text.encode().decode("latin-1")
