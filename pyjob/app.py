"""The composition root: `create` puts a manifest, a way to load and settings together (SPEC 9, 10)."""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from pyjob.access.host import Decide
from pyjob.application import Application
from pyjob.environment import Environment, environment_of
from pyjob.errors import EntryPointError, PyjobError
from pyjob.job.entry import offers_a_job
from pyjob.job.loader import Chdir, Surroundings, make_instance
from pyjob.logs.setting_up import LogSettings, set_up_logging
from pyjob.logs.strays import log_strays
from pyjob.manifest import Manifest, find_manifest, manifest_of
from pyjob.own import JobSource, access_of, assembled, maker_of, own_application, unloadable_application
from pyjob.serving.server import DEFAULT_PORT, serve_application
from pyjob.settings import Settings
from pyjob.trace import NameCaller

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@overload
def create(environ: dict[str, Any], start_response: StartResponse, /) -> Iterable[bytes]: ...


@overload
def create(
    source: str | os.PathLike[str] | type | object | None = None,
    /,
    *,
    manifest: Mapping[str, object] | None = None,
    prefix: str = "",
    load: Literal["background", "now"] = "background",
    chdir: Chdir | None = None,
    threads: int | None = None,
    caller: NameCaller | None = None,
    access: str | os.PathLike[str] | Decide | None = None,
    env: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> Application: ...


def create(
    source: Any = None,
    start_response: StartResponse | None = None,
    /,
    *,
    manifest: Mapping[str, object] | None = None,
    prefix: str = "",
    load: Literal["background", "now"] = "background",
    chdir: Chdir | None = None,
    threads: int | None = None,
    caller: NameCaller | None = None,
    access: str | os.PathLike[str] | Decide | None = None,
    env: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> Application | Iterable[bytes]:
    """Make the WSGI application of one job (SPEC 9, 10).

    ``source`` is the job's folder, its manifest or entry file, or a class or an instance at hand (then
    with its ``manifest`` as a dict, if any). Without it, the job of the current folder, as the process's
    own application: logging is set up as `pyjob run` does. Called as a WSGI application itself
    (`waitress-serve pyjob.app:create`), it serves that one.

    ``prefix``: what a proxy strips, or where the application is mounted; links begin with it.
    ``load``: "now" loads in the foreground and raises what the job raises. ``chdir``: the working
    directory is the job's folder while it loads ("load", the default for a folder), for good (True)
    or never (False, the default for a class). ``threads``: how many the server has; one is kept free for
    probes where calls that wait hold threads. ``caller``: names who a request is from, or None, given its
    environ; by default the header X-Caller-Name says. ``access``: the file with tokens and approvals (SPEC 8;
    by default the one that PYJOB_ACCESS names, if any), or a function that lets a request in by returning
    True for its environ, probes aside. ``env``: variables that win over those of the manifest and its secret
    file.

    Raises `ManifestError` for a faulty manifest or secret file, `EntryPointError` for a class that is no job,
    TypeError and ValueError for options that make no sense.
    """
    if start_response is not None:
        return _OWN_APPLICATION(source, start_response)
    if load not in ("background", "now"):
        raise ValueError(f'load: expected "background" or "now", found {load!r}')
    if chdir not in (None, "load", True, False):
        raise ValueError(f'chdir: expected "load", True or False, found {chdir!r}')
    if threads is not None and threads < 1:
        raise ValueError(f"threads: expected a number from 1, found {threads!r}")
    if manifest is not None and (source is None or isinstance(source, (str, os.PathLike))):
        raise TypeError("manifest: only a class or an instance at hand takes one; a folder has its job.yaml")
    if source is None:
        application = own_application(
            JobSource(env=env or {}),
            prefix=prefix,
            settings=settings,
            threads=threads,
            caller=caller,
            access=access,
            chdir=True if chdir is None else chdir,
            roots=(create,),
        )
    elif isinstance(source, (str, os.PathLike)):
        found = find_manifest(Path(source), environ=os.environ, cwd=Path.cwd())
        environment = environment_of(found, os.environ, cwd=Path.cwd(), given=env)
        application = assembled(
            found,
            environment,
            maker_of(found, environment),
            Surroundings("load" if chdir is None else chdir, environment=environment.variables),
            settings=settings,
            prefix=prefix,
            threads=threads,
            caller=caller,
            access=access_of(access, caller, found),
        )
    else:
        found, environment = _configuration_of(source, manifest, env)
        application = _of_class(
            source,
            found,
            environment,
            chdir=chdir or False,
            settings=settings,
            prefix=prefix,
            threads=threads,
            caller=caller,
            access=access_of(access, caller, found),
        )
    if load == "now":
        application.load()
    return application


def serve(
    job: type | object,
    *,
    manifest: Mapping[str, object] | None = None,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    threads: int | None = None,
) -> None:
    """Serve a class or an instance at hand until interrupted: a notebook, ``if __name__ == "__main__"``.

    By the same rules as a job in a folder (SPEC 10.6), PYJOB_ACCESS included; logging is set up where nobody
    has done so.
    ``threads``: most calls at once, 500 unless the manifest or you say otherwise. Raises `EntryPointError`,
    `ManifestError` and `AddressError`.
    """
    if isinstance(job, (str, os.PathLike)):
        raise EntryPointError(f"expected a class or an instance, found {job!r}: `pyjob run` serves a folder")
    found, environment = _configuration_of(job, manifest, None)
    if not logging.getLogger().handlers:
        settings = LogSettings.from_environment({**os.environ, **environment.variables})
        set_up_logging(settings, mask=environment.mask)
        log_strays(environment.mask)
    application = _of_class(job, found, environment, access=access_of(None, None, found))
    serve_application(application, host=host, port=port, threads=threads)


def _configuration_of(
    source: Any, document: Mapping[str, object] | None, env: Mapping[str, str] | None
) -> tuple[Manifest, Environment]:
    """Manifest and environment of a class or an instance at hand."""
    if not offers_a_job(source):
        what = repr(source)
        raise EntryPointError(
            "expected a class or an instance with a `perform` method, or the path of a job, found "
            + (what if len(what) <= 100 else f"an object of type {type(source).__name__}")
        )
    cls = source if isinstance(source, type) else type(source)
    manifest = manifest_of(document, name=cls.__name__.lower(), folder=_folder_of(cls))
    return manifest, environment_of(manifest, os.environ, cwd=Path.cwd(), given=env)


def _of_class(
    source: Any, manifest: Manifest, environment: Environment, *, chdir: Chdir = False, **options: Any
) -> Application:
    return assembled(
        manifest,
        environment,
        (lambda: make_instance(source)) if isinstance(source, type) else (lambda: source),
        Surroundings(chdir, environment=environment.variables),
        **options,
    )


def _folder_of(cls: type) -> Path:
    try:
        return Path(inspect.getfile(cls)).resolve().parent
    except (TypeError, OSError):  # made in a notebook or an interpreter
        return Path.cwd()


class _OwnApplication:
    """`create` called as a WSGI application: makes the process's own one at the first request.

    The one module-level state of the package, for `waitress-serve pyjob.app:create`, which has no other
    place to keep it. A faulty manifest shows on `/live`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._application: WSGIApplication | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._application is None:
            with self._lock:
                if self._application is None:
                    self._application = self._make()
        return self._application(environ, start_response)

    def _make(self) -> WSGIApplication:
        try:
            return own_application(JobSource(), roots=(create,))
        except (PyjobError, OSError) as error:
            return unloadable_application(error, Path.cwd())


_OWN_APPLICATION = _OwnApplication()
