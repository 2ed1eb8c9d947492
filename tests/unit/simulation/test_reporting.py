from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.api import Report
from gateway.config.settings import Policy
from gateway.simulation import simulate
from gateway.simulation.agenda import Agenda
from gateway.simulation.reporting import PROBES_A_DECISION_MAX, Reporting
from gateway.simulation.scenario import Scenario
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]


class Centers:
    """Centers that say who they are, or nothing."""

    def __init__(self) -> None:
        self.silent: set[int] = set()

    def report(self, center: int) -> Report:
        return Report(0.0, 0.0, in_flight=center)

    def answers_probes(self, center: int) -> bool:
        return center not in self.silent


class Gateway:
    """Hears reports and asks for what the test wants."""

    def __init__(self, agenda: Agenda) -> None:
        self.heard: list[tuple[float, int, int]] = []
        self.wanted: list[int] = []
        self.due: list[int] = []
        self.probed_: list[tuple[int, bool, float]] = []
        self.router = self.fleet = self

    def reported(self, center: int, report: Report, now: float) -> None:
        self.heard.append((now, center, report.in_flight))

    def probes(self, now: float) -> list[int]:
        return self.wanted

    def to_probe(self, now: float) -> list[int]:
        due, self.due = self.due, []
        return due

    def probed(self, center: int, *, alive: bool, now: float) -> None:
        self.probed_.append((center, alive, now))


def stage(scenario: Scenario) -> tuple[Agenda, Reporting, Centers, list[Gateway]]:
    agenda, centers, world = Agenda(), Centers(), world_of(scenario)
    gateways = [Gateway(agenda) for _ in range(scenario.gateways.count)]
    half_s = (world.base_ms / 2e3).tolist()
    reporting = Reporting(world, agenda, tuple(gateways), centers, half_s, 1)  # type: ignore[arg-type]  # stand-ins
    return agenda, reporting, centers, gateways


def test_every_center_reports_to_every_gateway_each_period(plan: Make) -> None:
    agenda, reporting, _, gateways = stage(plan(reports__period_ms=100.0))
    agenda.until(1.005)
    assert reporting.pushed == pytest.approx(10 * 24 * 4, abs=8)
    centers = [center for _, center, _ in gateways[0].heard]
    assert {centers.count(center) for center in range(24)} <= {10, 11}
    assert all(center == there for _, center, there in gateways[0].heard)


def test_a_report_takes_half_a_round_trip(plan: Make) -> None:
    agenda, _, _, gateways = stage(plan(reports__period_ms=24_000.0))
    agenda.until(1.01)
    ((at_s, center, _),) = gateways[0].heard
    world = world_of(plan())
    assert center == 0
    assert at_s == pytest.approx(1.0 + world.base_ms[0, 0] / 2e3)


def test_some_reports_are_lost(plan: Make) -> None:
    agenda, reporting, *_ = stage(plan(reports={"period_ms": 10.0, "loss": 0.2}))
    agenda.until(1.0)
    assert reporting.pushed == pytest.approx(0.8 * 9600, rel=0.05)


def test_without_a_period_nothing_is_pushed(plan: Make) -> None:
    agenda, reporting, *_ = stage(plan())
    agenda.until(1.0)
    assert reporting.pushed == 0


def test_a_probe_costs_a_round_trip_and_is_counted(plan: Make) -> None:
    agenda, reporting, _, gateways = stage(plan())
    gateways[0].wanted = [5]
    reporting.probe(0.0, 0, 0)
    agenda.until(0.02)
    ((at_s, center, _),) = gateways[0].heard
    assert (center, reporting.probes) == (5, 1)
    assert at_s == pytest.approx(world_of(plan()).base_ms[0, 5] / 1e3)


def test_probes_are_bounded(plan: Make) -> None:
    _, reporting, _, gateways = stage(plan())
    gateways[0].wanted = list(range(24))
    reporting.probe(0.0, 0, 0)
    assert reporting.probes == PROBES_A_DECISION_MAX
    for _ in range(1000):
        reporting.probe(0.0, 0, 0)
    assert reporting.probes == 4096


def test_a_dead_center_answers_no_probe_and_health_hears_of_it(plan: Make) -> None:
    agenda, reporting, centers, gateways = stage(plan())
    centers.silent = {5}
    gateways[0].wanted, gateways[0].due = [5], [5, 6]
    reporting.probe(0.0, 0, 0)
    agenda.until(0.9)
    assert [(center, alive) for center, alive, _ in gateways[0].probed_] == [(6, True)]
    assert [center for _, center, _ in gateways[0].heard] == [6]
    agenda.until(2.0)
    assert [(center, alive) for center, alive, _ in gateways[0].probed_][1:] == [(5, False)]


def test_probing_policies_run_in_a_simulation(plan: Make) -> None:
    run = simulate(plan(requests=500), "p", Policy(picker="prequal"), seed=1)
    assert run.ok.all()
    assert run.probes > 500


def test_pushed_reports_are_counted_in_a_run(plan: Make) -> None:
    changes: dict[str, Any] = {"piggyback": False, "period_ms": 50.0}
    run = simulate(plan(reports=changes, requests=500), "p", Policy(), seed=1)
    assert run.reports > 0
