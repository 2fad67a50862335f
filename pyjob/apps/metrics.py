"""The room of `/metrics`: Prometheus text, or OpenMetrics where `Accept` asks for it (SPEC 6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from pyjob.wire.response import bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class MetricsRoom:
    """Encodes what ``registry`` collects at the time of the request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        body = encode(self._registry)
        return bytes_response(200, content_type, body, [("Vary", "Accept")])(environ, start_response)
