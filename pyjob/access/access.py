"""What an application asks of who decides who is let in: tokens in a store, or its host (SPEC 8, 10.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# In the environ: that the request is let in already. A server cannot set it by any header; who looks for it
# takes it out, since a job may pass its environ on to an application that has to decide for itself.
ADMITTED = "pyjob.admitted"
# What a 401 has to say (RFC 9110, 11.6.1).
CHALLENGE = (("WWW-Authenticate", "Bearer"),)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in: the ``status``, a ``message`` for its caller, a ``reason`` for metrics."""

    status: int
    message: str
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


class Access(Protocol):
    """Decides of each request whether it is let in."""

    def receive(self, environ: WSGIEnvironment) -> None:
        """A request has come: take out of ``environ`` what its job shall not see."""

    def caller_of(self, environ: WSGIEnvironment) -> str | None:
        """Whose a received request is; None where nobody knows."""

    def is_personal(self, environ: WSGIEnvironment) -> bool:
        """Whether the answer to a received request is not for others: no cache may keep it for them."""

    def refusal(self, environ: WSGIEnvironment) -> Refusal | None:
        """Why a request to the path in ``environ`` is not let in; None where it is."""

    def fault(self) -> str | None:
        """Why nobody can be let in at all, if that is so: for `/health`, which everybody may read."""

    def open_paths(self) -> frozenset[str]:
        """The canonical paths that need no token now, probes and the like aside."""


def admitted(application: WSGIApplication) -> WSGIApplication:
    """``application`` as it answers requests that are let in: those that its own process makes of it."""

    def within(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[ADMITTED] = True
        return application(environ, start_response)

    return within
