"""The command lines by which every server is told to serve a job."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.servers import HELD_PORT, pyjob_run

OWN = "pyjob.app:create"

WSGIREF = """
import pkgutil, sys
from wsgiref.simple_server import make_server
server = make_server("127.0.0.1", 0, pkgutil.resolve_name(sys.argv[1])())
print(f"serving on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""
CHEROOT = """
import pkgutil, sys
from cheroot.wsgi import Server
server = Server(("127.0.0.1", 0), pkgutil.resolve_name(sys.argv[1])(), numthreads=int(sys.argv[2]))
server.prepare()
print(f"serving on http://127.0.0.1:{server.bind_addr[1]}", flush=True)
server.serve()
"""
# The wheel has an executable too, but not every environment has its folder at hand.
UWSGI = "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"


@dataclass(frozen=True)
class Way:
    """One way of serving: a command, in which APPLICATION and FACTORY stand for what the server loads.

    ``needs``: what must be installed. ``threads`` and ``processes``: how many serve calls.
    """

    command: tuple[str, ...]
    needs: str
    threads: int = 1
    processes: int = 1

    def of(self, *, application: str = OWN, factory: str = OWN) -> list[str]:
        return [part.replace("APPLICATION", application).replace("FACTORY", factory) for part in self.command]

    def why_not(self) -> str | None:
        """Why it cannot be tried here."""
        return None if importlib.util.find_spec(self.needs) else f"{self.needs} is not installed"


def waitress(*options: str) -> Way:
    command = (sys.executable, "-m", "waitress", "--listen", "127.0.0.1:0", *options)
    return Way(command, "waitress", threads=4)


def gunicorn(*options: str, threads: int = 1, processes: int = 1) -> Way:
    command = (sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", *options)
    return Way(command, "gunicorn", threads=threads, processes=processes)


def granian(*options: str, threads: int) -> Way:
    address = ("--host", "127.0.0.1", "--port", HELD_PORT)
    command = (sys.executable, "-m", "granian", "--interface", "wsgi", *address, *options)
    return Way(command, "granian", threads=threads)


def uwsgi(*options: str, threads: int = 1, processes: int = 1) -> Way:
    address = ("--http-socket", "127.0.0.1:0", "--master", "--die-on-term", "--need-app")
    command = (sys.executable, "-c", UWSGI, *address, *options)
    return Way(command, "pyuwsgi", threads=threads, processes=processes)


WAYS: dict[str, Way] = {
    "pyjob run": Way(tuple(pyjob_run(Path())), "pyjob", threads=500),
    "waitress-serve": waitress("APPLICATION"),
    "waitress-serve --call": waitress("--call", "FACTORY"),
    "gunicorn sync": gunicorn("FACTORY()"),
    "gunicorn, create as application": gunicorn("APPLICATION"),
    "gunicorn gthread": gunicorn("--threads", "4", "FACTORY()", threads=4),
    "gunicorn --preload": gunicorn("--preload", "FACTORY()"),
    "gunicorn --workers 2": gunicorn("--workers", "2", "FACTORY()", processes=2),
    "granian": granian("APPLICATION", threads=512),
    "granian, one thread": granian("--blocking-threads", "1", "--factory", "FACTORY", threads=1),
    "granian, four threads": granian("--blocking-threads", "4", "--factory", "FACTORY", threads=4),
    "cheroot": Way((sys.executable, "-c", CHEROOT, "FACTORY", "8"), "cheroot", threads=8),
    "uWSGI": uwsgi("--enable-threads", "--module", "APPLICATION"),
    "uWSGI --threads 4": uwsgi("--threads", "4", "--module", "FACTORY()", threads=4),
    "uWSGI --processes 2": uwsgi("--processes", "2", "--module", "FACTORY()", processes=2),
    "wsgiref": Way((sys.executable, "-c", WSGIREF, "FACTORY"), "wsgiref"),
}

# Each serves the job of its working directory.
COMMANDS: dict[str, list[str]] = {name: way.of() for name, way in WAYS.items()}
