"""The gate: at most so many at once, the rest in order of arrival (SPEC 5)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pyjob.gate.door import Turn
from pyjob.gate.gate import ClosedError, CrowdedError, FullError, Gate, Standing, Ticket

WAITING, RUNNING = Standing.WAITING, Standing.RUNNING


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Caller:
    """Somebody at the gate; ``turns`` counts how often it was told that its standing has changed."""

    def __init__(self, gate: Gate, most: int | None = None) -> None:
        self.has_left = False
        self.turns = 0
        self.ticket: Ticket = gate.enter(self._turn, lambda: self.has_left, most=most)

    def _turn(self) -> None:
        self.turns += 1

    @property
    def standing(self) -> Standing:
        return self.ticket.standing


def test_a_gate_without_slots_lets_everybody_in() -> None:
    gate = Gate()
    callers = [Caller(gate) for _ in range(1000)]
    assert {caller.standing for caller in callers} == {RUNNING}
    assert (gate.running, gate.waiting) == (1000, 0)


def test_who_leaves_hands_the_slot_to_the_first_in_line() -> None:
    gate = Gate(2)
    callers = [Caller(gate) for _ in range(5)]
    assert [caller.standing for caller in callers] == [RUNNING, RUNNING, WAITING, WAITING, WAITING]
    gate.leave(callers[1].ticket)
    assert [caller.standing for caller in callers] == [RUNNING, Standing.DONE, RUNNING, WAITING, WAITING]
    assert [caller.turns for caller in callers] == [0, 0, 1, 0, 0]
    assert (gate.running, gate.waiting) == (2, 2)


def test_nobody_passes_the_line() -> None:
    gate = Gate(1)
    first, second = Caller(gate), Caller(gate)
    gate.leave(first.ticket)
    assert Caller(gate).standing is WAITING
    assert second.standing is RUNNING


@pytest.mark.parametrize("queue", [0, 1, 3])
def test_a_full_line_refuses(queue: int) -> None:
    gate = Gate(2, queue)
    for _ in range(2 + queue):
        Caller(gate)
    with pytest.raises(FullError, match=f"2 running and {queue} waiting"):
        Caller(gate)
    assert (gate.running, gate.waiting) == (2, queue)


def test_a_ticket_in_the_middle_of_the_line_can_be_withdrawn() -> None:
    gate = Gate(1)
    running, one, two, three = (Caller(gate) for _ in range(4))
    assert gate.withdraw(two.ticket)
    assert not gate.withdraw(two.ticket)
    assert not gate.withdraw(running.ticket)
    gate.leave(running.ticket)
    gate.leave(one.ticket)
    assert (three.standing, two.turns) == (RUNNING, 0)


def test_callers_that_have_left_are_passed_over_at_the_hand_over() -> None:
    gate = Gate(1)
    running, gone, next_one = (Caller(gate) for _ in range(3))
    gone.has_left = True
    gate.leave(running.ticket)
    assert (gone.standing, gone.turns) == (Standing.GONE, 1)
    assert next_one.standing is RUNNING


def test_before_it_refuses_the_line_is_swept() -> None:
    gate = Gate(1, 2)
    _, gone, stays = (Caller(gate) for _ in range(3))
    gone.has_left = True
    late = Caller(gate)
    assert (gone.standing, stays.standing, late.standing) == (Standing.GONE, WAITING, WAITING)
    with pytest.raises(FullError):
        Caller(gate)


def test_who_waits_too_long_is_taken_out() -> None:
    clock = Clock()
    gate = Gate(1, timeout=5, clock=clock)
    running, early = Caller(gate), Caller(gate)
    clock.now += 3
    late = Caller(gate)
    clock.now += 1.9
    gate.expire()
    assert early.standing is WAITING
    clock.now += 0.1
    gate.expire()
    assert (running.standing, early.standing, late.standing) == (RUNNING, Standing.EXPIRED, WAITING)
    assert (early.turns, late.turns) == (1, 0)


def test_a_closed_gate_serves_its_line_and_lets_nobody_in() -> None:
    gate = Gate(1)
    running, waiting = Caller(gate), Caller(gate)
    gate.close()
    with pytest.raises(ClosedError):
        Caller(gate)
    assert not gate.wait_until_empty(0)
    gate.leave(running.ticket)
    assert waiting.standing is RUNNING
    gate.leave(waiting.ticket)
    assert gate.wait_until_empty(0)


def test_a_dismissed_line_is_told_and_what_runs_is_waited_for() -> None:
    gate = Gate(1)
    running, stays, gone = Caller(gate), Caller(gate), Caller(gate)
    gone.has_left = True
    gate.dismiss()
    assert (stays.standing, gone.standing) == (Standing.DISMISSED, Standing.GONE)
    assert running.standing is RUNNING
    waiter = threading.Thread(target=gate.leave, args=(running.ticket,))
    waiter.start()
    assert gate.wait_until_empty(60)
    waiter.join()


def test_no_more_than_the_server_can_carry_run_and_wait_together() -> None:
    gate = Gate(1)
    callers = [Caller(gate, most=3) for _ in range(3)]
    with pytest.raises(CrowdedError, match="3 calls are running or waiting"):
        Caller(gate, most=3)
    callers[2].has_left = True
    Caller(gate, most=3)


def test_retry_after_grows_with_the_line_and_with_the_duration_of_calls() -> None:
    clock = Clock()
    gate = Gate(2, clock=clock)
    assert gate.retry_after() == 1
    running = [Caller(gate), Caller(gate)]
    clock.now += 4
    assert gate.retry_after() == 2  # nothing has ended yet: calls last 4 s at least, two at once
    for caller in running:
        gate.leave(caller.ticket)
    running = [Caller(gate), Caller(gate)]
    assert gate.retry_after() == 2  # (0 waiting + 1) * 4 s / 2 slots
    for _ in range(5):
        Caller(gate)
    assert gate.retry_after() == 12  # (5 + 1) * 4 / 2


def test_a_slot_that_was_not_used_says_nothing_of_how_long_calls_last() -> None:
    clock = Clock()
    gate = Gate(1, clock=clock)
    first = Caller(gate)
    clock.now += 10
    gate.leave(first.ticket)
    gate.leave(Caller(gate).ticket, ran=False)
    assert gate.retry_after() == 10


def test_the_longest_call_is_the_oldest_that_runs() -> None:
    clock = Clock()
    gate = Gate(2, clock=clock)
    assert gate.longest() == 0
    first = Caller(gate)
    clock.now += 5
    Caller(gate)
    clock.now += 1
    assert gate.longest() == 6
    gate.leave(first.ticket)
    assert gate.longest() == 1


def test_a_call_that_gives_signs_of_life_is_not_silent() -> None:
    clock = Clock()
    gate = Gate(2, clock=clock)
    assert gate.silence() == 0
    first, second = Caller(gate), Caller(gate)
    clock.now += 5
    gate.hear(first.ticket)
    clock.now += 1
    assert (gate.silence(), gate.longest()) == (6, 6)
    gate.leave(second.ticket)
    assert (gate.silence(), gate.longest()) == (1, 6)


def test_silence_begins_with_the_slot() -> None:
    clock = Clock()
    gate = Gate(1, clock=clock)
    running, _ = Caller(gate), Caller(gate)
    clock.now += 5
    gate.leave(running.ticket)
    clock.now += 2
    assert gate.silence() == 2


def test_the_time_in_line_is_measured() -> None:
    clock = Clock()
    gate = Gate(1, clock=clock)
    running, waiting = Caller(gate), Caller(gate)
    clock.now += 7
    gate.leave(running.ticket)
    assert (running.ticket.waited, waiting.ticket.waited) == (0, 7)


def test_a_thread_waits_for_its_turn() -> None:
    gate = Gate(1)
    running = Caller(gate)
    turn = Turn()
    ticket = gate.enter(turn.come)
    waiter = threading.Thread(target=turn.wait, args=(gate, ticket))
    waiter.start()
    gate.leave(running.ticket)
    waiter.join(60)
    assert not waiter.is_alive()
    assert ticket.standing is RUNNING


def test_a_thread_gives_up_after_the_time_out() -> None:
    gate = Gate(1, timeout=0.01)
    Caller(gate)
    turn = Turn()
    ticket = gate.enter(turn.come)
    turn.wait(gate, ticket)
    assert ticket.standing is Standing.EXPIRED
    assert gate.waiting == 0


@pytest.mark.parametrize("has_the_slot", [False, True])
def test_an_interrupted_thread_leaves_neither_its_place_nor_its_slot_behind(
    has_the_slot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(1)
    running = Caller(gate)
    turn = Turn()
    ticket = gate.enter(turn.come)

    class Interrupted:
        def acquire(self, timeout: float) -> bool:
            if has_the_slot:
                gate.leave(running.ticket)
            raise KeyboardInterrupt

    monkeypatch.setattr(turn, "_lock", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        turn.wait(gate, ticket)
    assert gate.waiting == 0
    assert gate.running == (0 if has_the_slot else 1)


def test_of_a_burst_of_threads_exactly_as_many_get_in_as_there_are_places() -> None:
    gate = Gate(3, 20)
    start = threading.Barrier(100)
    outcomes: list[Callable[[], None] | None] = []

    def arrive() -> None:
        start.wait()
        try:
            ticket = gate.enter(lambda: None)
        except FullError:
            outcomes.append(None)
        else:
            outcomes.append(lambda: gate.leave(ticket))

    threads = [threading.Thread(target=arrive) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome is not None for outcome in outcomes) == 23
    assert (gate.running, gate.waiting) == (3, 20)
