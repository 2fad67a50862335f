"""A job whose pages hang until they are let go, and callers of them, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.callers import Caller, call, connect, get, until
from tests.commands import WAYS
from tests.servers import Server, pyjob_run, started

SLOTS = 32
# A page hangs until somebody opens the pipe for writing that its query names, and tells how many ran before.
PAGED = """
    import gc
    import threading
    from urllib.parse import parse_qs

    import pyjob

    class Paged:
        def __init__(self):
            self.lock = threading.Lock()
            self.began = self.closed = 0

        def perform(self, n: int = 0, hold: str = ""):
            if hold:
                with open(hold) as pipe:
                    pipe.read()
            return n

        def auxiliary_endpoints_v2(self):
            return [
                pyjob.EndpointConfig("/hang", "GET", self.perform),
                pyjob.EndpointConfig("/hang/{n}", "GET", self.perform),
            ]

        def static_endpoints(self):
            return {"/manifest": "job.yaml"}

        def webview_app(self, base_url):
            return self.page

        def page(self, environ, start_response):
            with self.lock:
                before = self.began
                self.began += 1
            hold = parse_qs(environ["QUERY_STRING"]).get("hold")
            if hold:
                with open(hold[0]) as pipe:
                    pipe.read()
            if environ["PATH_INFO"].endswith("/stream"):
                start_response("200 OK", [("Content-Type", "text/plain")])
                return self.stream()
            if environ["PATH_INFO"].endswith("/file"):
                start_response("200 OK", [("Content-Type", "text/plain")])
                return environ["wsgi.file_wrapper"](open(__file__, "rb"))
            body = f"{before} {len(environ['wsgi.input'].read())}".encode()
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
            return [body]

        def stream(self):
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                self.closed += 1

        def metrics(self):
            application = next(one for one in gc.get_objects() if isinstance(one, pyjob.Application))
            pages = application.gates.pages
            numbers = {"running": pages.running, "waiting": pages.waiting}
            numbers |= {"began": self.began, "closed": self.closed}
            return [{"name": f"pages_{name}", "value": value} for name, value in numbers.items()]
    """
FILES = {"static/style.css": "body {}\n"}
GROUNDS = {
    "pyjob run": lambda folder: pyjob_run(folder),
    "waitress-serve": lambda folder: WAYS["waitress-serve"].of(),
    "waitress-serve --call": lambda folder: WAYS["waitress-serve --call"].of(),
}
QUICK = [
    *("/live", "/ready", "/health", "/metrics", "/docs", "/openapi.json", "/manifest"),
    *("/webview/static/style.css", "/pub/job/sample/latest/webview/static/style.css", "/api/v1/manifest"),
]


@contextmanager
def serving(folder: Path, ground: str = "pyjob run") -> Iterator[Server]:
    with started(GROUNDS[ground](folder), cwd=folder) as server:
        server.wait_until("/ready", 200)
        yield server


async def asking(port: int, path: str, method: str = "GET", body: bytes = b"") -> Caller:
    """A caller whose request is on its way."""
    caller = await connect(port)
    caller.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return caller


async def until_pages(port: int, what: str, count: int) -> None:
    await until(port, lambda found: found[f"pages_{what}"] == count)


async def hold_all(port: int, paths: list[Path]) -> list[Caller]:
    """Callers of pages that have all slots, one at each of the pipes."""
    held = [await asking(port, f"/webview/?hold={path}") for path in paths]
    await until_pages(port, "running", SLOTS)
    await until_pages(port, "began", SLOTS)
    return held


async def all_else_answers(port: int) -> None:
    for path in QUICK:
        assert (await get(port, path)).status == 200, path
    for path in ("/webview", "/"):
        assert (await get(port, path)).status == 307
    assert (await get(port, "/webview/static/nothing")).status == 404
    assert (await call(port, n=7)).json == 7
    assert (await get(port, "/hang?n=3")).json == 3
