"""Callers who come when they come, whether or not earlier ones have been answered (an open loop)."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

# Seconds. After the first a caller gives up.
PATIENCE = 60.0
BETWEEN_PROBES = 0.05
HEAD_START = 0.2
LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
OK = "200"
T = TypeVar("T")


class Call(NamedTuple):
    """One caller. Times in seconds: ``due`` and ``sent`` since the start of the turn.

    ``late``: how long after ``due`` it set out, which is the fault of this program alone; ``sent``: when its
    request had been handed to the kernel; ``took``: from setting out, connecting included, until the whole
    answer, or the failure; ``outcome``: the status, or the failure's name; ``started``: the how many-th call
    of the job it is.
    """

    n: int
    due: float
    late: float
    sent: float
    took: float
    outcome: str
    started: int


class Probe(NamedTuple):
    """One look at the liveness endpoint, as those of `Call`."""

    late: float
    took: float
    outcome: str


class Callers:
    """Those of one server, for one turn."""

    def __init__(self, port: int, perform: str, live: str) -> None:
        self.port = port
        self._perform = perform
        self._probe = request("GET", live)
        self._begin = 0.0

    async def come(self, dues: Sequence[float], seconds: float) -> tuple[list[Call], list[Probe]]:
        """Call when due, and probe all the while; ends when each has its answer or has failed."""
        self._begin = asyncio.get_running_loop().time() + HEAD_START
        probes = [number * BETWEEN_PROBES for number in range(round(seconds / BETWEEN_PROBES))]
        probing = asyncio.ensure_future(self._each(probes, self._look))
        calling = asyncio.ensure_future(self._each(dues, self._call))
        return await calling, await probing

    async def hold(self, n: int, milliseconds: float) -> str:
        """One call now, of the length given; its outcome."""
        _, outcome, _ = await self._exchange(self._perform_request(n, milliseconds))
        return outcome

    async def _each(self, dues: Sequence[float], act: Callable[[int, float], Awaitable[T]]) -> list[T]:
        acts = []
        for number, due in enumerate(dues, start=1):
            await asyncio.sleep(due - self._now())
            acts.append(asyncio.ensure_future(act(number, due)))
        return [await one for one in acts]

    async def _call(self, n: int, due: float) -> Call:
        began = self._now()
        sent, outcome, body = await self._exchange(self._perform_request(n))
        took = self._now() - began
        started = 0
        if outcome == OK:
            outcome, started = judged(n, body)
        return Call(n, due, began - due, sent, took, outcome, started)

    async def _look(self, number: int, due: float) -> Probe:
        began = self._now()
        _, outcome, _ = await self._exchange(self._probe)
        return Probe(began - due, self._now() - began, outcome)

    async def _exchange(self, message: bytes) -> tuple[float, str, bytes]:
        """A request on a connection of its own: when it was sent, its outcome, the answer's body."""
        sent = 0.0
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(message)
                    sent = self._now()
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = LENGTH.search(head)
                    body = await (reader.readexactly(int(length.group(1))) if length else reader.read())
                finally:
                    writer.close()
            return sent, head.split(maxsplit=2)[1].decode(), body
        except TimeoutError:
            return sent, "timeout", b""
        except asyncio.IncompleteReadError:
            return sent, "closed without an answer", b""
        except (OSError, ValueError, LookupError, asyncio.LimitOverrunError) as error:
            return sent, type(error).__name__, b""

    def _perform_request(self, n: int, milliseconds: float | None = None) -> bytes:
        arguments = {"n": n} if milliseconds is None else {"n": n, "milliseconds": milliseconds}
        return request("POST", self._perform, json.dumps(arguments).encode())

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._begin


def schedule(rate: float, seconds: float, seed: int = 1) -> list[float]:
    """When callers set out: ``rate * seconds`` moments, each by chance, the same in every turn.

    That is a Poisson process of which the number of callers is known: they come in clusters, as callers do.
    """
    chance = random.Random(seed)
    return sorted(chance.uniform(0, seconds) for _ in range(round(rate * seconds)))


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request on a connection that is not to be kept."""
    about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{about}Connection: close\r\n\r\n".encode() + body


def judged(n: int, body: bytes) -> tuple[str, int]:
    """Outcome and ``started`` of an answer with status 200."""
    try:
        answer = json.loads(body)
        together, started = answer["together"], int(answer["started"])
        right = answer["n"] == n
    except (ValueError, LookupError, TypeError):
        return "wrong answer", 0
    if not right:
        return "wrong answer", 0
    return (OK if together == 1 else "ran beside another call"), started
