"""What callers send, and what is right: the bodies are fixed, and the same for every contender."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contenders import work

# 5 ms of pure Python on the machine where it was written (CPython 3.11, 2.3 GHz: 53 ns a turn); the
# same number everywhere, so that it takes longer where Python is slower.
TURNS = 95_000
RECORD = {
    "id": "order-000000017",
    "customer": {"name": "Example Ltd", "address": "1 Long Street", "city": "Springfield", "vip": True},
    "positions": [
        {"number": number, "article": f"article-{number:05}", "amount": number + 1, "price": 9.75 + number}
        for number in range(10)
    ],
    "remarks": "To be delivered at the back door, between eight and ten in the morning.",
}


@dataclass(frozen=True)
class Work:
    """A function of `contenders.work`, and what it is called with.

    ``connections``: with how many the load comes, where it is not measured with several.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    connections: int = 16

    def right(self, answer: Any) -> bool:
        """Whether this, decoded, is the answer."""
        return bool(answer == self.function(**self.arguments))


WORKS = {
    "sum": Work(work.add, {"x": 20, "y": 5}),
    "record": Work(work.record, {"record": RECORD}),
    # One after the other: 16 of these at once end nearly together, and a second knows only one or two
    # such ends, so that calls a second would mean little. More at once would not be quicker on one core.
    "floats": Work(work.floats, {"count": 100_000}, connections=1),
    "sleep": Work(work.sleep, {"milliseconds": 20}),
    "cpu": Work(work.cpu, {"turns": TURNS}),
}


def body(arguments: Mapping[str, Any]) -> bytes:
    """As JSON."""
    return json.dumps(arguments).encode()
