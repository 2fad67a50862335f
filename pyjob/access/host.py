"""Lets requests in as the application's host says (SPEC 10.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pyjob.access.access import ADMITTED, Refusal
from pyjob.access.decision import PROBES
from pyjob.logs.failure import log_safely
from pyjob.routing.links import PATH
from pyjob.trace import NameCaller

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Whether the request of a WSGI environ is let in.
Decide = Callable[[dict[str, Any]], bool]

logger = logging.getLogger(__name__)


class HostAccess:
    """Lets in what ``decide`` says True to, and nothing where it fails; see `pyjob.access.access.Access`.

    Probes are not asked about. ``name_caller`` names who a request is from; without it nobody does.
    """

    def __init__(self, decide: Decide, name_caller: NameCaller | None) -> None:
        self._decide = decide
        self._name_caller = name_caller

    def receive(self, environ: WSGIEnvironment) -> None:
        """Nothing is ours in it."""

    def caller_of(self, environ: WSGIEnvironment) -> str | None:
        """Who the host says that it is."""
        return None if self._name_caller is None else self._name_caller(environ)

    def is_personal(self, environ: WSGIEnvironment) -> bool:
        """Whatever the host says, it may say something else to others."""
        return True

    def refusal(self, environ: WSGIEnvironment) -> Refusal | None:
        """Why a request to the path in ``environ`` is not let in; None where it is."""
        if environ.pop(ADMITTED, False) or environ[PATH] in PROBES:
            return None
        try:
            answer = self._decide(environ)
        except (Exception, SystemExit):
            with suppress(Exception):  # somebody's handler
                logger.exception("the function that decides who is let in failed")
            return Refusal(500, "it could not be decided whether this is let in", "host")
        if answer is True:
            return None
        if answer is not False:  # a coroutine, a response: true to Python, and no decision
            what = type(answer).__name__
            text = f"the function that decides who is let in returned a {what}, and no bool"
            log_safely(logger, logging.ERROR, text)
        return Refusal(403, "the application around this service does not let this in", "host")

    def fault(self) -> None:
        """Only the host knows."""

    def open_paths(self) -> frozenset[str]:
        """Only the host knows."""
        return frozenset()
