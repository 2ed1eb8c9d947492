"""The budget of copies and the rules of when one is of use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.hedging import (
    JUDGED_AFTER,
    KEPT_MAX,
    LAST_QUANTILE,
    RESERVE,
    STRETCH_MAX,
    Hedging,
    can_help,
)


@pytest.mark.parametrize(
    ("elapsed_ms", "second_ms", "remaining_ms", "last_ms", "late", "helps"),
    [
        (8.0, 5.0, 100.0, 40.0, False, True),
        (8.0, 5.0, 4.0, 40.0, False, False),  # too late for the deadline
        (8.0, 5.0, 4.0, 40.0, True, False),
        (8.0, 5.0, 100.0, 12.0, False, False),  # the first will be back before it
        (8.0, 5.0, 100.0, 12.0, True, True),  # or is stuck, as slow as it is
        (13.0, 5.0, 100.0, 12.0, False, True),  # or would have been, by all that is known
    ],
)
def test_a_copy_must_be_of_use(
    elapsed_ms: float,
    second_ms: float,
    remaining_ms: float,
    last_ms: float,
    late: bool,
    helps: bool,
) -> None:
    assert can_help(elapsed_ms, second_ms, remaining_ms, last_ms, late=late) is helps


@given(
    st.floats(0.001, 0.5),
    st.lists(st.tuples(st.integers(0, 500), st.booleans()), max_size=200),
)
def test_never_more_copies_than_the_share(share: float, steps: list[tuple[int, bool]]) -> None:
    hedging, requests, copies = Hedging(share, 0.95), 0, 0
    for step, late in steps:
        requests += step
        copies += hedging.take(requests, late=late)
        assert copies <= share * requests + 1e-6
        assert 0.0 <= hedging.kept <= KEPT_MAX


def test_what_a_quiet_hour_earns_is_bounded() -> None:
    hedging = Hedging(0.02, 0.95)
    taken = sum(hedging.take(1_000_000, late=True) for _ in range(100))
    assert taken == KEPT_MAX


def test_early_copies_leave_a_reserve_to_the_late_ones() -> None:
    hedging = Hedging(0.02, 0.95)
    early = sum(hedging.take(1_000_000, late=False) for _ in range(100))
    late = sum(hedging.take(1_000_000, late=True) for _ in range(100))
    assert (early, late) == (KEPT_MAX - RESERVE, RESERVE)


@pytest.mark.parametrize(
    ("share", "quantile", "late"),
    [(0.02, 0.95, 0.99), (0.1, 0.9, 0.95), (0.5, 0.95, 0.95), (0.001, 0.95, LAST_QUANTILE)],
)
def test_half_of_the_share_pays_for_the_late_looks(
    share: float, quantile: float, late: float
) -> None:
    assert Hedging(share, quantile).late == pytest.approx(late)


def test_the_early_look_is_never_after_the_late_one() -> None:
    hedging = Hedging(0.02, 0.95)
    hedging.stretch = 2.0
    assert hedging.delay_ms(10.0, 40.0) == 20.0
    assert hedging.delay_ms(10.0, 15.0) == 15.0


def judged(hedging: Hedging, rounds: int, *, won: bool) -> None:
    for _ in range(rounds * JUDGED_AFTER):
        hedging.ended(won=won)


def test_copies_that_do_not_win_are_sent_later() -> None:
    hedging = Hedging(0.02, 0.95)
    judged(hedging, 3, won=False)
    assert (hedging.stretch, hedging.late) == (STRETCH_MAX, 0.99)
    judged(hedging, 1, won=False)
    assert hedging.late == LAST_QUANTILE
    judged(hedging, 1, won=True)
    assert hedging.late == 0.99


def test_the_delay_creeps_up_while_nobody_pays_and_back_while_there_is_plenty() -> None:
    hedging = Hedging(0.02, 0.95)
    for requests in range(50):
        hedging.take(requests, late=False)
    assert hedging.stretch > 1.5
    for more in range(1, 200):
        hedging.take(100_000 * more, late=False)
    assert hedging.stretch == 1.0


def test_copies_that_win_change_nothing() -> None:
    hedging = Hedging(0.02, 0.95)
    judged(hedging, 10, won=True)
    assert (hedging.stretch, hedging.late) == (1.0, 0.99)


def test_no_share_no_look() -> None:
    assert Hedging(0.0, 0.95).quantile == 0.0


def test_the_first_look_creeps_up_to_what_early_looks_are_due_at_and_falls_at_once() -> None:
    hedging = Hedging(0.02, 0.95)
    assert hedging.first_look == 1.0
    looks = 0
    while hedging.first_look < 1.9:
        before = hedging.first_look
        hedging.looked(20.0, 10.0)
        assert before < hedging.first_look <= 2.0
        looks += 1
    assert looks < 100
    for _ in range(100):
        hedging.looked(20.0, 10.0)
    assert hedging.first_look == pytest.approx(2.0)
    hedging.looked(13.0, 10.0)
    assert hedging.first_look == pytest.approx(1.3)
    hedging.looked(5.0, 10.0)
    assert hedging.first_look == 1.0


def test_a_prediction_of_nothing_is_no_multiple_of_anything() -> None:
    hedging = Hedging(0.02, 0.95)
    hedging.looked(0.0, 0.0)
    assert hedging.first_look == 1.0
