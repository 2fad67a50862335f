"""Applications as they are assembled, and that of a process which is the job's own (SPEC 9)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pyjob.access.access import Access
from pyjob.access.guard import Guard
from pyjob.access.host import Decide, HostAccess
from pyjob.application import Application
from pyjob.environment import Environment, environment_of
from pyjob.errors import ManifestError, Problem
from pyjob.job.loader import Chdir, Surroundings, load_entry_class, make_instance
from pyjob.logs.setting_up import LogKeeper, LogSettings, hide_in_logs, set_up_logging
from pyjob.logs.strays import log_strays
from pyjob.manifest import Manifest, find_manifest, manifest_of, with_identity
from pyjob.manifest.file import shown
from pyjob.serving.takeover import meet
from pyjob.settings import Deployment, Settings
from pyjob.trace import NameCaller, TraceHeaders, Tracer

logger = logging.getLogger(__name__)

ACCESS_VARIABLE = "PYJOB_ACCESS"


@dataclass(frozen=True)
class JobSource:
    """Which job a process is to serve, and what is said of it beside its manifest.

    ``path`` is its folder, manifest or entry file, by default that of the current folder. ``overrides`` are
    single values of the manifest (``FIELD=VALUE``); ``env`` wins over all other variables; ``env_file``
    stands in for the manifest's secret file.
    """

    path: Path | None = None
    manifest_file: Path | None = None
    overrides: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_file: Path | None = None

    def configuration(self) -> tuple[Manifest, Environment]:
        """Manifest and environment; changes nothing. Raises `ManifestError`."""
        cwd, inherited = Path.cwd(), {**os.environ, **self.env}
        found = find_manifest(
            self.path, environ=inherited, cwd=cwd, manifest=self.manifest_file, settings=self.overrides
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
    caller: NameCaller | None = None,
    access: str | os.PathLike[str] | Decide | None = None,
    log_level: str | None = None,
    chdir: Chdir = True,
    roots: tuple[object, ...] = (),
) -> Application:
    """The application of a process that is the job's own.

    Sets up logging; the job's folder becomes the working directory when it loads (SPEC 1.2, 3.1). ``roots``
    are what else a server may have been given in its place. Raises `ManifestError`.
    """
    manifest, environment = source.configuration()
    variables = {**os.environ, **environment.variables}
    log_settings = LogSettings.from_environment(variables, log_level)
    set_up_logging(log_settings, mask=environment.mask)
    log_strays(environment.mask)
    keeper = LogKeeper(log_settings, environment.mask)
    return assembled(
        manifest,
        environment,
        maker_of(manifest, environment, imported=keeper.look_after),
        Surroundings(chdir, own_process=True, environment=environment.variables),
        settings=settings,
        prefix=prefix,
        threads=threads,
        caller=caller,
        access=access_of(access, caller, manifest),
        loaded=keeper.look_after,
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
    caller: NameCaller | None = None,
    access: Access | None = None,
    loaded: Callable[[], None] = lambda: None,
    roots: tuple[object, ...] = (),
) -> Application:
    """An application of what is known of a job and of its server.

    ``caller`` names who a request is from, unless ``access`` knows that; ``loaded`` is called once all code
    that loads the job has run.
    """
    hide_in_logs(environment.mask)
    # The job's variables are in force only once it loads, but the rest is to be known before.
    variables = {**os.environ, **environment.variables}
    name_caller = caller if access is None else access.caller_of
    return Application(
        manifest,
        make_instance=maker,
        surroundings=surroundings,
        settings=settings or Settings(),
        deployment=Deployment.from_environment(variables),
        tracer=Tracer(TraceHeaders.from_environment(variables), environment.mask, name_caller),
        environment=environment,
        loaded=loaded,
        meet_server=lambda application, environ: meet(application, environ, application, *roots),
        threads=threads,
        prefix=prefix,
        access=access,
    )


def access_of(
    given: str | os.PathLike[str] | Decide | None, caller: NameCaller | None, manifest: Manifest
) -> Access | None:
    """Who decides who is let in: the store or the function that is ``given``, else the store of PYJOB_ACCESS.

    None where there is none of these: everybody is let in. Raises ValueError and `ManifestError`.
    """
    if callable(given):
        return HostAccess(given, caller)
    if given is None:
        given = os.environ.get(ACCESS_VARIABLE)
        if given == "":  # perhaps of a variable that should have been there: nobody is let in by that
            expected = "the path of a store (unset it to let in everybody)"
            raise ManifestError("environment", [Problem(ACCESS_VARIABLE, expected, "nothing")])
    if given is None:
        return None
    if not isinstance(given, (str, os.PathLike)) or not os.fspath(given):
        raise ValueError(
            f"access: expected the path of a store, or a function of the environ, found {given!r}"
        )
    if caller is not None:
        where = f"access=, or {ACCESS_VARIABLE} in the environment"
        raise ValueError(f"caller: tokens name the callers where there is a store ({where}): give one")
    # Few applications have any use for SQLite.
    from pyjob.access.store.store import Store

    store = Store(given)
    logger.info("job %s: callers need a token, by %s", manifest.name, shown(store.path))
    if store.path.resolve().is_relative_to(manifest.folder.resolve()):
        logger.warning("%s: lies in the folder of the job, whose files may be served", shown(store.path))
    return Guard(store, name=manifest.name, version=manifest.version, listed=manifest.public_endpoints)


def maker_of(
    manifest: Manifest, environment: Environment, *, imported: Callable[[], None] = lambda: None
) -> Callable[[], object]:
    """What makes the instance of a job in a folder; ``imported`` is called once its code is imported."""

    def make() -> object:
        cls = load_entry_class(manifest, environment.variables)
        imported()
        return make_instance(cls)

    return make


def unloadable_application(
    error: Exception,
    folder: Path,
    log_level: str | None = None,
    access: str | os.PathLike[str] | None = None,
) -> Application:
    """An application in place of the job in ``folder``: its probes and the log tell of ``error``."""
    set_up_logging(LogSettings.from_environment(os.environ, log_level))
    for line in str(error).splitlines():
        logger.error("%s", line)

    def refuse() -> object:
        raise error

    manifest = manifest_of(None, name=folder.name, folder=folder)
    with suppress(ManifestError):  # it may be the fault
        manifest = with_identity(manifest, os.environ)
    try:
        decides = access_of(access, None, manifest)
    except ManifestError:  # told already
        decides = HostAccess(lambda _: False, None)
    application = assembled(manifest, Environment(), refuse, Surroundings(False), access=decides)
    with suppress(type(error)):
        application.load()  # so that it has failed when the first request comes
    return application
