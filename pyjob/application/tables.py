"""The tables of one application: which room answers which path, before, while and after its job loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyjob.application.entrance import Entrance
from pyjob.application.rooms import Rooms, as_wsgi
from pyjob.apps.call import CallRoom
from pyjob.job.job import Job
from pyjob.openapi.document import CALLS
from pyjob.routes import job_routes, waiting_routes
from pyjob.routing.dispatcher import Dispatcher
from pyjob.routing.table import RouteTable
from pyjob.settings import Deployment
from pyjob.state import State
from pyjob.wire.asgi import AsgiApplication

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True)
class JobTable:
    """What answers for a job that is there: ``calls`` by their paths, ``asgi`` as its web view, if any."""

    dispatcher: Dispatcher
    calls: Mapping[str, CallRoom]
    asgi: AsgiApplication | None


class Tables:
    """Makes them; ``entrance`` is None where everybody is let in."""

    def __init__(
        self, rooms: Rooms, state: State, deployment: Deployment, *, prefix: str, entrance: Entrance | None
    ) -> None:
        self._rooms = rooms
        self._state = state
        self._deployment = deployment
        self._prefix = prefix
        self._entrance = entrance
        manifest = rooms.manifest
        self.base_url = f"{prefix}/pub/job/{manifest.name}/{manifest.version}{CALLS}/webview"

    def without_job(self, answer: WSGIApplication, headers: Iterable[tuple[str, str]] = ()) -> Dispatcher:
        """``answer`` to all that would need the job; pages for people are there, as 503 with ``headers``."""
        has_sign_in, has_status = self._rooms.sign_in is not None, self._rooms.settings.status
        return self._dispatcher(
            waiting_routes(headers, has_status=has_status, has_sign_in=has_sign_in), answer
        )

    def of(self, job: Job) -> JobTable:
        """Everything that waits for the job."""
        calls = [(endpoint, self._rooms.call(endpoint)) for endpoint in job.endpoints]
        asgi = webview = None
        if job.webview is not None:
            application = as_wsgi(job.webview, self._rooms.mask)
            asgi = application if isinstance(application, AsgiApplication) else None
            webview = self._rooms.webview(application, base_url=self.base_url, prefix=self._prefix)
        routes = job_routes(
            job,
            calls,
            webview,
            self._rooms.manifest,
            self._rooms.mask,
            has_status=self._rooms.settings.status,
            open_paths=self._rooms.open_paths,
        )
        # In process there are no methods: where a path has two, POST is the call.
        by_path = {endpoint.path: room for endpoint, room in sorted(calls, key=lambda call: call[0].method)}
        return JobTable(self._dispatcher(routes), by_path, asgi)

    def _dispatcher(self, routes: RouteTable, otherwise: WSGIApplication | None = None) -> Dispatcher:
        routes.at_all(self._rooms.service(self._state, self._deployment))
        return Dispatcher(
            routes,
            prefix=self._prefix,
            otherwise=otherwise,
            mask=self._rooms.mask,
            refuse=None if self._entrance is None else self._entrance.refuse,
        )
