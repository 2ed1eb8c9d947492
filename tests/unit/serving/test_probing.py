"""Probes: sent after a commit, bounded, timed, and their reports go to the router."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Report
from gateway.serving import Exchange
from gateway.serving.probing import PROBE_TIMEOUT_S, PROBES_MAX, PROBES_PER_CENTER_MAX, Prober

REPORT = Report(0.0, 0.0, in_flight=3)


def prober_of(world: Any) -> Prober:
    return Prober(world.router, world.ports, world.metrics, world.clock, world.clock.call_at, 7)


def counted(world: Any, ending: str) -> float:
    return world.counted()[f"nearway_probes_total[('ending', '{ending}')]"]


def test_the_policys_probes_leave_from_the_vantage_and_their_reports_come_back(world: Any) -> None:
    prober = prober_of(world)
    world.router.wanted = [2, 0]
    prober.ask(4, world.clock())
    ((vantage, answer),) = world.ports[2].probes
    assert vantage == 4
    assert world.router.reports == []
    answer(REPORT)
    assert world.router.reports == [(2, REPORT)]
    assert counted(world, "answered") == 1
    assert len(world.ports[0].probes) == 1


def test_an_exchange_asks_after_its_commit_when_the_policy_does(make_world: Any) -> None:
    world = make_world()
    world.prober = prober_of(world)
    for asks in (False, True):
        world.router.asks_probes = asks
        world.router.wanted = [1]
        Exchange(world.collaborators(), world.arrival(), world.answer).begin()
        assert len(world.ports[1].probes) == int(asks)


def test_a_health_probe_tells_whether_there_was_an_answer(world: Any) -> None:
    prober = prober_of(world)
    told: list[tuple[int, bool]] = []
    for center in (0, 1, 2):
        prober.ask_health(center, lambda center, alive: told.append((center, alive)))
    assert world.ports[0].probes[0][0] == 7
    world.ports[0].probes[0][1](REPORT)
    world.ports[1].probes[0][1](None)
    assert told == [(0, True), (1, False)]
    world.clock.advance(PROBE_TIMEOUT_S)
    assert told == [(0, True), (1, False), (2, False)]
    assert world.router.reports == [(0, REPORT)]
    assert counted(world, "silent") == 2
    assert world.clock.pending() == 0


def test_what_comes_after_the_timeout_is_not_heard(world: Any) -> None:
    prober = prober_of(world)
    told: list[bool] = []
    prober.ask_health(0, lambda _, alive: told.append(alive))
    world.clock.advance(PROBE_TIMEOUT_S + 0.1)
    world.ports[0].probes[0][1](REPORT)
    assert told == [False]
    assert world.router.reports == []


def test_a_center_that_swallows_probes_is_asked_no_more(world: Any) -> None:
    prober = prober_of(world)
    for _ in range(20):
        world.router.wanted = [0, 1]
        prober.ask(0, world.clock())
        world.ports[1].probes[-1][1](REPORT)
    assert len(world.ports[0].probes) == PROBES_PER_CENTER_MAX
    assert len(world.ports[1].probes) == 20
    world.clock.advance(PROBE_TIMEOUT_S)
    world.router.wanted = [0]
    prober.ask(0, world.clock())
    assert len(world.ports[0].probes) == PROBES_PER_CENTER_MAX + 1


@pytest.mark.parametrize("centers", [20])
def test_probes_are_bounded_together(centers: int, make_world: Any) -> None:
    world = make_world(centers=centers)
    prober = prober_of(world)
    world.router.wanted = [k % centers for k in range(100)]
    prober.ask(0, world.clock())
    assert sum(len(port.probes) for port in world.ports) == PROBES_MAX
    assert counted(world, "dropped") == 100 - PROBES_MAX
