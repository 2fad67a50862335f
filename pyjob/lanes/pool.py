"""The threads that serve requests under waitress: a few, and one more for each that is held (SPEC 5.1, 5.3).

A thread is *held* while it runs one request for long: a slow call. Beside those there are always `SPARE`
threads for what is short: probes, metrics, docs, refusals, checks of calls that then wait without a thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import Protocol

from pyjob.lanes.warden import Warden

SPARE = 4
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
        while (task := self._pool.next_task()) is not None:
            self.busy = True
            try:
                task.service()
            except BaseException:
                logger.exception("a fault of pyjob itself, or of waitress")
            self.busy = False
            self.served += 1
            del task  # an idle thread must keep nothing alive
        self._pool.forget(self)

    def is_held(self) -> bool:
        """Whether it serves the same request as when last asked."""
        held = self.busy and self.served == self.served_before
        self.served_before = self.served
        return held


class Pool:
    """Threads for waitress, in place of its own task dispatcher: at most ``most`` of them."""

    def __init__(self, most: int, warden: Warden) -> None:
        self.most = most
        self._warden = warden
        self._lock = threading.Lock()
        self._workers: set[Worker] = set()
        # A token for each task, and the tasks: those that come back with a slot are served first.
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._resumed: deque[Task] = deque()
        self._fresh: deque[Task] = deque()
        self._surplus_since: float | None = None
        self._stopped = False
        self._grow_to(min(SPARE, most))
        warden.watch(self.adapt)

    @property
    def size(self) -> int:
        """How many threads there are."""
        return len(self._workers)

    def add_task(self, task: Task) -> None:
        """A request has come (waitress's name for it)."""
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
        if not self._tokens.get():
            return None
        try:
            return self._resumed.popleft()
        except IndexError:
            return self._fresh.popleft()

    def forget(self, worker: Worker) -> None:
        """It has ended."""
        with self._lock:
            self._workers.discard(worker)

    def adapt(self) -> bool:
        """As many threads as are held, and the spare ones; True while some are held or too many."""
        with self._lock:
            workers = list(self._workers)
        held = sum(worker.is_held() for worker in workers)
        standing = self._tokens.qsize()
        wanted = held + SPARE
        if standing and held >= len(workers):
            wanted += standing
        if wanted >= len(workers):
            self._surplus_since = None
            self._grow_to(min(wanted, self.most))
        else:
            self._shrink(len(workers) - wanted)
        return held > 0 or standing > 0 or self.size > SPARE

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads, within ``timeout`` seconds as far as they are not held (waitress's call)."""
        self._stopped = True
        with self._lock:
            workers = list(self._workers)
        for _ in workers:
            self._tokens.put(False)
        deadline = time.monotonic() + timeout
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        self._warden.end()
        for tasks in (self._resumed, self._fresh):
            while cancel_pending and tasks:
                tasks.popleft().cancel()
        return cancel_pending

    def _grow_to(self, size: int) -> None:
        with self._lock:
            while not self._stopped and len(self._workers) < size:
                worker = Worker(self)
                try:
                    worker.start()
                except RuntimeError:
                    self.most = len(self._workers)
                    logger.warning("the system allows no more than %d threads for requests", self.most)
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
