"""Lets requests in by their tokens and by what is approved as public (SPEC 8)."""

from __future__ import annotations

import logging
import shlex
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyjob.access.access import ADMITTED, CHALLENGE, Refusal
from pyjob.access.credential import TOKEN_HEADER, Given, is_own_page, taken
from pyjob.access.decision import PROBES, Credential, Verdict, canonical, is_covered, is_meant, judge
from pyjob.logs.failure import log_safely
from pyjob.routing.links import PATH, STRANGER

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# In the environ: whose token came with the request (None where none is valid), and whether there was one.
CREDENTIAL = "pyjob.credential"
HAD_TOKEN = "pyjob.had_token"  # nosec B105 # a name, no token
HOW = f"send it in the header {TOKEN_HEADER}, or as Authorization: Bearer"
FOREIGN = f"the cookie counts for pages of this service only: send the token in the header {TOKEN_HEADER}"
CLOSED = "access control: the store of tokens cannot be used, and nobody is let in; the log says why"
NOTHING: frozenset[str] = frozenset()

logger = logging.getLogger(__name__)


class Holder(Protocol):
    """Whose a token is."""

    @property
    def name(self) -> str: ...


class Store(Protocol):
    """What an administrator has decided; see `pyjob.access.store.store`."""

    @property
    def path(self) -> Path: ...
    @property
    def fault(self) -> str | None: ...
    @property
    def warning(self) -> str | None: ...
    def token(self, text: str) -> Holder | None: ...
    def approved(self, name: str, version: str) -> frozenset[str]: ...


class Guard:
    """Judges the requests to one job by what stands in ``store``; see `pyjob.access.access.Access`.

    ``listed`` are the `public_endpoints` of its manifest.
    """

    def __init__(self, store: Store, *, name: str, version: str, listed: Iterable[str]) -> None:
        self._store = store
        self._name, self._version = name, version
        self._listed = frozenset(map(canonical, listed))
        self._lock = threading.Lock()
        self._waiting_told: set[str] = set()
        self._fault_told: str | None = None
        if store.warning is not None:
            log_safely(logger, logging.WARNING, store.warning)
        if self.fault() is None:
            self._tell_waiting(self._listed - self.open_paths())

    def receive(self, environ: WSGIEnvironment) -> None:
        """Take the token out of ``environ``, and note there whose it is."""
        given = taken(environ)
        environ[CREDENTIAL] = None if given is None else self._credential(given, environ)
        environ[HAD_TOKEN] = given is not None

    def caller_of(self, environ: WSGIEnvironment) -> str | None:
        """Whose token a received request has, unless the page of another site has made a browser send it."""
        credential: Credential | None = environ[CREDENTIAL]
        if credential is None or not is_meant(credential, environ["REQUEST_METHOD"]):
            return None
        return credential.name

    def is_personal(self, environ: WSGIEnvironment) -> bool:
        """Whether it has a token that let it in."""
        return environ[CREDENTIAL] is not None

    def refusal(self, environ: WSGIEnvironment) -> Refusal | None:
        """Why a request to the path in ``environ`` is not let in; None where it is."""
        path: str = environ[PATH]
        # A probe is answered also where the disk of the store is not.
        if environ.pop(ADMITTED, False) or path in PROBES:
            return None
        credential: Credential | None = environ.get(CREDENTIAL)
        # Who has sent a token as a header is let in whatever is public.
        public = NOTHING if credential is not None and not credential.is_cookie else self.open_paths()
        verdict = judge(path, environ["REQUEST_METHOD"], credential, public)
        if verdict is Verdict.LET_IN:
            return None
        if verdict is Verdict.OPEN:
            environ[STRANGER] = True
            return None
        if verdict is Verdict.FOREIGN:
            return Refusal(403, FOREIGN, "foreign_page")
        if self.fault() is not None:
            return Refusal(401, "nobody can be let in now: see /health", "no_store", CHALLENGE)
        at = canonical(path)
        self._tell_waiting(one for one in self._listed - public if is_covered(at, (one,)))
        if environ.get(HAD_TOKEN):
            return Refusal(401, f"the token is not valid: {HOW}", "invalid_token", CHALLENGE)
        return Refusal(401, f"a token is needed: {HOW}", "no_token", CHALLENGE)

    def is_valid(self, text: str) -> bool:
        """Whether ``text`` is a token."""
        return self._store.token(text) is not None

    def fault(self) -> str | None:
        """That the store cannot be used, if so; the log says why, once for each reason."""
        fault = self._store.fault
        if fault != self._fault_told:
            with self._lock:
                is_news, self._fault_told = fault != self._fault_told, fault
            if is_news and fault is not None:
                log_safely(logger, logging.ERROR, f"nobody is let in: {fault}")
            elif is_news:
                log_safely(logger, logging.INFO, "the store of tokens can be used again")
        return None if fault is None else CLOSED

    def open_paths(self) -> frozenset[str]:
        """The canonical paths that are listed and approved."""
        return self._listed & self._store.approved(self._name, self._version) if self._listed else NOTHING

    def _credential(self, given: Given, environ: WSGIEnvironment) -> Credential | None:
        token, is_cookie = given
        holder = self._store.token(token)
        if holder is None:
            return None
        return Credential(holder.name, is_cookie, is_own_page(environ) if is_cookie else None)

    def _tell_waiting(self, endpoints: Iterable[str]) -> None:
        """Say once of each listed endpoint that waits for approval how that is given."""
        for endpoint in sorted(endpoints):
            with self._lock:
                is_news = endpoint not in self._waiting_told
                self._waiting_told.add(endpoint)
            if is_news:
                words = ("pyjob", "access", "approve", self._name, self._version, endpoint)
                line = shlex.join((*words, "--file", str(self._store.path)))
                text = f"{endpoint} is listed as public, and waits for approval: {line}"
                log_safely(logger, logging.WARNING, text)
