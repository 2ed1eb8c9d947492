"""The rules of attempts, as tables."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.attempts import RetryBudget, attempt_timeout_ms, may_retry


@pytest.mark.parametrize(
    ("remaining", "second", "q99", "timeouts", "expected"),
    [
        (30_000.0, 8.0, 10.0, 0, 30.0),  # three times the percentile
        (30_000.0, 8.0, 2.0, 0, 20.0),  # the floor
        (30_000.0, 8.0, 2_000.0, 0, 6_000.0),  # a slow model is not cut off early
        (25.0, 9.0, 10.0, 0, 16.0),  # room for a second is kept
        (15.0, 9.0, 10.0, 0, 15.0),  # no room for two: everything to the first
        (8.0, 9.0, 10.0, 0, 8.0),
        (30_000.0, inf, 10.0, 0, 30_000.0),  # nobody else to ask
        (inf, inf, 10.0, 0, inf),  # and no deadline
        (inf, 8.0, 10.0, 0, 30.0),
        (30_000.0, 8.0, 10.0, 1, 120.0),  # more patience after each timeout
        (30_000.0, 8.0, 10.0, 2, 480.0),
        (100.0, 8.0, 10.0, 2, 92.0),
    ],
)
def test_how_long_an_attempt_may_be_silent(
    remaining: float, second: float, q99: float, timeouts: int, expected: float
) -> None:
    assert attempt_timeout_ms(remaining, second, q99, timeouts=timeouts) == expected


def test_the_floor_is_an_argument() -> None:
    assert attempt_timeout_ms(1e4, 5.0, 1.0, floor_ms=200.0) == 200.0


positive = st.floats(0.0, 1e6)


@given(positive, st.one_of(positive, st.just(inf)), positive, st.integers(0, 5))
def test_it_is_never_longer_than_what_remains_and_never_shorter_than_the_percentile(
    remaining: float, second: float, q99: float, timeouts: int
) -> None:
    given_ms = attempt_timeout_ms(remaining, second, q99, timeouts=timeouts)
    assert 0.0 <= given_ms <= remaining
    assert given_ms >= min(q99, remaining)


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"another_may_help": False}, False),
        ({"bytes_sent": True}, False),
        ({"tries": 3}, False),
        ({"tries": 2}, True),
        ({"remaining_ms": 0.0}, False),
        ({"remaining_ms": -1.0}, False),
        ({"remaining_ms": 5.0, "predicted_ms": 8.0}, False),
        ({"remaining_ms": 6.0, "predicted_ms": 8.0}, True),
        ({"remaining_ms": inf}, True),
    ],
)
def test_only_what_is_safe_and_can_end_in_time_is_tried_again(
    change: dict[str, float], allowed: bool
) -> None:
    usual = {
        "another_may_help": True,
        "bytes_sent": False,
        "tries": 1,
        "tries_max": 3,
        "remaining_ms": 100.0,
        "predicted_ms": 5.0,
    }
    assert may_retry(**{**usual, **change}) is allowed  # type: ignore[arg-type]  # a table of calls


@pytest.mark.parametrize(
    ("requests", "allowed"), [(0, 10), (10, 10), (50, 10), (54, 10), (55, 11), (1000, 200)]
)
def test_a_fifth_of_the_requests_and_never_under_ten(requests: int, allowed: int) -> None:
    budget = RetryBudget()
    assert budget.allowed(requests) == allowed
    assert sum(budget.take(requests) for _ in range(allowed + 5)) == allowed
    assert (budget.in_flight, budget.refused) == (allowed, 5)
    assert not budget.room(requests)
    budget.release()
    assert budget.room(requests)
    assert budget.take(requests)


def test_a_budget_of_nothing_allows_nothing() -> None:
    assert not RetryBudget(0.0, 0).take(1000)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=200))
def test_retries_in_flight_never_exceed_what_was_allowed(steps: list[tuple[bool, int]]) -> None:
    budget = RetryBudget(0.2, 2)
    most = 2
    for takes, requests in steps:
        most = max(most, budget.allowed(requests))
        if takes:
            budget.take(requests)
        elif budget.in_flight:
            budget.release()
        assert 0 <= budget.in_flight <= most
