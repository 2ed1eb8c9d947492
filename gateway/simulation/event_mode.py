"""Event mode: every request, decision, report and probe happens, in virtual time.

One agenda holds what happens next; arrivals, sorted beforehand, are merged into it. The
gateways' objects are those of the live gateway, so nothing of a policy is re-written here.
Same scenario, seed and policy: the same bytes, on any machine.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heappop

import numpy as np

from gateway.config.settings import Policy
from gateway.loading import Registry
from gateway.simulation.agenda import Agenda, Event
from gateway.simulation.center_batches import BatchingCenters
from gateway.simulation.center_side import CenterSide
from gateway.simulation.draws import Draws, draw
from gateway.simulation.exchanges import CLOSED, Exchanges
from gateway.simulation.gateway_sides import GatewaySide, gateway_sides
from gateway.simulation.hedged_exchanges import HedgedExchanges
from gateway.simulation.reporting import Reporting
from gateway.simulation.run import Run
from gateway.simulation.scenario import Scenario
from gateway.simulation.speeds import SpeedSeries, series_of
from gateway.simulation.timeline import Timeline
from gateway.simulation.world import World, world_of

CHUNK = 4096
Progress = Callable[[int, int], None]


def simulate(
    scenario: Scenario,
    policy_name: str,
    policy: Policy,
    *,
    seed: int,
    registry: Registry | None = None,
    requests: int | None = None,
    load: float | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run one policy. ``requests`` and ``load`` replace the scenario's; ``progress(done, all)``
    is called now and then. Raises ConfigError for a wrong scenario or policy.
    """
    world = world_of(scenario)
    draws = draw(world, seed, requests=requests, load=load)
    gateways = gateway_sides(world, policy_name, policy, seed=seed, registry=registry)
    stage = _stage(world, draws, gateways)
    with _no_collection():
        wall_s = _drive(stage, progress)
    return _result(stage, policy_name, load, wall_s)


@dataclass(frozen=True, slots=True)
class _Stage:
    """Everything that takes part in one run."""

    world: World
    draws: Draws
    agenda: Agenda
    centers: CenterSide
    reporting: Reporting
    exchanges: Exchanges
    timeline: Timeline

    def change(self, event: Event) -> None:
        """The timeline reaches an instant at which something changes."""
        now = event[0]
        conditions = self.timeline.at(now)
        self.centers.change(now, conditions)
        self.reporting.lose(conditions.report_loss)
        base_ms = self.world.base_ms
        if conditions.shift_ms is not None:
            base_ms = base_ms + conditions.shift_ms
        for row, half_s in zip(self.exchanges.half_s, base_ms / 2e3, strict=True):
            row[:] = half_s.tolist()


def _stage(world: World, draws: Draws, gateways: tuple[GatewaySide, ...]) -> _Stage:
    agenda = Agenda()
    length_s = float(draws.arrival_s[-1])
    current = [CLOSED] * len(draws)
    series = series_of(world.scenario, len(world.centers), length_s, draws.seed)
    timeline = Timeline(world, draws.seed, length_s)
    centers = _centers(world, draws, agenda, current, series)
    half_s: list[list[float]] = (world.base_ms / 2e3).tolist()
    reporting = Reporting(world, agenda, gateways, centers, half_s, draws.seed)
    kind = HedgedExchanges if world.scenario.attempts.hedge_share else Exchanges
    exchanges = kind(world, draws, agenda, gateways, centers, reporting, current)
    exchanges.half_s = half_s
    if isinstance(exchanges, HedgedExchanges):
        centers.copies = exchanges.copies
    centers.answered, centers.failed = exchanges.answered, exchanges.failed
    stage = _Stage(world, draws, agenda, centers, reporting, exchanges, timeline)
    for at_s in timeline.changes:
        agenda.plan(at_s, stage.change)
    return stage


def _centers(
    world: World,
    draws: Draws,
    agenda: Agenda,
    current: list[int],
    series: SpeedSeries | None,
) -> CenterSide:
    batch = world.scenario.service.batch
    if batch is None:
        return CenterSide(world, draws, agenda, current, series)
    batching = BatchingCenters(world, draws, agenda, current, series)
    batching.batch, batching.mean_s = batch, world.scenario.service.mean_ms / 1e3
    return batching


def _drive(stage: _Stage, progress: Progress | None) -> float:
    """Let it all happen; returns the real seconds it took."""
    exchanges, agenda = stage.exchanges, stage.agenda
    arrival_s, arrive, heap = exchanges.arrival_s, exchanges.arrive, agenda.heap
    count = len(arrival_s)
    began = time.perf_counter()
    for start in range(0, count, CHUNK):
        for request in range(start, min(start + CHUNK, count)):
            now = arrival_s[request]
            while heap[0][0] <= now:  # never empty: the watch plans itself anew
                event = heappop(heap)
                event[2](event)
            arrive(now, request)
        if progress is not None:
            progress(min(start + CHUNK, count), count)
    while exchanges.open:
        agenda.one()
    return time.perf_counter() - began


@contextmanager
def _no_collection() -> Iterator[None]:
    """The garbage collector would walk millions of live tuples for nothing."""
    enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def _result(stage: _Stage, policy_name: str, load: float | None, wall_s: float) -> Run:
    world, draws, it = stage.world, stage.draws, stage.exchanges
    warm = draws.warm
    latency_ms = (np.array(it.latency_s[warm:]) * 1e3).astype(np.float32)
    slots = np.array(stage.centers.slots, dtype=float)
    simulated_s = float(draws.arrival_s[-1])
    return Run(
        scenario=world.scenario.name,
        policy=policy_name,
        seed=draws.seed,
        load=world.scenario.arrivals.load if load is None else load,
        target_ms=world.scenario.target_ms,
        centers=tuple(center.id for center in world.centers),
        arrival_s=draws.arrival_s[warm:],
        latency_ms=latency_ms,
        ok=np.isfinite(latency_ms),
        center=np.array(it.answered_by[warm:], dtype=np.int32),
        gateway=draws.gateway[warm:],
        vantage=draws.vantage[warm:],
        model=draws.model[warm:],
        attempts=np.array(it.attempts[warm:], dtype=np.int32),
        predicted_ms=np.array(it.predicted_ms[warm:], dtype=np.float32),
        network_ms=np.array(it.network_ms[warm:], dtype=np.float32),
        queue_ms=np.array(it.queue_ms[warm:], dtype=np.float32),
        service_ms=np.array(it.service_ms[warm:], dtype=np.float32),
        failures=dict(it.failures),
        probes=stage.reporting.probes,
        reports=stage.reporting.pushed,
        attempts_wasted=it.wasted,
        utilization=np.array(stage.centers.busy_s) / (slots * simulated_s),
        requests_in_all=len(draws),
        simulated_s=simulated_s,
        wall_s=wall_s,
        hedges=it.hedges if isinstance(it, HedgedExchanges) else None,
        hedges_won=it.hedges_won if isinstance(it, HedgedExchanges) else 0,
    )
