"""The budget of copies and the rules of when one is of use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.hedging import (
    JUDGED_AFTER,
    KEPT_MAX,
    LAST_QUANTILE,
    STRETCH_MAX,
    Hedging,
    can_help,
)


@pytest.mark.parametrize(
    ("elapsed_ms", "second_ms", "remaining_ms", "q999_ms", "helps"),
    [
        (8.0, 5.0, 100.0, 40.0, True),
        (8.0, 5.0, 4.0, 40.0, False),  # too late for the deadline
        (8.0, 5.0, 100.0, 12.0, False),  # the first will be back before it
        (13.0, 5.0, 100.0, 12.0, True),  # or would have been, by all that is known
    ],
)
def test_a_copy_must_be_of_use(
    elapsed_ms: float, second_ms: float, remaining_ms: float, q999_ms: float, helps: bool
) -> None:
    assert can_help(elapsed_ms, second_ms, remaining_ms, q999_ms) is helps


@given(st.floats(0.001, 0.5), st.lists(st.integers(0, 500), max_size=200))
def test_never_more_copies_than_the_share(share: float, steps: list[int]) -> None:
    hedging, requests, copies = Hedging(share, 0.95), 0, 0
    for step in steps:
        requests += step
        copies += hedging.take(requests)
        assert copies <= share * requests + 1e-6
        assert 0.0 <= hedging.kept <= KEPT_MAX


def test_what_a_quiet_hour_earns_is_bounded() -> None:
    hedging = Hedging(0.02, 0.95)
    taken = sum(hedging.take(1_000_000) for _ in range(100))
    assert taken == KEPT_MAX


def test_copies_that_do_not_win_are_sent_later() -> None:
    hedging = Hedging(0.5, 0.95)
    for _ in range(20 * JUDGED_AFTER):
        hedging.ended(won=False)
    assert hedging.stretch == STRETCH_MAX
    assert hedging.delay_ms(0.95, 10.0) == 10.0 * STRETCH_MAX
    assert hedging.delay_ms(LAST_QUANTILE, 10.0) == 10.0


def test_the_delay_creeps_up_while_nobody_pays_and_back_while_there_is_plenty() -> None:
    hedging = Hedging(0.02, 0.95)
    for requests in range(50):
        hedging.take(requests)
    assert hedging.stretch > 1.5
    for more in range(1, 200):
        hedging.take(100_000 * more)
    assert hedging.stretch == 1.0


def test_copies_that_win_change_nothing() -> None:
    hedging = Hedging(0.5, 0.95)
    for _ in range(10 * JUDGED_AFTER):
        hedging.ended(won=True)
    assert hedging.stretch == 1.0


def test_no_share_no_look() -> None:
    assert Hedging(0.0, 0.95).quantile == 0.0
