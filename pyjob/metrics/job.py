"""What the job itself reports, asked at scrape time (SPEC 6)."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from pyjob.environment.mask import Mask
from pyjob.errors import kind_of, message_of, one_line
from pyjob.metrics.report.report import Report

logger = logging.getLogger(__name__)

ERRORS = "pyjob_job_metrics_errors"
# How long a scrape waits for the job, in seconds.
PATIENCE = 2.0
NUMBER = re.compile(r"[0-9.]+")


class JobMetrics(Collector):
    """The metrics that the job itself reports; asked at scrape time, and never able to break the page.

    The job is asked in a thread of its own, begun for each question, and by one at a time: however long it
    takes, it holds this thread alone. A scrape that got no answer shows the last one. What others ask
    meanwhile waits no longer; when the answer comes after all, it counts.
    """

    def __init__(self, report: Callable[[], Any], taken: frozenset[str], mask: Mask) -> None:
        self._report = report
        self._mask = mask
        self._taken = taken
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # When the job was asked, and when somebody wanted to know: by the monotonic clock.
        self._asked = self._looked = float("-inf")
        # The process in which the thread is being started; 0 once it has been.
        self._starting = 0
        self._latest: list[Metric] = []
        self._errors = 0
        # What was told last, without its numbers; empty once it was right.
        self._told = ""

    def collect(self) -> Iterator[Metric]:
        """What the job reports now, as far as it is right, and the count of faults."""
        self._ask()
        with self._lock:
            families, errors = self._latest, self._errors
        yield from families
        yield CounterMetricFamily(ERRORS, "Faults found in what the job's metrics() gave", errors)

    def samples(self, max_age: float) -> list[Sample]:
        """The job's own samples, but for when each was created, which serves Prometheus alone.

        The job is asked anew only if it was ``max_age`` seconds ago or longer.
        """
        with self._lock:
            is_old = time.monotonic() - self._looked >= max_age
        if is_old:
            self._ask()
        with self._lock:
            families = self._latest
        return [
            sample
            for family in families
            for sample in family.samples
            if sample.name != f"{family.name}_created"
        ]

    @property
    def faults(self) -> int:
        """How many faults were found so far in what the job reported."""
        with self._lock:
            return self._errors

    def _ask(self) -> None:
        try:
            if self._is_answered():
                return
            problem = f"no answer within {PATIENCE:g} s; what it gave before is shown until it comes"
        except Exception as error:  # noqa: BLE001  there is no thread to be had
            problem = f"it cannot be asked: {message_of(error)}"
        self._tell(1, [problem])

    def _is_answered(self) -> bool:
        """Ask the job and wait for its answer, at most `PATIENCE`; not while it owes an earlier one.

        False where it owes one for longer. Raises RuntimeError where no thread can be begun.
        """
        with self._lock:
            now = self._looked = time.monotonic()
            if self._is_asked():
                return now - self._asked < PATIENCE
            # In the scrape's context, so that what the job logs belongs to the scrape.
            run = copy_context().run
            thread = threading.Thread(target=run, args=(self._answer,), name="pyjob-metrics", daemon=True)
            self._thread, self._asked, self._starting = thread, now, os.getpid()
        try:
            thread.start()  # without the lock: where the job has patched it, anything may happen here
        finally:
            self._starting = 0
        if thread.is_alive():
            thread.join(PATIENCE)
        return not thread.is_alive()

    def _is_asked(self) -> bool:
        """Whether the job owes an answer: not in a child, which has no thread that will give it."""
        is_alive = self._thread is not None and self._thread.is_alive()
        return is_alive or self._starting == os.getpid()

    def _answer(self) -> None:
        try:
            report = Report(self._report, self._taken, self._mask)
            families, faults, told = report.families, report.faults, report.told
        except BaseException as error:  # noqa: BLE001  old values must not look like an answer
            families, faults, told = [], 1, [f"its answer cannot be read: {kind_of(error)}"]
        with self._lock:
            self._latest = families
        self._tell(faults, told)

    def _tell(self, faults: int, told: list[str]) -> None:
        with self._lock:
            self._errors += faults
            text = one_line("; ".join(told))
            kind = NUMBER.sub("", text)
            is_news = kind not in ("", self._told)  # the same fault is not told again at every scrape
            self._told = kind
        if is_news:
            with suppress(BaseException):  # a filter of the job's may raise, and this may be a scrape
                logger.warning("metrics() of the job: %s", text)
