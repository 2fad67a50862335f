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
from pyjob.wire.response import Response
from pyjob.wire.result import PLAIN_TYPES, own_response, result_response
from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("pyjob.access")


class Call:
    """One valid call, from its arrival to the last byte of its answer."""

    __slots__ = ("_arrived", "_metrics", "arguments", "environ")

    def __init__(self, arguments: dict[str, Any], environ: WSGIEnvironment, metrics: EndpointMetrics) -> None:
        self.arguments = arguments
        self.environ = environ
        self._metrics = metrics
        metrics.start()
        self._arrived = time.perf_counter()

    def end(self, *, failed: bool) -> None:
        """The last byte has been sent, or will not be."""
        self._metrics.finish(time.perf_counter() - self._arrived, failed=failed)


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
        answer = self._answer(environ)
        if self._access_log:
            milliseconds = (time.perf_counter() - began) * 1000
            method, status = environ["REQUEST_METHOD"], answer.status[:3]
            access_logger.info("%s %s %s %.1f ms", method, self._path, status, milliseconds)
        return answer(environ, start_response)

    def call(self, arguments: dict[str, Any], environ: WSGIEnvironment) -> Any:
        """Run the endpoint in process: the same checks, context and metrics, its result as it is.

        Raises `PayloadError` for wrong arguments, and whatever the job raises.
        """
        self._check(arguments)
        call = Call(arguments, environ, self._metrics)
        failed = True
        try:
            result = self._run(call, _unencoded)
            failed = False
        finally:
            call.end(failed=failed)
        return result

    def _answer(self, environ: WSGIEnvironment) -> Response | StreamedResponse:
        """The whole road; never raises."""
        try:
            arguments = read_payload(environ, self._max_body_size)
            self._check(arguments)
        except Exception as error:  # noqa: BLE001  a fault of ours must be told and answered like any other
            return self._answer_to(error, environ, is_jobs=not isinstance(error, JobError))
        call = Call(arguments, environ, self._metrics)
        try:
            answer = self._run(call, result_response)
        except BaseException as error:  # noqa: BLE001  sys.exit() in a job must not end the server
            call.end(failed=True)
            return self._answer_to(error, environ, is_jobs=True)
        if isinstance(answer, StreamedResponse):
            answer.ended = lambda error: self._stream_ended(call, error)
        else:
            call.end(failed=False)
        return answer

    def _run(self, call: Call, finish: Callable[[object, WSGIEnvironment], Answer]) -> Answer:
        """Call the job's method, and ``finish`` its result, in the context of the request."""
        context = self._context
        request = context.request.set(RequestContext(call.environ))
        extra = context.extra.set({})
        try:
            result = self._handler(**call.arguments)
            if type(result) not in PLAIN_TYPES and inspect.isawaitable(result):
                result = self._wait_for(result)
            return finish(result, call.environ)
        finally:
            # Threads of a pool keep their context, so it is put back, not left.
            context.extra.reset(extra)
            context.request.reset(request)

    def _stream_ended(self, call: Call, error: BaseException | None) -> None:
        call.end(failed=error is not None)
        if error is not None:
            self._log(failure_of(error), error)

    def _answer_to(
        self, error: BaseException, environ: WSGIEnvironment, *, is_jobs: bool
    ) -> Response | StreamedResponse:
        failure = failure_of(error)
        if is_jobs:
            self._log(failure, error)
        if failure.response is None:
            return failure.answer()
        try:
            return own_response(failure.response, environ)
        except BaseException as second:  # noqa: BLE001  the author's response may fail too
            return failure_of(second).answer()

    def _log(self, failure: Failure, error: BaseException) -> None:
        message = one_line(failure.message)
        if failure.status < 500 and not isinstance(error, ValueError):
            # The job answered on purpose: one line, no traceback.
            logger.warning("%s answered %d: %s", self._path, failure.status, message)
        else:
            logger.error("%s failed: %s", self._path, message, exc_info=error)


def _unencoded(result: object, _environ: WSGIEnvironment) -> object:
    return result
