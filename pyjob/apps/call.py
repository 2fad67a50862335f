"""The room of the job's own methods: every call takes the same road (SPEC 4.3 to 4.5, 5).

Read and parse, bind and check, the gate, call, encode. What is refused on the way never reaches the
job, and what is wrong never takes a place in the line.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from pyjob.calls.awaited import Awaited
from pyjob.calls.record import CallRecord, is_failure
from pyjob.calls.stream import ItemBody, ItemIterator, stream_response
from pyjob.context import JobContext
from pyjob.environment.mask import Mask
from pyjob.gate.admission import Admission, Call, close_files
from pyjob.gate.door import SEAT, Parked, Seat, Waiting
from pyjob.gate.gate import stays
from pyjob.job.endpoints import Endpoint
from pyjob.job.event_loop import EventLoop, LoopTask
from pyjob.logs.access import TOLD, AccessLog
from pyjob.routing.table import Lane
from pyjob.wire.body.arguments import reader_of
from pyjob.wire.body.upload import Uploaded
from pyjob.wire.downloads.download import Answer
from pyjob.wire.downloads.response import Response as JobResponse
from pyjob.wire.downloads.response import with_body
from pyjob.wire.downloads.starlette import background_of, from_starlette, is_starlette
from pyjob.wire.failure import failure_of
from pyjob.wire.results.formats import Format, format_by_accept, format_by_name
from pyjob.wire.results.items import Pieces, is_stream, items_of
from pyjob.wire.results.result import PLAIN_TYPES, Results, own_response
from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Arguments of longer bodies are not kept while a call waits, since they may take twenty times as much
# memory as their text: they are read again from what the server keeps.
LARGEST_KEPT = 64 * 1024


class CallRoom:
    """Serves one ``endpoint`` over HTTP, and in process through `call`.

    ``cancels``: whether an ``async def`` is cancelled once its caller has left.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        results: Results,
        admission: Admission,
        context: JobContext,
        event_loop: EventLoop,
        cancels: bool,
        max_body_size: int,
        access_log: AccessLog,
        mask: Mask,
        meet: Callable[[WSGIEnvironment], None],
    ) -> None:
        self.lane: Lane = "awaited" if inspect.iscoroutinefunction(endpoint.handler) else "calls"
        self._handler = endpoint.handler
        self._read = reader_of(endpoint)
        self._check = endpoint.signature.check
        self._results = results
        self._finish = results.answer
        self._admission = admission
        self._context = context
        self._event_loop = event_loop
        self._cancels = cancels
        self._max_body_size = max_body_size
        self._record = CallRecord(endpoint.path, str(endpoint.method), access_log, mask)
        self._mask = mask
        self._meet = meet

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[TOLD] = True
        # Taken out: an application that the job passes its environ on to must not park our request.
        seat: Seat | None = environ.pop(SEAT, None)
        return self._answer(environ, seat)(environ, start_response)

    def call(self, arguments: dict[str, Any], environ: WSGIEnvironment) -> Any:
        """Run the endpoint in process: the same checks, gate, context and metrics, its result as it is.

        Items of a stream come by an iterator, which keeps the slot until it is exhausted or closed. Inside a
        call of the same job it runs in that one's slot: waiting for another would never end.
        Raises `PayloadError` for wrong arguments, `BusyError` for a call that is not run, RuntimeError where
        the event loop would have to wait for it, and whatever the job raises.
        """
        self._check(arguments)
        if self._context.is_serving():
            call = self._admission.inside_another(arguments)
        else:
            self._event_loop.stay_out()  # it might wait for a slot that something on the loop holds
            call = self._admission.by_thread(arguments, stays, is_bounded=False)
        try:
            result = self._run_here(call, environ)
        except BaseException as error:
            self._end_here(call, error)
            raise
        if not isinstance(result, ItemIterator):
            self._end_here(call, None)
        return result

    def _answer(self, environ: WSGIEnvironment, seat: Seat | None) -> Answer:
        """The whole road, or the rest of it for a call that has waited; raises nothing but `Parked`."""
        method: str = environ["REQUEST_METHOD"]
        waited = None if seat is None else seat.take()
        try:
            call = self._let_in(environ, seat) if waited is None else self._resume(waited, environ)
        except Exception as error:  # noqa: BLE001  a fault of ours must be told and answered like any other
            return self._record.refusal(error, waited if isinstance(waited, Call) else None, method)
        try:
            if isinstance(waited, Awaited):
                answer = waited.task.context.run(self._answer_awaited, waited, environ)
            else:
                answer = self._run(call, environ, seat)
        except Parked:
            raise
        except BaseException as error:  # noqa: BLE001  sys.exit() in a job must not end the server
            call.end(failed=is_failure(error))
            answer = self._answer_to(error, environ, call)
        else:
            if isinstance(answer, StreamedResponse):
                answer.ended = lambda error: self._stream_ended(call, answer, error, method)
                return answer
            call.end(failed=False)
        self._record.ended(call, answer, method)
        return answer

    def _let_in(self, environ: WSGIEnvironment, seat: Seat | None) -> Call:
        """A call that is right and holds a slot. Raises `JobError`, and `Parked` where it has to wait."""
        arguments = self._read(environ, self._max_body_size)
        try:
            self._check(arguments)
            if seat is None:
                connected = environ.get("waitress.client_disconnected")
                if connected is not None:
                    self._meet(environ)  # a waitress that has not been taken over: perhaps it is a new one
                return self._admission.by_thread(arguments, connected or stays)
            # Files are on the disk, and take no memory.
            length = int(environ.get("CONTENT_LENGTH") or 0)
            if (arguments.in_memory if isinstance(arguments, Uploaded) else length) <= LARGEST_KEPT:
                return self._admission.by_seat(arguments, seat, self._record.left)
            environ["wsgi.input"].seek(0)
            call = self._admission.by_seat(None, seat, self._record.left)
            call.arguments = arguments
            return call
        except Exception:
            close_files(arguments)
            raise

    def _resume(self, waited: Waiting, environ: WSGIEnvironment) -> Call:
        """Go on with a call that has waited at its seat. Raises `JobError` where it was sent away."""
        if isinstance(waited, Awaited):
            return waited.call
        if not isinstance(waited, Call):
            raise TypeError(f"a {type(waited).__name__} was left at the seat of a call")
        self._admission.begin(waited)
        if waited.arguments is None:
            try:
                waited.arguments = self._read(environ, self._max_body_size)
            except BaseException:
                waited.end(failed=True)
                raise
        return waited

    def _run(self, call: Call, environ: WSGIEnvironment, seat: Seat | None) -> Answer:
        """Call the job's method in the context of the request, and make an answer of its result.

        Raises `Parked` where that is being awaited, and the request waits at its ``seat``.
        """
        with self._context.serving(environ, call.holds_slot):
            result = self._handler(**(call.arguments or {}))
            if type(result) in PLAIN_TYPES:
                return self._finish(result, environ)
            if inspect.isawaitable(result):
                task = self._start(result, call)
                if seat is not None:
                    task.when_done(seat.resume)
                    seat.park(Awaited(call, task, self._unheard))
                result = task.result()
            return self._answer_of(result, call, environ)

    def _start(self, awaitable: Awaitable[Any], call: Call) -> LoopTask:
        return self._event_loop.start(awaitable, call.is_gone if self._cancels else None)

    def _answer_awaited(self, waited: Awaited, environ: WSGIEnvironment) -> Answer:
        return self._answer_of(waited.task.result(), waited.call, environ)

    def _answer_of(self, result: object, call: Call, environ: WSGIEnvironment) -> Answer:
        afterwards: Callable[[], object] | None = None
        if is_stream(result):
            written = self._format(environ)
            if written is not None:
                items = items_of(result, lambda one: self._start(one, call), patient=bool(written.pause))
                body = ItemBody(items, written, lambda error: self._record.failed(call, error), call.progress)
                return stream_response(body, written.content_type)
            result = JobResponse(result, self._results.media_type)
        elif type(result) not in PLAIN_TYPES and is_starlette(result):
            task = background_of(result)
            if task is not None:
                afterwards = partial(self._begin_in_background, task)
            result = from_starlette(result)
        if isinstance(result, JobResponse) and is_stream(result.body):
            items = items_of(result.body, lambda one: self._start(one, call), patient=False)
            result = with_body(result, Pieces(items, call.progress, call.is_gone, afterwards))
            afterwards = None
        answer = self._finish(result, environ)
        if afterwards is not None:
            afterwards()
        return answer

    def _begin_in_background(self, task: Callable[[], Awaitable[object]]) -> None:
        """Run ``task`` on the event loop, in the context of the request and without its slot."""

        async def run() -> None:
            try:
                await task()
            except (Exception, SystemExit) as error:  # noqa: BLE001  the job's
                self._record.background_failed(error)

        self._event_loop.start(run(), None)

    def _format(self, environ: WSGIEnvironment) -> Format | None:
        """How a stream is written: as the endpoint says, else as the caller likes. None: as it is."""
        encode, declared = self._results.encode, self._results.media_type
        if declared is not None:
            return format_by_name(declared, encode)
        return format_by_accept(environ.get("HTTP_ACCEPT", ""), encode)

    def _run_here(self, call: Call, environ: WSGIEnvironment) -> Any:
        with self._context.serving(environ, call.holds_slot):
            result = self._handler(**(call.arguments or {}))
            if inspect.isawaitable(result):
                result = self._start(result, call).result()
            if not is_stream(result):
                return result
            items = items_of(result, lambda one: self._start(one, call), patient=False)
            return ItemIterator(items, copy_context(), lambda error: self._end_here(call, error))

    def _end_here(self, call: Call, error: BaseException | None) -> None:
        call.end(failed=is_failure(error))
        if error is not None:
            self._record.failed(call, error, is_logged=False)

    def _stream_ended(
        self, call: Call, answer: StreamedResponse, error: BaseException | None, method: str
    ) -> None:
        call.end(failed=answer.has_failed or is_failure(error))
        if error is not None:
            self._record.failed(call, error)
        self._record.ended(call, answer, method)

    def _unheard(self, waited: Awaited) -> None:
        """The caller has left while an ``async def`` ran: what has become of that is told, but not sent."""
        failed = False
        try:
            waited.task.result()
        except BaseException as error:  # noqa: BLE001  the job's, or that it was cancelled
            failed = is_failure(error)
            self._record.failed(waited.call, error)
        waited.call.end(failed=failed)
        self._record.unheard(waited.call)

    def _answer_to(self, error: BaseException, environ: WSGIEnvironment, call: Call) -> Answer:
        """The answer to what the job raised."""
        failure = self._record.failed(call, error)
        if failure.response is None:
            return failure.answer()
        try:
            return own_response(failure.response, environ)
        except BaseException as second:  # noqa: BLE001  the author's response may fail too
            return failure_of(second).masked(self._mask).answer()
