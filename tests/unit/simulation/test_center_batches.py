from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.config.settings import Policy
from gateway.simulation import simulate
from gateway.simulation.agenda import Agenda
from gateway.simulation.center_batches import BatchingCenters
from gateway.simulation.draws import draw
from gateway.simulation.scenario import Scenario
from gateway.simulation.timeline import Timeline
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]
BATCH = {"alpha_ms": 100.0, "beta_ms": 10.0, "max": 3}


@pytest.fixture
def batching(plan: Make) -> tuple[Agenda, BatchingCenters, list[tuple[float, int, float, float]]]:
    scenario = plan(service={"mean_ms": 110.0, "sigma": 0.0, "batch": BATCH})
    world, agenda = world_of(scenario), Agenda()
    draws = draw(world, 1, requests=20, load=0.1)
    centers = BatchingCenters(world, draws, agenda, [0] * len(draws), None)
    assert scenario.service.batch is not None
    centers.batch, centers.mean_s = scenario.service.batch, 0.11
    back: list[tuple[float, int, float, float]] = []

    def answered(event: tuple[object, ...]) -> None:
        at_s, request, report = event[0], event[3], event[6]
        back.append((at_s, request, report.queue_ms, report.service_ms))  # type: ignore[arg-type, attr-defined]  # a report

    centers.answered = answered
    return agenda, centers, back


def test_who_waits_runs_together(
    batching: tuple[Agenda, BatchingCenters, list[tuple[float, int, float, float]]],
) -> None:
    agenda, centers, back = batching
    for request in range(5):
        agenda.plan(0.0, centers.reach, request, 0, 0, 0.0)
    agenda.until(1.0)
    assert [(round(at_s, 3), request) for at_s, request, _, _ in back] == [
        *((0.11, 0), (0.24, 1), (0.24, 2), (0.24, 3), (0.35, 4))
    ]
    assert [round(service_ms) for *_, service_ms in back] == [110, 130, 130, 130, 110]
    assert [round(queue_ms) for _, _, queue_ms, _ in back] == [0, 110, 110, 110, 240]
    assert centers.inside[0] == 0
    assert centers.busy_s[0] == pytest.approx(0.35)


def test_a_whole_batch_is_lost_with_its_center(
    batching: tuple[Agenda, BatchingCenters, list[tuple[float, int, float, float]]], plan: Make
) -> None:
    agenda, centers, back = batching
    lost: list[int] = []
    centers.failed = lambda event: lost.append(event[3])
    for request in range(4):
        agenda.plan(0.0, centers.reach, request, 0, 0, 0.0)
    events = [{"kind": "refuse", "at_s": 0.2, "until_s": 0.3, "center": "a1"}]
    line = Timeline(world_of(plan(events=events)), 1, 9.0)
    agenda.plan(0.2, lambda event: centers.change(event[0], line.at(event[0])))
    agenda.until(1.0)
    assert [request for _, request, *_ in back] == [0]
    assert lost == [1, 2, 3]


def test_more_load_means_larger_batches(plan: Make) -> None:
    scenario = plan(service={"batch": {"alpha_ms": 1.5, "beta_ms": 0.5, "max": 8}})
    policy = Policy(picker="two_choices")
    light, heavy = (simulate(scenario, "p", policy, seed=1, load=load) for load in (0.1, 0.7))
    assert light.ok.all()
    assert heavy.ok.all()
    assert heavy.service_ms.mean() > 1.3 * light.service_ms.mean()
