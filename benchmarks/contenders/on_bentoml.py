"""The works under BentoML: `bentoml serve on_bentoml:RaceService`."""

from __future__ import annotations

from typing import Any

import bentoml
import work


@bentoml.service(workers=1, threads=8, logging={"access": {"enabled": False}})
class RaceService:
    """One process beside the one that started it."""

    @bentoml.api(route="/api/v1/perform")
    def perform(self, x: float, y: float) -> float:
        return work.add(x, y)

    @bentoml.api(route="/api/v1/record")
    def record(self, record: dict[str, Any]) -> dict[str, Any]:
        return work.record(record)

    @bentoml.api(route="/api/v1/floats")
    def floats(self, count: int) -> list[float]:
        return work.floats(count)

    @bentoml.api(route="/api/v1/sleep")
    def sleep(self, milliseconds: float) -> float:
        return work.sleep(milliseconds)

    @bentoml.api(route="/api/v1/cpu")
    def cpu(self, turns: int) -> int:
        return work.cpu(turns)
