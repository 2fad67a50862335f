"""The yardstick: the least that a WSGI function can do for the same answers. Nothing is checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import work

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WORKS: dict[str, Callable[..., Any]] = {
    "/api/v1/perform": work.add,
    "/api/v1/record": work.record,
    "/api/v1/floats": work.floats,
    "/api/v1/sleep": work.sleep,
    "/api/v1/cpu": work.cpu,
}


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Read the body, decode, call, encode, set Content-Length."""
    function = WORKS[environ["PATH_INFO"]]
    arguments = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    body = json.dumps(function(**arguments)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
