"""The room of the job's own methods: every call takes the same road (SPEC 4.3 to 4.5, 5).

Read and parse, bind and check, the gate, call, encode. What is refused on the way never reaches the
job, and what is wrong never takes a place in the line.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pyjob.context import JobContext, RequestContext
from pyjob.errors import BusyError, JobError, one_line
from pyjob.gate.door import SEAT, Seat, Turn
from pyjob.gate.gate import ClosedError, CrowdedError, FullError, Gate, Standing, Ticket, stays
from pyjob.job.job import Await, Endpoint
from pyjob.metrics.calls import EndpointMetrics
from pyjob.wire.failure import Failure, failure_of
from pyjob.wire.payload import read_payload
from pyjob.wire.response import Response
from pyjob.wire.result import PLAIN_TYPES, own_response, result_response
from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Answer = TypeVar("Answer")

# Arguments of longer bodies are not kept while a call waits, since they may take twenty times as much
# memory as their text: they are read again from the server's buffer, which is a file by then or soon.
LARGEST_KEPT = 64 * 1024
GOING_DOWN = "the service is going down"
LEFT = "the caller has left"

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("pyjob.access")


class Call:
    """One valid call, from its arrival at the gate to the last byte of its answer.

    ``arguments`` are None while it waits, where they are large: they are read again. Without a ``ticket``
    it runs inside another call, in that one's slot.
    """

    __slots__ = ("_gate", "_metrics", "arguments", "arrived", "ticket")

    def __init__(
        self, arguments: dict[str, Any] | None, ticket: Ticket | None, gate: Gate, metrics: EndpointMetrics
    ) -> None:
        self.arguments = arguments
        self.ticket = ticket
        self._gate = gate
        self._metrics = metrics
        self.arrived = gate.clock() if ticket is None else ticket.arrived
        metrics.start(waits=ticket is not None and ticket.queued)

    def end(self, *, failed: bool) -> None:
        """The last byte has been sent, or will not be."""
        if self.ticket is not None:
            self._gate.leave(self.ticket)
        self._metrics.finish(self._gate.clock() - self.arrived, failed=failed)

    def lost(self) -> None:
        """The caller has left while the call waited: it is not run."""
        if self.ticket is not None and self.ticket.standing is Standing.RUNNING:
            self._gate.leave(self.ticket, ran=False)
        self._metrics.drop(None)


class CallRoom:
    """Serves one ``endpoint`` over HTTP, and in process through `call`.

    ``most``: how many calls may run and wait together where each has a thread of the server (SPEC 10.4).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        gate: Gate,
        most: int | None,
        metrics: EndpointMetrics,
        context: JobContext,
        wait_for: Await,
        max_body_size: int,
        access_log: bool,
    ) -> None:
        self._path = endpoint.path
        self._handler = endpoint.handler
        self._check = endpoint.signature.check
        self._gate = gate
        self._most = most
        self._metrics = metrics
        self._context = context
        self._wait_for = wait_for
        self._max_body_size = max_body_size
        self._access_log = access_log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began = self._gate.clock()
        seat: Seat | None = environ.get(SEAT)
        waited = None if seat is None else seat.take()
        if isinstance(waited, Call):  # the second pass of a request that was parked
            began = waited.arrived
            answer = self._answer(environ, seat, waited)
        else:
            answer = self._answer(environ, seat)
        if self._access_log:
            milliseconds = (self._gate.clock() - began) * 1000
            method, status = environ["REQUEST_METHOD"], answer.status[:3]
            access_logger.info("%s %s %s %.1f ms", method, self._path, status, milliseconds)
        return answer(environ, start_response)

    def call(self, arguments: dict[str, Any], environ: WSGIEnvironment) -> Any:
        """Run the endpoint in process: the same checks, gate, context and metrics, its result as it is.

        Inside a call of the same job it runs in that one's slot: waiting for another would never end.
        Raises `PayloadError` for wrong arguments, `BusyError` for a call that is not run, and whatever the
        job raises.
        """
        self._check(arguments)
        if self._context.is_serving():
            call = Call(arguments, None, self._gate, self._metrics)
        else:
            call = self._through_blocking_door(arguments, stays, most=None)
        failed = True
        try:
            result = self._run(call, environ, _unencoded)
            failed = False
        finally:
            call.end(failed=failed)
        return result

    def _answer(
        self, environ: WSGIEnvironment, seat: Seat | None, call: Call | None = None
    ) -> Response | StreamedResponse:
        """The whole road, or the rest of it for a ``call`` that has waited; raises nothing but `Parked`."""
        try:
            if call is None:
                call = self._let_in(environ, seat)
            else:
                self._resume(call, environ)
        except Exception as error:  # noqa: BLE001  a fault of ours must be told and answered like any other
            return self._answer_to(error, environ, is_jobs=not isinstance(error, JobError))
        try:
            answer = self._run(call, environ, result_response)
        except BaseException as error:  # noqa: BLE001  sys.exit() in a job must not end the server
            call.end(failed=True)
            answer = self._answer_to(error, environ, is_jobs=True)
        else:
            if isinstance(answer, StreamedResponse):
                answer.ended = lambda error: self._stream_ended(call, error)
                return answer
            call.end(failed=False)
        if call.ticket is not None and call.ticket.is_gone():
            self._tell_of_late_answer(call, answer)
        return answer

    def _let_in(self, environ: WSGIEnvironment, seat: Seat | None) -> Call:
        """A call that is right and holds a slot. Raises `JobError`, and `Parked` where it has to wait."""
        arguments = read_payload(environ, self._max_body_size)
        self._check(arguments)
        if seat is None:
            is_gone = environ.get("waitress.client_disconnected", stays)
            return self._through_blocking_door(arguments, is_gone, most=self._most)
        if seat.in_reserve:
            seat.hang_up()
            self._metrics.refuse("connections")
            message = "there are too many connections: the last ones are kept for probes"
            raise BusyError(503, message, self._gate.retry_after())
        call = Call(arguments, self._enter(seat.resume, seat.is_gone, None), self._gate, self._metrics)
        if call.ticket is not None and call.ticket.queued:
            if int(environ.get("CONTENT_LENGTH") or 0) > LARGEST_KEPT:
                call.arguments = None
                environ["wsgi.input"].seek(0)
            seat.park(call)
        if seat.is_gone():
            call.lost()
            raise BusyError(503, LEFT, self._gate.retry_after())
        return call

    def _through_blocking_door(
        self, arguments: dict[str, Any], is_gone: Callable[[], bool], *, most: int | None
    ) -> Call:
        """A call that holds a slot, after waiting in this thread. Raises `BusyError`."""
        turn = Turn()
        ticket = self._enter(turn.come, is_gone, most)
        call = Call(arguments, ticket, self._gate, self._metrics)
        if ticket.queued:
            try:
                turn.wait(self._gate, ticket)
            except BaseException:
                call.lost()
                raise
            self._begin(call, ticket)
        return call

    def _resume(self, call: Call, environ: WSGIEnvironment) -> None:
        """Go on with a call that has waited at its seat. Raises `BusyError` where it was sent away."""
        if call.ticket is not None:
            self._begin(call, call.ticket)
        if call.arguments is None:
            try:
                call.arguments = read_payload(environ, self._max_body_size)
            except BaseException:
                call.end(failed=True)
                raise

    def _begin(self, call: Call, ticket: Ticket) -> None:
        if ticket.standing is Standing.RUNNING:
            self._metrics.begin(ticket.waited)
            return
        if ticket.standing is Standing.EXPIRED:
            self._metrics.drop("queue_timeout")
            message = f"the call has waited for {self._gate.timeout:g} s, the queue_timeout of this job"
        elif ticket.standing is Standing.DISMISSED:
            self._metrics.drop("draining")
            message = GOING_DOWN
        else:
            call.lost()
            message = LEFT
        raise BusyError(503, message, self._gate.retry_after())

    def _enter(self, on_turn: Callable[[], None], is_gone: Callable[[], bool], most: int | None) -> Ticket:
        """A ticket of the gate. Raises `BusyError` where it gives none."""
        try:
            return self._gate.enter(on_turn, is_gone, most)
        except FullError as error:
            self._metrics.refuse("queue_full")
            raise BusyError(429, f"too many calls: {error}", error.retry_after) from None
        except CrowdedError as error:
            self._metrics.refuse("threads")
            message = f"too many calls: {error}, and one thread of the server is kept for probes"
            raise BusyError(503, message, error.retry_after) from None
        except ClosedError as error:
            self._metrics.refuse("draining")
            raise BusyError(503, GOING_DOWN, error.retry_after) from None

    def _run(
        self, call: Call, environ: WSGIEnvironment, finish: Callable[[object, WSGIEnvironment], Answer]
    ) -> Answer:
        """Call the job's method, and ``finish`` its result, in the context of the request."""
        context = self._context
        request = context.request.set(RequestContext(environ))
        extra = context.extra.set({})
        try:
            result = self._handler(**(call.arguments or {}))
            if type(result) not in PLAIN_TYPES and inspect.isawaitable(result):
                result = self._wait_for(result)
            return finish(result, environ)
        finally:
            # Threads of a pool keep their context, so it is put back, not left.
            context.extra.reset(extra)
            context.request.reset(request)

    def _tell_of_late_answer(self, call: Call, answer: Response | StreamedResponse) -> None:
        self._metrics.abandon()
        seconds = self._gate.clock() - call.arrived
        logger.warning(
            "%s: the caller left before the answer: %s, %.3f s", self._path, answer.status, seconds
        )

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
