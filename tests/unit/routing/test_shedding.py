"""How long who may wait."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.shedding import (
    CALM_MS,
    GRACE_S,
    RESTED_S,
    RETRY_AFTER_S_MAX,
    Standing,
    first_wait_ms,
    rank_of,
    retry_after_s,
    second_wait_ms,
)


def second(rank: int, network_ms: float, service_ms: float, slots: int, share: float) -> float:
    told = second_wait_ms(
        rank, np.array([network_ms]), np.array([service_ms]), np.array([slots]), share
    )
    return float(told[0])


def test_who_stands_first_may_wait_as_configured_or_four_answers_of_a_slow_model() -> None:
    assert first_wait_ms(50.0, 1000.0) == 1000.0
    assert first_wait_ms(600.0, 1000.0) == 2400.0


@given(
    st.floats(0.1, 5000.0), st.floats(0.0, 500.0), st.integers(1, 256), st.floats(0.0, 1.0)
)  # fmt: skip
def test_who_stands_second_keeps_slots_and_the_wire_full(
    service_ms: float, network_ms: float, slots: int, share: float
) -> None:
    """A full center whose wire is full as well: the wait predicted there is still allowed."""
    requests = slots * (1.0 + network_ms / service_ms)
    wait_ms = service_ms * (requests + 1 - slots) / slots
    assert second(1, network_ms, service_ms, slots, share) >= wait_ms * (1 - 1e-9)


@given(st.floats(1.0, 1000.0), st.floats(0.0, 1.0), st.integers(1, 64))
def test_each_rank_below_is_a_request_behind(service_ms: float, share: float, slots: int) -> None:
    told = [second(rank, 2000.0, service_ms, slots, share) for rank in range(1, 5)]
    for above, below in pairwise(told):
        assert below == CALM_MS or above - below >= service_ms / slots * (1 - 1e-6)


def test_nobody_is_turned_from_a_free_slot() -> None:
    assert second(9, 0.0, 40.0, 4, 0.1) == CALM_MS


@pytest.mark.parametrize(
    ("number", "seen_s", "rank"),
    [
        (1, [-inf, -inf, -inf], 0),
        (2, [-inf, -inf, 95.0], 0),
        (2, [-inf, 95.0, 95.0], 1),
        (2, [-inf, 30.0, 95.0], 0),
        (3, [-inf, 95.0, 95.0, 0.0], 2),
        (3, [-inf, 30.0, 95.0, 0.0], 1),
    ],
)
def test_only_higher_classes_that_are_about_count(
    number: int, seen_s: list[float], rank: int
) -> None:
    assert rank_of(number, seen_s, 100.0, 60.0) == rank


def test_a_bunch_is_let_in_and_a_standing_queue_is_not() -> None:
    standing, step_s, first = Standing(2), RESTED_S / 4, np.array([0])
    told = [standing.is_over(first, 0, turn * step_s, GRACE_S) for turn in range(40)]
    assert told == sorted(told)
    assert told[0] is False
    assert told[-1] is True
    assert standing.is_over(np.array([1]), 1, 40 * step_s, GRACE_S) is False
    rested_s = 40 * step_s + 2 * RESTED_S
    assert standing.is_over(first, 0, rested_s, GRACE_S) is False


def test_a_center_that_another_is_better_than_has_not_rested() -> None:
    standing, step_s, both = Standing(2), RESTED_S / 4, np.array([0, 1])
    for turn in range(40):
        standing.is_over(both, 0, turn * step_s, GRACE_S)
    assert standing.is_over(both, 1, 40 * step_s, GRACE_S) is True


@pytest.mark.parametrize(
    ("wait_ms", "allowed_ms", "seconds"),
    [(40.0, 20.0, 1), (20.0, 40.0, 1), (3100.0, 1000.0, 3), (1e9, 0.0, RETRY_AFTER_S_MAX)],
)
def test_retry_after_is_the_backlog_in_whole_seconds(
    wait_ms: float, allowed_ms: float, seconds: int
) -> None:
    assert retry_after_s(wait_ms, allowed_ms) == seconds
