from __future__ import annotations

import gc
from collections.abc import Callable
from math import factorial

import numpy as np
import pytest

from gateway.config.settings import Policy
from gateway.loading import Registry
from gateway.simulation import Run, oracle, simulate
from gateway.simulation.scenario import Scenario

Make = Callable[..., Scenario]
ARRAYS = (
    *("arrival_s", "latency_ms", "ok", "center", "gateway", "vantage", "model", "attempts"),
    *("predicted_ms", "network_ms", "queue_ms", "service_ms", "utilization"),
)


def same(one: Run, two: Run) -> bool:
    return one.summary() == two.summary() and all(
        getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in ARRAYS
    )


BUSY = {
    "antagonist": {"share": 0.2},
    "events": [
        {"kind": "refuse", "at_s": 0.3, "until_s": 0.35, "zone": "metro-a"},
        {"kind": "slow", "at_s": 0.2, "value": 10.0, "count": 1},
    ],
    "reports": {"period_ms": 20.0, "loss": 0.3},
}


@pytest.mark.parametrize("picker", ["least", "two_choices", "prequal"])
def test_the_same_seed_gives_the_same_bytes(plan: Make, picker: str) -> None:
    policy = Policy(picker=picker)
    one, two = (simulate(plan(**BUSY), "p", policy, seed=3) for _ in range(2))
    assert same(one, two)
    assert not same(one, simulate(plan(**BUSY), "p", policy, seed=4))


def test_plugins_found_in_another_order_change_nothing(plan: Make) -> None:
    known = Registry.discover()
    names = ("healthy", "serves_model", "network", "queue", "service", "risk", "two_choices")
    backwards = Registry(())
    for name in reversed(names):
        backwards = backwards.plus(known.offers(name))
    policy = Policy(picker="two_choices")
    one = simulate(plan(**BUSY), "p", policy, seed=1, registry=known)
    two = simulate(plan(**BUSY), "p", policy, seed=1, registry=backwards)
    assert same(one, two)


def test_two_policies_meet_the_same_requests(plan: Make) -> None:
    scenario = plan(attempts__max=1)
    one = simulate(scenario, "a", Policy(), seed=1)
    two = simulate(scenario, "b", Policy(picker="two_choices"), seed=1)
    for name in ("arrival_s", "vantage", "gateway", "model"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    # The own run time is the same wherever a request runs; so is the jitter of its way.
    assert np.allclose(one.service_ms, two.service_ms, atol=1e-4)
    here = one.center == two.center
    assert here.any()
    assert np.allclose(one.network_ms[here], two.network_ms[here], atol=1e-3)


def test_a_single_queue_waits_as_theory_says(plan: Make) -> None:
    """M/G/1: Pollaczek and Khinchine, W = rho S (1 + cs^2) / (2 (1 - rho))."""
    events = [
        {"kind": "path_shift", "at_s": 0.0, "value": 1000.0, "center": f"{zone}{n}"}
        for zone in "abc"
        for n in range(1, 9)
        if f"{zone}{n}" != "a1"
    ]
    scenario = plan(
        gateways={"count": 1, "at": "places", "places": ["metro-a"]},
        service={"mean_ms": 10.0, "sigma": 0.35},
        attempts={"timeout_ms": 1e6},
        network={"metro": {}, "jitter": False},
        events=events,
        warm_up_s=5.0,
    )
    nearest = Policy(scorers=("network",))
    run = simulate(scenario, "nearest", nearest, seed=1, load=0.7 / 24, requests=40_000)
    kept = run.center == 0
    assert kept.mean() > 0.99
    rho, cs2 = 0.7, np.exp(0.35**2) - 1.0
    expected_ms = rho * 10.0 * (1.0 + cs2) / (2.0 * (1.0 - rho))
    assert run.queue_ms[kept].mean() == pytest.approx(expected_ms, rel=0.08)


def test_many_slots_wait_as_theory_says(plan: Make) -> None:
    """M/M/c by Erlang's formula, with all slots at one place; run times exponential-like."""
    scenario = plan(
        fleet={"file": "metro.toml", "slots": 4},
        gateways={"count": 1, "at": "places", "places": ["metro-a"]},
        service={"mean_ms": 10.0, "sigma": 0.8326},  # cs = 1, as an exponential
        network={"metro": {}, "jitter": False},
        attempts={"timeout_ms": 1e6},
        warm_up_s=5.0,
        events=[
            {"kind": "path_shift", "at_s": 0.0, "value": 1000.0, "center": f"{zone}{n}"}
            for zone in "abc"
            for n in range(1, 9)
            if f"{zone}{n}" != "a1"
        ],
    )
    nearest = Policy(scorers=("network",))
    run = simulate(scenario, "nearest", nearest, seed=2, load=0.75 / 24, requests=60_000)
    c, a = 4, 3.0
    waits = a**c / factorial(c) * c / (c - a)
    erlang = waits / (sum(a**k / factorial(k) for k in range(c)) + waits)
    expected_ms = erlang * 10.0 / (c - a)
    assert run.queue_ms[run.center == 0].mean() == pytest.approx(expected_ms, rel=0.15)


def test_it_agrees_with_the_oracle_when_there_is_no_choice(plan: Make) -> None:
    events = [
        {"kind": "path_shift", "at_s": 0.0, "value": 5000.0, "center": f"{zone}{n}"}
        for zone in "abc"
        for n in range(1, 9)
        if f"{zone}{n}" != "a1"
    ]
    scenario = plan(
        gateways={"count": 1, "at": "places", "places": ["metro-a"]},
        network={"metro": {}, "jitter": False},
        attempts={"timeout_ms": 1e6},
        events=events,
        warm_up_s=3.0,
    )
    nearest = Policy(scorers=("network",))
    run = simulate(scenario, "nearest", nearest, seed=1, load=0.5 / 24)
    best = oracle(scenario, seed=1, load=0.5 / 24)
    assert np.all(run.center == 0)
    assert np.allclose(run.latency_ms, best.latency_ms, atol=1e-3)


def test_requests_and_load_replace_the_scenarios(plan: Make) -> None:
    run = simulate(plan(), "p", Policy(), seed=1, requests=300, load=0.2)
    assert len(run.latency_ms) == 300
    assert run.load == 0.2
    assert run.utilization.mean() == pytest.approx(0.2, rel=0.2)


def test_progress_is_told_and_reaches_the_end(plan: Make) -> None:
    told: list[tuple[int, int]] = []
    simulate(plan(requests=5000), "p", Policy(), seed=1, progress=lambda *now: told.append(now))
    assert told[-1][0] == told[-1][1]
    assert len(told) >= 2


def test_the_collector_is_as_it_was(plan: Make) -> None:
    assert gc.isenabled()
    simulate(plan(requests=100), "p", Policy(), seed=1)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_slower_by_nature_is_avoided_by_prediction(plan: Make) -> None:
    scenario = plan(speeds__groups=[{"factor": 8.0, "count": 6}], requests=6000, warm_up_s=0.5)
    run = simulate(scenario, "p", Policy(), seed=1, load=0.5)
    from_slow = np.mean(run.service_ms > 4.0 * 2.0)
    assert from_slow < 0.12  # they are a quarter of the centers
