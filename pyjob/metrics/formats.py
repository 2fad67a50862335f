"""The two formats of a page of metrics: Prometheus text and OpenMetrics (SPEC 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import exposition, parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Format:
    """Its ``content_type``, what writes a page of it, and what reads one."""

    content_type: str
    write: Callable[[Collector], bytes]
    read: Callable[[str], Iterable[Metric]]


TEXT = Format(
    "text/plain; version=0.0.4; charset=utf-8",
    exposition.generate_latest,
    parser.text_string_to_metric_families,
)
OPENMETRICS = Format(
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    openmetrics.generate_latest,
    openmetrics_parser.text_string_to_metric_families,
)
