"""The works under LitServe: `python on_litserve.py PORT`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import litserve
import work

WORKS: dict[str, Callable[..., Any]] = {
    "sum": work.add,
    "record": work.record,
    "floats": work.floats,
    "sleep": work.sleep,
    "cpu": work.cpu,
}


class RaceAPI(litserve.LitAPI):  # type: ignore[misc]  # its types are not at hand
    """One worker process, which takes one call after the other."""

    def setup(self, device: str) -> None:
        """Nothing to load."""

    def predict(self, x: dict[str, Any]) -> Any:
        """One path for all: the body says what to do."""
        return WORKS[x.pop("work")](**x)


if __name__ == "__main__":  # its processes import this file again
    server = litserve.LitServer(RaceAPI(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, access_log=False)
