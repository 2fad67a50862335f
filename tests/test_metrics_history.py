"""The last minutes of calls, for the status page (SPEC 6)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from pyjob.metrics.calls import BUCKETS, CallMetrics, EndpointMetrics, ErrorNote, Totals
from pyjob.metrics.history import LENGTH, WIDTH, quantile


class Clock:
    """Seconds since some moment, as many as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls(clock: Clock) -> CallMetrics:
    return CallMetrics("job", "1", clock=clock)


def finish(endpoint: EndpointMetrics, *durations: float, failed: bool = False) -> None:
    for seconds in durations:
        endpoint.start(waits=False)
        endpoint.finish(seconds, failed=failed)


def test_a_call_is_in_the_bin_in_which_it_ended(calls: CallMetrics, clock: Clock) -> None:
    endpoint = calls.endpoint("/perform")
    finish(endpoint, 0.3)
    clock.now += WIDTH
    finish(endpoint, 0.3, 0.3)
    calls.endpoint("/other").finish(0.3, failed=True)
    assert [(one.calls, one.errors) for one in calls.bins()] == [(1, 0), (3, 1)]


def test_a_bin_ends_where_the_next_begins(calls: CallMetrics, clock: Clock) -> None:
    clock.now += WIDTH
    finish(calls.endpoint("/perform"), 1)
    clock.now += WIDTH - 0.001
    finish(calls.endpoint("/perform"), 1)
    assert [one.calls for one in calls.bins()] == [0, 2]
    clock.now += 0.001
    assert [one.calls for one in calls.bins()] == [0, 2, 0]


@pytest.mark.parametrize("refuse", [lambda e: e.refuse("queue_full"), lambda e: e.drop("draining")])
def test_a_refusal_is_in_the_bin_in_which_it_happened(
    calls: CallMetrics, clock: Clock, refuse: Callable[[EndpointMetrics], None]
) -> None:
    clock.now += 2 * WIDTH
    refuse(calls.endpoint("/perform"))
    assert [(one.refused, one.calls) for one in calls.bins()] == [(0, 0), (0, 0), (1, 0)]


def test_time_without_calls_is_empty_bins(calls: CallMetrics, clock: Clock) -> None:
    finish(calls.endpoint("/perform"), 0.3)
    clock.now += 3 * WIDTH
    *before, current = calls.bins()
    assert [one.calls for one in before] == [1, 0, 0]
    assert (current.calls, current.p50, current.p90, current.p99) == (0, None, None, None)


def test_ends_are_unix_time_oldest_first_and_a_width_apart(calls: CallMetrics, clock: Clock) -> None:
    clock.now += 10 * WIDTH + 1
    ends = [one.end for one in calls.bins()]
    widths = [later - earlier for earlier, later in pairwise(ends)]
    assert widths == pytest.approx([WIDTH] * 10)


def test_the_current_bin_ends_at_most_a_width_from_now() -> None:
    before = time.time()
    [current] = CallMetrics("job", "1").bins()
    assert before <= current.end <= time.time() + WIDTH + 1


def test_ends_follow_a_clock_that_somebody_has_set_back(
    calls: CallMetrics, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(calls.endpoint("/perform"), 0.3)
    clock.now += WIDTH
    before = calls.bins()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    after = calls.bins()
    assert [one.calls for one in after] == [one.calls for one in before] == [1, 0]
    assert [one.end for one in after] == pytest.approx([one.end - 3600 for one in before], abs=60)


def test_ends_of_bins_do_not_tremble(calls: CallMetrics) -> None:
    assert calls.bins()[0].end == calls.bins()[0].end


@pytest.mark.parametrize("idle", [LENGTH, LENGTH + 1, 3 * LENGTH, 10**9])
def test_after_hours_of_idleness_there_are_as_many_bins_as_ever(
    calls: CallMetrics, clock: Clock, idle: int
) -> None:
    finish(calls.endpoint("/perform"), 0.3)
    clock.now += idle * WIDTH
    finish(calls.endpoint("/perform"), 0.3)
    bins = calls.bins()
    assert len(bins) == LENGTH + 1
    assert sum(one.calls for one in bins[1:]) == bins[-1].calls == 1
    assert bins[0].calls == (1 if idle == LENGTH else 0)
    assert bins[-1].end - bins[0].end == pytest.approx(LENGTH * WIDTH)


def test_memory_does_not_grow_with_calls_and_time(calls: CallMetrics, clock: Clock) -> None:
    endpoint = calls.endpoint("/perform")

    def blocks_after(minutes: int) -> int:
        for _ in range(minutes * 12):
            clock.now += WIDTH
            endpoint.start(waits=False)
            endpoint.finish(0.3, failed=True, tracing_id=f"id-{clock.now}")
            endpoint.note_error(500, "ValueError", f"id-{clock.now}")
        return sys.getallocatedblocks()

    first = blocks_after(20)
    assert blocks_after(120) < first + 200


@pytest.mark.parametrize(
    ("durations", "q", "expected"),
    [
        # As Prometheus answers histogram_quantile(q, ...) of the same buckets.
        ([0.3], 0.5, 0.375),
        ([0.3] * 4, 0.9, 0.475),
        ([0.0005], 0.5, 0.0005),
        ([0.02] * 5 + [0.3] * 5, 0.5, 0.025),
        ([0.02] * 5 + [0.3] * 5, 0.9, 0.45),
        ([5000.0], 0.99, 1000.0),
        ([0.001], 0.99, 0.00099),
    ],
)
def test_quantiles_are_those_that_prometheus_finds(
    calls: CallMetrics, durations: list[float], q: float, expected: float
) -> None:
    finish(calls.endpoint("/perform"), *durations)
    [current] = calls.bins()
    found = {0.5: current.p50, 0.9: current.p90, 0.99: current.p99}[q]
    assert found == pytest.approx(expected)


def test_a_quantile_lies_in_the_bucket_of_its_call() -> None:
    for index, (lower, upper) in enumerate(zip((0.0, *BUCKETS), BUCKETS, strict=False)):
        counts = [0] * (len(BUCKETS) + 1)
        counts[index] = 7
        for q in (0.0, 0.01, 0.5, 1.0):
            found = quantile(q, BUCKETS, counts)
            assert found is not None
            assert lower <= found <= upper
    assert quantile(0.5, BUCKETS, [0] * (len(BUCKETS) + 1)) is None


def test_the_latest_errors_are_kept_newest_first(calls: CallMetrics) -> None:
    for number in range(30):
        calls.endpoint("/perform").note_error(500, "ValueError", f"id-{number}")
    notes = calls.latest_errors()
    assert [note.tracing_id for note in notes] == [f"id-{number}" for number in range(29, 9, -1)]
    assert notes[0] == ErrorNote(notes[0].time, "/perform", 500, "ValueError", "id-29")
    assert 0 <= time.time() - notes[0].time < 60


def test_the_name_of_an_exception_is_cut(calls: CallMetrics) -> None:
    calls.endpoint("/perform").note_error(500, "E" * 1000, "id")
    assert [note.kind for note in calls.latest_errors()] == ["E" * 100]


def test_totals_are_over_all_endpoints(calls: CallMetrics) -> None:
    finish(calls.endpoint("/perform"), 0.1, 0.2)
    finish(calls.endpoint("/other"), 0.1, failed=True)
    calls.endpoint("/other").drop("queue_timeout")
    calls.endpoint("/other").drop(None)
    assert calls.totals() == Totals(calls=3, errors=1, refused=1, abandoned=1)
