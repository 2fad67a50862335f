"""The five works that every contender serves, as plain functions: what differs is what stands around them."""

from __future__ import annotations

import functools
import time
from typing import Any

# Leaves no float with few digits: what a list of floats costs is mostly to write its digits.
GOLDEN = 0.6180339887498949


def add(x: float, y: float) -> float:
    """`sum`: as little as a call can do."""
    return x + y


def record(record: dict[str, Any]) -> dict[str, Any]:
    """`record`: a document of 1 kB comes in and goes out again, with a field more."""
    return {**record, "seen": True}


def floats(count: int) -> list[float]:
    """`floats`: a large answer. They are made at the first call: a server at rest does without them."""
    return made(count)


@functools.cache
def made(count: int) -> list[float]:
    return [turn * GOLDEN % 1 for turn in range(count)]


def sleep(milliseconds: float) -> float:
    """`sleep`: waiting for something else, a database or another service."""
    time.sleep(milliseconds / 1000)
    return milliseconds


def cpu(turns: int) -> int:
    """`cpu`: a computation in pure Python, which holds the interpreter's lock."""
    total = 0
    for turn in range(turns):
        total = (total + turn * turn) % 1_000_003
    return total
