from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gateway.api import ConfigError
from gateway.config.settings import Policy
from gateway.simulation import bounds, oracle, simulate
from gateway.simulation.scenario import Scenario

Make = Callable[..., Scenario]


def test_it_beats_a_policy_that_guesses(plan: Make) -> None:
    scenario = plan(requests=4000)
    best = oracle(scenario, seed=1, load=0.7)
    ours = simulate(scenario, "p", Policy(), seed=1, load=0.7)
    assert best.mean_ms() < ours.mean_ms()
    assert np.array_equal(best.arrival_s, ours.arrival_s)


def test_its_parts_are_its_latency(plan: Make) -> None:
    best = oracle(plan(), seed=1)
    total = best.network_ms + best.queue_ms + best.service_ms
    assert np.allclose(total, best.latency_ms, atol=1e-3)


def test_alone_it_takes_the_best_center(plan: Make) -> None:
    scenario = plan(requests=300)
    best = oracle(scenario, seed=1, load=0.01)
    empty = bounds(scenario, seed=1, load=0.01).empty
    assert best.mean_ms() == pytest.approx(empty.mean_ms, rel=0.01)


def test_old_knowledge_is_worse_and_none_of_others_worst(plan: Make) -> None:
    scenario = plan(requests=4000)
    means = [oracle(scenario, seed=1, load=0.7, age_ms=age).mean_ms() for age in (0.0, 2.0, 20.0)]
    assert means[0] < means[1] < means[2]


def test_one_gateway_knows_all_it_did_whatever_the_age(plan: Make) -> None:
    scenario = plan(gateways__count=1)
    fresh = oracle(scenario, seed=1, load=0.6)
    aged = oracle(scenario, seed=1, load=0.6, age_ms=50.0)
    assert np.array_equal(fresh.latency_ms, aged.latency_ms)


def test_who_would_refuse_is_not_asked(plan: Make) -> None:
    events = [{"kind": "refuse", "at_s": 0.0, "until_s": 0.4, "zone": "metro-a"}]
    run = oracle(plan(events=events, requests=4000), seed=1, load=0.5)
    early = run.arrival_s < 0.4
    assert run.ok.all()
    assert run.center[early].min() >= 8
    assert run.center[~early].min() < 8


def test_nobody_left_is_a_failure(plan: Make) -> None:
    run = oracle(plan(events=[{"kind": "refuse", "at_s": 0.0}]), seed=1)
    assert run.failures == {"no_center": 2000}
    assert not run.ok.any()


def test_it_avoids_antagonists(plan: Make) -> None:
    scenario = plan(antagonist={"share": 0.25, "factor": 10.0}, requests=3000)
    run = oracle(scenario, seed=1, load=0.4)
    assert np.quantile(run.service_ms, 0.99) < 10.0


def test_slots_are_reserved_one_by_one(plan: Make) -> None:
    run = oracle(plan(fleet__slots=4), seed=1, load=0.6)
    assert run.utilization.mean() == pytest.approx(0.6, abs=0.06)


def test_there_is_none_for_batches(plan: Make) -> None:
    batch = plan(service__batch={"alpha_ms": 1.0, "beta_ms": 1.0})
    with pytest.raises(ConfigError, match="no oracle"):
        oracle(batch, seed=1)
    with pytest.raises(ConfigError, match="no bound"):
        bounds(batch, seed=1)
