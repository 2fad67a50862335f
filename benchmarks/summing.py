"""What every contender does: add two numbers sent as JSON. This file is a job too: `pyjob run summing.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = "/api/v1/perform"
PAYLOAD = b'{"x": 20, "y": 5}'
SUM = 25


class Summing:
    """The job."""

    def perform(self, x: float, y: float) -> float:
        """Add two numbers."""
        return x + y

    def docs_input_example(self) -> dict[str, float]:
        """As `PAYLOAD`."""
        return {"x": 20, "y": 5}


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The yardstick: the least that a WSGI function can do for the same answer, nothing checked."""
    arguments = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    body = json.dumps(arguments["x"] + arguments["y"]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def check_answer(name: str, status: int, body: bytes) -> None:
    """Raise `ValueError` unless this is the sum: a wrong answer's speed means nothing."""
    if status != 200 or json.loads(body) != SUM:
        raise ValueError(f"{name}: expected 200 and {SUM}, got {status} and {body[:200]!r}")
