"""The rooms of a job's own code, made once it has loaded: a call room each method, and its web view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyjob.apps.call import CallRoom
from pyjob.apps.webview import WebviewRoom
from pyjob.context import JobContext
from pyjob.environment.mask import Mask
from pyjob.gate.admission import Admission, Uncounted
from pyjob.gate.row import Row
from pyjob.job.endpoints import Endpoint
from pyjob.job.event_loop import EventLoop
from pyjob.manifest import Manifest
from pyjob.metrics.calls import CallMetrics
from pyjob.settings import Settings
from pyjob.wire.asgi import AsgiApplication, is_asgi

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@dataclass(frozen=True)
class Rooms:
    """What the rooms of one application share.

    ``threads``: how many its server has, where somebody knows (SPEC 10.4). ``meet`` is called where a room
    may meet a new server.
    """

    manifest: Manifest
    gates: Row
    metrics: CallMetrics
    context: JobContext
    event_loop: EventLoop
    settings: Settings
    mask: Mask
    threads: int | None
    meet: Callable[[WSGIEnvironment], None]

    def call(self, endpoint: Endpoint) -> CallRoom:
        """The room of one endpoint."""
        metrics = self.metrics.endpoint(self.mask(endpoint.path))
        return CallRoom(
            endpoint,
            admission=Admission(self.gates.calls, metrics, most=self._most),
            context=self.context,
            wait_for=self.event_loop.wait_for,
            max_body_size=self.manifest.jobtype_extra.max_body_size,
            access_log=self.settings.access_log,
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
            mask=self.mask,
            meet=self.meet,
        )

    @property
    def _most(self) -> int | None:
        """How many may run and wait where each holds a thread of the server: one is left for probes."""
        return None if self.threads is None or self.threads < 2 else self.threads - 1


def as_wsgi(application: Callable[..., Any], mask: Mask) -> Callable[..., Any]:
    """``application`` as the server can call it.

    An ASGI one runs on a loop of its own: a page that blocks its loop holds up no call.
    """
    return AsgiApplication(application, EventLoop(), mask) if is_asgi(application) else application
