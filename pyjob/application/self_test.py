"""Sending a job its own samples before it is called ready: what answers an error is not ready."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from werkzeug.test import Client

from pyjob.access.access import admitted
from pyjob.application.samples import SampleRequest, attempt, sample_requests
from pyjob.environment.mask import Mask
from pyjob.errors import SampleError
from pyjob.job.job import Job
from pyjob.trace import Trace, Tracer, traced

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)


def try_samples(table: WSGIApplication, job: Job, seconds: float, tracer: Tracer, mask: Mask) -> None:
    """Send ``table`` every sample of ``job``, each to be answered within ``seconds``, and by its own id.

    Raises `SampleError` that names all which are not answered as they should be.
    """
    failed, requests = list(job.sample_faults), list(sample_requests(job.endpoints))
    if not requests and not failed:
        logger.warning("the self-test had nothing to send: the job has no sample payload")
    client = Client(admitted(table))
    for request in requests:
        failure = _Attempt(client, request, tracer.trace_within()).failure(seconds)
        if failure is not None:
            failed.append(f"{request}: {failure}")
    if failed:
        raise SampleError(mask(f"the self-test failed: {'; '.join(failed)}"))


class _Attempt(threading.Thread):
    """One request in a thread of its own: what does not end in time is left to itself."""

    def __init__(self, client: Client, request: SampleRequest, trace: Trace) -> None:
        super().__init__(name="pyjob-self-test", daemon=True)
        self._client = client
        self._request = request
        self._trace = trace
        self._failure: str | None = None
        self._is_late = False
        self._over = threading.Event()

    def run(self) -> None:
        with traced(self._trace):
            self._failure = attempt(self._client, self._request, lambda: self._is_late)
        self._over.set()

    def failure(self, seconds: float) -> str | None:
        """What is wrong with the answer, if anything."""
        self.start()
        if self._over.wait(seconds):
            return self._failure
        self._is_late = True
        return f"no answer within {seconds:g} s"
