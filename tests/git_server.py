"""A server with logins, as teams have them: repositories (`git http-backend`) and an index (PEP 503)."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tests.repositories import UNCONFIGURED, committed, git, repository

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATIENCE = 60.0


@dataclass(frozen=True)
class Asked:
    """A request, as it came: ``authorization`` is its header, or empty."""

    path: str
    authorization: str
    status: int


@dataclass
class GitServer:
    """Serves what is in ``folder``: below /git bare repositories, all else as files.

    ``doors`` have the login for a path and all below it; elsewhere nobody is asked for one. ``asked`` grows
    with every request.
    """

    folder: Path
    doors: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def add_repository(self, name: str, sources: Path) -> str:
        """Serve what is in ``sources`` as a repository; its commit."""
        committed(repository(sources))
        bare = self.folder / "git" / name
        bare.parent.mkdir(parents=True, exist_ok=True)
        git(sources, "clone", "--quiet", "--bare", str(sources), str(bare))
        git(bare, "config", "http.uploadpack", "true")
        return git(sources, "rev-parse", "HEAD").strip()

    def add_files(self, index: str, *files: Path) -> None:
        """Serve distributions at the index of that name; each belongs to the project that its name tells."""
        for file in files:
            project = self.folder / index / "simple" / file.name.partition("-")[0].replace("_", "-")
            project.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, project)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        given: str = environ.get("HTTP_AUTHORIZATION", "")
        wanted = next((login for door, login in self.doors.items() if path.startswith(door)), None)
        if wanted is not None and given != basic(*wanted):
            self.asked.append(Asked(path, given, 401))
            start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="team"')])
            return [b"who are you?\n"]
        status, headers, body = self._of_git(environ) if path.startswith("/git/") else self._of_file(path)
        self.asked.append(Asked(path, given, int(status.split()[0])))
        start_response(status, headers)
        return [body]

    def _of_git(self, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
        names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "HTTP_CONTENT_ENCODING")
        variables = {name: environ.get(name, "") for name in (*names, "HTTP_GIT_PROTOCOL")}
        length = int(environ.get("CONTENT_LENGTH") or 0)
        ended = subprocess.run(
            ["git", "http-backend"],
            input=environ["wsgi.input"].read(length),
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
                **UNCONFIGURED,
                **variables,
                "CONTENT_LENGTH": str(length),
                "GIT_PROJECT_ROOT": str(self.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": variables["HTTP_GIT_PROTOCOL"],
                "REMOTE_ADDR": "127.0.0.1",
            },
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        head, _, body = ended.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().splitlines()]
        headers = [(name, value) for name, _, value in lines if name != "Status"]
        return next((value for name, _, value in lines if name == "Status"), "200 OK"), headers, body

    def _of_file(self, path: str) -> tuple[str, list[tuple[str, str]], bytes]:
        target = self.folder / path.strip("/")
        if target.is_dir():
            links = "".join(f'<a href="{one.name}">{one.name}</a>' for one in sorted(target.iterdir()))
            return "200 OK", [("Content-Type", "text/html")], f"<!DOCTYPE html>{links}".encode()
        if target.is_file():
            return "200 OK", [("Content-Type", "application/octet-stream")], target.read_bytes()
        return "404 Not Found", [("Content-Type", "text/plain")], b"nothing there\n"


def basic(user: str, password: str) -> str:
    """The header of somebody who says who it is."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = False  # and waited for, so that nothing is open at the end


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in the library
        pass


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    """Serve ``folder`` at a free port of the loopback interface."""
    served = GitServer(folder)
    with make_server("127.0.0.1", 0, served, _Server, _Quiet) as server:
        served.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
