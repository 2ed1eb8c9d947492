from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from gateway.api import Centers, PluginError
from gateway.routing.guard import CLOSELY, Budget, Guard, kept, scored_ms


class Clock:
    """A clock that a called plugin moves by as much as it pretends to take."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s

    def takes(self, ms):
        self.now_s += ms * 1e-3


@pytest.fixture
def clock():
    return Clock()


def guard_of(clock, **options):
    return Guard("scorer", "slow", Budget(clock, call_ms=0.05, limit_ms=5.0), **options)


def test_what_a_plugin_raises_becomes_a_named_plugin_error(clock):
    guard = guard_of(clock)
    with pytest.raises(PluginError, match="scorer slow: ZeroDivisionError"):
        guard.call(lambda: 1 / 0)
    assert (guard.calls, guard.errors) == (1, 1)


def test_three_overruns_in_ten_seconds_mean_quarantine(clock):
    guard = guard_of(clock)
    for now in (0.0, 5.0):
        guard.timed_call(now, clock.takes, 0.06)
    assert not guard.is_out(5.0)
    guard.timed_call(9.0, clock.takes, 0.06)
    assert guard.is_out(9.0)
    assert not guard.is_out(10.0)


def test_three_overruns_over_more_than_ten_seconds_do_not(clock):
    guard = guard_of(clock)
    for now in (0.0, 5.0, 10.5):
        guard.timed_call(now, clock.takes, 0.06)
    assert guard.overruns == 3
    assert not guard.is_out(10.5)


def test_rare_overruns_among_many_good_calls_do_not(clock):
    guard = guard_of(clock)
    for call in range(100):
        guard.timed_call(call * 0.01, clock.takes, 0.06 if call % 20 == 0 else 0.01)
    assert guard.overruns == 5
    assert not guard.is_out(1.0)


def test_one_call_above_the_limit_is_enough(clock):
    guard = guard_of(clock)
    guard.timed_call(0.0, clock.takes, 5.1)
    assert guard.is_out(0.0)


def test_quarantine_doubles_until_a_quiet_minute(clock):
    guard = guard_of(clock)
    lengths = []
    now = 0.0
    for _ in range(3):
        guard.timed_call(now, clock.takes, 6.0)
        lengths.append(guard.out_until - now)
        now = guard.out_until
    now += 61.0
    guard.timed_call(now, clock.takes, 6.0)
    lengths.append(guard.out_until - now)
    assert lengths == pytest.approx([1.0, 2.0, 4.0, 1.0])


def test_a_spared_plugin_is_counted_and_stays(clock):
    guard = guard_of(clock, spared=True)
    guard.timed_call(0.0, clock.takes, 50.0)
    assert guard.overruns == 1
    assert not guard.is_out(0.0)


def test_the_time_of_a_raising_call_counts_too(clock):
    guard = guard_of(clock)

    def raises_late():
        clock.takes(6.0)
        raise ValueError

    with pytest.raises(PluginError):
        guard.timed_call(0.0, raises_late)
    assert guard.is_out(0.0)
    assert guard.used_ms == pytest.approx(6.0)


def test_the_budget_grows_with_the_table(clock):
    budget = Budget(clock, call_ms=0.05, limit_ms=5.0)
    assert budget.for_centers(88).call_ms == 0.05
    assert budget.for_centers(10_000).call_ms == pytest.approx(0.5)


def test_the_state_is_a_plain_document(clock):
    guard = guard_of(clock, varies_by=None)
    guard.timed_call(0.0, clock.takes, 6.0)
    state = guard.state(0.0)
    assert state["varies_by"] == "request"
    assert state["quarantined"] is True
    assert state["used_ms"] == pytest.approx(6.0)


F32 = np.float32


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([1, nan], F32), "nan ms for center 1"),
        (np.array([-3, 1], F32), r"-3.0 ms for center 0"),
        (np.array([1, -inf], F32), "-inf ms for center 1"),
        (np.array([1, 2], np.float64), r"float64\[2\]; expected float32\[2\]"),
        (np.array([1, 2, 3], F32), r"float32\[3\]"),
        (np.array([[1, 2]], F32), r"float32\[1, 2\]"),
        ([1.0, 2.0], "returned list"),
        (None, "returned NoneType"),
    ],
)
def test_a_scorers_answer_is_checked(world, values, said):
    centers = Centers(world.table(2), ())
    with pytest.raises(PluginError, match=said):
        scored_ms(world.Charges(lambda q, c: values), world.query(), centers, 0.0)


def test_infinity_forbids_and_is_a_good_answer(world):
    centers = Centers(world.table(2), ())
    assert scored_ms(world.fixed([inf, 0.0]), world.query(), centers, 0.0).tolist() == [inf, 0.0]


def test_a_filters_answer_is_checked(world):
    centers = Centers(world.table(2), ())
    with pytest.raises(PluginError, match=r"int64\[2\]; expected bool\[2\]"):
        kept(world.Narrows(lambda q, c: np.array([1, 0])), world.query(), centers, 0.0)


def screened(true_s: list[float], screen_s: list[float]) -> Guard:
    budget = Budget(lambda: true_s[0], call_ms=0.05, limit_ms=5.0, screen=lambda: screen_s[0])
    return Guard("scorer", "slow", budget)


def test_a_screen_clears_calls_and_blames_none() -> None:
    true_s, screen_s = [0.0], [0.0]
    guard = screened(true_s, screen_s)
    for _ in range(CLOSELY):
        guard.timed_call(1.0, lambda: None)

    def preempted() -> None:
        screen_s[0] += 1.0

    guard.timed_call(1.0, preempted)
    assert (guard.overruns, guard.is_out(1.0)) == (0, False)
    assert guard.timed == CLOSELY


def test_what_the_screen_suspects_is_measured_well_from_then_on() -> None:
    true_s, screen_s = [0.0], [0.0]
    guard = screened(true_s, screen_s)
    for _ in range(CLOSELY):
        guard.timed_call(1.0, lambda: None)

    def sleeps() -> None:
        true_s[0] += 0.050
        screen_s[0] += 0.050

    guard.timed_call(1.0, sleeps)
    assert not guard.is_out(1.0)
    guard.timed_call(1.0, sleeps)
    assert guard.is_out(1.0)


def test_a_new_plugin_is_measured_well_from_its_first_call() -> None:
    true_s, screen_s = [0.0], [0.0]
    guard = screened(true_s, screen_s)

    def sleeps() -> None:
        true_s[0] += 0.050

    guard.timed_call(1.0, sleeps)
    assert guard.is_out(1.0)
