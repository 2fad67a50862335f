"""What all tests share: no network but loopback, jobs made on the spot, clients that check WSGI."""

from __future__ import annotations

import faulthandler
import logging
import os
import shutil
import socket
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from werkzeug.test import Client

import pyjob
from tests.servers import pyjob_run, started
from tests.stores import Made

MANIFEST = """\
name: {name}
owner_email: nobody@example.com
jobtype: python3:latest
git:
  remote: https://example.com/team/{name}
{fields}
jobtype_extra:
  entrypoint_path: {entry}
{extra}
"""

# Seconds that threads have to come to their end after a test, and the process after all of them.
UNWINDING_SECONDS = 20.0
LONGEST_END = 300.0

MakeJob = Callable[..., Path]
ClientOf = Callable[..., "JobClient"]


@pytest.fixture(autouse=True, scope="session")
def no_network_but_loopback() -> Iterator[None]:
    """Refuse every connection and look-up outside loopback, for the whole suite."""
    patch = pytest.MonkeyPatch()

    def guarded(name: str) -> None:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any, *rest: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                refuse_outside(address[0])
            return original(self, address, *rest)

        patch.setattr(socket.socket, name, connect)

    for name in ("connect", "connect_ex", "bind"):
        guarded(name)
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
        refuse_outside(host)
        return look_up(host, *rest, **options)

    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    patch.undo()


def refuse_outside(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if not (name in ("localhost", "::1") or name.startswith("127.")):
        raise AssertionError(f"a test wanted to leave loopback: {name}")


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Give every test the working directory, environment, path and modules that it found.

    A thread that a test leaves behind would keep the process from ending: that is the test's fault.
    """
    folder, environment, path = Path.cwd(), dict(os.environ), sys.path.copy()
    modules, threads = set(sys.modules), set(threading.enumerate())
    hooks = threading.excepthook, sys.unraisablehook, logging.lastResort
    yield
    left = _left_behind(threads)
    threading.excepthook, sys.unraisablehook, logging.lastResort = hooks
    logging.captureWarnings(False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if _is_of_a_job(sys.modules[name]):
            del sys.modules[name]
    assert not left, f"threads that go on after their test: {left}"


def pytest_configure() -> None:
    """How long an example takes proves nothing, and a folder of a fixture may serve many of them."""
    try:
        from hypothesis import HealthCheck, settings
    except ImportError:  # what needs it is skipped
        return
    ignored = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    settings.register_profile("unhurried", deadline=None, suppress_health_check=ignored)
    settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked as slow may take its time."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))


def pytest_unconfigure() -> None:
    """Should the process not end, say where it stands, and end it."""
    faulthandler.dump_traceback_later(LONGEST_END, exit=True)


def _left_behind(before: set[threading.Thread]) -> list[threading.Thread]:
    """The threads begun since, but for those that end with the process."""
    begun = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in begun:
        thread.join(UNWINDING_SECONDS)
    return [thread for thread in begun if thread.is_alive()]


def _is_of_a_job(module: object) -> bool:
    places = [getattr(module, "__file__", None) or "", *map(str, getattr(module, "__path__", []))]
    return not any("site-packages" in place or place.startswith(sys.base_prefix) for place in places)


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Write a job: its code, further manifest lines, further files. Returns its folder."""

    def make(
        code: str,
        *,
        name: str = "sample",
        entry: str = "job.py",
        fields: str = "",
        extra: Mapping[str, object] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Path:
        folder = tmp_path / name
        lines = "\n".join(f"  {key}: {value}" for key, value in (extra or {}).items())
        manifest = MANIFEST.format(name=name, entry=entry, fields=textwrap.dedent(fields), extra=lines)
        for path, text in {"job.yaml": manifest, entry: code, **(files or {})}.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text))
        return folder

    return make


@pytest.fixture
def store(tmp_path: Path) -> Made:
    """An empty store of tokens and approvals."""
    return Made(tmp_path / "access.db")


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that any user of the system may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


class JobClient:
    """A client of one application, mounted at ``mount``; every call goes through the WSGI validator."""

    def __init__(self, application: pyjob.Application, mount: str, *, cookies: bool = True) -> None:
        self.application = application
        self.mount = mount
        self._client = Client(validator(application), use_cookies=cookies)

    def open(self, path: str, *, streamed: bool = False, **options: Any) -> Any:
        url = f"http://localhost{self.mount}"
        return self._client.open(path, base_url=url, buffered=not streamed, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.open(path, method="GET", **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.open(path, method="POST", **options)

    def perform(self, **arguments: Any) -> Any:
        return self.post("/perform", json=arguments)


@pytest.fixture(params=["", "/mounted"], ids=["at the root", "mounted"])
def mount(request: pytest.FixtureRequest) -> str:
    """Half of all in-process cases are served below a SCRIPT_NAME."""
    return str(request.param)


@pytest.fixture
def client_of(mount: str) -> ClientOf:
    """A `JobClient` of a folder, class or instance, loaded in the foreground unless told otherwise.

    Without ``cookies`` it keeps none, and a test says itself which are sent.
    """

    def client_of(source: Any, *, load: Any = "now", cookies: bool = True, **options: Any) -> JobClient:
        return JobClient(pyjob.create(source, load=load, **options), mount, cookies=cookies)

    return client_of


@pytest.fixture
def job_of(make_job: MakeJob, client_of: ClientOf) -> Callable[..., JobClient]:
    """A `JobClient` of a job whose class body is given: the shortest way to a served method."""

    def job_of(body: str, *, head: str = "", **options: Any) -> JobClient:
        code = textwrap.dedent(head) + "\nclass Job:\n" + textwrap.indent(textwrap.dedent(body), "    ")
        return client_of(make_job(code, **options))

    return job_of


@pytest.fixture
def running() -> Callable[..., AbstractContextManager[str]]:
    """`pyjob run` in a process of its own, once it is ready: ``with running(path) as url``."""

    @contextmanager
    def running(path: Path, *options: str) -> Iterator[str]:
        with started(pyjob_run(path, *options)) as server:
            server.wait_until("/ready", 200)
            yield server.url

    return running
