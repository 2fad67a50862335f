"""The job under LitServe: `python on_litserve.py PORT LINE`."""

from __future__ import annotations

import sys
from typing import Any

import litserve
from sleeper import MILLISECONDS, Sleeper


class SleepingAPI(litserve.LitAPI):  # type: ignore[misc]  # its types are not at hand
    """One worker process, which takes one call after the other."""

    def setup(self, device: str) -> None:
        """Runs in the worker."""
        self.sleeper = Sleeper()

    def predict(self, x: dict[str, Any]) -> dict[str, int]:
        """``x``: the body as it came."""
        return self.sleeper.perform(**x)


if __name__ == "__main__":  # its processes import this file again
    port, line = map(int, sys.argv[1:])
    server = litserve.LitServer(
        SleepingAPI(api_path="/perform"),
        accelerator="cpu",
        workers_per_device=1,
        # Its line has no bound but this one: a call that waited longer is answered 504 and not run. The
        # default of 30 s is a line of 600 such calls; this is how long a line as the others' lasts.
        timeout=line * MILLISECONDS / 1000,
    )
    server.run(host="127.0.0.1", port=port, generate_client_file=False)
