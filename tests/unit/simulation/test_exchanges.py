from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gateway.config.settings import Policy
from gateway.simulation import Run, simulate
from gateway.simulation.draws import draw
from gateway.simulation.exchanges import _queries
from gateway.simulation.scenario import Scenario
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]


def run_of(plan: Scenario, **options: float) -> Run:
    return simulate(plan, "p", Policy(), seed=1, **options)  # type: ignore[arg-type]  # load


def test_every_request_is_answered_once_or_lost_once(plan: Make) -> None:
    events = [
        {"kind": "refuse", "at_s": 0.1, "until_s": 0.2, "zone": "metro-a"},
        {"kind": "fast_503", "at_s": 0.2, "until_s": 0.3, "count": 10},
        {"kind": "blackhole", "at_s": 0.3, "until_s": 0.4, "count": 3},
    ]
    run = run_of(plan(events=events, requests=4000, warm_up_s=0.0))
    assert run.ok.sum() + sum(run.failures.values()) == 4000
    assert np.array_equal(run.ok, run.center >= 0)
    assert np.array_equal(run.ok, np.isfinite(run.latency_ms))
    assert run.attempts.max() <= 3
    assert run.attempts.max() > 1


def test_the_parts_of_a_first_attempt_are_its_latency(plan: Make) -> None:
    run = run_of(plan())
    total = run.network_ms + run.queue_ms + run.service_ms
    assert np.allclose(total, run.latency_ms, atol=1e-3)


def test_a_black_hole_costs_a_timeout_and_no_request(plan: Make) -> None:
    events = [{"kind": "blackhole", "at_s": 0.3, "until_s": 9.0, "count": 1}]
    run = run_of(plan(events=events))
    assert run.failures == {}
    assert run.attempts_wasted > 0
    retried = run.attempts > 1
    assert retried.any()
    assert run.latency_ms[retried].min() >= 20.0


def test_with_one_attempt_a_refusal_is_the_end(plan: Make) -> None:
    events = [{"kind": "refuse", "at_s": 0.3, "until_s": 9.0, "zone": "metro-a"}]
    run = run_of(plan(events=events, attempts__max=1))
    assert run.failures["center_down"] > 0
    assert run.failed_share < 0.05  # those who refused are out after the first


def test_when_everybody_is_silent_the_deadline_ends_it(plan: Make) -> None:
    events = [{"kind": "blackhole", "at_s": 0.0, "until_s": 99.0}]
    run = run_of(plan(events=events, deadline_ms=100.0, requests=50, warm_up_s=0.0))
    assert not run.ok.any()
    assert "deadline_exceeded" in run.failures


def test_when_everybody_refuses_nobody_is_left(plan: Make) -> None:
    run = run_of(plan(events=[{"kind": "refuse", "at_s": 0.0}], requests=200, warm_up_s=0.0))
    assert not run.ok.any()
    assert sum(run.failures.values()) == 200
    assert "no_center" in run.failures


def test_equal_queries_are_one_object(plan: Make) -> None:
    world = world_of(plan())
    queries = _queries(world, draw(world, 1, requests=100, load=None))
    assert len({id(query) for query in queries}) == 3
    assert all(query.session == "" for query in queries)


def test_sessions_are_told(plan: Make) -> None:
    world = world_of(plan(arrivals__sessions=5))
    queries = _queries(world, draw(world, 1, requests=200, load=None))
    assert {query.session for query in queries} == {f"s{n}" for n in range(5)}


@pytest.mark.parametrize("load", [0.3, 0.9])
def test_work_is_conserved(plan: Make, load: float) -> None:
    run = run_of(plan(requests=4000), load=load)
    assert run.utilization.mean() == pytest.approx(load, rel=0.1)
