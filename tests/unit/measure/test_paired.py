from __future__ import annotations

import math

import numpy as np
import pytest

from gateway.measure.paired import difference_of_shares, ratio_of_quantiles


def runs(seeds: int, n: int = 4000, factor: float = 1.0, noise: float = 0.0) -> list[np.ndarray]:
    found = []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        own = np.random.default_rng(1000 + seed).lognormal(0.0, noise)
        found.append((random.exponential(5.0, n) * factor * own).astype(np.float32))
    return found


@pytest.mark.parametrize("q", [0.5, 0.99])
def test_a_constant_factor_is_found_exactly(q: float) -> None:
    ratio = ratio_of_quantiles(runs(3, factor=0.5), runs(3), q)
    assert ratio.low == pytest.approx(0.5, rel=1e-5)
    assert ratio.value == pytest.approx(0.5, rel=1e-5)
    assert ratio.high == pytest.approx(0.5, rel=1e-5)


def test_the_pool_gives_the_quantile() -> None:
    ours, other = runs(4, factor=2.0, noise=0.3), runs(4)
    ratio = ratio_of_quantiles(ours, other, 0.9)
    whole = [np.sort(np.concatenate(side))[math.ceil(0.9 * 16_000) - 1] for side in (ours, other)]
    assert ratio.value == pytest.approx(whole[0] / whole[1], rel=1e-6)
    assert ratio.low < ratio.value < ratio.high


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    """Six seeds a comparison, each seed off by a log-normal factor; the true median ratio is 1."""
    held = 0
    for trial in range(60):
        random = np.random.default_rng(trial)
        other = [random.exponential(5.0, 500) for _ in range(6)]
        ours = [run * random.lognormal(0.0, 0.2) for run in other]
        ratio = ratio_of_quantiles(ours, other, 0.5, replicates=400)
        held += ratio.low <= 1.0 <= ratio.high
    assert held >= 53


def test_one_seed_bounds_nothing() -> None:
    ratio = ratio_of_quantiles(runs(1, factor=2.0), runs(1), 0.5)
    assert (ratio.low, ratio.high) == (0.0, math.inf)
    assert ratio.value == pytest.approx(2.0, rel=1e-5)


def test_what_failed_is_infinitely_late() -> None:
    failing = runs(3)
    for run in failing:
        run[::50] = math.inf
    assert ratio_of_quantiles(failing, runs(3), 0.99).value == math.inf
    assert ratio_of_quantiles(runs(3), failing, 0.99).value == 0.0
    assert ratio_of_quantiles(failing, failing, 0.99).value == 1.0


def test_shares() -> None:
    other = [run < 10.0 for run in runs(4)]
    ours = [run < 11.0 for run in runs(4)]
    gain = difference_of_shares(ours, other)
    expected = np.mean(np.concatenate(ours)) - np.mean(np.concatenate(other))
    assert gain.value == pytest.approx(expected)
    assert 0 < gain.low <= gain.value <= gain.high
    none = difference_of_shares(other, other)
    assert (none.low, none.value, none.high) == (0.0, 0.0, 0.0)


def test_unlike_runs_are_no_pair() -> None:
    with pytest.raises(ValueError, match="same requests"):
        ratio_of_quantiles(runs(3), runs(2), 0.5)
    with pytest.raises(ValueError, match="same requests"):
        difference_of_shares([np.ones(3, bool)], [np.ones(4, bool)])
    with pytest.raises(ValueError, match="same requests"):
        ratio_of_quantiles([], [], 0.5)
