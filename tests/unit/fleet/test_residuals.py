"""Residuals: quantiles of actual over predicted, published intervals, accounts."""

from math import exp, inf, log, nan
from random import Random

import numpy as np
import pytest

from gateway.api import Center, Decision, Location, Outcome, Query, Table
from gateway.fleet import Fleet
from gateway.fleet.residuals import (
    HALVED_EVERY_S,
    OTHER_MODELS,
    Pools,
    Residuals,
    places_of,
    prior_ratio,
)


def center(region: str, zone: str) -> Center:
    return Center(f"{region}{zone}", region, zone, "x", "CN", Location(0.0, 0.0))


CENTERS = [center("r", "a"), center("r", "a"), center("r", "b"), center("r", "c"), center("s", "a")]


def fed(ratios: list[float], residuals: Residuals | None = None, at_s: float = 0.0) -> Residuals:
    """Answers of center 0 for model "m", a thousand a second, settled each 100 of them."""
    residuals = residuals or Residuals(CENTERS)
    for place, ratio in enumerate(ratios):
        residuals.learn("m", 0, 4.0, 4.0 * ratio)
        if place % 100 == 99 or place == len(ratios) - 1:
            residuals.settle(at_s + place * 0.001)
    return residuals


def test_before_any_answer_the_prior_stands() -> None:
    residuals = Residuals(CENTERS)
    assert residuals.quantile_ratio(0, "m", 0.99) == pytest.approx(3.0)
    assert residuals.quantile_ratio(0, "m", 0.5) == pytest.approx(1.0)
    assert Pools(1).quantile_ratio(0, 0.99) == pytest.approx(3.0)
    assert residuals.interval(0, "m") == (prior_ratio(0.05), prior_ratio(0.95))


@pytest.mark.parametrize("q", [0.05, 0.5, 0.95, 0.99])
def test_many_answers_give_their_own_quantiles(q: float) -> None:
    random = Random(3)
    ratios = sorted(1.3 * random.lognormvariate(0.0, 0.25) for _ in range(9000))
    drawn = ratios.copy()
    random.shuffle(drawn)
    found = fed(drawn).quantile_ratio(0, "m", q)
    assert found == pytest.approx(ratios[int(q * len(ratios))], rel=0.05)


def test_a_few_answers_move_the_median_and_hardly_the_tail() -> None:
    residuals = fed([2.0] * 8)
    assert residuals.quantile_ratio(0, "m", 0.5) == pytest.approx(2.0, rel=0.2)
    assert residuals.quantile_ratio(0, "m", 0.99) > 2.7


def test_ratios_beyond_the_buckets_count_at_the_ends() -> None:
    assert fed([1e9] * 500).quantile_ratio(0, "m", 0.5) > 14.0
    assert fed([1e-9] * 500).quantile_ratio(0, "m", 0.5) < 0.22


def test_what_was_long_ago_fades() -> None:
    residuals = fed([4.0] * 1000)
    fed([1.0] * 1000, residuals, at_s=6 * HALVED_EVERY_S)
    assert residuals.quantile_ratio(0, "m", 0.9) == pytest.approx(1.0, rel=0.1)


def test_answers_are_not_held_to_an_interval_that_learned_from_them() -> None:
    residuals = fed([1.0] * 4000)
    before = residuals.by_model()["m"].covered
    low, high = residuals.interval(0, "m")
    assert low > 0.9
    assert high < 1.1
    fed([3.0] * 100, residuals, at_s=5.0)  # settled: only now the interval knows
    assert residuals.by_model()["m"].covered == before
    fed([1.0] * 100, residuals, at_s=5.2)
    assert residuals.by_model()["m"].covered == before + 100


def test_zones_share_a_pool_and_single_centers_their_region() -> None:
    places = places_of(CENTERS)
    assert places[0] == places[1] == ("r", "a")
    assert places[2] == places[3] == ("r", "")
    assert places[4] == ("s", "")
    residuals = Residuals(CENTERS)
    for _ in range(500):
        residuals.learn("m", 2, 5.0, 10.0)
    residuals.settle(1.0)
    assert residuals.quantile_ratio(3, "m", 0.5) == pytest.approx(2.0, rel=0.05)
    assert residuals.quantile_ratio(0, "m", 0.5) == pytest.approx(1.0)
    assert residuals.quantile_ratio(3, "n", 0.5) == pytest.approx(1.0)


def test_accounts_add_up() -> None:
    residuals = Residuals(CENTERS)
    residuals.learn("m", 0, 5.0, 6.0)
    residuals.learn("m", 0, 5.0, 3.0)
    residuals.learn("n", 1, 5.0, 500.0)
    by_model, by_center = residuals.by_model(), residuals.by_center()
    assert (by_model["m"].answers, by_model["m"].late_ms, by_model["m"].early_ms) == (2, 1.0, 2.0)
    assert by_model["m"].covered == 2
    assert (by_model["n"].answers, by_model["n"].late_ms, by_model["n"].covered) == (1, 495.0, 0)
    assert [account.answers for account in by_center] == [2, 1, 0, 0, 0]
    answers, error_log_sum = residuals.sums
    assert answers == 3
    assert error_log_sum == pytest.approx(log(1.2) + log(5 / 3) + log(100))


def test_nine_of_ten_answers_lie_in_the_interval() -> None:
    residuals = Residuals(CENTERS)
    random = Random(5)
    for step in range(20_000):
        residuals.learn("m", 0, 4.0, 4.0 * exp(random.gauss(0.3, 0.2)))
        if step % 100 == 0:
            residuals.settle(step * 0.001)
    account = residuals.by_model()["m"]
    assert 0.87 < account.covered / account.answers < 0.94


@pytest.mark.parametrize(
    ("predicted_ms", "actual_ms"), [(0.0, 5.0), (nan, 5.0), (5.0, nan), (5.0, inf), (5.0, 0.0)]
)
def test_what_is_no_ratio_is_left_out(predicted_ms: float, actual_ms: float) -> None:
    residuals = Residuals(CENTERS)
    residuals.learn("m", 0, predicted_ms, actual_ms)
    assert residuals.sums == (0, 0.0)


def test_a_model_that_begins_anew_keeps_its_account() -> None:
    residuals = Residuals(CENTERS)
    for _ in range(500):
        residuals.learn("m", 0, 5.0, 10.0)
    residuals.settle(1.0)
    residuals.forget("m")
    residuals.forget("never heard of")
    assert residuals.quantile_ratio(0, "m", 0.5) == pytest.approx(1.0)
    assert residuals.by_model()["m"].answers == 500


def test_models_are_bounded() -> None:
    residuals = Residuals(CENTERS, models_max=3)
    for name in "abcdef":
        residuals.learn(name, 0, 5.0, 6.0)
    by_model = residuals.by_model()
    assert set(by_model) == {"a", "b", "c", OTHER_MODELS}
    assert by_model[OTHER_MODELS].answers == 3


def test_the_fleet_learns_from_answers_alone() -> None:
    table = Table(CENTERS)
    prior_ms = np.full(len(CENTERS), 3.0, dtype=np.float32)
    fleet = Fleet(table, rtt_prior=lambda _: prior_ms.copy(), random=Random(1))
    fleet.add_model("m", 2.0, np.ones(len(CENTERS), dtype=bool))
    table.row_tables["rtt_ms"].row(0)
    decision = Decision(Query(0, "m"), 0, 5.0, -1, inf, (), 0.0)
    assert fleet.quantile_ms(decision, 0.99) == pytest.approx(15.0)
    for step in range(400):
        now = 1.0 + step * 0.01
        fleet.tick(now)
        fleet.charge(decision, now)
        ending = "error" if step % 2 else "answer"
        took_ms = 500.0 if step % 2 else 10.0
        charged_ms = decision.charged_ms
        fleet.ended(Outcome(0, 0, "m", ending, took_ms, None, 5.0, charged_ms, now, "center_busy"))
    assert fleet.quantile_ms(decision, 0.5) == pytest.approx(10.0, rel=0.1)
    low, high = fleet.residuals.interval(0, "m")
    assert 5.0 * low < 10.0 < 5.0 * high < 15.0
    assert fleet.residuals.sums[0] == 200


def test_attempt_times_are_summed_by_center_over_all_models() -> None:
    residuals = Residuals(CENTERS)
    for model, row, actual_ms in (("m", 0, 5.0), ("n", 0, 7.0), ("m", 3, 11.0), ("m", 3, inf)):
        residuals.learn(model, row, 4.0, actual_ms)
    answers, attempts_ms = residuals.attempts()
    assert answers.tolist() == [2, 0, 0, 1, 0]
    assert attempts_ms.tolist() == [12.0, 0.0, 0.0, 11.0, 0.0]
