"""One cell measured: the simulator is run, and what it saw becomes figures.

Runs in worker processes; a job carries all it needs. The world (centers, paths) is laid out
once a scenario and process, since it depends on no seed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.policies.cells import (
    ORACLE,
    Arm,
    Cell,
    Condition,
    Figures,
    Series,
    Stored,
    cell_key,
    with_parameters,
)
from bench.policies.conditions import Event
from bench.policies.fingerprint import code_of
from bench.policies.latency_histogram import counted
from gateway.config.settings import SHIPPED_POLICIES, Policy
from gateway.loading import Registry
from gateway.simulation import Run, bounds, load_scenario, oracle, simulate
from gateway.simulation.draws import capacity_per_s
from gateway.simulation.scenario import Scenario
from gateway.simulation.speeds import own_factors
from gateway.simulation.timeline import Timeline
from gateway.simulation.world import World, world_of

BIN_S = 0.1
WINDOW_S = 0.1
NOTICED_S = 0.5
"""After so long on a bad center's account, traffic on it counts as bad."""
ENDLESS_S = 1e8

BoolN = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Job:
    """A cell to be measured; ``cost_s`` is what it is expected to take."""

    key: str
    cell: Cell
    policy: Policy | None
    cost_s: float = 0.0


def job_of(cell: Cell) -> Job:
    """The cell with its policy and its key. Raises NearwayError or LookupError."""
    policy = policy_of(cell.arm)
    content = msgspec.structs.replace(scenario_of(cell.condition), folder="")
    code = code_of(policy, _registry())
    return Job(cell_key(cell, scenario=content, policy=policy, code=code), cell, policy)


def policy_of(arm: Arm) -> Policy | None:
    """What the arm resolves to; None for an oracle. Raises LookupError."""
    if arm.is_oracle:
        return None
    if arm.policy not in SHIPPED_POLICIES:
        raise LookupError(f"no shipped policy is called {arm.policy!r}")
    policy = with_parameters(SHIPPED_POLICIES[arm.policy], arm.parameters)
    kept = tuple(name for name in policy.filters if name not in arm.without)
    return msgspec.structs.replace(policy, filters=kept)


@lru_cache(maxsize=64)
def scenario_of(condition: Condition) -> Scenario:
    """The scenario with the condition's changes. Raises ConfigError."""
    scenario = load_scenario(condition.scenario)
    return scenario.with_(**dict(condition.changes)) if condition.changes else scenario


@lru_cache(maxsize=256)
def planned_requests(condition: Condition) -> int:
    """How many requests a run simulates, those of the warm-up with them.

    Raises ConfigError for an unknown scenario.
    """
    scenario, world = scenario_of(condition), _world(condition)
    factor = own_factors(scenario, world.centers, 1)
    rate_per_s = (condition.load or scenario.arrivals.load) * capacity_per_s(world, factor)
    return (condition.requests or scenario.requests) + round(rate_per_s * scenario.warm_up_s)


def event_of(condition: Condition) -> Event | None:
    """What happens in the scenario: the first event with an end, or its crowd."""
    scenario = scenario_of(condition)
    crowd = scenario.arrivals.crowd
    if crowd is not None:
        return Event(crowd.at_s, crowd.until_s + crowd.ramp_s, "crowd")
    for event in scenario.events:
        if event.until_s < ENDLESS_S:
            return Event(event.at_s, event.until_s, event.kind)
    return None


def measured(job: Job) -> Stored:
    """Run the cell."""
    cell, condition = job.cell, job.cell.condition
    scenario = scenario_of(condition)
    started_s = time.process_time()
    run = _run(job, scenario)
    cpu_s = time.process_time() - started_s
    return Stored(cell=cell, figures=_figures(cell, scenario, run, cpu_s))


def _run(job: Job, scenario: Scenario) -> Run:
    cell = job.cell
    asked: dict[str, Any] = {
        "seed": cell.seed,
        "requests": cell.condition.requests or None,
        "load": cell.condition.load or None,
    }
    if job.policy is None:
        return oracle(scenario, age_ms=cell.age_ms, **asked)
    return simulate(scenario, cell.arm.policy, job.policy, registry=_registry(), **asked)


def _figures(cell: Cell, scenario: Scenario, run: Run, cpu_s: float) -> Figures:
    world = _world(cell.condition)
    latency_ms = np.where(run.ok, run.latency_ms, np.inf)
    within = latency_ms <= scenario.target_ms
    answered = np.isfinite(latency_ms)
    from_s, to_s = float(run.arrival_s.min()), float(run.arrival_s.max())
    figures = Figures(
        requests=int(latency_ms.size),
        simulated=run.requests_in_all,
        failed=int((~run.ok).sum()),
        within=int(within.sum()),
        duration_s=max(1e-9, to_s - from_s),
        sum_ms=float(latency_ms[answered].sum()),
        cpu_s=cpu_s,
        counts=counted(latency_ms),
        messages_per_request=(run.probes + run.reports) / run.requests_in_all,
        cross_zone=_elsewhere(world, run, "zone"),
        cross_region=_elsewhere(world, run, "region"),
        utilization_max=float(run.utilization.max()),
        utilization_mean=float(run.utilization.mean()),
        oscillation=_oscillation(world, run),
        fairness=_fairness(run, within),
        bad_share=_on_bad_centers(cell, scenario, world, run),
        event_failed=_failed_meanwhile(cell.condition, run),
        series=_series(scenario, world, run, within) if cell.condition.series else None,
    )
    return _with_bounds(cell, scenario, figures) if cell.arm.policy == ORACLE else figures


def _with_bounds(cell: Cell, scenario: Scenario, figures: Figures) -> Figures:
    """The oracle's figures carry the bounds of the same requests."""
    found = bounds(
        scenario,
        seed=cell.seed,
        requests=cell.condition.requests or None,
        load=cell.condition.load or None,
    )
    return msgspec.structs.replace(
        figures,
        feasible=found.empty.slo_share,
        light_ms=found.light.mean_ms,
        bound_mean_ms=found.pooled.mean_ms,
        bound_share=found.pooled.slo_share,
    )


def _world(condition: Condition) -> World:
    return _world_of(condition.scenario, condition.changes)


@lru_cache(maxsize=4)
def _world_of(scenario: str, changes: tuple[tuple[str, Any], ...]) -> World:
    return world_of(
        scenario_of(
            Condition(name="", scenario=scenario, load=0.0, requests=0, family="", changes=changes)
        )
    )


@lru_cache(maxsize=1)
def _registry() -> Registry:
    return Registry.discover()


def _elsewhere(world: World, run: Run, level: str) -> float:
    """The share of answers from another zone (region) than that of the nearest center."""
    names = np.array([getattr(center, level) for center in world.centers])
    nearest = names[world.base_ms.argmin(axis=1)]
    known = run.center >= 0
    if not known.any():
        return 0.0
    return float((names[run.center[known]] != nearest[run.vantage[known]]).mean())


def _oscillation(world: World, run: Run) -> float | None:
    """How much a zone's share swings: its deviation over windows of 100 ms, over its mean.

    Averaged over zones by their share. The number of requests in a window adds chance of its
    own, the same for every policy.
    """
    zones = sorted({center.zone for center in world.centers})
    of_center = np.array([zones.index(center.zone) for center in world.centers])
    known = run.center >= 0
    window = ((run.arrival_s[known] - run.arrival_s.min()) / WINDOW_S).astype(np.int64)
    windows = int(window.max(initial=0)) + 1
    cell = window * len(zones) + of_center[run.center[known]]
    counts = np.bincount(cell, minlength=windows * len(zones)).reshape(windows, len(zones))
    totals = counts.sum(axis=1)
    full = totals >= 5
    if full.sum() < 2:
        return None
    shares = counts[full] / totals[full][:, None]
    mean = shares.mean(axis=0)
    return float(shares.std(axis=0).sum() / mean.sum())


def _fairness(run: Run, within: BoolN) -> float | None:
    """Jain's index of the share in time over vantages of 30 requests or more."""
    requests = np.bincount(run.vantage)
    good = np.bincount(run.vantage, weights=within)
    share = good[requests >= 30] / requests[requests >= 30]
    if not share.size or not (share > 0).any():
        return None
    return float(share.sum() ** 2 / (share.size * (share**2).sum()))


def _failed_meanwhile(condition: Condition, run: Run) -> float | None:
    """The share of the requests of an event's time that failed."""
    event = event_of(condition)
    if event is None:
        return None
    during = (run.arrival_s >= event.from_s) & (run.arrival_s < event.until_s)
    return float((~run.ok[during]).mean()) if during.any() else None


def _series(scenario: Scenario, world: World, run: Run, within: BoolN) -> Series:
    """Counts by the time of arrival, from time 0 of the scenario."""
    at = (run.arrival_s / BIN_S).astype(np.int64)
    bins = int(at.max(initial=0)) + 1
    could, shifted = _on_shifted_paths(scenario, world, run)

    def counts(mask: BoolN) -> list[int]:
        return [int(n) for n in np.bincount(at[mask], minlength=bins)]

    return Series(
        bin_s=BIN_S,
        offered=counts(np.ones(at.size, dtype=np.bool_)),
        within=counts(within),
        failed=counts(~run.ok),
        could_shift=counts(could),
        shifted=counts(shifted),
    )


def _on_shifted_paths(scenario: Scenario, world: World, run: Run) -> tuple[BoolN, BoolN]:
    """bool[requests] twice: from the origin of the first shifted path; and over that path."""
    none = np.zeros(run.ok.size, dtype=np.bool_)
    for event in scenario.events:
        if event.kind == "path_shift" and event.origin:
            could = run.vantage == world.find(event.origin)
            there = np.array([event.region in ("", c.region) for c in world.centers])
            return could, could & there[run.center] & run.ok
    return none, none


def _on_bad_centers(cell: Cell, scenario: Scenario, world: World, run: Run) -> float | None:
    """The share of traffic that goes to centers gone bad, once that is to be noticed.

    Asked where the scenario's one event is that some centers turn slow or fail fast. Of a slow
    one counts what it answered, of a failing one every attempt that came back as an error.
    """
    if len(scenario.events) != 1:
        return None
    event = scenario.events[0]
    if event.kind not in ("slow", "fast_503") or event.region:
        return None
    from_s = event.at_s + NOTICED_S
    later = (run.arrival_s >= from_s) & (run.arrival_s < event.until_s)
    if not later.any():
        return None
    if event.kind == "fast_503":
        return float((run.attempts[later] - run.ok[later]).mean())
    bad = Timeline(world, cell.seed, run.simulated_s).at(from_s).slow > 1.0
    on_bad = bad[run.center[later]] & run.ok[later]
    return float(on_bad.mean())
