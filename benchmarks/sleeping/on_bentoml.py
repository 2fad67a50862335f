"""The job under BentoML: `bentoml serve on_bentoml:SleepingService`, with the line's length in `LINE`."""

from __future__ import annotations

import os

import bentoml
from sleeper import MILLISECONDS, Sleeper


@bentoml.service(
    workers=1,
    threads=1,  # the default: one plain (not async) method at a time
    traffic={
        "max_concurrency": 1 + int(os.environ["LINE"]),  # running and waiting together; above it 429
        "concurrency": 1,  # what its cloud scales by; nothing here reads it
    },
)
class SleepingService:
    """One process beside the one that started it."""

    def __init__(self) -> None:
        self.sleeper = Sleeper()

    @bentoml.api(route="/perform")
    def perform(self, n: int, milliseconds: float = MILLISECONDS) -> dict[str, int]:
        """As the job's."""
        return self.sleeper.perform(n, milliseconds)
