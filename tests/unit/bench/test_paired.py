"""Paired intervals: they hold the truth about as often as they say, and they know infinity."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.policies import paired
from bench.policies.latency_histogram import counted
from bench.policies.paired import (
    arm,
    difference,
    gap_closed,
    mean_ms,
    mean_of,
    quantile_at,
    ratio,
    ratio_of_means,
    share_within,
    value,
)

P50, P99 = quantile_at(0.5), quantile_at(0.99)
SLO_MS = 10.0


def made(latencies: list[np.ndarray], seeds: range | None = None) -> paired.Arm:
    return arm(
        seeds or range(1, len(latencies) + 1),
        [counted(one) for one in latencies],
        [float(one[np.isfinite(one)].sum()) for one in latencies],
        [int((one <= SLO_MS).sum()) for one in latencies],
    )


def drawn(random: np.random.Generator, scale: float, seeds: int, luck: np.ndarray) -> paired.Arm:
    """Latencies of a policy; ``luck`` is what each seed does to all policies alike."""
    return made(
        [scale * luck[i] * random.lognormal(0.0, 0.5, 2_000) for i in range(seeds)],
    )


def test_a_policy_against_itself_is_exactly_one() -> None:
    one = made([np.random.default_rng(s).exponential(5.0, 500) for s in range(10)])
    found = ratio(one, one, P99)
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)
    same = difference(one, one, share_within)
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)


def test_pairing_removes_what_seeds_do_to_both() -> None:
    random = np.random.default_rng(3)
    luck = np.exp(random.normal(0.0, 0.5, 10))
    ours, other = (drawn(random, scale, 10, luck) for scale in (0.8, 1.0))
    found = ratio(ours, other, P50)
    alone = paired.alone(other, P50)
    assert found.low < 0.8 < found.high
    assert found.high - found.low < 0.2 * (alone.high - alone.low) / alone.value


def test_the_interval_holds_the_truth_in_most_repetitions() -> None:
    held = 0
    for repetition in range(60):
        random = np.random.default_rng(repetition)
        luck = np.exp(random.normal(0.0, 0.3, 10))
        own = np.exp(random.normal(0.0, 0.1, 10))
        ours = drawn(random, 0.7, 10, luck * own)
        found = ratio(ours, drawn(random, 1.0, 10, luck), P50)
        held += found.low <= 0.7 <= found.high
    assert held >= 51


def test_one_seed_bounds_nothing_and_three_bound_widely() -> None:
    one = made([np.full(100, 4.0)])
    assert ratio(one, made([np.full(100, 8.0)]), P99).high == math.inf
    three = ratio(
        made([np.full(100, v) for v in (4.0, 5.0, 6.0)]), made([np.full(100, 8.0)] * 3), P50
    )
    assert three.low < 4 / 8
    assert three.high > 6 / 8


def test_infinite_quantiles_compare() -> None:
    lost = made([np.concatenate([np.full(90, 5.0), np.full(10, np.inf)])] * 10)
    fine = made([np.full(100, 5.0)] * 10)
    assert ratio(fine, lost, P99).high == 0.0
    assert ratio(lost, fine, P99).low == math.inf
    assert ratio(lost, lost, P99).value == 1.0
    assert value(lost, mean_ms) == pytest.approx(5.0)


def test_a_mean_over_what_a_tenth_never_answered_is_infinite() -> None:
    lost = made([np.concatenate([np.full(80, 5.0), np.full(20, np.inf)])] * 2)
    assert value(lost, mean_ms) == math.inf


def test_only_seeds_that_both_have_are_compared() -> None:
    ours = made([np.full(10, 1.0), np.full(10, 2.0), np.full(10, 99.0)], range(1, 4))
    other = made([np.full(10, 2.0), np.full(10, 4.0)], range(1, 3))
    assert ratio(ours, other, P99).value == pytest.approx(0.5, rel=0.011)
    apart = made([np.full(10, 1.0)], range(7, 8))
    assert math.isnan(ratio(ours, apart, P99).value)


def test_the_gap_to_the_oracle() -> None:
    arms = [made([np.full(100, ms)] * 10) for ms in (6.0, 10.0, 5.0)]
    assert gap_closed(*arms, P99).value == pytest.approx(0.8, rel=0.03)
    equal = gap_closed(arms[2], arms[2], arms[2], P99)
    assert math.isnan(equal.value)


def test_means_over_seeds() -> None:
    assert mean_of([0.1, 0.2, math.nan, 0.3]).value == pytest.approx(0.2)
    assert math.isnan(mean_of([]).value)
    assert ratio_of_means([1.0, 3.0], [10.0, 10.0]).value == pytest.approx(0.2)
    assert math.isnan(ratio_of_means([1.0], [0.0]).value)
