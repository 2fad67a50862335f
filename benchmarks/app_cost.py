"""What one call costs in the application alone, no server around it: microseconds, beside a bare function.

Every contender adds the same two numbers. WSGI applications are called the same way: a copy of one
environ, a fresh body, a `start_response` that collects, the answer iterated and closed. FastAPI cannot be
called as WSGI: its ASGI application is awaited in an event loop that runs for the whole turn, with a copy of
one scope that says the same, a `receive` that gives the body and a `send` that collects; its endpoint is an
`async def`, which spares it a thread for each call. Requests through servers are another benchmark
(server_ratio.py).

The contenders take turns, so that what else the machine does hits all alike. A second table has parts of
pyjob's own cost, each called alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from report import place, print_table, spread
from summing import PATH, PAYLOAD, Summing, bare, check_answer

from pyjob import Settings, create
from pyjob.access.store.ledger import Ledger
from pyjob.access.store.token import new_token
from pyjob.environment.mask import Mask
from pyjob.logs.access import log_access
from pyjob.logs.setting_up import LogSettings, set_up_logging
from pyjob.logs.structured import JsonFormatter
from pyjob.metrics.calls import CallMetrics
from pyjob.trace import TraceHeaders, Tracer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Message = dict[str, Any]
Answer = tuple[int, bytes]
Run = Callable[[int], Answer]  # makes so many calls and gives back the last answer

BARE = "bare WSGI function"
ENVIRON = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "PATH_INFO": PATH,
    "QUERY_STRING": "",
    "CONTENT_TYPE": "application/json",
    "CONTENT_LENGTH": str(len(PAYLOAD)),
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "localhost",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": PATH,
    "raw_path": PATH.encode(),
    "query_string": b"",
    "root_path": "",
    "headers": [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(PAYLOAD)).encode()),
    ],
    "client": ("127.0.0.1", 50000),
    "server": ("localhost", 80),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Microseconds a call of the application alone.")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=2000, help="calls a turn (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print all rounds as JSON")
    options = parser.parse_args()
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123  no path of the file system is meant
        tempfile.TemporaryDirectory() as folder,
    ):
        contenders, missing = made_contenders(nowhere, Path(folder))
        costs = measured(contenders, rounds=options.rounds, calls=options.calls)
        parts = {name: repeated(part, options.rounds, options.calls) for name, part in made_parts().items()}
    if options.json:
        told = {"place": place(), "microseconds": costs, "parts": parts, "not installed": missing}
        print(json.dumps(told))
        return
    print(f"Microseconds a call, {options.rounds} rounds of {options.calls} calls; {place()}\n")
    print_table(("", "min", "median", "max", "above bare"), [_row(name, costs) for name in costs])
    print()
    print_table(("part", "min", "median", "max"), [[name, *spread(parts[name], 1)] for name in parts])
    for name in missing:
        print(f"\n{name}: not installed")


def made_contenders(access_lines: TextIO, folder: Path) -> tuple[dict[str, Run], list[str]]:
    """The contenders by name, and the names of those that are not installed; ``folder`` is for files."""
    # Root logging as in a process of pyjob's own; only the access lines of pyjob are written to it.
    set_up_logging(LogSettings(), access_lines)
    logged = wsgi_run(create(Summing, settings=Settings(access_log=True), load="now"))
    contenders = {
        BARE: wsgi_run(bare),
        "pyjob": wsgi_run(create(Summing, settings=Settings(access_log=False), load="now")),
        "pyjob, with tokens": with_token(folder / "access.db"),
        "pyjob, access log on": logged,
        "pyjob, access log on, JSON lines": as_json(logged),
    }
    missing = []
    for name, make in (("Flask", flask_run), ("FastAPI", fastapi_run)):
        try:
            contenders[f"{name} {version(name)}"] = make()
        except ImportError:
            missing.append(name)
    return contenders, missing


def as_json(run: Run) -> Run:
    """``run`` while the root logger writes JSON lines."""

    def run_with_json(calls: int) -> Answer:
        [handler] = logging.getLogger().handlers
        usual = handler.formatter
        handler.setFormatter(JsonFormatter())
        try:
            return run(calls)
        finally:
            handler.setFormatter(usual)

    return run_with_json


def with_token(store: Path) -> Run:
    """pyjob with access control, called by somebody who has a token."""
    ledger, token = Ledger(store), new_token()
    ledger.make()
    ledger.add_token("alice", token, kind="user", note="", expires=None)
    application = create(Summing, access=store, settings=Settings(access_log=False), load="now")
    return wsgi_run(application, {"HTTP_X_RACETRACK_AUTH": token})


def made_parts() -> dict[str, Callable[[], object]]:
    """What a call costs of this and that; the access line is text."""
    numbers = CallMetrics("summing", "1").endpoint(PATH)
    tracer = Tracer(TraceHeaders(), Mask())
    known = {**ENVIRON, "HTTP_X_REQUEST_TRACING_ID": "order-66", "HTTP_X_CALLER_NAME": "alice"}

    def count() -> None:
        numbers.start(waits=False)
        numbers.finish(0.001, failed=False, tracing_id="order-66")

    return {
        "metrics of a call": count,
        "a new tracing id": lambda: tracer.trace_of(ENVIRON),
        "tracing id and caller of the request": lambda: tracer.trace_of(known),
        "its access line": lambda: log_access("POST", PATH, "200 OK", 0.001, 0.0, 4),
    }


def repeated(part: Callable[[], object], rounds: int, calls: int) -> list[float]:
    """Microseconds of ``part``, one number a round."""
    return [each / calls * 1e6 for each in timeit.repeat(part, number=calls, repeat=rounds)]


def measured(contenders: Mapping[str, Run], *, rounds: int, calls: int) -> dict[str, list[float]]:
    """Microseconds a call of each contender, one number a round."""
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run(min(calls, 200))  # caches filled, code specialised
    for _ in range(rounds):
        for name, run in contenders.items():
            began = time.perf_counter()
            status, body = run(calls)
            costs[name].append((time.perf_counter() - began) / calls * 1e6)
            check_answer(name, status, body)
    return costs


def wsgi_run(application: WSGIApplication, headers: Mapping[str, str] = MappingProxyType({})) -> Run:
    request = {**ENVIRON, **headers}

    def run(calls: int) -> Answer:
        begun: list[tuple[str, Any, Any]] = []

        def start_response(status: str, headers: Any, exc_info: Any = None, /) -> Callable[[bytes], object]:
            begun.append((status, headers, exc_info))
            return _no_write

        content = b""
        for _ in range(calls):
            begun.clear()
            environ: dict[str, Any] = request.copy()
            environ["wsgi.input"] = BytesIO(PAYLOAD)
            answer = application(environ, start_response)
            content = b"".join(answer)
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        return int(begun[0][0][:3]), content

    return run


def asgi_run(application: Callable[..., Awaitable[None]]) -> Run:
    async def calls_in_loop(calls: int) -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": PAYLOAD, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        for _ in range(calls):
            sent.clear()
            await application(SCOPE.copy(), receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)

    return lambda calls: asyncio.run(calls_in_loop(calls))


def flask_run() -> Run:
    """Raises `ImportError`."""
    flask: Any = import_module("flask")
    application = flask.Flask("summing")

    def perform() -> Any:
        arguments = flask.request.get_json()
        return flask.jsonify(arguments["x"] + arguments["y"])

    application.add_url_rule(PATH, view_func=perform, methods=["POST"])
    return wsgi_run(application)


def fastapi_run() -> Run:
    """Raises `ImportError`."""
    fastapi: Any = import_module("fastapi")
    application = fastapi.FastAPI()

    async def perform(x: float, y: float) -> float:
        return x + y

    # Set by hand, because FastAPI may not be there when this module is read.
    field = Annotated[float, fastapi.Body()]
    perform.__annotations__ = {"x": field, "y": field, "return": float}
    application.post(PATH)(perform)
    return asgi_run(application)


def _no_write(data: bytes) -> object:
    raise NotImplementedError("nobody writes here")


def _row(name: str, costs: Mapping[str, list[float]]) -> list[str]:
    above = [cost - base for cost, base in zip(costs[name], costs[BARE], strict=True)]
    return [name, *spread(costs[name], 1), "" if name == BARE else f"{median(above):+.1f}"]


if __name__ == "__main__":
    main()
