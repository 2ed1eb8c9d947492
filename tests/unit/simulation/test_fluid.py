from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from gateway.api import ConfigError
from gateway.config.settings import Policy
from gateway.simulation import load_scenario, simulate, simulate_fluid
from gateway.simulation.fluid import pour, whole
from gateway.simulation.scenario import Scenario

Make = Callable[..., Scenario]


def greedy(amount: int, cost: list[float], room: list[int], per_ms: list[float]) -> list[int]:
    """One by one, each to whoever is cheapest then."""
    taken = [0] * len(cost)
    for _ in range(amount):
        now = [c + max(0, t - r) / p for c, t, r, p in zip(cost, taken, room, per_ms, strict=True)]
        taken[now.index(min(now))] += 1
    return taken


@pytest.mark.parametrize("amount", [1, 7, 50, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_pouring_is_taking_the_cheapest_one_by_one(amount: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    cost = np.sort(random.uniform(1.0, 20.0, 6))
    room = random.integers(0, 5, 6)
    per_ms = random.uniform(0.5, 50.0, 6)
    found = pour(np.array([amount]), cost[None, :], room[None, :].astype(float), per_ms[None, :])[0]
    assert found.sum() == pytest.approx(amount)
    assert found.min() >= 0.0
    one_by_one = greedy(amount, cost.tolist(), room.tolist(), per_ms.tolist())
    assert np.abs(found - one_by_one).max() <= 2.0


def test_rows_are_poured_side_by_side() -> None:
    cost = np.array([[1.0, 2.0], [1.0, 100.0]])
    found = pour(np.array([3, 3]), cost, np.zeros((2, 2)), np.ones((2, 2)))
    assert found.tolist() == [[2.0, 1.0], [3.0, 0.0]]


def test_whole_numbers_keep_the_sum_and_the_mean() -> None:
    poured = np.array([[0.3, 1.7, 0.0, 4.0]])
    found = np.array([whole(poured, np.array([u]))[0] for u in np.linspace(0.0, 0.999, 200)])
    assert set(found.sum(axis=1)) == {6}
    assert np.abs(found - poured).max() < 1.0
    assert np.allclose(found.mean(axis=0), poured[0], atol=0.02)


def test_the_same_seed_gives_the_same_bytes(plan: Make) -> None:
    one, two = (simulate_fluid(plan(fleet__slots=4), seed=1, duration_s=0.3) for _ in range(2))
    assert json.dumps(one.summary()) == json.dumps(two.summary())
    assert one.density.tobytes() == two.density.tobytes()


def test_it_pours_the_load_and_uses_the_slots(plan: Make) -> None:
    run = simulate_fluid(plan(fleet__slots=8), seed=1, load=0.5, duration_s=1.0)
    assert run.requests == pytest.approx(run.rate_per_s, rel=0.02)
    assert run.utilization.mean() == pytest.approx(0.5, rel=0.03)
    assert run.density.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("load", [0.4, 0.8])
def test_it_agrees_with_event_mode_in_a_metro(plan: Make, load: float) -> None:
    scenario = plan(fleet__slots=8, gateways__count=1, requests=15_000, warm_up_s=0.3)
    fluid = simulate_fluid(scenario, seed=1, load=load, duration_s=0.5)
    event = simulate(scenario, "p", Policy(), seed=1, load=load)
    for q in (0.5, 0.99):
        assert fluid.quantile_ms(q) == pytest.approx(event.quantile_ms(q), rel=0.05)


def test_it_agrees_with_event_mode_on_the_map() -> None:
    changes = {"fleet.slots": 4, "requests": 25_000, "warm_up_s": 0.5}
    scenario = load_scenario("s0-map").with_(**changes)
    fluid = simulate_fluid(scenario, seed=1, load=0.4, duration_s=0.3)
    event = simulate(scenario, "p", Policy(), seed=1, load=0.4)
    for q in (0.5, 0.99):
        assert fluid.quantile_ms(q) == pytest.approx(event.quantile_ms(q), rel=0.05)


def test_ten_times_the_slots_is_no_more_work_than_ten_times_the_load(plan: Make) -> None:
    small = simulate_fluid(plan(fleet__slots=10), seed=1, load=0.6, duration_s=0.2)
    large = simulate_fluid(plan(fleet__slots=1000), seed=1, load=0.6, duration_s=0.2)
    assert large.requests > 90 * small.requests
    assert large.mean_ms() <= small.mean_ms() + 0.05  # pooling never hurts


def test_overload_grows_and_drains_with_a_crowd() -> None:
    crowd = {"at_s": 0.3, "until_s": 0.6, "ramp_s": 0.0, "factor": 50.0, "origins": ["Harbin"]}
    base = load_scenario("s0-map").with_(**{"fleet.slots": 8, "warm_up_s": 0.2})
    calm = simulate_fluid(base, seed=1, load=0.5, duration_s=0.6)
    crowded = simulate_fluid(base.with_(arrivals__crowd=crowd), seed=1, load=0.5, duration_s=0.6)
    assert crowded.requests > 1.1 * calm.requests
    assert crowded.mean_ms() > calm.mean_ms()


@pytest.mark.parametrize(
    "change",
    [
        {"events": [{"kind": "refuse", "at_s": 0.0}]},
        {"antagonist__factor": 2.0},
        {"noise__sigma": 0.1},
        {"service__batch": {"alpha_ms": 1.0, "beta_ms": 1.0}},
    ],
)
def test_what_has_no_fluid_is_refused(plan: Make, change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="fluid mode knows no"):
        simulate_fluid(plan(**change), seed=1)
