"""The clients of the soak: a seeded mix of calls, misbehaviour and probes, and the account of it."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

SEED = 20_240_229
# A client that has heard nothing for so long counts as forgotten. Far beyond all that the server promises:
# half a second of line, a second of queue_timeout, 10 s for a head, and the stops on top.
PATIENCE = 60.0
# Closing a socket with this option resets the connection.
RESET = struct.pack("ii", 1, 0)
SECONDS = re.compile(r"[1-9][0-9]*")

PROBES = ("/live", "/ready", "/metrics")
SLOW_HEAD = b"POST /perform HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: 8\r\n"
# Pieces of 60 kB: together more than a connection's buffers hold, some 4 MB by Linux's defaults.
UNREAD = 100
# White space around the arguments. The second size is re-read after waiting, the third waits in a file.
PADDINGS = (0, 100_000, 600_000)
PADDING_WEIGHTS = (96, 3, 1)


def request(
    body: bytes = b"", *headers: str, method: str = "POST", path: str = "/perform", last: bool = True
) -> bytes:
    """A request with ``body``, ``last`` of its connection; ``headers`` go beside those that it needs."""
    lines = [f"{method} {path} HTTP/1.1", "Host: soak", *headers]
    if last:
        lines.append("Connection: close")
    if body and not any(line.startswith("Transfer-Encoding") for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
# What is sent, and the answer to it. What has no end is answered when the time for a head is over.
MALFORMED: dict[str, tuple[bytes, int]] = {
    "broken JSON": (request(b'{"n": ', JSON), 400),
    "no UTF-8": (request(b'{"n": \xff\xfe}', JSON), 400),
    "a wrong type": (request(b'{"n": "one"}', JSON), 400),
    "no object": (request(b"[1]", JSON), 400),
    "a missing argument": (request(b"{}", JSON), 400),
    "an unknown argument": (request(b'{"n": 1, "m": 2}', JSON), 400),
    "an unknown path": (request(b'{"n": 1}', JSON, path="/nowhere"), 404),
    "a wrong method": (request(method="DELETE"), 405),
    "a wrong content type": (request(b"<n>1</n>", "Content-Type: application/xml"), 415),
    "two lengths": (request(b'{"n": 1}', JSON, "Content-Length: 80"), 400),
    "a negative length": (request(b"", JSON, "Content-Length: -8"), 400),
    "a broken chunk": (request(b'zz\r\n{"n": 1}\r\n0\r\n\r\n', JSON, CHUNKED), 400),
    "a huge length": (request(b"", JSON, "Content-Length: 1000000000000"), 413),
    "a huge head": (request(b'{"n": 1}', JSON, "X-Long: " + "x" * 100_000), 431),
    "garbage": (bytes(range(256)) + b"\r\n\r\n", 400),
    "endless garbage": (b"\xff\xfe\xfd" * 50, 408),
    "a TLS hello": (bytes.fromhex("16030100c2010000be0303") + b"\x12" * 188, 408),
}


@dataclass(frozen=True)
class Answer:
    """One answer of the server."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Account:
    """What the clients did, and what became of it."""

    acts: Counter[str] = field(default_factory=Counter)
    # Valid and complete calls whose clients waited for the answers, and those answers.
    stayed: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    # Valid and complete calls whose clients did not.
    left: int = 0
    probes: list[float] = field(default_factory=list)
    # What no client may meet.
    faults: list[str] = field(default_factory=list)


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    parts = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in parts}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(first.split(" ")[1]), headers, body)


async def read_end(reader: asyncio.StreamReader) -> None:
    if rest := await reader.read():
        raise ValueError(f"more than was asked for: {rest[:200]!r}")


class Crowd:
    """Clients of the server at ``port``: `press` has many of them, each of which does one of `ACTS`."""

    def __init__(self, port: int) -> None:
        self.account = Account()
        self._port = port
        self._numbers = itertools.count(1)

    async def press(self, seconds: float, rate: float) -> None:
        """``rate`` clients a second, whatever becomes of those before; ends when the last one has ended."""
        chance = random.Random(SEED)
        loop = asyncio.get_running_loop()
        at = loop.time()
        ends_at = at + seconds
        async with asyncio.TaskGroup() as clients:
            while (at := at + chance.expovariate(rate)) < ends_at:
                await asyncio.sleep(at - loop.time())
                (act,) = chance.choices([*ACTS], [*ACTS.values()])
                clients.create_task(self.play(act, random.Random(chance.getrandbits(64))))

    async def play(self, act: str, chance: random.Random) -> None:
        """Be one client, and write down what it must not meet."""
        self.account.acts[act] += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await getattr(self, act)(chance)
        except Exception as error:
            self.account.faults.append(f"{act}: {error!r}")

    async def fresh(self, chance: random.Random) -> None:
        """A call on a connection of its own."""
        async with self._connection() as (reader, writer):
            await self._call(reader, writer, chance, last=True)
            await read_end(reader)

    async def kept(self, chance: random.Random) -> None:
        """Several calls on one connection, one after the other."""
        async with self._connection() as (reader, writer):
            for more in reversed(range(chance.randint(2, 6))):
                await self._call(reader, writer, chance, last=not more)
                await asyncio.sleep(chance.uniform(0, 0.3))
            await read_end(reader)

    async def pipelined(self, chance: random.Random) -> None:
        """Two calls in one write, answered in their order."""
        async with self._connection() as (reader, writer):
            calls = [self._valid_call(chance, last=last) for last in (False, True)]
            self.account.stayed += 2
            writer.write(b"".join(sent for _, sent in calls))
            for number, _ in calls:
                self._settle(number, await read_answer(reader))
            await read_end(reader)

    async def leaves(self, chance: random.Random) -> None:
        """A call, or two in one write, whose client hangs up while it waits or runs."""
        async with self._connection(resets=chance.random() < 0.5) as (_, writer):
            for last in chance.choice(((True,), (True,), (False, True))):
                self.account.left += 1
                writer.write(self._valid_call(chance, last=last)[1])
            await asyncio.sleep(chance.triangular(0, 0.8, 0.5))

    async def half_closes(self, chance: random.Random) -> None:
        """A call whose client closes its sending half, which counts as gone: the server closes the rest."""
        async with self._connection() as (reader, writer):
            self.account.left += 1
            writer.write(self._valid_call(chance, last=True)[1])
            await asyncio.sleep(chance.uniform(0, 0.4))
            # The server may have refused the call and closed by now.
            with suppress(ConnectionError):
                writer.write_eof()
                await reader.read()

    async def never_reads(self, chance: random.Random) -> None:
        """A call whose answer is a stream of more than the system takes, and none of it is read."""
        async with self._connection(resets=chance.random() < 0.5) as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            self.account.left += 1
            writer.write(request(b'{"n": 0, "pieces": %d}' % UNREAD, JSON, last=False))
            await asyncio.sleep(chance.uniform(0, 4))

    async def leaves_early(self, chance: random.Random) -> None:
        """A call whose client hangs up before the body is complete."""
        async with self._connection(resets=chance.random() < 0.5) as (_, writer):
            _, sent = self._valid_call(chance, last=True)
            writer.write(sent[: chance.randrange(len(sent) - 1)])
            await asyncio.sleep(chance.uniform(0, 0.4))

    async def slow(self, chance: random.Random) -> None:
        """A byte of the head now and then, then silence; half of them stay for the answer."""
        async with self._connection() as (reader, writer):
            for at in range(chance.randint(1, 20)):
                writer.write(SLOW_HEAD[at : at + 1])
                await asyncio.sleep(chance.uniform(0.1, 0.5))
            if chance.random() < 0.5:
                self._expect(408, await read_answer(reader))
                await read_end(reader)

    async def malformed(self, chance: random.Random) -> None:
        """Something that is no call, with the answer to it."""
        kind = chance.choice([*MALFORMED])
        sent, status = MALFORMED[kind]
        async with self._connection() as (reader, writer):
            try:
                writer.write(sent)
                self._expect(status, await read_answer(reader))
                await read_end(reader)
            except ValueError as error:
                raise ValueError(f"{kind}: {error}") from None
            except ConnectionError:
                # Answered before it was read: what then lies unread at the server resets the connection.
                if kind != "a huge head":
                    raise

    async def probe(self, chance: random.Random) -> None:
        """What must answer whatever else there is."""
        began = time.monotonic()
        async with self._connection() as (reader, writer):
            writer.write(request(method="GET", path=chance.choice(PROBES)))
            self._expect(200, await read_answer(reader))
            self.account.probes.append(time.monotonic() - began)
            await read_end(reader)

    async def _call(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random, *, last: bool
    ) -> None:
        number, sent = self._valid_call(chance, last=last)
        self.account.stayed += 1
        writer.write(sent)
        self._settle(number, await read_answer(reader))

    def _settle(self, number: int, answer: Answer) -> None:
        """The one answer to the call of ``number``: that number, or when to come back."""
        self.account.statuses[answer.status] += 1
        if answer.status == 200:
            right = answer.body == b"%d" % number
        else:
            waits = answer.headers.get("retry-after", "")
            right = answer.status in (429, 503) and SECONDS.fullmatch(waits) is not None
        if not right:
            raise ValueError(f"call {number}: {answer}")

    def _expect(self, status: int, answer: Answer) -> None:
        if answer.status != status:
            raise ValueError(f"expected {status}: {answer}")

    def _valid_call(self, chance: random.Random, *, last: bool) -> tuple[int, bytes]:
        number = next(self._numbers)
        (padding,) = chance.choices(PADDINGS, PADDING_WEIGHTS)
        body = b'{"n": %d%*s}' % (number, padding, b"")
        if chance.random() < 0.2:
            half = len(body) // 2
            pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:], b"")]
            return number, request(b"".join(pieces), JSON, CHUNKED, last=last)
        return number, request(body, JSON, last=last)

    @asynccontextmanager
    async def _connection(
        self, *, resets: bool = False
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield reader, writer
        finally:
            if resets:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


# How many of a hundred clients do what: together they make a hundred valid calls.
ACTS = {
    "fresh": 40,
    "kept": 8,
    "pipelined": 4,
    "leaves": 12,
    "half_closes": 3,
    "never_reads": 1,
    "leaves_early": 5,
    "malformed": 15,
    "slow": 2,
    "probe": 10,
}
