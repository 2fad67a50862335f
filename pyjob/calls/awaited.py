"""A call whose ``async def`` method runs on the event loop, while its request waits without a thread."""

from __future__ import annotations

from collections.abc import Callable

from pyjob.gate.admission import Call
from pyjob.job.event_loop import LoopTask
from pyjob.trace import Trace, traced


class Awaited:
    """What is left at a seat for ``call``, whose slot it keeps until ``task`` is over.

    ``unheard`` is called with it where its caller has left by then.
    """

    def __init__(self, call: Call, task: LoopTask, unheard: Callable[[Awaited], None]) -> None:
        self.call = call
        self.task = task
        self._unheard = unheard

    @property
    def trace(self) -> Trace:
        """Whose request it is."""
        return self.call.trace

    def lost(self) -> None:
        """The caller has left, and ``task`` is over."""
        with traced(self.trace):  # whoever finds out serves somebody else's request, or none
            self._unheard(self)
