"""Where it is decided whether a request may go on, and what is answered to one that may not (SPEC 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyjob.access.access import Access
from pyjob.apps.sign_in import SignInRoom
from pyjob.logs.access import note_why
from pyjob.metrics.access import AccessMetrics
from pyjob.wire.accept import wants_html
from pyjob.wire.response import error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

UNCACHED = (("Cache-Control", "no-store"), ("Vary", "Accept, Cookie"))


class Entrance:
    """Asks ``access``, and counts whom it refuses.

    Where people can sign in, at ``sign_in``, a browser gets a page that lets them.
    """

    def __init__(self, access: Access, sign_in: SignInRoom | None, metrics: AccessMetrics) -> None:
        self._access = access
        self._sign_in = sign_in
        self._metrics = metrics

    def refuse(self, environ: WSGIEnvironment) -> WSGIApplication | None:
        """The answer to a request for the path in ``environ`` that is not let in; None where it is."""
        refusal = self._access.refusal(environ)
        if refusal is None:
            return None
        self._metrics.refuse(refusal.reason)
        note_why(environ, refusal.reason)
        if self._sign_in is not None and wants_html(environ.get("HTTP_ACCEPT", "")):
            return self._sign_in.page_for(environ, refusal)
        return error_response(refusal.status, refusal.message, headers=[*refusal.headers, *UNCACHED])
