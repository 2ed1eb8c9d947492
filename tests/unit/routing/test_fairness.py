"""Max-min shares, and who is over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.fairness import PRESENT_S, FairShares, fair_level

AMOUNTS = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=20)


@given(AMOUNTS, st.floats(0.0, 2.0))
def test_the_level_gives_out_all_there_is_and_no_more(asked: list[float], share: float) -> None:
    whole = sum(asked)
    level = fair_level(np.array(asked), share * whole)
    given_out = sum(min(each, level) for each in asked)
    assert given_out == pytest.approx(min(whole, share * whole), rel=1e-6, abs=1e-6)


@given(AMOUNTS, st.floats(0.0, 1.0))
def test_nobody_below_the_level_could_be_given_more(asked: list[float], share: float) -> None:
    level = fair_level(np.array(asked), share * sum(asked))
    assert 0.0 <= level <= max(asked) * (1 + 1e-9) + 1e-9
    assert level >= share * sum(asked) / len(asked) * (1 - 1e-9) - 1e-9


@given(st.permutations([1.0, 5.0, 9.0, 40.0]))
def test_the_order_of_keys_does_not_matter(asked: list[float]) -> None:
    assert fair_level(np.array(asked), 20.0) == pytest.approx(7.0)


def test_a_key_alone_is_never_over() -> None:
    shares = FairShares(8)
    for turn in range(100):
        assert not shares.ask("a", 10.0, turn * 0.01)
        shares.give("a", 10.0, turn * 0.01)


def play(rates: dict[str, int], capacity: int, turns: int = 400) -> dict[str, int]:
    """Each turn every key asks ``rates`` times, in turn; an over-share key gets what is left."""
    shares, served = FairShares(64), dict.fromkeys(rates, 0)
    for turn in range(turns):
        now, room, waiting = turn * 0.01, capacity, []
        order = [
            key for round_ in range(max(rates.values())) for key in rates if round_ < rates[key]
        ]
        for key in order:
            if shares.ask(key, 1.0, now):
                waiting.append(key)
            elif room:
                room -= 1
                shares.give(key, 1.0, now)
                served[key] += turn >= turns // 2
        for key in waiting[:room]:
            shares.give(key, 1.0, now)
            served[key] += turn >= turns // 2
    return served


def test_who_asks_for_less_than_the_share_gets_all_of_it() -> None:
    served = play({"flood": 40, "polite": 2}, capacity=10)
    assert served["polite"] == 2 * 200
    assert served["flood"] >= 0.95 * 8 * 200


def test_those_who_ask_for_too_much_get_alike_whatever_they_ask_for() -> None:
    served = play({"huge": 60, "large": 20}, capacity=10)
    assert served["large"] == pytest.approx(served["huge"], rel=0.35)
    assert served["large"] + served["huge"] >= 0.95 * 10 * 200


def test_who_has_left_counts_no_longer() -> None:
    shares = FairShares(8)
    shares.ask("gone", 5.0, 0.0)
    shares.give("gone", 5.0, 0.0)
    late = PRESENT_S + 1.0
    for turn in range(50):
        assert not shares.ask("here", 5.0, late + turn * 0.01)
        shares.give("here", 5.0, late + turn * 0.01)
    assert len(shares) == 1


def test_names_without_end_are_one_key_together() -> None:
    shares = FairShares(4)
    for number in range(1000):
        shares.ask(f"made up {number}", 1.0, number * 1e-4)
    assert len(shares) == 5
    assert shares.ask("made up again", 1.0, 0.2) is False
    for _ in range(200):
        shares.give("another name", 1.0, 0.2)
    assert shares.ask("yet another", 300.0, 0.3) is True


def test_sums_fade_and_stay_finite_over_days() -> None:
    shares = FairShares(8)
    for hour in range(100):
        for key in ("a", "b"):
            shares.ask(key, 10.0, hour * 3600.0)
            shares.give(key, 10.0, hour * 3600.0)
        told = shares.given_ms(hour * 3600.0)
        assert set(told) <= {"a", "b"}
        assert all(0.0 <= work_ms <= 20.0 for work_ms in told.values())
    shares.ask("a", 1.0, 99 * 3600.0 + 1.0)
    assert shares.given_ms(99 * 3600.0 + 1.0)["a"] < 10.0
