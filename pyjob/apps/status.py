"""The room of `/status`: a page to look at, and the numbers that it asks for every two seconds.

It answers in every state of the job. What it holds does not grow: the history, the latest errors and the
job's own metrics are bounded where they are kept.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prometheus_client.samples import Sample

from pyjob.apps.pages.assets import (
    HTML,
    ICON,
    NO_SNIFFING,
    PAGE_HEADERS,
    POLICY,
    links_from,
    own_assets,
    page_of,
)
from pyjob.environment.mask import Mask
from pyjob.gate.gate import Gate
from pyjob.metrics.calls import CallMetrics
from pyjob.metrics.history import WIDTH, Bin
from pyjob.metrics.job import JobMetrics
from pyjob.metrics.report.plain import cut
from pyjob.routing.table import Routes
from pyjob.state import State
from pyjob.wire.response import bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ASSETS = ("page.css", "status.css", "elements.js", "chart.js", "status.js")
DATA_HEADERS = (POLICY, NO_SNIFFING, ("Cache-Control", "no-store"))
# Many may look at the page of a job whose metrics() is slow.
METRICS_AGE = 2.0
# A page with more rows serves nobody; /metrics has them all.
MOST_METRICS = 200
# Of a label's value, in characters.
LONGEST_VALUE = 200
NOTED = ("time", "endpoint", "status", "kind", "tracing_id")
COLUMNS = ("calls", "errors", "refused", "p50", "p90", "p99")


class StatusRoom:
    """Tells how the job ``name`` at ``version`` does: its ``state``, and calls by ``gate`` and ``metrics``.

    ``stuck`` says what a running call is stuck at, if one is. ``job_metrics`` are the job's own, None where
    it has none or is not there yet. ``since`` is when the application was made, by `time.monotonic`.
    ``mask`` hides secrets in what is told of errors. ``has_sign_in``: whether people sign in, and out again.
    """

    def __init__(
        self,
        state: State,
        *,
        name: str,
        version: str,
        gate: Gate,
        metrics: CallMetrics,
        job_metrics: JobMetrics | None,
        stuck: Callable[[], str | None],
        since: float,
        mask: Mask,
        has_sign_in: bool,
    ) -> None:
        self._state = state
        self._job = {"name": name, "version": version}
        self._gate = gate
        self._metrics = metrics
        self._job_metrics = job_metrics
        self._stuck = stuck
        self._since = since
        self._mask = mask
        self._has_sign_in = has_sign_in

    def routes(self) -> Routes:
        """The page, what it loads, and `/status/data`."""
        addresses, routes = own_assets("status", ASSETS)
        page = page_of(
            "status.html",
            icon=addresses[ICON],
            assets=[addresses[name] for name in ASSETS],
            links=links_from("status", has_sign_in=self._has_sign_in),
        )
        answer = bytes_response(200, HTML, page, PAGE_HEADERS)
        return {**routes, "/status": {"GET": answer}, "/status/data": {"GET": self.data}}

    def data(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """All that the page shows, as it stands now."""
        body = json.dumps(self._read(), allow_nan=False, separators=(",", ":")).encode()
        return bytes_response(200, "application/json", body, DATA_HEADERS)(environ, start_response)

    def _read(self) -> dict[str, Any]:
        gate = self._gate
        gate.sweep()
        return {
            "job": self._job,
            "state": self._state.status,
            "error": self._state.error or self._stuck(),
            "now": time.time(),
            "uptime": time.monotonic() - self._since,
            "running": gate.running,
            "waiting": gate.waiting,
            "slots": gate.slots,
            "queue": gate.queue,
            "longest": gate.longest(),
            "totals": asdict(self._metrics.totals()),
            "history": _columns(self._metrics.bins()),
            # A caller chooses the tracing id, and a job the name of its exception.
            "errors": self._mask.inside(
                [{name: getattr(note, name) for name in NOTED} for note in self._metrics.latest_errors()]
            ),
            **_own_metrics(self._job_metrics),
        }


def _columns(bins: Sequence[Bin]) -> dict[str, Any]:
    """The bins as a list for each of their numbers: a quarter of what objects would take on the wire."""
    columns = {name: [getattr(one, name) for one in bins] for name in COLUMNS}
    return {"width": WIDTH, "end": [round(one.end, 3) for one in bins], **columns}


def _own_metrics(job_metrics: JobMetrics | None) -> dict[str, Any]:
    """The job's own metrics, None where it has none; how many there are beyond those; and faults in them."""
    if job_metrics is None:
        return {"metrics": None, "more_metrics": 0, "metrics_faults": 0}
    # Of a histogram, its sum and count say something in a table.
    samples = [one for one in job_metrics.samples(METRICS_AGE) if "le" not in one.labels]
    shown = [_row(one) for one in samples[:MOST_METRICS]]
    return {
        "metrics": shown,
        "more_metrics": len(samples) - len(shown),
        "metrics_faults": job_metrics.faults,
    }


def _row(sample: Sample) -> dict[str, Any]:
    labels = {name: cut(value, LONGEST_VALUE) for name, value in sample.labels.items()}
    return {"name": sample.name, "labels": labels, "value": _plain(sample.value)}


def _plain(value: float) -> float | str:
    """``value`` as JSON can say it; what it cannot as Prometheus writes it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
