"""What a call costs as its body grows: `pyjob run` beside a bare function on waitress, one connection."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from process import Served, pinned
from race.results import Curve
from summing import PATH

from inside.children import Place

JOB = Path(__file__).with_name("counting.py")
SIZES = (10, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
STEP = "bytes of the body"
ROW = {"id": 12, "name": "a name", "size": 1.5}
# Of the sizes, so many are called before it counts.
WARMING = 4
FEWEST = 3
PATIENCE = 30.0
Values = dict[str, list[list[float]]]  # by kind: a number a round, for each size


class AnswerError(Exception):
    """An answer that is not the right one."""


@dataclass(frozen=True)
class Request:
    """``sent``: all its bytes; ``answer``: the right one."""

    sent: bytes
    answer: int


class Caller:
    """Sends one request after the other on one connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of an answer that says how long it is. Raises `AnswerError` and `OSError`."""
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(headers[b"content-length"]):
            body += self._more()
        return int(head.split(b" ", 2)[1]), body

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise AnswerError("the server has closed the connection")
        return data


def text_of(size: int) -> tuple[bytes, int]:
    """A body of so many bytes that is one text, and the right answer."""
    length = size - len(b'{"x":""}')
    return json.dumps({"x": "a" * length}, separators=(",", ":")).encode(), length


def rows_of(size: int) -> tuple[bytes, int]:
    """A body of so many bytes that is many small objects, and the right answer."""
    row = json.dumps(ROW)
    count = max(0, (size - len('{"x":[]}') + 1) // (len(row) + 1))
    return f'{{"x":[{",".join([row] * count)}]}}'.ljust(size).encode(), count


KINDS = {"text": text_of, "rows": rows_of}


def request_of(body: bytes, answer: int) -> Request:
    """The request with this body."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return Request(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, answer)


def curves(place: Place, *, rounds: int, seconds: float, load_core: int) -> list[Curve]:
    """Milliseconds a call, and how many times that of the bare function.

    Raises `AnswerError`, `StartError` and `OSError`.
    """
    requests = {kind: [request_of(*make(size)) for size in SIZES] for kind, make in KINDS.items()}
    own: Values = {kind: [[] for _ in SIZES] for kind in KINDS}
    bare: Values = {kind: [[] for _ in SIZES] for kind in KINDS}
    with (
        place.running(JOB) as (server, _),
        place.serving("-m", "inside.counting") as (plain, _),
        pinned(load_core),
    ):
        for request in [each for of_kind in requests.values() for each in of_kind[:WARMING]]:
            for each in (server, plain):
                one_turn(each, request, seconds)  # caches filled, code specialised
        for _ in range(rounds):
            for kind, of_kind in requests.items():
                for index, request in enumerate(of_kind):
                    own[kind][index].append(one_turn(server, request, seconds))
                    bare[kind][index].append(one_turn(plain, request, seconds))
    return [*_costs(own, bare), *_ratios(own, bare)]


def one_turn(server: Served, request: Request, seconds: float) -> float:
    """Milliseconds a call, the median of those in so much time. Raises `AnswerError` and `OSError`."""
    caller = Caller(server.port)
    times: list[float] = []
    try:
        end = time.perf_counter() + seconds
        while len(times) < FEWEST or time.perf_counter() < end:
            began = time.perf_counter()
            status, content = caller.call(request.sent)
            times.append((time.perf_counter() - began) * 1000)
            if status != 200 or json.loads(content) != request.answer:
                raise AnswerError(f"expected 200 and {request.answer}, got {status} and {content[:200]!r}")
    finally:
        caller.close()
    return median(times)


def _costs(own: Values, bare: Values) -> list[Curve]:
    named = [(f"{kind}{of}", values[kind]) for kind in KINDS for of, values in (("", own), (", bare", bare))]
    return [Curve(title, STEP, "ms a call", SIZES, values) for title, values in named]


def _ratios(own: Values, bare: Values) -> list[Curve]:
    return [
        Curve(
            kind,
            STEP,
            "times bare",
            SIZES,
            [
                [mine / other for mine, other in zip(*pair, strict=True)]
                for pair in zip(own[kind], bare[kind], strict=True)
            ],
        )
        for kind in KINDS
    ]
