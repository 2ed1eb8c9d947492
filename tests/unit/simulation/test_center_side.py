from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gateway.simulation.agenda import Agenda
from gateway.simulation.center_side import RING_OF, RINGS, CenterSide
from gateway.simulation.draws import draw
from gateway.simulation.scenario import Scenario
from gateway.simulation.timeline import Timeline
from gateway.simulation.world import World, world_of

Make = Callable[..., Scenario]
HALF_S = 0.5


class Bench:
    """Centers with nobody but the test before them; what comes back is written down."""

    def __init__(self, scenario: Scenario) -> None:
        self.world: World = world_of(scenario)
        self.agenda = Agenda()
        draws = draw(self.world, 1, requests=50, load=0.5)
        draws.service_ms[:] = 1000.0
        self.current = [0] * len(draws)
        self.centers = CenterSide(self.world, draws, self.agenda, self.current, None)
        self.centers.answered = lambda event: self.back.append((event[0], event[3], event[6]))
        self.centers.failed = lambda event: self.back.append((event[0], event[3], event[5]))
        self.back: list[tuple[float, int, Any]] = []

    def send(self, at_s: float, request: int, center: int = 0) -> None:
        self.agenda.plan(at_s, self.centers.reach, request, 0, center, HALF_S)

    def event(self, at_s: float, **event: Any) -> None:
        plan = self.world.scenario.with_(events=[{"at_s": at_s, **event}])
        line = Timeline(world_of(plan), 1, 100.0)
        for change_s in line.changes:
            self.agenda.plan(change_s, lambda e: self.centers.change(e[0], line.at(e[0])))


@pytest.fixture
def bench(plan: Make) -> Bench:
    return Bench(plan(service__sigma=0.0))


def test_one_slot_serves_first_come_first_served(bench: Bench) -> None:
    for request, at_s in enumerate((0.0, 0.1, 0.2)):
        bench.send(at_s, request)
    bench.agenda.until(9.0)
    assert [(at_s, request) for at_s, request, _ in bench.back] == [(1.5, 0), (2.5, 1), (3.5, 2)]
    waits = [report.queue_ms for _, _, report in bench.back]
    assert waits == pytest.approx([0.0, 900.0, 1800.0])
    assert all(report.service_ms == 1000.0 for _, _, report in bench.back)


def test_slots_run_side_by_side(plan: Make) -> None:
    bench = Bench(plan(fleet__slots=2))
    for request in range(3):
        bench.send(0.0, request)
    bench.agenda.until(9.0)
    assert [at_s for at_s, _, _ in bench.back] == [1.5, 1.5, 2.5]


def test_a_report_shows_the_center_as_its_answer_leaves(bench: Bench) -> None:
    for request in range(3):
        bench.send(0.0, request)
    bench.agenda.until(1.6)
    report = bench.back[0][2]
    assert (report.in_flight, report.slots) == (2, 1)
    assert report.work_ms == 4.0  # two of the declared 2 ms
    assert report.latency_ms == 1000.0
    assert report.utilization > 0.9
    assert bench.centers.report(1).in_flight == 0


def test_latency_is_told_of_requests_that_found_as_many(bench: Bench) -> None:
    for request in range(3):
        bench.send(0.0, request)
    bench.agenda.until(9.0)
    told = bench.centers
    assert told.report(0).latency_ms == 1000.0
    told.inside[0] = 2
    assert told.report(0).latency_ms == 3000.0
    told.inside[0] = 40
    assert told.report(0).latency_ms == 3000.0  # the nearest that is known


def test_rings_grow_two_an_octave() -> None:
    assert RING_OF[:9] == (0, 1, 2, 3, 4, 4, 5, 5, 6)
    assert RING_OF[-1] == RINGS - 1


def test_without_piggyback_an_answer_says_nothing_of_load(plan: Make) -> None:
    bench = Bench(plan(reports__piggyback=False))
    bench.send(0.0, 0)
    bench.agenda.until(9.0)
    report = bench.back[0][2]
    assert (report.service_ms, report.slots, report.utilization) == (1000.0, 0, 0.0)


def test_who_was_given_up_while_waiting_is_passed_over(bench: Bench) -> None:
    for request in range(3):
        bench.send(0.0, request)
    bench.agenda.plan(0.5, lambda _: bench.current.__setitem__(1, -1))
    bench.agenda.until(9.0)
    assert [(at_s, request) for at_s, request, _ in bench.back] == [(1.5, 0), (2.5, 2)]
    assert bench.centers.inside[0] == 0


def test_the_second_of_two_open_attempts_is_not_passed_over(bench: Bench) -> None:
    for request in range(3):
        bench.send(0.0, request)
    bench.agenda.plan(0.5, lambda _: bench.current.__setitem__(1, 1))
    bench.centers.copies = {1: 0}
    bench.agenda.until(9.0)
    assert [request for _, request, _ in bench.back] == [0, 1, 2]


def test_a_run_that_stalls_keeps_its_slot(plan: Make) -> None:
    bench = Bench(plan(service__sigma=0.0, service__stall_share=1.0, service__stall_factor=3.0))
    for request in range(2):
        bench.send(0.0, request)
    bench.agenda.until(9.0)
    assert [at_s for at_s, _, _ in bench.back] == [3.5, 6.5]


def test_a_refusing_center_resets_what_it_has(bench: Bench) -> None:
    bench.send(0.0, 0)
    bench.send(0.0, 1)
    bench.event(0.2, kind="refuse", center="a1", until_s=3.0)
    bench.send(0.3, 2)
    bench.send(3.5, 3)
    bench.agenda.until(9.0)
    assert sorted(bench.back) == [
        (0.7, 1, "center_down"),
        (0.8, 2, "center_down"),
        (1.5, 0, "center_down"),
        (5.0, 3, bench.back[-1][2]),
    ]
    assert not bench.centers.answers_probes(0) or bench.centers.inside[0] == 0


def test_a_black_hole_says_nothing_ever(bench: Bench) -> None:
    bench.send(0.0, 0)
    bench.event(0.2, kind="blackhole", center="a1", until_s=3.0)
    bench.send(0.3, 1)
    bench.agenda.until(2.0)
    assert not bench.centers.answers_probes(0)
    bench.agenda.until(9.0)
    assert bench.back == []
    assert bench.centers.inside[0] == 0


def test_a_sinkhole_fails_at_once_and_looks_idle(bench: Bench) -> None:
    bench.event(0.0, kind="fast_503", center="a1", value=0.1)
    bench.send(1.0, 0)
    bench.agenda.until(9.0)
    assert bench.back == [(pytest.approx(1.5001), 0, "center_failed")]
    report = bench.centers.report(0)
    assert bench.centers.answers_probes(0)
    assert (report.in_flight, report.latency_ms) == (0, pytest.approx(0.1))
    assert report.errors_per_s >= 0.0


def test_who_leaves_ends_what_it_has(bench: Bench) -> None:
    bench.send(0.0, 0)
    bench.event(0.2, kind="churn", center="a1", away_s=0.5, every_s=50.0)
    bench.send(0.3, 1)
    bench.agenda.until(9.0)
    assert [(request, what) for _, request, what in bench.back if request] == [(1, "center_down")]
    assert [at_s for at_s, request, _ in bench.back if request == 0] == [1.5]


def test_a_slow_center_is_slow_for_who_begins_then(bench: Bench) -> None:
    bench.send(0.0, 0)
    bench.send(0.0, 1)
    bench.event(0.5, kind="slow", center="a1", value=10.0)
    bench.agenda.until(20.0)
    assert [at_s for at_s, _, _ in bench.back] == [1.5, 11.5]


def test_speeds_follow_the_series(plan: Make) -> None:
    scenario = plan(antagonist__share=1.0, antagonist__factor=3.0)
    world, agenda = world_of(scenario), Agenda()
    draws = draw(world, 1, requests=10, load=0.5)

    class Series:
        step_s = 0.25

        def at(self, now_s: float) -> Any:
            return np.full(24, 3.0 if now_s < 0.25 else 1.0)

    centers = CenterSide(world, draws, agenda, [0] * len(draws), Series())  # type: ignore[arg-type]  # a stand-in
    assert set(centers.speed) == {3.0}
    agenda.until(0.3)
    assert set(centers.speed) == {1.0}


def test_rates_are_counted_over_a_second_or_so(bench: Bench) -> None:
    for request in range(6):
        bench.send(float(request), request)
    bench.agenda.until(6.0)
    assert bench.centers.report(0).rate_per_s == pytest.approx(1.0, rel=0.6)
