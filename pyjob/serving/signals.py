"""SIGTERM and SIGINT for a loop of waitress: counted, and the loop woken."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from waitress import wasyncore

HANDLED = (signal.SIGTERM, signal.SIGINT)


class Signals(wasyncore.file_dispatcher):  # type: ignore[misc]
    """While entered, ``count`` says how often the process was told to end.

    A handler that raises could break anything in two, and one that takes a lock could wait for ever: this
    one counts. Python writes a byte to a pipe of the ``loop``, which wakes it. Signals can be handled in
    the main thread only; elsewhere (a notebook's thread) they are left alone.
    """

    def __init__(self, loop: dict[int, Any]) -> None:
        self.count = 0
        self._pid = os.getpid()
        self._reads, self._writes = os.pipe()
        os.set_blocking(self._writes, False)
        super().__init__(self._reads, map=loop)
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in HANDLED}
            self._wakeup_before = signal.set_wakeup_fd(self._writes, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
            for number, handler in self._before.items():
                signal.signal(number, handler)
        self.close()
        os.close(self._reads)
        os.close(self._writes)

    def writable(self) -> bool:
        """It only reads."""
        return False

    def handle_read(self) -> None:
        """The byte has done its work by waking the loop."""
        self.recv(4096)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() == self._pid:
            self.count += 1
            return
        # A process that the job has forked: to it, signals do what they did before.
        signal.set_wakeup_fd(self._wakeup_before)
        signal.signal(number, self._before[number])
        os.kill(os.getpid(), number)
