"""The room of the job's own methods: every call takes the same road (SPEC 4.3 to 4.5, 5).

Read and parse, bind and check, the gate, call, encode. What is refused on the way never reaches the
job, and what is wrong never takes a place in the line.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pyjob.context import JobContext
from pyjob.dispatcher import Lane
from pyjob.environment.mask import Mask
from pyjob.errors import JobError, one_line
from pyjob.gate.admission import Admission, Call
from pyjob.gate.door import SEAT, Seat
from pyjob.gate.gate import stays
from pyjob.job.endpoints import Endpoint
from pyjob.job.job import Await
from pyjob.logs.access import TOLD, AccessLog
from pyjob.logs.failure import log_failure, log_safely
from pyjob.wire.body.arguments import reader_of
from pyjob.wire.failure import Failure, failure_of
from pyjob.wire.response import Response
from pyjob.wire.results.result import PLAIN_TYPES, Results, own_response
from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Answer = TypeVar("Answer")

# Arguments of longer bodies are not kept while a call waits, since they may take twenty times as much
# memory as their text: they are read again from what the server keeps.
LARGEST_KEPT = 64 * 1024

# Of what an exception says, so many characters are logged beside its traceback.
LONGEST_MESSAGE = 2000

logger = logging.getLogger(__name__)


class CallRoom:
    """Serves one ``endpoint`` over HTTP, and in process through `call`."""

    lane: Lane = "calls"

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        results: Results,
        admission: Admission,
        context: JobContext,
        wait_for: Await,
        max_body_size: int,
        access_log: AccessLog,
        mask: Mask,
        meet: Callable[[WSGIEnvironment], None],
    ) -> None:
        self._path = mask(endpoint.path)
        self._method = str(endpoint.method)
        self._handler = endpoint.handler
        self._read = reader_of(endpoint)
        self._check = endpoint.signature.check
        self._finish = results.answer
        self._admission = admission
        self._context = context
        self._wait_for = wait_for
        self._max_body_size = max_body_size
        self._access_log = access_log
        self._mask = mask
        self._meet = meet

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[TOLD] = True
        # Taken out: an application that the job passes its environ on to must not park our request.
        seat: Seat | None = environ.pop(SEAT, None)
        waited = None if seat is None else seat.take()
        # A call that has waited is at its second pass.
        call = waited if isinstance(waited, Call) else None
        return self._answer(environ, seat, call)(environ, start_response)

    def call(self, arguments: dict[str, Any], environ: WSGIEnvironment) -> Any:
        """Run the endpoint in process: the same checks, gate, context and metrics, its result as it is.

        Inside a call of the same job it runs in that one's slot: waiting for another would never end.
        Raises `PayloadError` for wrong arguments, `BusyError` for a call that is not run, and whatever the
        job raises.
        """
        self._check(arguments)
        if self._context.is_serving():
            call = self._admission.inside_another(arguments)
        else:
            call = self._admission.by_thread(arguments, stays, is_bounded=False)
        try:
            result = self._run(call, environ, _unencoded)
        except BaseException as error:
            call.end(failed=True)
            failure = failure_of(error).masked(self._mask)
            call.note_error(failure.status, failure.kind)
            raise
        call.end(failed=False)
        return result

    def _answer(
        self, environ: WSGIEnvironment, seat: Seat | None, call: Call | None
    ) -> Response | StreamedResponse:
        """The whole road, or the rest of it for a ``call`` that has waited; raises nothing but `Parked`."""
        method: str = environ["REQUEST_METHOD"]
        try:
            if call is None:
                call = self._let_in(environ, seat)
            else:
                self._resume(call, environ)
        except Exception as error:  # noqa: BLE001  a fault of ours must be told and answered like any other
            return self._refusal(error, call, method)
        try:
            answer = self._run(call, environ, self._finish)
        except BaseException as error:  # noqa: BLE001  sys.exit() in a job must not end the server
            call.end(failed=True)
            answer = self._answer_to(failure_of(error), error, environ, call)
        else:
            if isinstance(answer, StreamedResponse):
                answer.ended = lambda error: self._stream_ended(call, answer, error, method)
                return answer
            call.end(failed=False)
        self._tell(call, answer, method)
        return answer

    def _let_in(self, environ: WSGIEnvironment, seat: Seat | None) -> Call:
        """A call that is right and holds a slot. Raises `JobError`, and `Parked` where it has to wait."""
        arguments = self._read(environ, self._max_body_size)
        self._check(arguments)
        if seat is None:
            connected = environ.get("waitress.client_disconnected")
            if connected is not None:
                self._meet(environ)  # a waitress that has not been taken over: perhaps it is a new one
            return self._admission.by_thread(arguments, connected or stays)
        if int(environ.get("CONTENT_LENGTH") or 0) <= LARGEST_KEPT:
            return self._admission.by_seat(arguments, seat, self._tell_left)
        environ["wsgi.input"].seek(0)
        call = self._admission.by_seat(None, seat, self._tell_left)
        call.arguments = arguments
        return call

    def _resume(self, call: Call, environ: WSGIEnvironment) -> None:
        """Go on with a call that has waited at its seat. Raises `JobError` where it was sent away."""
        self._admission.begin(call)
        if call.arguments is None:
            try:
                call.arguments = self._read(environ, self._max_body_size)
            except BaseException:
                call.end(failed=True)
                raise

    def _run(
        self, call: Call, environ: WSGIEnvironment, finish: Callable[[object, WSGIEnvironment], Answer]
    ) -> Answer:
        """Call the job's method, and ``finish`` its result, in the context of the request."""
        with self._context.serving(environ, call.holds_slot):
            result = self._handler(**(call.arguments or {}))
            if type(result) not in PLAIN_TYPES and inspect.isawaitable(result):
                result = self._wait_for(result)
            return finish(result, environ)

    def _stream_ended(
        self, call: Call, answer: StreamedResponse, error: BaseException | None, method: str
    ) -> None:
        call.end(failed=error is not None)
        if error is not None:
            failure = failure_of(error).masked(self._mask)
            call.note_error(failure.status, failure.kind)
            self._log(failure, error)
        self._tell(call, answer, method)

    def _refusal(self, error: Exception, call: Call | None, method: str) -> Response:
        """The answer to a call that is not run."""
        failure = failure_of(error).masked(self._mask)
        if not isinstance(error, JobError):
            self._log(failure, error)
        answer = failure.answer()
        waited = getattr(error, "waited", None) if call is None else call.waited
        self._access_log.refused(method, self._path, answer.status, failure.message, waited)
        return answer

    def _answer_to(
        self, failure: Failure, error: BaseException, environ: WSGIEnvironment, call: Call
    ) -> Response | StreamedResponse:
        """The answer to what the job raised."""
        failure = failure.masked(self._mask)
        call.note_error(failure.status, failure.kind)
        self._log(failure, error)
        if failure.response is None:
            return failure.answer()
        try:
            return own_response(failure.response, environ)
        except BaseException as second:  # noqa: BLE001  the author's response may fail too
            return failure_of(second).masked(self._mask).answer()

    def _tell(self, call: Call, answer: Response | StreamedResponse, method: str) -> None:
        """The line of a call that has run."""
        if isinstance(answer, StreamedResponse):
            has_left, size = not answer.is_whole and call.is_gone(), answer.sent
        else:
            has_left, size = call.is_gone(), len(answer.body)
        if has_left:
            call.abandon()
        sent = None if method == "HEAD" else size
        self._access_log.ended(method, self._path, answer.status, call, sent, has_left=has_left)

    def _tell_left(self, call: Call) -> None:
        """The line of a call whose caller has left it waiting."""
        self._access_log.left(self._method, self._path, call)

    def _log(self, failure: Failure, error: BaseException) -> None:
        message = one_line(failure.message[:LONGEST_MESSAGE])
        if failure.status < 500 and not isinstance(error, ValueError):
            # The job answered on purpose: one line, no traceback.
            log_safely(logger, logging.WARNING, f"{self._path} answered {failure.status}: {message}")
        else:
            log_failure(logger, f"{self._path} failed: {message}", error, self._mask)


def _unencoded(result: object, _environ: WSGIEnvironment) -> object:
    return result
