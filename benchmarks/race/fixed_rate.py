"""An open loop: calls at a fixed rate, whatever becomes of them, and how long each took from when it was due.

The moments at which calls are due come from a Poisson process and are fixed beforehand, so a server that
stalls does not make its callers come later, as it does in a closed loop (coordinated omission): a call that
could not be sent in time has waited since it was due. The sender polls without pause on a core of its own,
and keeps its connections. It takes the one used last; when all wait for answers it opens another, up to
`MOST_CONNECTIONS`. One that was not used for a second is closed: a server may close it at the same moment.
"""

from __future__ import annotations

import gc
import random
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from race.served import Server
from race.works import body

MOST_CONNECTIONS = 256
AT_FIRST = 16
# Half of what the sender can do where it was written, so that its own lateness is not what is measured.
MOST_CALLS = 12_000.0
PATIENCE = 10.0
UNUSED = 1.0
END_OF_HEAD = b"\r\n\r\n"
RIGHT_STATUS = b"HTTP/1.1 200 "


@dataclass(frozen=True)
class Sent:
    """Milliseconds: percentiles of the latency, and the 99th of how late the sender was.

    ``failed``, ``why``: as in `Turn`.
    """

    p50: float
    p99: float
    p999: float
    late: float
    calls: int
    failed: int
    why: str


@dataclass
class Line:
    """A kept connection. ``due``: when the call on it should have begun; ``read``: what has come so far."""

    socket: socket.socket
    due: float = 0.0
    used: float = 0.0
    read: bytes = b""


@dataclass
class Sender:
    """One turn: what is to be sent and received, and what has come of it."""

    port: int
    request: bytes
    right: bytes
    poll: select.epoll = field(default_factory=select.epoll)
    lines: dict[int, Line] = field(default_factory=dict)
    idle: list[Line] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def send(self, due: float) -> bool:
        """Send one call; false if every connection waits for an answer."""
        now = time.perf_counter()
        while self.idle and now - self.idle[-1].used > UNUSED:
            self._drop(self.idle.pop())
        if not self.idle and len(self.lines) >= MOST_CONNECTIONS:
            return False
        line = self.idle.pop() if self.idle else self.opened()
        line.due = due
        try:
            line.socket.send(self.request)
        except OSError:
            self._fail(line, "closed before the call")
        return True

    def opened(self) -> Line:
        """Another connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        line = Line(connection)
        self.lines[connection.fileno()] = line
        self.poll.register(connection, select.EPOLLIN)
        return line

    def receive(self) -> None:
        """Take what has come, without waiting."""
        for descriptor, _ in self.poll.poll(0):
            line = self.lines[descriptor]
            try:
                read = line.socket.recv(65536)
            except OSError:
                read = b""
            if read:
                self._take(line, line.read + read)
            else:
                self._gone(line)

    def close(self) -> None:
        """Close all connections."""
        for line in list(self.lines.values()):
            self._drop(line)
        self.poll.close()

    def _take(self, line: Line, read: bytes) -> None:
        line.read = read
        end = read.find(END_OF_HEAD)
        whole = end >= 0 and len(read) >= end + len(END_OF_HEAD) + len(self.right)
        if end < 0 or (read.startswith(RIGHT_STATUS) and not whole):
            return
        now = time.perf_counter()
        if read.startswith(RIGHT_STATUS) and read[end + len(END_OF_HEAD) :] == self.right:
            self.latencies.append(now - line.due)
            line.read, line.used = b"", now
            self.idle.append(line)
        else:
            self._fail(line, f"{read[:40]!r} ... {read[-40:]!r}")

    def _gone(self, line: Line) -> None:
        if line in self.idle:
            self.idle.remove(line)
            self._drop(line)
        else:
            self._fail(line, "closed without an answer")

    def _fail(self, line: Line, why: str) -> None:
        self.failures.append(why)
        self._drop(line)

    def _drop(self, line: Line) -> None:
        del self.lines[line.socket.fileno()]
        self.poll.unregister(line.socket)
        line.socket.close()


def send(server: Server, work: str, rate: float, seconds: float) -> Sent:
    """Call at ``rate`` (calls a second) for so long. Raises `WrongAnswerError` and `OSError`."""
    # The same moments for every contender, but for the rate.
    chance = random.Random(11)
    dues = [chance.expovariate(rate)]
    while dues[-1] < seconds:
        dues.append(dues[-1] + chance.expovariate(rate))
    sent = body(server.kind.sent(work))
    head = (
        f"POST {server.kind.path(work)} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    sender = Sender(server.port, head.encode() + sent, server.ask(work))
    gc.collect()
    gc.disable()
    try:
        late = _played(sender, dues)
    finally:
        gc.enable()
        sender.close()
    failed = len(dues) - len(sender.latencies)
    why = f"{failed} calls: {(sender.failures or ['no answer'])[0]}" if failed else ""
    latencies = sorted(sender.latencies) or [0.0]
    p50, p99, p999 = (_percentile(latencies, share) for share in (0.5, 0.99, 0.999))
    return Sent(p50, p99, p999, _percentile(sorted(late) or [PATIENCE], 0.99), len(dues), failed, why)


def _played(sender: Sender, dues: Sequence[float]) -> list[float]:
    """Send all in time, and wait for the answers; by how many seconds each was sent late."""
    clock = time.perf_counter
    sender.idle.extend(sender.opened() for _ in range(AT_FIRST))
    began = clock() + 0.01
    for line in sender.idle:
        line.used = began
    deadline = began + dues[-1] + PATIENCE
    late: list[float] = []
    for each in dues:
        due = began + each
        while clock() < due or not sender.send(due):
            sender.receive()
            if clock() > deadline:
                return late
        late.append(clock() - due)
        sender.receive()
    while len(sender.latencies) + len(sender.failures) < len(dues) and clock() < deadline:
        sender.receive()
    return late


def _percentile(values: Sequence[float], share: float) -> float:
    """Milliseconds of the nearest rank, of sorted seconds."""
    return values[min(len(values) - 1, int(share * len(values)))] * 1000
