"""How valid calls come in: through the gate, by either door, counted on the way (SPEC 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pyjob.errors import BusyError
from pyjob.gate.door import Seat, Turn
from pyjob.gate.gate import ClosedError, CrowdedError, FullError, Gate, Standing, Ticket
from pyjob.metrics.calls import Reason
from pyjob.trace import CURRENT, NONE, traced

GOING_DOWN = "the service is going down"
LEFT = "the caller has left"


class Numbers(Protocol):
    """What is told of each call; see `pyjob.metrics.calls.EndpointMetrics`."""

    def start(self, *, waits: bool) -> None: ...
    def begin(self, waited: float) -> None: ...
    def drop(self, reason: Reason | None) -> None: ...
    def refuse(self, reason: Reason) -> None: ...
    def abandon(self) -> None: ...
    def finish(self, seconds: float, *, failed: bool, tracing_id: str = "") -> None: ...
    def note_error(self, status: int, kind: str, tracing_id: str) -> None: ...


class Uncounted:
    """For what comes in through a gate, but is no call of the job: a page (SPEC 5.1, 6)."""

    def start(self, *, waits: bool) -> None:
        """Nothing is counted."""

    def begin(self, waited: float) -> None:
        """Nothing is counted."""

    def drop(self, reason: Reason | None) -> None:
        """Nothing is counted."""

    def refuse(self, reason: Reason) -> None:
        """Nothing is counted."""

    def abandon(self) -> None:
        """Nothing is counted."""

    def finish(self, seconds: float, *, failed: bool, tracing_id: str = "") -> None:
        """Nothing is counted."""

    def note_error(self, status: int, kind: str, tracing_id: str) -> None:
        """Nothing is counted."""


class Call:
    """One valid call, from its arrival at the gate to the last byte of its answer.

    ``arguments`` are None while it waits, where they are large: they are read again. Without a ``ticket``
    it runs inside another call, in that one's slot. ``left`` is called where its caller leaves it at a seat.
    """

    __slots__ = ("_ended", "_gate", "_is_over", "_metrics", "arguments", "arrived", "left", "ticket", "trace")

    def __init__(
        self, arguments: dict[str, Any] | None, ticket: Ticket | None, gate: Gate, metrics: Numbers
    ) -> None:
        self.arguments = arguments
        self.ticket = ticket
        self._gate = gate
        self._metrics = metrics
        self._is_over = False
        self.trace = CURRENT.get() or NONE
        self.left: Callable[[Call], None] | None = None
        self.arrived = self._ended = gate.clock() if ticket is None else ticket.arrived
        metrics.start(waits=ticket is not None and ticket.queued)

    def is_gone(self) -> bool:
        """Whether the caller has left, as far as the server can tell."""
        return self.ticket is not None and self.ticket.is_gone()

    def holds_slot(self) -> bool:
        """Whether it runs, in a slot of its own or inside another call."""
        return not self._is_over and (self.ticket is None or self.ticket.standing is Standing.RUNNING)

    @property
    def waited(self) -> float:
        """Seconds from its arrival to its slot, or to its end where it never got one."""
        if self.ticket is None:
            return 0.0
        return self.ticket.waited if self._is_over else self._ended - self.arrived

    @property
    def ran(self) -> float:
        """Seconds from its slot to its end, once it is over."""
        return self._ended - self.arrived - self.waited

    def end(self, *, failed: bool) -> None:
        """The last byte has been sent, or will not be."""
        self._is_over = True
        if self.ticket is not None:
            self._gate.leave(self.ticket)
        if type(self.arguments) is not dict:
            self._let_go()
        self._ended = self._gate.clock()
        seconds = self._ended - self.arrived
        self._metrics.finish(seconds, failed=failed, tracing_id=self.trace.tracing_id)

    def lost(self) -> None:
        """The caller has left while the call waited at a seat: it is not run."""
        self.forget()
        if self.left is not None:
            with traced(self.trace):  # whoever finds out serves somebody else's request, or none
                self.left(self)

    def forget(self) -> None:
        """The caller has left while the call waited: it is not run, and counted as left."""
        if self.ticket is not None and self.ticket.standing is Standing.RUNNING:
            self._gate.leave(self.ticket, ran=False)
        self._let_go()
        self._ended = self._gate.clock()
        self._metrics.drop(None)

    def drop(self, reason: Reason) -> None:
        """It was sent away from the line."""
        self._let_go()
        self._ended = self._gate.clock()
        self._metrics.drop(reason)

    def progress(self) -> None:
        """A part of its answer is there: it does not hang."""
        if self.ticket is not None:
            self._gate.hear(self.ticket)

    def _let_go(self) -> None:
        """Close the files that came with it, if any did."""
        if self.arguments is not None:
            close_files(self.arguments)

    def note_error(self, status: int, kind: str) -> None:
        """It was answered ``status`` by an error of the class ``kind``."""
        self._metrics.note_error(status, kind, self.trace.tracing_id)

    def abandon(self) -> None:
        """It has run for a caller who has left."""
        self._metrics.abandon()


def close_files(arguments: dict[str, Any]) -> None:
    """Close the files that came with ``arguments``: those that hold some are of a class of their own."""
    if type(arguments) is not dict:
        close: Callable[[], None] = getattr(arguments, "close")  # noqa: B009  no `dict` has it
        close()


class Admission:
    """The way of one endpoint's calls to ``gate``; every refusal is a `BusyError`.

    ``most``: how many may run and wait, at this gate and those beside it, where each has a thread of the
    server (SPEC 10.4); ``share`` of them at this gate. ``uses_reserve``: whether the last connections are
    kept for what comes this way, too, as long as it need not wait.
    """

    def __init__(
        self,
        gate: Gate,
        metrics: Numbers,
        *,
        most: int | None = None,
        share: int | None = None,
        uses_reserve: bool = False,
    ) -> None:
        self.gate = gate
        self._metrics = metrics
        self._most = most
        self._share = share
        self._uses_reserve = uses_reserve

    def by_thread(
        self, arguments: dict[str, Any], is_gone: Callable[[], bool], *, is_bounded: bool = True
    ) -> Call:
        """A call that holds a slot, after waiting in this thread. ``is_bounded``: ``most`` counts for it."""
        turn = Turn()
        ticket = self._enter(turn.come, is_gone, is_bounded=is_bounded)
        call = Call(arguments, ticket, self.gate, self._metrics)
        if ticket.queued:
            try:
                turn.wait(self.gate, ticket)
            except BaseException:
                call.forget()
                raise
            self.begin(call)
        return call

    def by_seat(
        self, arguments: dict[str, Any] | None, seat: Seat, left: Callable[[Call], None] | None = None
    ) -> Call:
        """A call that holds a slot. Raises `Parked` where it has to wait: then it is left at the ``seat``.

        ``left`` is called if the caller leaves it there.
        """
        if seat.in_reserve and not (self._uses_reserve and self.gate.has_room()):
            seat.hang_up()
            self._metrics.refuse("connections")
            message = "there are too many connections: the last ones are kept for probes"
            raise BusyError(503, message, self.gate.retry_after())
        if seat.is_gone():
            raise BusyError(503, LEFT, self.gate.retry_after())
        ticket = self._enter(seat.resume, seat.is_gone, is_bounded=False)
        call = Call(arguments, ticket, self.gate, self._metrics)
        if ticket.queued:
            call.left = left
            seat.park(call)
        return call

    def inside_another(self, arguments: dict[str, Any]) -> Call:
        """A call that runs in the slot of the one that makes it."""
        return Call(arguments, None, self.gate, self._metrics)

    def begin(self, call: Call) -> None:
        """The wait of ``call`` is over: it runs, or was sent away."""
        ticket = call.ticket
        if ticket is None:
            return
        if ticket.standing is Standing.RUNNING:
            self._metrics.begin(ticket.waited)
            return
        if ticket.standing is Standing.EXPIRED:
            call.drop("queue_timeout")
            message = f"the call has waited for {self.gate.timeout:g} s, the queue_timeout of this job"
        elif ticket.standing is Standing.DISMISSED:
            call.drop("draining")
            message = GOING_DOWN
        else:
            call.forget()
            message = LEFT
        raise BusyError(503, message, self.gate.retry_after(), call.waited)

    def _enter(self, on_turn: Callable[[], None], is_gone: Callable[[], bool], *, is_bounded: bool) -> Ticket:
        most, share = (self._most, self._share) if is_bounded else (None, None)
        try:
            return self.gate.enter(on_turn, is_gone, most=most, share=share)
        except FullError as error:
            self._metrics.refuse("queue_full")
            raise BusyError(429, f"too many calls: {error}", error.retry_after) from None
        except CrowdedError as error:
            self._metrics.refuse("threads")
            message = f"too many calls: {error}, and one thread of the server is kept for probes"
            raise BusyError(503, message, error.retry_after) from None
        except ClosedError as error:
            self._metrics.refuse("draining")
            raise BusyError(503, GOING_DOWN, error.retry_after) from None
