"""One job as a WSGI application: its table of rooms, before, while and after it loads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pyjob.access.access import Access
from pyjob.access.guard import Guard
from pyjob.application.entrance import Entrance
from pyjob.application.numbers import Numbers
from pyjob.application.reception import Reception
from pyjob.application.rooms import Rooms
from pyjob.application.servers import Servers
from pyjob.application.tables import Tables
from pyjob.apps.call import CallRoom
from pyjob.apps.sign_in import SignInRoom
from pyjob.context import JobContext
from pyjob.environment import Environment
from pyjob.errors import ConflictError, EntryPointError, JobError, ManifestError, SampleError
from pyjob.gate.admission import GOING_DOWN
from pyjob.gate.row import Row
from pyjob.job.event_loop import EventLoop
from pyjob.job.job import Job, read_job
from pyjob.job.loader import IS_LOADING, Surroundings, entered, reason_of
from pyjob.logs.access import AccessLog
from pyjob.logs.failure import log_failure, log_safely
from pyjob.manifest import Manifest, remarks_on
from pyjob.openapi.document import CALLS
from pyjob.routing.dispatcher import Dispatcher
from pyjob.routing.links import checked_prefix
from pyjob.routing.table import Lane
from pyjob.settings import Deployment, Settings
from pyjob.state import State
from pyjob.trace import Tracer, traced
from pyjob.wire.asgi import AsgiApplication
from pyjob.wire.response import error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

RETRY_SOON = (("Retry-After", "1"),)
# What a cancelled `async def` has to clean up.
CANCELLING_SECONDS = 0.4


class Application:
    """One job as a WSGI application.

    Nothing that would not survive a fork exists before it serves: loading begins with `start`, which
    the first request calls where nobody has (SPEC 10.3). ``manifest``, ``environment``, ``state``, ``gates``,
    ``gate`` (that of the calls), ``job`` (None until it is read), ``reception`` and ``is_open`` (everybody is
    let in) are for reading.
    ``meet_server`` is called with the first request of each server: only its environ tells which one this
    is. ``threads``: how many that one has, where somebody knows (SPEC 10.4).
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        make_instance: Callable[[], object],
        surroundings: Surroundings,
        settings: Settings,
        deployment: Deployment,
        loaded: Callable[[], None],
        meet_server: Callable[[Application, WSGIEnvironment], None],
        environment: Environment,
        tracer: Tracer,
        threads: int | None = None,
        prefix: str = "",
        access: Access | None = None,
    ) -> None:
        self.manifest = manifest
        self._settings = settings
        self.state = State()
        self.job: Job | None = None
        self._make_instance = make_instance
        self._surroundings = surroundings
        self.environment = environment
        self._mask = environment.mask
        access_log = AccessLog(wanted=settings.access_log)
        origins = (*manifest.jobtype_extra.cors_origins, *settings.cors_origins)
        self.is_open = access is None
        self.reception = Reception(tracer, self._mask, access_log, self.state, origins=origins, access=access)
        self._context = JobContext(tracer.headers)
        self._event_loop = EventLoop()
        self._calls: Mapping[str, CallRoom] = {}
        extra = manifest.jobtype_extra
        self.gates = Row(extra.max_concurrency, extra.max_concurrency_queue, extra.queue_timeout)
        self.gate = self.gates.calls
        self._asgi: AsgiApplication | None = None
        self._starts_webview = False
        self.threads = threads
        self._numbers = Numbers(manifest, self.gate, self.state, by_caller=settings.caller_metrics)
        self._loaded = loaded
        self._meet_server = meet_server
        sign_in = entrance = None
        if access is not None:
            refusals = self._numbers.add_access()
            if isinstance(access, Guard):
                sign_in = SignInRoom(access, refusals, name=manifest.name, version=manifest.version)
            entrance = Entrance(access, sign_in, refusals)
        rooms = Rooms(
            manifest=manifest,
            gates=self.gates,
            numbers=self._numbers,
            context=self._context,
            event_loop=self._event_loop,
            settings=settings,
            access_log=access_log,
            mask=self._mask,
            threads=threads,
            meet=self._meet,
            access=access,
            sign_in=sign_in,
        )
        self._tables = Tables(rooms, self.state, deployment, prefix=checked_prefix(prefix), entrance=entrance)
        self._servers = Servers()
        self._changing = threading.Lock()
        # What answers once the server is known; None before loading has begun.
        self._table: Dispatcher | None = None
        self._answer: WSGIApplication = self._first_request
        for remark in (*remarks_on(manifest), *environment.remarks):
            logger.warning("%s", remark)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.reception.receive(self._answer, environ, start_response)

    def start(self) -> None:
        """Begin to load in a thread of its own, unless that has begun."""
        if self._begin():
            # In the process that serves: an ASGI web view may start at once.
            self._starts_webview = True
            threading.Thread(target=self._load_or_fail, name="pyjob-load", daemon=True).start()

    def load(self) -> None:
        """Load in this thread, or wait for the one that does.

        Raises what the job raises while loading; where another thread loads or loaded it, `JobError` (503).
        """
        error = self._load_or_fail() if self._begin() else None
        if error is not None:
            raise error
        self._wait_until_ready()

    def call(
        self,
        path: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        tracing_id: str | None = None,
        caller: str | None = None,
    ) -> Any:
        """Run the endpoint at ``path`` (`/perform`) in process, through the same checks and metrics.

        ``tracing_id`` and ``caller`` are told of it in the log; by default those of the request to a job in
        which it is called, if any. Loads the job if nobody has, or waits for who does. Returns what it
        returned; raises
        `JobError` (404, 503), `PayloadError` for wrong arguments, and whatever the job raises.
        """
        if self._begin():
            self._load_or_fail()  # in this thread, which may itself be loading another job
        self._wait_until_ready()
        short = f"/{path.removeprefix(CALLS).lstrip('/')}"
        if short not in self._calls:
            raise JobError(404, f"there is no endpoint {path}, only {', '.join(self._calls) or 'none'}")
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": f"{CALLS}{short}", "SCRIPT_NAME": ""}
        with traced(self.reception.tracer.trace_within(tracing_id, caller)):
            return self._calls[short].call(dict(arguments or {}), environ)

    def lane_of(self, method: str, path: str) -> Lane | None:
        """Which threads a request needs, as far as that is known before the job has loaded."""
        table = self._table
        return None if table is None else table.lane_of(method, path)

    def _wait_until_ready(self) -> None:
        if self.state.status == "loading" and IS_LOADING.get():
            raise ConflictError(
                f"job {self.manifest.name} is being loaded by another thread, which waits for the job that "
                'asks for it here: create it with load="now"'
            )
        if self.state.wait() == "failed":
            raise JobError(503, f"the job failed to start: {self.state.error}")

    def close(self, grace: float = 30.0) -> bool:
        """Go down: not ready, no new calls, and up to ``grace`` seconds for those that run or wait.

        Calls and pages that still wait then are answered 503, as is each ``async def``, which is cancelled.
        False where some still run: a thread cannot be ended. An ASGI web view shuts down last.
        """
        self.gates.close()  # first: who sees that it is not ready finds it closed
        self.state.become_draining()
        if not self.gates.wait_until_empty(grace) and self.send_away():
            self.gates.wait_until_empty(CANCELLING_SECONDS)
        left = self.gates.running
        if left:
            name = self.manifest.name
            logger.warning("job %s: %d calls still run after %g s, left to themselves", name, left, grace)
        self.shut_down()
        return not left

    def send_away(self) -> bool:
        """End what can be ended: calls that wait are not run, and each ``async def`` is cancelled, if any."""
        self.gates.dismiss()
        return self._event_loop.cancel_all(GOING_DOWN)

    def shut_down(self) -> None:
        """Let an ASGI web view shut down, where one has started in this process."""
        if self._asgi is not None:
            self._asgi.close()

    def _first_request(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._meet(environ)
        self.start()
        with self._changing:
            self._answer = self._table or self._answer
        return self._answer(environ, start_response)

    def _meet(self, environ: WSGIEnvironment) -> None:
        """Look at the server, unless it is known: there may be several, and a test's client before any."""
        with self._changing:
            if self._servers.is_new(environ):
                self._meet_server(self, environ)

    def _begin(self) -> bool:
        with self._changing:
            if self._table is not None:
                return False
            waiting = error_response(503, "the job is still loading", headers=RETRY_SOON)
            self._table = self._tables.without_job(waiting, RETRY_SOON)
            return True

    def _turn_to(self, table: Dispatcher) -> None:
        """From now on ``table`` answers: one rebinding, of something complete."""
        with self._changing:
            self._table = table
            if self._servers:
                self._answer = table

    def _load_or_fail(self) -> BaseException | None:
        with traced(self.reception.tracer.loading()):
            return self._load_and_tell()

    def _load_and_tell(self) -> BaseException | None:
        name, began = f"job {self.manifest.name} {self.manifest.version}", time.perf_counter()
        try:
            job = self.job = self._load_job()
            table = self._table_of(job)
            if self._settings.self_test is not None:
                # Few servers send samples.
                from pyjob.application.self_test import try_samples

                try_samples(table, job, self._settings.self_test, self.reception.tracer, self._mask)
            if self._starts_webview and self._asgi is not None:
                self._asgi.start()
            self._turn_to(table)
        except BaseException as error:  # noqa: BLE001
            # Whatever it is: sys.exit() in a job must not end the server.
            reason = reason_of(error, self.manifest, self._mask)
            failed = error_response(503, f"the job failed to start: {reason}")
            self._turn_to(self._tables.without_job(failed))
            # The message of a broken rule is enough; anything else wants its traceback.
            broken_rule = isinstance(error, (EntryPointError, ConflictError, ManifestError, SampleError))
            told = None if broken_rule else error
            log_failure(logger, f"{name} failed to start: {reason}", told, self._mask)
            self.state.become_failed(reason)
            return error
        log_safely(logger, logging.INFO, f"{name} is ready after {time.perf_counter() - began:.2f} s")
        self.state.become_ready()
        return None

    def _load_job(self) -> Job:
        try:
            with entered(self.manifest, self._surroundings):
                instance = self._make_instance()
                self._context.attach(instance)
                wait_for = self._event_loop.wait_for
                job = read_job(instance, self.manifest, base_url=self._tables.base_url, wait_for=wait_for)
        finally:
            self._loaded()  # also where it fails: the log is to say why
        for warning in job.warnings:
            logger.warning("%s", self._mask(warning))
        self._numbers.add_job(job.metrics, self._mask)
        return job

    def _table_of(self, job: Job) -> Dispatcher:
        table = self._tables.of(job)
        self._calls, self._asgi = table.calls, table.asgi
        return table.dispatcher
