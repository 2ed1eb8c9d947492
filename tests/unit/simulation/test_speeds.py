from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gateway.simulation.scenario import Scenario
from gateway.simulation.speeds import own_factors, series_of
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]


def test_groups_do_not_overlap_and_are_drawn_by_the_seed(plan: Make) -> None:
    scenario = plan(speeds__groups=[{"factor": 2.0, "share": 0.25}, {"factor": 4.0, "count": 2}])
    centers = world_of(scenario).centers
    factors = own_factors(scenario, centers, 1)
    assert sorted(factors.tolist()) == [1.0] * 16 + [2.0] * 6 + [4.0] * 2
    assert not np.array_equal(factors, own_factors(scenario, centers, 2))


def test_no_antagonist_and_no_noise_is_no_series(plan: Make) -> None:
    assert series_of(plan(), 24, 10.0, 1) is None


def test_antagonists_hit_a_share_and_move_on(plan: Make) -> None:
    series = series_of(plan(antagonist__share=0.25), 24, 10.0, 1)
    assert series is not None
    assert [np.sum(series.at(t) == 4.0) for t in (0.0, 0.3, 9.9)] == [6, 6, 6]
    assert np.array_equal(series.at(0.0), series.at(0.249))
    assert not np.array_equal(series.at(0.0), series.at(0.25))


def test_noise_slows_wanders_and_is_partly_common(plan: Make) -> None:
    series = series_of(plan(noise={"sigma": 0.5, "common_share": 0.9}), 24, 200.0, 1)
    assert series is not None
    logs = np.log(series.factors)
    assert logs.min() >= 0.0
    assert np.sqrt((logs**2).mean()) == pytest.approx(0.5, rel=0.15)
    neighbours = np.corrcoef(logs[:, 0], logs[:, 1])[0, 1]
    next_step = np.corrcoef(logs[:-1, 0], logs[1:, 0])[0, 1]
    assert neighbours > 0.5
    assert next_step > 0.7
