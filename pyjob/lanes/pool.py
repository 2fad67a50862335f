"""The threads of one lane: a few, and one more for each that is held (SPEC 5.1, 5.3).

A thread is *held* while it serves one request for long. Beside those there are always some spare ones for
what is short.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import Protocol

from pyjob.lanes.warden import Warden

# Threads that nobody needed for so many seconds end.
IDLE_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Task(Protocol):
    """A connection with a request to serve, as waitress knows it."""

    def service(self) -> None:
        """Serve the request."""

    def cancel(self) -> None:
        """Drop it, and the connection."""


class Worker(threading.Thread):
    """One thread of a pool; ``served`` changes with every request, ``busy`` is whether it has one."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(name="pyjob-worker", daemon=True)
        self._pool = pool
        self.busy = False
        self.served = 0
        self.served_before = -1

    def run(self) -> None:
        """Serve until told to stop."""
        try:
            while (task := self._pool.next_task()) is not None:
                self._serve(task)
                del task  # an idle thread must keep nothing alive
        finally:
            # Also where somebody has thrown an exception at this thread: the pool replaces it.
            self._pool.forget(self)

    def _serve(self, task: Task) -> None:
        self.busy = True
        try:
            task.service()
        except BaseException:
            logger.exception("a fault of pyjob itself, or of waitress")
        finally:
            self.busy = False
            self.served += 1

    def is_held(self) -> bool:
        """Whether it serves the same request as when last asked."""
        held = self.busy and self.served == self.served_before
        self.served_before = self.served
        return held


class Pool:
    """The threads of one lane: ``spare`` ones that are not held, and at most ``most``; none before a task.

    ``is_eager``: whether what stands there for long gets threads, too, before any is seen to be held. It is
    no help where a request holds none, and just takes its time on a machine that is busy.
    """

    def __init__(self, spare: int, most: int, warden: Warden, *, is_eager: bool = True) -> None:
        self.most = most
        self._is_eager = is_eager
        self._spare = spare
        self._warden = warden
        self._lock = threading.Lock()
        self._workers: set[Worker] = set()
        # A token for each task, and the tasks: those that come back with a slot are served first.
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._resumed: deque[Task] = deque()
        self._fresh: deque[Task] = deque()
        self._served = self._standing = 0
        self._surplus_since: float | None = None
        self._stopped = self._has_told = False
        warden.watch(self.adapt)

    @property
    def size(self) -> int:
        """How many threads there are."""
        return len(self._workers)

    def add_task(self, task: Task) -> None:
        """A request has come."""
        if not self._workers:
            self._grow_to(min(self._spare, self.most))
        self._fresh.append(task)
        self._tokens.put(True)
        self._warden.stir()

    def put_back(self, task: Task) -> None:
        """A request that was parked may go on."""
        self._resumed.append(task)
        self._tokens.put(True)
        self._warden.stir()

    def next_task(self) -> Task | None:
        """Block until there is one; None tells a worker to end."""
        while self._tokens.get():
            for tasks in (self._resumed, self._fresh):
                if tasks:
                    try:
                        return tasks.popleft()
                    except IndexError:  # others take from it too, and it may have been cancelled
                        continue
        return None

    def forget(self, worker: Worker) -> None:
        """It has ended."""
        with self._lock:
            self._workers.discard(worker)
        if self._stopped:
            return
        # One that was ended between a token and its task has left the task without.
        for _ in range(len(self._resumed) + len(self._fresh) - self._tokens.qsize()):
            self._tokens.put(True)
        self._warden.stir()

    def adapt(self) -> bool:
        """As many threads as are held, and the spare ones; True while there is something to look at again."""
        with self._lock:
            workers = list(self._workers)
        held = sum(worker.is_held() for worker in workers)
        served_before, self._served = self._served, sum(worker.served for worker in workers)
        stood, self._standing = self._standing, self._tokens.qsize()
        standing = self._standing
        wanted = held + self._spare if workers else 0
        if self._is_eager and self._served - served_before < min(stood, standing):
            # Some stand there since the last look.
            wanted = sum(worker.busy for worker in workers) + standing + self._spare
        if wanted >= len(workers):
            self._surplus_since = None
            self._grow_to(min(wanted, self.most))
        else:
            self._shrink(len(workers) - wanted)
        return held > 0 or standing > 0 or self.size > self._spare

    def stop(self) -> None:
        """Tell the threads to end after what they serve."""
        self._stopped = True
        for _ in range(self.size):
            self._tokens.put(False)

    def join(self, deadline: float) -> None:
        """Wait for them, until ``deadline`` (of the monotonic clock)."""
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def cancel(self) -> None:
        """Drop what nobody has begun to serve."""
        for tasks in (self._resumed, self._fresh):
            while tasks:
                tasks.popleft().cancel()

    def _grow_to(self, size: int) -> None:
        with self._lock:
            while not self._stopped and len(self._workers) < size:
                worker = Worker(self)
                try:
                    worker.start()
                except RuntimeError:
                    if not self._has_told:
                        logger.warning("the system allows no more than %d threads here", len(self._workers))
                    self._has_told = True
                    return
                self._workers.add(worker)

    def _shrink(self, surplus: int) -> None:
        now = time.monotonic()
        if self._surplus_since is None:
            self._surplus_since = now
        elif now - self._surplus_since > IDLE_SECONDS and not self._tokens.qsize():
            self._surplus_since = None
            for _ in range(surplus):
                self._tokens.put(False)
