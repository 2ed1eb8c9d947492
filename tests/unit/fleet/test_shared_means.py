"""Means by weight: those who measured lately count, and counts that fell are a new worker's."""

import numpy as np
import pytest

from gateway.fleet.shared_means import HALF_LIFE_S, recent_weights, weighted_means


def test_the_mean_is_by_recent_samples() -> None:
    estimates = np.array([[2.0, 5.0], [8.0, 7.0]])
    recent = np.array([[1.0, 0.0], [3.0, 0.0]])
    mean, known = weighted_means(estimates, recent)
    assert mean.tolist() == [6.5, 0.0]
    assert known.tolist() == [4.0, 0.0]


def test_an_estimate_without_weight_does_not_count_whatever_it_is() -> None:
    mean, known = weighted_means(np.array([[np.nan], [3.0]]), np.array([[0.0], [2.0]]))
    assert (mean.item(), known.item()) == (3.0, 2.0)


def test_weights_grow_by_fresh_samples_and_halve_with_time() -> None:
    recent, seen = np.zeros((1, 1)), np.zeros((1, 1), dtype=np.int32)
    recent_weights(recent, np.array([[8]], dtype=np.int32), seen, 0.0)
    assert recent.item() == 8.0
    recent_weights(recent, np.array([[10]], dtype=np.int32), seen, HALF_LIFE_S)
    assert recent.item() == pytest.approx(6.0)
    recent_weights(recent, np.array([[10]], dtype=np.int32), seen, 100 * HALF_LIFE_S)
    assert recent.item() == 0.0


def test_a_count_that_fell_counts_from_zero() -> None:
    recent, seen = np.zeros((1, 1)), np.array([[100]], dtype=np.int32)
    recent_weights(recent, np.array([[4]], dtype=np.int32), seen, 0.0)
    assert recent.item() == 4.0
    assert seen.item() == 4


def test_taking_over_the_mean_and_merging_again_comes_to_rest_at_who_measures() -> None:
    values, recent = np.array([[10.0], [20.0]]), np.array([[9.0], [1.0]])
    for _ in range(20):
        mean, _ = weighted_means(values, recent)
        values[1] = mean
    assert values.ravel() == pytest.approx([10.0, 10.0])
