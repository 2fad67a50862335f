import asyncio
import logging
from typing import Any

import pyjob

ADVISERS = ("weather", "traffic", "parking")

logger = logging.getLogger(__name__)


class JobEntrypoint:
    """Says whether a trip to a town is a good idea; asks three other jobs at once."""

    async def perform(self, town: str) -> dict[str, Any]:
        """
        Ask all advisers.
        :param town: Where to go.
        :return: What each says, None where it does not answer, and whether nobody advises against it.
        """
        said = await asyncio.gather(*(self.advice(adviser, town) for adviser in ADVISERS))
        advice = dict(zip(ADVISERS, said, strict=True))
        return {"advice": advice, "go": all(one is None or one["good"] for one in said)}

    async def advice(self, adviser: str, town: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = await pyjob.call_job_coroutine(
                self, adviser, "/api/v1/perform", {"town": town}, timeout=5
            )
        except pyjob.CallError as error:
            logger.warning("going without: %s", error)
            return None
        return answer

    def docs_input_example(self) -> dict[str, object]:
        return {"town": "Ribe"}
