"""One thread that looks after things while requests come, and sleeps while none do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

# How often it looks: what it watches (threads that are held, waits that are over) is about people's patience.
TICK = 0.05
# It goes to sleep after so many looks at which there was nothing: waking it costs a request a little.
QUIET_TICKS = 20

logger = logging.getLogger(__name__)

# Looks at one thing; True while there is something to look at again soon.
Chore = Callable[[], bool]


class Warden:
    """Does its chores every 50 ms from `stir` on, until nothing has been stirring for a second.

    ``sleeps``: whether it waits for the next `stir`.
    """

    def __init__(self) -> None:
        self._chores: list[Chore] = []
        self._lock = threading.Lock()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_started = False
        self.sleeps = False
        self._stirred = False
        self._ended = False

    def watch(self, chore: Chore) -> None:
        """Do ``chore`` too."""
        self._chores.append(chore)

    def stir(self) -> None:
        """Something happens. Cheap while the warden is awake: it is called for every request."""
        self._stirred = True
        if self.sleeps or not self._is_started:
            self._wake()

    def end(self) -> None:
        """The thread ends; what it has changed, its chores put back."""
        self._ended = True
        self._bell.put(None)

    def _wake(self) -> None:
        with self._lock:
            if not self._is_started:
                self._is_started = True
                threading.Thread(target=self._look_after, name="pyjob-warden", daemon=True).start()
            elif self.sleeps:
                self.sleeps = False
                self._bell.put(None)

    def _look_after(self) -> None:
        quiet = 0
        while not self._ended:
            is_busy, self._stirred = self._stirred, False
            for chore in self._chores:
                is_busy = self._done(chore) or is_busy
            quiet = 0 if is_busy else quiet + 1
            if quiet > QUIET_TICKS:
                self._sleep()
                quiet = 0
            else:
                self._rest(TICK)

    def _sleep(self) -> None:
        self.sleeps = True
        # `stir` sets the one and then reads the other, and so does this: one of the two sees it.
        if self._stirred:
            self.sleeps = False
        else:
            self._bell.get()

    def _rest(self, seconds: float) -> None:
        try:
            self._bell.get(timeout=seconds)
        except Empty:
            return

    def _done(self, chore: Chore) -> bool:
        try:
            return chore()
        except Exception:
            logger.exception("a fault of pyjob itself")
            return False
