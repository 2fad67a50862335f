"""One job as a WSGI application: its table of rooms, before, while and after it loads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from pyjob.apps.call import CallRoom
from pyjob.apps.docs import docs_routes
from pyjob.apps.metrics import MetricsRoom
from pyjob.apps.openapi import OpenApiRoom, openapi_document
from pyjob.apps.probes import ProbesRoom
from pyjob.context import JobContext
from pyjob.dispatcher import PREFIX, Dispatcher, quoted, quoted_page, redirect
from pyjob.errors import ConflictError, EntryPointError, JobError, message_of, one_line
from pyjob.job.event_loop import EventLoop
from pyjob.job.job import Job, read_job
from pyjob.job.loader import IS_LOADING, Surroundings, describe_failure, entered
from pyjob.job.schema import is_plain_json
from pyjob.job.signature import Signature, shown_default
from pyjob.manifest import Manifest, fields_not_in_force
from pyjob.metrics import CallMetrics, add_job_metrics, new_registry
from pyjob.settings import Deployment, Settings
from pyjob.state import State
from pyjob.wire.response import error_response, json_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    Routes = dict[str, Mapping[str, WSGIApplication]]

logger = logging.getLogger(__name__)

CALLS = "/api/v1"
RETRY_SOON = (("Retry-After", "1"),)


class Application:
    """One job as a WSGI application.

    Nothing that would not survive a fork exists before it serves: loading begins with `start`, which
    the first request calls where nobody has (SPEC 10.3). ``manifest`` and ``state`` are for reading.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        make_instance: Callable[[], object],
        surroundings: Surroundings,
        settings: Settings,
        deployment: Deployment,
        prefix: str = "",
    ) -> None:
        self.manifest = manifest
        self._settings = settings
        self._deployment = deployment
        self.state = State()
        self._make_instance = make_instance
        self._surroundings = surroundings
        self._prefix = checked_prefix(prefix)
        self._context = JobContext()
        self._event_loop = EventLoop()
        self._calls: dict[str, CallRoom] = {}
        self._metrics = CallMetrics(manifest.name, manifest.version)
        self._registry = new_registry(self._metrics)
        self._starting = threading.Lock()
        self._started = False
        self._answer: WSGIApplication = self._first_request
        self._tell_author()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(environ, start_response)

    def start(self) -> None:
        """Begin to load in a thread of its own, unless that has begun."""
        if self._begin():
            threading.Thread(target=self._load_or_fail, name="pyjob-load", daemon=True).start()

    def load(self) -> None:
        """Load in this thread, or wait for the one that does.

        Raises what the job raises while loading; where another thread loads or loaded it, `JobError` (503).
        """
        error = self._load_or_fail() if self._begin() else None
        if error is not None:
            raise error
        self._wait_until_ready()

    def call(self, path: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Run the endpoint at ``path`` (`/perform`) in process, through the same checks and metrics.

        Loads the job if nobody has, or waits for who does. Returns what the job returned; raises
        `JobError` (404, 503), `PayloadError` for wrong arguments, and whatever the job raises.
        """
        if self._begin():
            self._load_or_fail()  # in this thread, which may itself be loading another job
        self._wait_until_ready()
        short = f"/{path.removeprefix(CALLS).lstrip('/')}"
        if short not in self._calls:
            raise JobError(404, f"there is no endpoint {path}, only {', '.join(self._calls) or 'none'}")
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": f"{CALLS}{short}", "SCRIPT_NAME": ""}
        return self._calls[short].call(dict(arguments or {}), environ)

    def _wait_until_ready(self) -> None:
        if self.state.status == "loading" and IS_LOADING.get():
            raise ConflictError(
                f"job {self.manifest.name} is being loaded by another thread, which waits for the job that "
                'asks for it here: create it with load="now"'
            )
        if self.state.wait() == "failed":
            raise JobError(503, f"the job failed to start: {self.state.error}")

    def _first_request(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.start()
        return self._answer(environ, start_response)

    def _begin(self) -> bool:
        with self._starting:
            if self._started:
                return False
            waiting = error_response(503, "the job is still loading", headers=RETRY_SOON)
            self._answer = self._dispatcher(_page_that_waits(RETRY_SOON), otherwise=waiting)
            self._started = True
            return True

    def _load_or_fail(self) -> BaseException | None:
        name, began = f"job {self.manifest.name} {self.manifest.version}", time.perf_counter()
        try:
            job = self._load_job()
            # Readiness is this one rebinding, of a table that is complete.
            self._answer = self._dispatcher(self._job_routes(job))
        except BaseException as error:
            # Whatever it is: sys.exit() in a job must not end the server.
            reason = self._reason(error)
            failed = error_response(503, f"the job failed to start: {reason}")
            self._answer = self._dispatcher(_page_that_waits(), otherwise=failed)
            # The message of a broken rule is enough; anything else wants its traceback.
            broken_rule = isinstance(error, (EntryPointError, ConflictError))
            told = None if broken_rule else error
            logger.log(logging.ERROR, "%s failed to start: %s", name, reason, exc_info=told)
            self.state.become_failed(reason)
            return error
        logger.info("%s is ready after %.2f s", name, time.perf_counter() - began)
        self.state.become_ready()
        return None

    def _reason(self, error: BaseException) -> str:
        try:
            return one_line(describe_failure(error, self.manifest))
        except Exception:  # noqa: BLE001  an error of the author's making; loading must end all the same
            return f"{one_line(message_of(error))}, cause={type(error).__name__}"

    def _load_job(self) -> Job:
        with entered(self.manifest, self._surroundings):
            instance = self._make_instance()
            self._context.attach(instance)
            job = read_job(
                instance,
                file=self.manifest.jobtype_extra.entrypoint_path or type(instance).__module__,
                check_types=self.manifest.jobtype_extra.check_types,
                wait_for=self._event_loop.wait_for,
            )
        for warning in job.warnings:
            logger.warning("%s", warning)
        if job.metrics is not None:
            add_job_metrics(self._registry, job.metrics)
        return job

    def _dispatcher(self, routes: Routes, otherwise: WSGIApplication | None = None) -> Dispatcher:
        name, version = self.manifest.name, self.manifest.version
        probes = ProbesRoom(self.state, self._deployment, name=name, version=version)
        always = service_routes(probes, self._registry)
        return Dispatcher({**routes, **always}, prefix=self._prefix, otherwise=otherwise)

    def _job_routes(self, job: Job) -> Routes:
        """Everything that waits for the job; built-in routes shadow short forms (SPEC 4.1)."""
        calls: Routes = {}
        for endpoint in job.endpoints:
            room = CallRoom(
                endpoint,
                metrics=self._metrics.endpoint(endpoint.path),
                context=self._context,
                wait_for=self._event_loop.wait_for,
                max_body_size=self.manifest.jobtype_extra.max_body_size,
                access_log=self._settings.access_log,
            )
            self._calls[endpoint.path] = room
            calls[endpoint.path] = {"POST": room}
            if endpoint.path == "/perform":
                calls["/parameters"] = {"GET": json_response(200, _parameters(endpoint.signature))}
        document = openapi_document(job, name=self.manifest.name, version=self.manifest.version)
        built_in: Routes = {
            "/": {"GET": _home(self.manifest.jobtype_extra.home_page)},
            "/openapi.json": {"GET": OpenApiRoom(document)},
            **docs_routes(),
        }
        return {**calls, **{f"{CALLS}{path}": methods for path, methods in calls.items()}, **built_in}

    def _tell_author(self) -> None:
        for warning in self.manifest.warnings:
            logger.warning("%s", warning)
        for problem in self.manifest.check_errors:
            logger.warning("%s: %s", self.manifest.source, problem)
        idle = fields_not_in_force(self.manifest)
        if idle:
            fields = ", ".join(idle)
            logger.warning("%s: not in force in this version of pyjob: %s", self.manifest.source, fields)


def checked_prefix(prefix: str) -> str:
    """``prefix`` without a closing slash. Raises ValueError where it is no path on this host."""
    if prefix and (not prefix.startswith("/") or prefix.startswith("//") or "\\" in prefix):
        raise ValueError(f"prefix: expected a path that starts with one /, found {prefix!r}")
    return prefix.rstrip("/")


def service_routes(probes: ProbesRoom, registry: CollectorRegistry) -> Routes:
    """What answers in every state of a job."""
    return {**probes.routes(), "/metrics": {"GET": MetricsRoom(registry)}}


def _page_that_waits(headers: Iterable[tuple[str, str]] = ()) -> Routes:
    """The docs page as a 503 that people can read, at the root too: it looks again by itself."""
    page = docs_routes(503, headers)
    return {**page, "/": page["/docs"]}


def _home(page: str) -> WSGIApplication:
    page = quoted_page(page)

    def home(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return redirect(quoted(environ[PREFIX]) + page)(environ, start_response)

    return home


def _parameters(signature: Signature) -> list[dict[str, object]]:
    """What `/parameters` says: name, type, and the default where there is one (SPEC 4.1)."""
    listed = []
    for parameter in signature.parameters:
        item: dict[str, object] = {"name": parameter.name, "type": parameter.type_name()}
        if not parameter.required:
            default = parameter.default
            item["default_value"] = default if is_plain_json(default) else shown_default(default)
        listed.append(item)
    return listed
