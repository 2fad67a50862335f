"""The room of `/live`, `/ready` and `/health` (SPEC 4.1), answered whatever the job does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from pyjob.settings import Deployment
from pyjob.state import State
from pyjob.wire.response import json_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class ProbesRoom:
    """Tells the ``state`` of the job ``name`` at ``version``.

    ``stuck`` says what a running call is stuck at, if one is: then an orchestrator had better restart
    the process. ``closed`` says why nobody can be let in, if so: that makes it unready, and a restart would
    not help.
    """

    def __init__(
        self,
        state: State,
        deployment: Deployment,
        *,
        name: str,
        version: str,
        stuck: Callable[[], str | None] = lambda: None,
        closed: Callable[[], str | None] | None = None,
    ) -> None:
        self._state = state
        self._stuck = stuck
        self._closed = closed
        self._deployment = deployment
        self._name = name
        self._version = version

    def routes(self) -> Mapping[str, Mapping[str, WSGIApplication]]:
        """The paths that this room answers."""
        return {"/live": {"GET": self.live}, "/ready": {"GET": self.ready}, "/health": {"GET": self.health}}

    def live(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """200 unless the job failed to start, or a call is stuck."""
        error = self._error()
        live = error is None
        body: dict[str, object] = {
            "live": live,
            "deployment_timestamp": self._deployment.deployment_timestamp,
        }
        if not live:
            body["error"] = error
        return json_response(200 if live else 500, body)(environ, start_response)

    def ready(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """200 once the job can be called."""
        ready = self._state.status == "ready" and self._closing() is None
        return json_response(200 if ready else 500, {"ready": ready})(environ, start_response)

    def health(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """All of it, with what is known of the deployment."""
        deployment, error, closed = self._deployment, self._error(), self._closing()
        ready = self._state.status == "ready" and closed is None
        passes = ready and error is None
        body = {
            "service": "job",
            "job_name": self._name,
            "job_version": self._version,
            "live": error is None,
            "ready": ready,
            "status": "pass" if passes else "fail",
            "error": error or closed,
            "git_version": deployment.git_version,
            "deployed_by_racetrack_version": deployment.deployed_by_racetrack_version,
            "deployment_timestamp": deployment.deployment_timestamp,
            "job_type_version": deployment.job_type_version,
        }
        return json_response(200 if passes else 500, body)(environ, start_response)

    def _closing(self) -> str | None:
        return None if self._closed is None else self._closed()

    def _error(self) -> str | None:
        return self._state.error if self._state.status == "failed" else self._stuck()
