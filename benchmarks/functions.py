"""How many functions written in Python one call passes through, in pyjob and in other frameworks.

Counted by `sys.setprofile`, so that it says the same on every machine; the time of a call follows it closely.
Each answers `POST {"x": 20, "y": 5}` with the sum, as its documentation does such a thing. What makes the
call is the same for all of a kind: three functions for WSGI, some more for the event loop of ASGI. Those that
are not installed are left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from types import FrameType
from typing import Any

from app_cost import Run, asgi_run, fastapi_run, flask_run, wsgi_run
from report import print_table
from summing import PATH, Summing, bare, check_answer

from pyjob import Settings, create

CALLS = 10


def main() -> None:
    rows = []
    for name, make in CONTENDERS.items():
        try:
            run = make()
        except ImportError:
            sys.stderr.write(f"functions: {name} is not installed\n")
            continue
        title = name if name.startswith(("bare", "pyjob")) else f"{name} {version(name)}"
        rows.append((title, f"{counted(name, run):.0f}"))
    print_table(("", "functions a call"), rows)


def counted(name: str, run: Run) -> float:
    """Functions a call, once everything is there that is kept."""
    check_answer(name, *run(CALLS))
    return (_functions(run, 2 * CALLS) - _functions(run, CALLS)) / CALLS


def _functions(run: Run, calls: int) -> int:
    count = 0

    def note(_frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        run(calls)
    finally:
        sys.setprofile(None)
    return count


def pyjob_run() -> Run:
    return wsgi_run(create(Summing, settings=Settings(access_log=False), load="now"))


def werkzeug_run() -> Run:
    """Raises `ImportError`."""
    wrappers: Any = import_module("werkzeug.wrappers")

    def application(environ: Any, start_response: Any) -> Any:
        arguments = wrappers.Request(environ).get_json()
        body = json.dumps(arguments["x"] + arguments["y"])
        return wrappers.Response(body, content_type="application/json")(environ, start_response)

    return wsgi_run(application)


def falcon_run() -> Run:
    """Raises `ImportError`."""
    falcon: Any = import_module("falcon")

    class Resource:
        def on_post(self, request: Any, response: Any) -> None:
            arguments = request.get_media()
            response.media = arguments["x"] + arguments["y"]

    application = falcon.App()
    application.add_route(PATH, Resource())
    return wsgi_run(application)


def bottle_run() -> Run:
    """Raises `ImportError`."""
    bottle: Any = import_module("bottle")
    application = bottle.Bottle()

    def perform() -> str:
        arguments = bottle.request.json
        bottle.response.content_type = "application/json"
        return json.dumps(arguments["x"] + arguments["y"])

    application.route(PATH, method="POST", callback=perform)
    return wsgi_run(application)


def starlette_run() -> Run:
    """Raises `ImportError`."""
    applications: Any = import_module("starlette.applications")
    routing: Any = import_module("starlette.routing")
    responses: Any = import_module("starlette.responses")

    async def perform(request: Any) -> Any:
        arguments = await request.json()
        return responses.JSONResponse(arguments["x"] + arguments["y"])

    return asgi_run(applications.Starlette(routes=[routing.Route(PATH, perform, methods=["POST"])]))


CONTENDERS: dict[str, Callable[[], Run]] = {
    "bare WSGI function": lambda: wsgi_run(bare),
    "pyjob": pyjob_run,
    "werkzeug": werkzeug_run,
    "falcon": falcon_run,
    "bottle": bottle_run,
    "Flask": flask_run,
    "starlette": starlette_run,
    "FastAPI": fastapi_run,
}


if __name__ == "__main__":
    main()
