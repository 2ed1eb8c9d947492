import numpy as np
import pytest

from gateway.api import ConfigError
from gateway.measure import arrivals


def test_poisson_counts_and_gaps_are_those_of_a_poisson_process():
    counts = [arrivals.poisson(50, 20, seed).size for seed in range(200)]
    assert np.mean(counts) == pytest.approx(1000, rel=0.01)
    assert np.var(counts) == pytest.approx(1000, rel=0.3)
    gaps = np.diff(arrivals.poisson(1000, 50, 7))
    assert gaps.min() >= 0
    assert np.mean(gaps) == pytest.approx(1e-3, rel=0.02)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(gaps[:-1], gaps[1:])[0, 1] == pytest.approx(0.0, abs=0.02)


def test_the_same_seed_gives_the_same_run_and_another_another():
    assert np.array_equal(arrivals.poisson(10, 10, 1), arrivals.poisson(10, 10, 1))
    assert not np.array_equal(arrivals.poisson(10, 10, 1)[:5], arrivals.poisson(10, 10, 2)[:5])


def test_constant_arrivals_are_evenly_spaced():
    times = arrivals.arrivals("constant", 4, 2, 0)
    assert times.tolist() == [0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625, 1.875]


def test_origins_come_by_weight_and_never_where_it_is_zero():
    weights = {"none": 0.0, "a": 3.0, "b": 1.0, "last": 0.0}
    origin = arrivals.draw_origins(20_000, weights, 3)
    counts = arrivals.origin_counts(origin, tuple(weights))
    assert list(counts) == ["a", "b"]
    assert counts["a"] == pytest.approx(15_000, abs=4 * np.sqrt(20_000 * 0.75 * 0.25))
    assert sum(counts.values()) == 20_000


def test_the_kth_request_comes_from_the_same_place_at_any_rate():
    weights = {"a": 1.0, "b": 2.0}
    long, short = (arrivals.draw_origins(n, weights, 5) for n in (1000, 100))
    assert np.array_equal(long[:100], short)


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": -1.0, "b": 2.0}, {"a": float("nan")}])
def test_weights_that_cannot_be_drawn_from_are_refused(weights):
    with pytest.raises(ConfigError, match="weights of zero or more"):
        arrivals.draw_origins(1, weights, 0)


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (-1, 1), (1, 0), (1e9, 1e9)])
def test_impossible_runs_are_refused(rate, seconds):
    with pytest.raises(ConfigError):
        arrivals.poisson(rate, seconds, 0)
    with pytest.raises(ConfigError):
        arrivals.constant(rate, seconds)
