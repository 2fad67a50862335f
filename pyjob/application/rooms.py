"""The rooms of one application: those that answer in every state, and those of the job's own code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyjob.access.access import Access
from pyjob.application.numbers import Numbers
from pyjob.apps.call import CallRoom
from pyjob.apps.probes import ProbesRoom
from pyjob.apps.sign_in import SignInRoom
from pyjob.apps.status import StatusRoom
from pyjob.apps.webview import WebviewRoom
from pyjob.context import JobContext
from pyjob.environment.mask import Mask
from pyjob.gate.admission import Admission, Uncounted
from pyjob.gate.row import Row
from pyjob.job.endpoints import Endpoint
from pyjob.job.event_loop import EventLoop
from pyjob.logs.access import AccessLog
from pyjob.manifest import Manifest
from pyjob.method.returns import declared_type
from pyjob.routes import service_routes
from pyjob.routing.table import Routes
from pyjob.settings import Deployment, Settings
from pyjob.state import State
from pyjob.wire.asgi import AsgiApplication, is_asgi
from pyjob.wire.results.encoder import encoder
from pyjob.wire.results.result import Results

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@dataclass(frozen=True)
class Rooms:
    """What the rooms of one application share.

    ``threads``: how many its server has, where somebody knows (SPEC 10.4). ``meet`` is called where a room
    may meet a new server. ``access`` is None where everybody is let in, ``sign_in`` where nobody can sign in.
    ``since``: when the application was made, by `time.monotonic`.
    """

    manifest: Manifest
    gates: Row
    numbers: Numbers
    context: JobContext
    event_loop: EventLoop
    settings: Settings
    access_log: AccessLog
    mask: Mask
    threads: int | None
    meet: Callable[[WSGIEnvironment], None]
    access: Access | None
    sign_in: SignInRoom | None
    since: float = field(default_factory=time.monotonic)
    encode: Callable[[object], bytes] = field(default_factory=encoder)

    @property
    def open_paths(self) -> Callable[[], frozenset[str]] | None:
        """What needs no token now; None where nothing needs one."""
        return None if self.access is None or self.sign_in is None else self.access.open_paths

    def service(self, state: State, deployment: Deployment) -> Routes:
        """What answers in every ``state`` of the job."""
        name, version = self.manifest.name, self.manifest.version
        fault = None if self.access is None else self.access.fault
        probes = ProbesRoom(state, deployment, name=name, version=version, stuck=self._stuck, closed=fault)
        status = None
        if self.settings.status:
            status = StatusRoom(
                state,
                name=name,
                version=version,
                gate=self.gates.calls,
                metrics=self.numbers.calls,
                job_metrics=self.numbers.job,
                stuck=self._stuck,
                since=self.since,
                mask=self.mask,
                has_sign_in=self.sign_in is not None,
            )
        doors = {} if self.sign_in is None else self.sign_in.routes()
        return {**service_routes(probes, self.numbers.registry, status), **doors}

    def call(self, endpoint: Endpoint) -> CallRoom:
        """The room of one endpoint."""
        metrics = self.numbers.calls.endpoint(self.mask(endpoint.path))
        return CallRoom(
            endpoint,
            results=Results(self.encode, self.manifest.folder, declared_type(endpoint.signature.returns)),
            admission=Admission(self.gates.calls, metrics, most=self._most),
            context=self.context,
            event_loop=self.event_loop,
            cancels=self.manifest.jobtype_extra.cancel_on_disconnect,
            max_body_size=self.manifest.jobtype_extra.max_body_size,
            access_log=self.access_log,
            mask=self.mask,
            meet=self.meet,
        )

    def webview(self, application: Callable[..., Any], *, base_url: str, prefix: str) -> WebviewRoom:
        """The room of a web application that was made for ``base_url``."""
        most = self._most
        return WebviewRoom(
            application,
            base_url=base_url,
            prefix=prefix,
            is_relative=isinstance(application, AsgiApplication),
            admission=Admission(
                self.gates.pages,
                Uncounted(),
                most=most,
                # Hanging pages leave threads for calls.
                share=None if most is None else max(1, most // 2),
                uses_reserve=True,
            ),
            knows_threads=self.threads is not None,
            context=self.context,
            max_body_size=self.manifest.jobtype_extra.max_body_size,
            access_log=self.access_log,
            mask=self.mask,
            meet=self.meet,
        )

    def _stuck(self) -> str | None:
        patience = self.manifest.jobtype_extra.stuck_after
        silence = self.gates.calls.silence() if patience is not None else 0.0
        if patience is None or silence <= patience:
            return None
        return f"a call has run for {silence:.0f} s, longer than stuck_after ({patience:g} s)"

    @property
    def _most(self) -> int | None:
        """How many may run and wait where each holds a thread of the server: one is left for probes."""
        return None if self.threads is None or self.threads < 2 else self.threads - 1


def as_wsgi(application: Callable[..., Any], mask: Mask) -> Callable[..., Any]:
    """``application`` as the server can call it.

    An ASGI one runs on a loop of its own: a page that blocks its loop holds up no call.
    """
    return AsgiApplication(application, EventLoop(), mask) if is_asgi(application) else application
