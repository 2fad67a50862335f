"""SIGTERM and SIGINT for a loop of waitress: counted, and the loop woken."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, ClassVar

from waitress import wasyncore

HANDLED = (signal.SIGTERM, signal.SIGINT)


class Signals(wasyncore.file_dispatcher):  # type: ignore[misc]
    """While entered, ``count`` says how often the process was told to end.

    A handler that raises could break anything in two, and one that takes a lock could wait for ever: this
    one counts. Python writes a byte to a pipe of the ``loop``, which wakes it. Signals can be handled in
    the main thread only; elsewhere (a notebook's thread) they are left alone. To processes that the job forks
    they do what they did before.
    """

    _handling: ClassVar[Signals | None] = None

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
            Signals._handling = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
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
        # A process that was forked just now, and has not come to `_leave_in_fork`.
        self._leave()
        os.kill(os.getpid(), number)

    def _leave(self) -> None:
        """Have signals do what they did before."""
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._before = {}
            Signals._handling = None


def _leave_in_fork() -> None:
    # Not once a signal comes: in what a thread has forked, Python 3.13 may never call the handler.
    if Signals._handling is not None:
        Signals._handling._leave()


os.register_at_fork(after_in_child=_leave_in_fork)
