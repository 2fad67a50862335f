"""The room of the job's own methods: every call takes the same road (SPEC 4.3 to 4.5).

Read and parse, bind and check, call, encode. What is refused on the way never reaches the job.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pyjob.context import JobContext, RequestContext
from pyjob.errors import JobError, one_line
from pyjob.job.job import Await, Endpoint
from pyjob.metrics import EndpointMetrics
from pyjob.wire.failure import Failure, failure_of
from pyjob.wire.payload import read_payload
from pyjob.wire.result import PLAIN_TYPES, result_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")
access_logger = logging.getLogger("pyjob.access")


class CallRoom:
    """Serves one ``endpoint`` over HTTP, and in process through `call`."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        metrics: EndpointMetrics,
        context: JobContext,
        wait_for: Await,
        max_body_size: int,
        access_log: bool,
    ) -> None:
        self._path = endpoint.path
        self._handler = endpoint.handler
        self._check = endpoint.signature.check
        self._metrics = metrics
        self._context = context
        self._wait_for = wait_for
        self._max_body_size = max_body_size
        self._access_log = access_log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began = time.perf_counter()
        try:
            arguments = read_payload(environ, self._max_body_size)
            self._check(arguments)
        except Exception as error:  # noqa: BLE001  a fault of ours must be told and answered like any other
            response: WSGIApplication = self._refused(error)
        else:
            response = self._answer(arguments, environ, began)
        if self._access_log:
            return self._logged(response, environ, start_response, began)
        return response(environ, start_response)

    def call(self, arguments: dict[str, Any], environ: WSGIEnvironment) -> Any:
        """Run the endpoint in process: the same checks, context and metrics, its result as it is.

        Raises `PayloadError` for wrong arguments, and whatever the job raises.
        """
        self._check(arguments)
        return self._counted(arguments, environ, time.perf_counter(), _as_it_is)

    def _refused(self, error: Exception) -> WSGIApplication:
        failure = failure_of(error)
        if not isinstance(error, JobError):
            self._tell(failure, error)
        return failure.answer()

    def _answer(self, arguments: dict[str, Any], environ: WSGIEnvironment, began: float) -> WSGIApplication:
        try:
            return self._counted(arguments, environ, began, result_response)
        except BaseException as error:  # noqa: BLE001  sys.exit() in a job must not end the server
            failure = failure_of(error)
            self._tell(failure, error)
            return failure.answer()

    def _counted(
        self,
        arguments: dict[str, Any],
        environ: WSGIEnvironment,
        began: float,
        finish: Callable[[object], Answer],
    ) -> Answer:
        context = self._context
        failed = True
        self._metrics.start()
        request = context.request.set(RequestContext(environ))
        extra = context.extra.set({})
        try:
            result = self._handler(**arguments)
            if type(result) not in PLAIN_TYPES and inspect.isawaitable(result):
                result = self._wait_for(result)
            answer = finish(result)
            failed = False
            return answer
        finally:
            # Threads of a pool keep their context, so it is put back, not left.
            context.extra.reset(extra)
            context.request.reset(request)
            self._metrics.finish(time.perf_counter() - began, failed=failed)

    def _tell(self, failure: Failure, error: BaseException) -> None:
        message = one_line(failure.message)
        if failure.status < 500 and not isinstance(error, ValueError):
            # The job answered on purpose: one line, no traceback.
            logger.warning("%s answered %d: %s", self._path, failure.status, message)
        else:
            logger.error("%s failed: %s", self._path, message, exc_info=error)

    def _logged(
        self,
        response: WSGIApplication,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        began: float,
    ) -> Iterable[bytes]:
        body = response(environ, start_response)
        milliseconds = (time.perf_counter() - began) * 1000
        status = getattr(response, "status", "")[:3]
        access_logger.info("%s %s %s %.1f ms", environ["REQUEST_METHOD"], self._path, status, milliseconds)
        return body


def _as_it_is(result: object) -> object:
    return result
