"""Every shipped policy at work in a router, on a fleet where everything may happen."""

from __future__ import annotations

from math import inf
from random import Random
from typing import Any

import numpy as np
import pytest

from gateway.api import Center, Location, NoCenter, Outcome, Query, Report, Table
from gateway.config import SHIPPED_POLICIES
from gateway.fleet import Fleet
from gateway.loading import Registry, build_policy
from gateway.routing import Router

REGISTRY = Registry.discover()
CENTERS = 12
VANTAGES = 3
ELSEWHERE = {0, 5}  # centers without the model
DOWN = 7
REQUESTS = 200


class Scene:
    """A router by one policy over a small fleet, and random endings for what it chooses."""

    def __init__(self, policy: str, seed: int = 1) -> None:
        random = Random(seed)
        here = Location(0.0, 0.0)
        self.table = Table(
            [Center(f"c{row}", f"r{row}", "z", f"x{row}", "CN", here) for row in range(CENTERS)]
        )
        rtt_ms = np.array(
            [[random.uniform(1.0, 40.0) for _ in range(CENTERS)] for _ in range(VANTAGES)],
            np.float32,
        )
        self.fleet = Fleet(self.table, rtt_prior=lambda v: rtt_ms[v], random=Random(seed))
        resident = np.ones(CENTERS, np.bool_)
        resident[list(ELSEWHERE)] = False
        self.fleet.add_model("m", 2.0, resident)
        built = build_policy(
            policy,
            SHIPPED_POLICIES[policy],
            REGISTRY,
            (*self.table.columns, *self.table.row_tables),
        )
        self.router = Router(
            self.table,
            built,
            self.fleet,
            seed=seed,
            budget_clock=lambda: 0.0,
            plugin_budget_ms=1.0,
            plugin_limit_ms=10.0,
        )
        self.fleet.drain(DOWN, draining=True)
        self.random = random
        self.now = 100.0
        self.open: list[Any] = []
        self.chosen: list[int] = []

    def run(self, requests: int, *, explain: bool = False) -> None:
        for place in range(requests):
            self.now += self.random.expovariate(1000.0)
            query = Query(place % VANTAGES, "m")
            if explain:
                self.router.explain(query, self.now)
            decision = self.router.decide(query, self.now)
            if self.random.random() < 0.05:
                decision = self.router.next(decision, self.now)
                assert decision.tried
            self.router.commit(decision, self.now)
            self.chosen.append(decision.center)
            self.open.append(decision)
            for center in self.router.probes(self.now):
                self.router.reported(center, self.report(answers=False), self.now)
            while len(self.open) > self.random.randrange(12):
                self.end(self.open.pop(self.random.randrange(len(self.open))))
        while self.open:
            self.end(self.open.pop())

    def end(self, decision: Any) -> None:
        ending: Any = self.random.choices(["answer", "error", "cancelled"], [8, 1, 1])[0]
        report = self.report(answers=True) if ending == "answer" else None
        outcome = Outcome(
            center=decision.center,
            vantage=decision.query.vantage,
            model="m",
            ending=ending,
            attempt_ms=self.random.uniform(0.1, 60.0),
            report=report,
            predicted_ms=decision.predicted_ms,
            charged_ms=decision.charged_ms,
            now=self.now,
            reason="timeout" if ending == "error" else "",
            token=decision.token,
        )
        self.router.ended(outcome)

    def report(self, *, answers: bool) -> Report:
        draw = self.random
        return Report(
            queue_ms=draw.uniform(0.0, 5.0) if answers else 0.0,
            service_ms=draw.uniform(1.0, 3.0) if answers else 0.0,
            in_flight=draw.randrange(6),
            slots=4,
            latency_ms=draw.uniform(1.0, 9.0),
            rate_per_s=draw.uniform(0.0, 200.0),
            errors_per_s=draw.uniform(0.0, 9.0),
            utilization=draw.random(),
        )


@pytest.mark.parametrize("policy", SHIPPED_POLICIES)
def test_it_chooses_the_eligible_and_breaks_no_rule(policy):
    scene = Scene(policy)
    scene.run(REQUESTS)
    assert not set(scene.chosen) & {DOWN, *ELSEWHERE}
    assert [plugin for plugin in scene.router.plugin_state() if plugin["errors"]] == []
    assert len(set(scene.chosen)) > 1


@pytest.mark.parametrize("policy", SHIPPED_POLICIES)
def test_whatever_was_counted_up_is_counted_down(policy):
    scene = Scene(policy)
    scene.run(REQUESTS)
    assert not scene.table.columns["in_flight"].any()
    for watcher in scene.router._watchers:
        for count in ("pending", "outstanding"):
            assert not any(getattr(watcher.memory, count, ())), count


@pytest.mark.parametrize("policy", SHIPPED_POLICIES)
def test_the_same_seed_makes_the_same_choices(policy):
    first, second = Scene(policy), Scene(policy)
    first.run(REQUESTS)
    second.run(REQUESTS)
    assert first.chosen == second.chosen


@pytest.mark.parametrize("policy", SHIPPED_POLICIES)
def test_explaining_in_between_changes_nothing(policy):
    plain, explained = Scene(policy), Scene(policy)
    plain.run(60)
    explained.run(60, explain=True)
    assert plain.chosen == explained.chosen


@pytest.mark.parametrize("policy", SHIPPED_POLICIES)
def test_one_center_left_is_taken_and_none_left_is_said(policy):
    scene = Scene(policy)
    scene.run(20)
    for center in range(CENTERS):
        if center != 3:
            scene.fleet.drain(center, draining=True)
    decision = scene.router.decide(Query(0, "m"), scene.now)
    assert decision.center == 3
    with pytest.raises(NoCenter):
        scene.router.next(decision, scene.now)


def test_each_baseline_gets_the_same_candidates():
    filters = {policy.filters for policy in SHIPPED_POLICIES.values()}
    assert len(filters) == 1


def test_a_ring_stands_on_the_network_alone():
    rings = {name: p for name, p in SHIPPED_POLICIES.items() if name.endswith("_ring")}
    assert len(rings) == 10
    for name, policy in rings.items():
        assert policy.scorers == ("network",)
        assert name.removesuffix("_ring") in SHIPPED_POLICIES
        assert isinstance(policy.picker, dict)
        assert 0.0 < policy.picker["ring_ms"] < inf
