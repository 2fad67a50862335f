"""Applications as they are assembled, and that of a process which is the job's own (SPEC 9)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pyjob.application import Application
from pyjob.apps.probes import ProbesRoom
from pyjob.dispatcher import Dispatcher, RouteTable
from pyjob.environment import Environment, environment_of
from pyjob.errors import PyjobError
from pyjob.job.loader import Chdir, Surroundings, load_entry_class, make_instance
from pyjob.logs import log_dying_threads, set_up_logging
from pyjob.manifest import Manifest, find_manifest, manifest_of, with_identity
from pyjob.metrics.calls import CallMetrics
from pyjob.metrics.registry import new_registry
from pyjob.routes import service_routes
from pyjob.serving.takeover import meet
from pyjob.settings import Deployment, Settings
from pyjob.state import State
from pyjob.wire.response import error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobSource:
    """Which job a process is to serve, and what is said of it beside its manifest.

    ``path`` is its folder, manifest or entry file, by default that of the current folder. ``settings`` are
    single values of the manifest (``FIELD=VALUE``); ``env`` wins over all other variables; ``env_file``
    stands in for the manifest's secret file.
    """

    path: Path | None = None
    manifest_file: Path | None = None
    settings: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_file: Path | None = None

    def configuration(self) -> tuple[Manifest, Environment]:
        """Manifest and environment; changes nothing. Raises `ManifestError`."""
        cwd, inherited = Path.cwd(), {**os.environ, **self.env}
        found = find_manifest(
            self.path, environ=inherited, cwd=cwd, manifest=self.manifest_file, settings=self.settings
        )
        found = with_identity(found, inherited)
        environment = environment_of(
            found, inherited, cwd=cwd, env_file=self.env_file, given=self.env, with_identity=True
        )
        return found, environment

    @property
    def folder(self) -> Path:
        """The job's folder, also where it has no manifest that can be read."""
        at = Path.cwd() / (self.path or "")
        return at if at.is_dir() else at.parent


def own_application(
    source: JobSource,
    *,
    prefix: str = "",
    settings: Settings | None = None,
    threads: int | None = None,
    log_level: str | None = None,
    log_to: TextIO | None = None,
    chdir: Chdir = True,
    roots: tuple[object, ...] = (),
) -> Application:
    """The application of a process that is the job's own.

    Sets up logging; the job's folder becomes the working directory when it loads (SPEC 1.2, 3.1). ``roots``
    are what else a server may have been given in its place. Raises `ManifestError`.
    """
    manifest, environment = source.configuration()
    level = log_level or {**os.environ, **environment.variables}.get("LOG_LEVEL")
    set_up_logging(level or "info", log_to, mask=environment.mask)
    log_dying_threads()
    return assembled(
        manifest,
        environment,
        maker_of(manifest, environment),
        Surroundings(chdir, own_process=True, environment=environment.variables),
        settings=settings,
        prefix=prefix,
        threads=threads,
        roots=roots,
    )


def assembled(
    manifest: Manifest,
    environment: Environment,
    maker: Callable[[], object],
    surroundings: Surroundings,
    *,
    settings: Settings | None = None,
    prefix: str = "",
    threads: int | None = None,
    roots: tuple[object, ...] = (),
) -> Application:
    """An application of what is known of a job and of its server."""
    return Application(
        manifest,
        make_instance=maker,
        surroundings=surroundings,
        settings=settings or Settings(),
        # The job's variables are in force only once it loads, but the deployment is told of before.
        deployment=Deployment.from_environment({**os.environ, **environment.variables}),
        environment=environment,
        meet_server=lambda application, environ: meet(application, environ, application, *roots),
        threads=threads,
        prefix=prefix,
    )


def maker_of(manifest: Manifest, environment: Environment) -> Callable[[], object]:
    """What makes the instance of a job in a folder."""
    return lambda: make_instance(load_entry_class(manifest, environment.variables))


def unloadable_application(error: PyjobError, folder: Path, log_level: str | None = None) -> Application:
    """An application in place of the job in ``folder``: its probes and the log tell of ``error``."""
    set_up_logging(log_level or os.environ.get("LOG_LEVEL") or "info")
    for line in str(error).splitlines():
        logger.error("%s", line)

    def refuse() -> object:
        raise error

    manifest = with_identity(manifest_of(None, name=folder.name, folder=folder), os.environ)
    return assembled(manifest, Environment(), refuse, Surroundings(False))


def failed_application(error: Exception) -> WSGIApplication:
    """Probes and metrics that tell why there is no job, and 503 for the rest."""
    name, version = os.environ.get("JOB_NAME", ""), os.environ.get("JOB_VERSION", "")
    state = State()
    state.become_failed(f"{'; '.join(str(error).splitlines())}, cause={type(error).__name__}")
    registry = new_registry(CallMetrics(name, version))
    probes = ProbesRoom(state, Deployment.from_environment(os.environ), name=name, version=version)
    routes = RouteTable()
    routes.at_all(service_routes(probes, registry))
    return Dispatcher(
        routes,
        otherwise=error_response(503, f"the job failed to start: {state.error}"),
    )
