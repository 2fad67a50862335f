"""The job of `streaming.py`: streams that say when their first item was made, and calls that sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from summing import Summing

# Seconds before the second item: an answer that is collected first would take as long to arrive.
PAUSE = 0.02


class Yielding(Summing):
    """Yields twice: now, by the clock that all processes of a machine share, and once more."""

    def generator(self) -> Iterator[int]:
        """Written with `yield`."""
        yield time.monotonic_ns()
        time.sleep(PAUSE)
        yield 0

    def iterator(self) -> Iterator[int]:
        """No generator of the job's."""
        return map(_item, range(2))

    async def async_generator(self) -> AsyncIterator[int]:
        """On the event loop."""
        yield time.monotonic_ns()
        await asyncio.sleep(PAUSE)
        yield 0

    async def sleep(self, seconds: float) -> float:
        """Wait without a thread."""
        await asyncio.sleep(seconds)
        return seconds

    def auxiliary_endpoints(self) -> dict[str, Callable[..., Any]]:
        """All of them, by their names."""
        methods = (self.generator, self.iterator, self.async_generator, self.sleep)
        return {f"/{method.__name__}": method for method in methods}


def _item(number: int) -> int:
    if number:
        time.sleep(PAUSE)
        return 0
    return time.monotonic_ns()
