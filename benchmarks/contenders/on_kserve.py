"""The works under KServe's model server, V1 protocol, a model for each: `python on_kserve.py PORT`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import kserve
import kserve.model_server
import work

WORKS: dict[str, Callable[..., Any]] = {
    "sum": work.add,
    "record": work.record,
    "floats": work.floats,
    "sleep": work.sleep,
    "cpu": work.cpu,
}


class OnLoopback(kserve.model_server.RESTServer):  # type: ignore[misc]  # its types are not at hand
    """It has no option for the address and takes every one, nor for its access lines."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.config.host = "127.0.0.1"
        self.config.access_log = False


class RaceModel(kserve.Model):  # type: ignore[misc]  # likewise
    """One work. A plain `predict` runs in the event loop: one call after the other."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = True

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        """As V1 has it: a list of calls, a list of answers."""
        return {"predictions": [WORKS[self.name](**instance) for instance in payload["instances"]]}


kserve.model_server.RESTServer = OnLoopback
server = kserve.ModelServer(
    http_port=int(sys.argv[1]), workers=1, enable_grpc=False, enable_latency_logging=False
)
server.start([RaceModel(name) for name in WORKS])
