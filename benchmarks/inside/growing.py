"""What a call costs as things grow: endpoints, the line, jobs. No server. Prints curves as JSON.

Runs in pyjob's environment. Of each curve, all steps take turns in every round.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from app_cost import wsgi_run
from summing import SUM, Summing

from inside.timing import Timed, answering, timed
from pyjob import Application, Settings, create
from pyjob.gate.gate import Gate

ENDPOINTS = (10, 100, 1000)
WAITING = (0, 10, 100, 500)
QUIET = Settings(access_log=False)


def main() -> None:
    rounds, calls = map(int, sys.argv[1:])
    made = (
        ("perform", "endpoints", ENDPOINTS, [first_endpoint(count) for count in ENDPOINTS]),
        ("the last of them", "endpoints", ENDPOINTS, [last_endpoint(count) for count in ENDPOINTS]),
        ("in and out at the gate", "calls waiting", WAITING, [hand_over(count) for count in WAITING]),
        ("a call refused (429)", "calls waiting", WAITING, [refused(count) for count in WAITING]),
        ("GET /live", "calls waiting", WAITING, [alive(count) for count in WAITING]),
    )
    curves = [
        {
            "title": title,
            "step": step,
            "unit": "us a call",
            "steps": steps,
            "values": timed(runs, rounds, calls),
        }
        for title, step, steps, runs in made
    ]
    json.dump(curves, sys.stdout)


def with_endpoints(count: int) -> Application:
    """A job with so many auxiliary endpoints beside `perform`."""

    class Many(Summing):
        def auxiliary_endpoints(self) -> Mapping[str, Callable[..., float]]:
            return {f"/endpoint-{number}": self.perform for number in range(1, count + 1)}

    return create(Many, settings=QUIET, load="now")


def first_endpoint(count: int) -> Timed:
    """`perform`, beside so many."""
    return answering(wsgi_run(with_endpoints(count)), 200, SUM)


def last_endpoint(count: int) -> Timed:
    """The last of so many."""
    path = {"PATH_INFO": f"/api/v1/endpoint-{count}"}
    return answering(wsgi_run(with_endpoints(count), path), 200, SUM)


def hand_over(waiting: int) -> Timed:
    """One leaves, which lets the first in line in; another one comes."""
    gate = Gate(slots=1)
    line = [gate.enter(_nothing) for _ in range(waiting + 1)]

    def run(calls: int) -> None:
        for _ in range(calls):
            gate.leave(line.pop(0))
            line.append(gate.enter(_nothing))
        if gate.waiting != waiting:
            raise ValueError(f"{gate.waiting} wait, not {waiting}")

    return run


def crowded(waiting: int) -> Application:
    """A job that runs one call at a time: one runs and so many wait, for ever; one more is refused."""
    extra = {"max_concurrency": 1, "max_concurrency_queue": waiting}
    application: Application = create(Summing, manifest=_manifest(extra), settings=QUIET, load="now")
    for _ in range(waiting + 1):
        application.gate.enter(_nothing)
    return application


def refused(waiting: int) -> Timed:
    """A call that finds the line full."""
    return answering(wsgi_run(crowded(waiting)), 429)


def alive(waiting: int) -> Timed:
    """A probe beside the line."""
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/live", "CONTENT_LENGTH": "0"}
    return answering(wsgi_run(crowded(waiting), request), 200)


def _manifest(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "summing",
        "owner_email": "nobody@example.com",
        "jobtype": "python3:latest",
        "git": {"remote": "https://example.com/summing"},
        "jobtype_extra": {"entrypoint_path": "summing.py", **extra},
    }


def _nothing() -> None:
    """Somebody's turn: nobody waits for it."""


if __name__ == "__main__":
    main()
