"""What is counted of requests that are not let in (SPEC 8)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

# There is no token, or one that is not valid, or a cookie that the page of another site had sent; the store
# cannot be used; or the application around this one says no.
REASONS = ("no_token", "invalid_token", "foreign_page", "no_store", "host")


class AccessMetrics(Collector):
    """Requests that were not let in, by reason; for an application that has access control."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused = dict.fromkeys(REASONS, 0)

    def refuse(self, reason: str) -> None:
        """A request is not let in for ``reason``, one of `REASONS`."""
        with self._lock:
            self._refused[reason] += 1

    def collect(self) -> Iterator[Metric]:
        """The numbers as they stand now."""
        refused = CounterMetricFamily(
            "pyjob_access_refused", "Requests that were not let in, by reason", labels=["reason"]
        )
        with self._lock:
            counts = dict(self._refused)
        for reason, count in counts.items():
            refused.add_metric([reason], count)
        yield refused
