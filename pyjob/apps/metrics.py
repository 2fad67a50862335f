"""The room of `/metrics`: Prometheus text, or OpenMetrics where `Accept` asks for it (SPEC 6)."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.registry import CollectorRegistry

from pyjob.metrics.formats import OPENMETRICS, TEXT
from pyjob.wire.accept import choices, wants_gzip
from pyjob.wire.response import bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Most of what can be won, at a third of the time of the highest level.
COMPRESSION = 6
VERSIONS = ("", "1.0.0")


class MetricsRoom:
    """Writes what ``registry`` collects at the time of the request, packed where the caller asks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        page = OPENMETRICS if _wants_openmetrics(environ.get("HTTP_ACCEPT", "")) else TEXT
        headers = [("Vary", "Accept, Accept-Encoding")]
        body = page.write(self._registry)
        if wants_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = gzip.compress(body, COMPRESSION, mtime=0)
            headers.append(("Content-Encoding", "gzip"))
        return bytes_response(200, page.content_type, body, headers)(environ, start_response)


def _wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics is named, in a version that we write, and text is not liked better."""
    openmetrics = text = 0.0
    for kind, options, quality in choices(accept):
        if kind == "text/plain":
            text = max(text, quality)
        elif kind == "application/openmetrics-text" and options.get("version", "") in VERSIONS:
            openmetrics = max(openmetrics, quality)
    return openmetrics > 0 and openmetrics >= text
