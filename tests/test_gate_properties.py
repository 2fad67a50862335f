"""The gate under every interleaving of what can happen to it, beside a model that is plainly right."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyjob.gate.gate import ClosedError, FullError, Gate, Standing, Ticket


class Caller:
    """Somebody at the gate, and what the gate has told them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.has_left = False
        self.turns = 0
        self.ticket: Ticket | None = None

    def turn(self) -> None:
        self.turns += 1

    def is_gone(self) -> bool:
        return self.has_left


class GateMachine(RuleBasedStateMachine):
    """Callers arrive, end, leave, withdraw and lose patience in any order; a list of numbers is the model."""

    @initialize(
        slots=st.integers(1, 3),
        queue=st.none() | st.integers(0, 4),
        timeout=st.none() | st.integers(1, 5),
    )
    def open(self, slots: int, queue: int | None, timeout: int | None) -> None:
        self.now = 0.0
        self.slots, self.queue, self.timeout = slots, queue, timeout
        self.gate = Gate(slots, queue, timeout, clock=lambda: self.now)
        self.callers: list[Caller] = []
        self.running: list[int] = []
        self.line: list[int] = []
        self.outcome: dict[int, Standing] = {}
        self.closed = False

    def drop(self, number: int, standing: Standing) -> None:
        self.line.remove(number)
        self.outcome[number] = standing

    def sweep_model(self) -> None:
        for number in [number for number in self.line if self.callers[number].has_left]:
            self.drop(number, Standing.GONE)

    def hand_over_model(self) -> None:
        while self.line and len(self.running) < self.slots:
            number = self.line[0]
            if self.callers[number].has_left:
                self.drop(number, Standing.GONE)
            else:
                self.line.pop(0)
                self.running.append(number)

    @rule()
    def arrive(self) -> None:
        caller = Caller(len(self.callers))
        self.callers.append(caller)
        must_wait = len(self.running) >= self.slots
        if not self.closed and must_wait and self.queue is not None and len(self.line) >= self.queue:
            self.sweep_model()
        is_full = must_wait and self.queue is not None and len(self.line) >= self.queue
        try:
            caller.ticket = self.gate.enter(caller.turn, caller.is_gone)
        except ClosedError:
            assert self.closed
            return
        except FullError as error:
            assert is_full
            assert error.retry_after >= 1
            return
        assert not self.closed
        assert not is_full
        (self.line if must_wait else self.running).append(caller.number)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.running))
        ticket = self.callers[number].ticket
        assert ticket is not None
        self.running.remove(number)
        self.outcome[number] = Standing.DONE
        self.hand_over_model()
        self.gate.leave(ticket)

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        self.callers[data.draw(st.sampled_from(self.line))].has_left = True

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.line))
        ticket = self.callers[number].ticket
        assert ticket is not None
        assert self.gate.withdraw(ticket)
        self.drop(number, Standing.GONE)
        self.callers[number].turns += 1  # who withdraws is not told of it

    @rule()
    def sweep(self) -> None:
        self.sweep_model()
        self.gate.sweep()

    @rule(seconds=st.integers(1, 4))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def expire(self) -> None:
        for number in list(self.line):
            caller = self.callers[number]
            assert caller.ticket is not None
            if self.timeout is not None and self.now - caller.ticket.arrived >= self.timeout:
                self.drop(number, Standing.GONE if caller.has_left else Standing.EXPIRED)
        self.gate.expire()

    @precondition(lambda self: len(self.callers) > 20)
    @rule()
    def close(self) -> None:
        self.closed = True
        self.gate.close()

    @precondition(lambda self: len(self.callers) > 20)
    @rule()
    def dismiss(self) -> None:
        self.closed = True
        for number in list(self.line):
            gone = self.callers[number].has_left
            self.drop(number, Standing.GONE if gone else Standing.DISMISSED)
        self.gate.dismiss()

    @invariant()
    def it_stands_as_the_model_says(self) -> None:
        assert self.gate.running == len(self.running) <= self.slots
        assert self.gate.waiting == len(self.line)
        assert self.queue is None or self.gate.waiting <= self.queue
        assert not self.line or len(self.running) == self.slots
        for caller in self.callers:
            if caller.ticket is None:
                continue
            expected = self.outcome.get(caller.number)
            if expected is None:
                expected = Standing.RUNNING if caller.number in self.running else Standing.WAITING
            assert caller.ticket.standing is expected, caller.number
            # Told once, if it had to wait and does so no more.
            assert caller.turns == (caller.ticket.queued and expected is not Standing.WAITING)


GateMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestGate = GateMachine.TestCase
