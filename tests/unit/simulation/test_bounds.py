from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.simulation import bounds, oracle
from gateway.simulation.scenario import Scenario, scenario_of

Make = Callable[..., Scenario]


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_each_bound_is_above_the_one_before_and_below_the_oracle(plan: Make, load: float) -> None:
    scenario = plan(requests=5000, speeds__groups=[{"factor": 3.0, "share": 0.25}])
    found = bounds(scenario, seed=1, load=load)
    best = oracle(scenario, seed=1, load=load)
    for name in ("mean_ms", "p50_ms", "p99_ms"):
        light, empty, pooled = (getattr(b, name) for b in (found.light, found.empty, found.pooled))
        assert light <= empty <= pooled + 1e-9, name
    assert found.pooled.mean_ms <= best.mean_ms()
    assert found.empty.p99_ms <= best.quantile_ms(0.99)
    assert found.light.slo_share >= found.empty.slo_share >= best.slo_share


def test_what_is_too_far_is_not_feasible() -> None:
    plan = scenario_of(
        {"name": "m", "description": "", "fleet": {"slots": 1}, "requests": 3000}, "test"
    )
    found = bounds(plan, seed=1, load=0.3)
    assert 0.2 < found.empty.slo_share < 0.7
    assert found.light.slo_share > found.empty.slo_share


def test_above_capacity_the_mean_is_bounded_by_work_not_by_distance(plan: Make) -> None:
    found = bounds(plan(requests=6000), seed=1, load=1.5)
    assert found.pooled.mean_ms > 3.0 * found.empty.mean_ms
    assert found.summary()["pooled"]["mean"] == round(found.pooled.mean_ms, 4)
