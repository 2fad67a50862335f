"""The job as its author wrote it, read once after its class was made."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyjob.errors import EntryPointError, message_of
from pyjob.job.endpoints import V1, V2, Endpoint, EndpointReader
from pyjob.job.entry import OPTIONAL_METHODS
from pyjob.job.files import StaticEndpoint, StaticReader
from pyjob.job.paths import ALL, Claims
from pyjob.job.samples import Samples
from pyjob.manifest import Manifest
from pyjob.method.docstring import Docstring, parse_docstring

Await = Callable[[Awaitable[Any]], Any]


@dataclass(frozen=True)
class Job:
    """What an instance of the entry point class offers; ``warnings`` are meant for its author.

    ``sample_faults`` are those of them that tell of samples which cannot be sent. ``webview`` is its web
    application, ``webview_files`` the `static` folder beside it.
    """

    docstring: Docstring
    endpoints: tuple[Endpoint, ...]
    files: tuple[StaticEndpoint, ...]
    webview: Callable[..., Any] | None
    webview_files: Path | None
    metrics: Callable[[], Any] | None
    warnings: tuple[str, ...]
    sample_faults: tuple[str, ...] = ()


def read_job(instance: object, manifest: Manifest, *, base_url: str, wait_for: Await) -> Job:
    """Read everything that ``instance`` offers, and make its web application for ``base_url``.

    Raises `EntryPointError` where it breaks a rule of SPEC 1.1, and what its methods raise; what is merely
    broken becomes a warning.
    """
    return _Reader(instance, manifest, base_url, wait_for).read()


def secret_files(manifest: Manifest) -> frozenset[Path]:
    """The files of a job that nobody may read over HTTP, as they are named and as they resolve.

    Both, since a platform may give a secret as a link, and have it lead elsewhere later.
    """
    names = (manifest.secret_build_env_file, manifest.secret_runtime_env_file)
    files = [manifest.folder / name for name in names if name]
    return frozenset((*files, *(file.resolve() for file in files)))


class _Reader:
    def __init__(self, instance: object, manifest: Manifest, base_url: str, wait_for: Await) -> None:
        file = manifest.jobtype_extra.entrypoint_path or type(instance).__module__
        self.instance = instance
        self.manifest = manifest
        self.base_url = base_url
        self.place = f"{file}: class {type(instance).__name__}"
        self.wait_for = wait_for
        self.warnings: list[str] = []
        self.sample_faults: list[str] = []
        self.claims = Claims(self.place)

    def read(self) -> Job:
        perform = self._method("perform")
        if perform is None and not any(self._method(n) is not None for n in OPTIONAL_METHODS):
            raise EntryPointError(
                f"{self.place}: expected a `perform` method, found none: define `def perform(self, ...)`"
            )
        endpoints = tuple(self._endpoints(perform))
        files = tuple(self._files())
        webview = self._webview()
        endpoints = self._with_samples(endpoints)
        static = self.manifest.folder / "static"
        return Job(
            docstring=parse_docstring(type(self.instance).__doc__),
            endpoints=endpoints,
            files=files,
            webview=webview,
            webview_files=static if webview is not None and static.is_dir() else None,
            metrics=self._awaited(self._method("metrics")),
            warnings=tuple(dict.fromkeys((*self.warnings, *self.sample_faults))),
            sample_faults=tuple(self.sample_faults),
        )

    def _endpoints(self, perform: Callable[..., Any] | None) -> Iterator[Endpoint]:
        reader = EndpointReader(
            self.place, self.warnings.append, check_types=self.manifest.jobtype_extra.check_types
        )
        if perform is not None:
            endpoint = reader.perform(perform)
            self._claim(endpoint, "the method perform")
            yield endpoint
        for name, read in ((V1, reader.auxiliary), (V2, reader.auxiliary_v2)):
            for endpoint in read(given) if (given := self._ask(name)) is not None else ():
                self._claim(endpoint, f"{name} {endpoint.method} {endpoint.path}")
                yield endpoint

    def _claim(self, endpoint: Endpoint, owner: str) -> None:
        claim = self.claims.claim_template if endpoint.path_names else self.claims.claim
        claim(endpoint.path, endpoint.method, owner)
        if (endpoint.method, endpoint.path) == ("POST", "/perform"):
            claim("/parameters", "GET", "the built-in list of parameters")

    def _files(self) -> Iterator[StaticEndpoint]:
        given = self._ask("static_endpoints")
        if given is None:
            return
        secret = secret_files(self.manifest)
        reader = StaticReader(self.place, self.warnings.append, folder=self.manifest.folder, secret=secret)
        for static in reader.read(given):
            owner = f"static_endpoints {static.path}"
            if static.is_folder:
                self.claims.claim_below(static.path, ("GET",), owner)
            else:
                self.claims.claim(static.path, "GET", owner)
            yield static

    def _webview(self) -> Callable[..., Any] | None:
        method = self._method("webview_app")
        if method is None:
            return None
        place = f"{self.place}: webview_app"
        try:
            inspect.signature(method).bind(self.base_url)
        except TypeError as error:
            raise EntryPointError(f"{place}: expected `def webview_app(self, base_url)`: {error}") from None
        except ValueError:  # no signature to read: calling it will tell
            pass
        application = self._result(method(self.base_url))
        if application is None:
            return None
        if not callable(application):
            # Dash keeps its application in `server`.
            hint = ": return its `.server`" if callable(getattr(application, "server", None)) else ""
            found = f"{type(application).__name__}{hint}"
            raise EntryPointError(f"{place}: expected a WSGI or ASGI application or None, found {found}")
        self.claims.claim_below("/webview", ALL, "the web view")
        served: Callable[..., Any] = application
        return served

    def _with_samples(self, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        samples = Samples(self._ask, lambda fault: self.sample_faults.append(f"{self.place}: {fault}"))
        full = tuple(replace(one, samples=samples.of(one.path, one.signature)) for one in endpoints)
        samples.warn_of_strangers(endpoint.path for endpoint in endpoints)
        return full

    def _ask(self, name: str) -> object:
        """What the method ``name`` of the job gives; None where the job has none."""
        method = self._awaited(self._method(name))
        return None if method is None else method()

    def _method(self, name: str) -> Callable[..., Any] | None:
        try:
            method = getattr(self.instance, name, None)
        except Exception as error:  # noqa: BLE001  a property of the author's
            self.warnings.append(f"{self.place}: {name} cannot be read: {message_of(error)}")
            return None
        if method is not None and not callable(method):
            self.warnings.append(f"{self.place}: {name} is no method and is ignored")
            return None
        return method

    def _awaited(self, method: Callable[..., Any] | None) -> Callable[[], Any] | None:
        if method is None:
            return None

        return lambda: self._result(method())

    def _result(self, result: Any) -> Any:
        return self.wait_for(result) if inspect.isawaitable(result) else result
