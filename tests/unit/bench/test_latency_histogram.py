"""Counts keep quantiles, add up, and never lose what was not answered."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.policies.latency_histogram import counted, pooled, quantile


@pytest.mark.parametrize("q", [0.01, 0.5, 0.9, 0.99, 0.999])
def test_a_quantile_of_counts_is_that_of_the_values_to_half_a_percent(q: float) -> None:
    values = np.random.default_rng(1).lognormal(1.0, 0.8, 200_000)
    exact = float(np.quantile(values, q, method="inverted_cdf"))
    assert quantile(counted(values).dense(), q) == pytest.approx(exact, rel=5e-3)


def test_what_was_not_answered_is_later_than_everything() -> None:
    counts = counted(np.array([1.0] * 98 + [math.inf] * 2)).dense()
    assert counts.sum() == 100
    assert quantile(counts, 0.98) == pytest.approx(1.0, rel=0.01)
    assert quantile(counts, 0.99) == math.inf


def test_runs_are_pooled_by_adding() -> None:
    fast, slow = np.full(900, 1.0), np.full(100, 50.0)
    whole = pooled([counted(fast), counted(slow)])
    assert np.array_equal(whole, counted(np.concatenate([fast, slow])).dense())
    assert quantile(whole, 0.9) == pytest.approx(1.0, rel=0.011)
    assert quantile(whole, 0.91) == pytest.approx(50.0, rel=0.011)


def test_extremes_fall_into_the_outer_buckets() -> None:
    counts = counted(np.array([0.0, 1e-9, 1e12]))
    assert sum(counts.counts) == 3
    assert quantile(counts.dense(), 1.0) < math.inf


def test_no_request_has_no_quantile() -> None:
    assert math.isnan(quantile(counted(np.array([])).dense(), 0.5))
