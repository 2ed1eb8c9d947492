"""The greedy omniscient: what a policy could do that knew everything at once.

For each request in order of arrival it knows every center's true backlog (with all that is
under way there), this request's true run time there at this moment and its true way, and takes
the center that answers first; its slot is reserved at once. It is attainable in principle and
no bound: a planner that keeps quick centers free for urgent requests can beat it.

With ``age_ms`` a gateway knows its own reservations at once and those of the others that late:
it shows what staleness does to one who trusts it fully (many gateways herd on what all of them
saw idle), so a policy that distrusts old information can be far better.

Events of the timeline are known too: a center that would refuse or lose a request is not
asked. Run times are those of the factor in force as the run begins, as in event mode.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from math import inf

import numpy as np
from numpy.typing import NDArray

from gateway.api import ConfigError
from gateway.simulation.draws import Draws, draw
from gateway.simulation.run import Run
from gateway.simulation.scenario import Scenario
from gateway.simulation.speeds import SpeedSeries, series_of
from gateway.simulation.timeline import NORMAL, Timeline
from gateway.simulation.world import World, world_of

F64 = NDArray[np.float64]


def oracle(
    scenario: Scenario,
    *,
    seed: int,
    requests: int | None = None,
    load: float | None = None,
    age_ms: float = 0.0,
) -> Run:
    """Run the greedy omniscient, or with ``age_ms`` the one that hears of others so late."""
    refuse_batches(scenario, "oracle")
    world = world_of(scenario)
    draws = draw(world, seed, requests=requests, load=load)
    began = time.perf_counter()
    greedy = Greedy(world, draws, age_ms / 1e3)
    greedy.run()
    wall_s = time.perf_counter() - began
    name = f"oracle, {age_ms:g} ms old" if age_ms else "oracle"
    return greedy.result(name, world.scenario.arrivals.load if load is None else load, wall_s)


def refuse_batches(scenario: Scenario, what: str) -> None:
    """What a batch takes depends on who joins it: nobody knows a request's time beforehand."""
    if scenario.service.batch is not None:
        raise ConfigError(
            f"scenario {scenario.name}: there is no {what} for centers that batch; "
            "leave out service.batch, or the oracles and bounds (--no-bounds)"
        )


@dataclass(slots=True)
class Conditions:
    """What holds at an instant, for deciding: ``factor`` float64[N], +inf for who does not serve;
    ``half_s`` float64[V, N].
    """

    factor: F64
    half_s: F64
    until_s: float = inf


@dataclass(slots=True)
class Climate:
    """Speeds, modes and ways over time; asked again when ``until_s`` is over."""

    world: World
    draws: Draws
    timeline: Timeline
    series: SpeedSeries | None
    now: Conditions = field(init=False)

    def __post_init__(self) -> None:
        self.look(0.0)

    def look(self, now_s: float) -> Conditions:
        """What holds at ``now_s``."""
        factor, base_ms, until_s = self.draws.factor, self.world.base_ms, inf
        if self.series is not None:
            step_s = self.series.step_s
            factor = factor * self.series.at(now_s)
            until_s = (int(now_s / step_s + 1e-9) + 1) * step_s
        if self.timeline.changes:
            there = self.timeline.at(now_s)
            factor = np.where(there.mode == NORMAL, factor * there.slow, inf)
            if there.shift_ms is not None:
                base_ms = base_ms + there.shift_ms
            until_s = min(until_s, *(at for at in (*self.timeline.changes, inf) if at > now_s))
        self.now = Conditions(factor, base_ms / 2e3, until_s)
        return self.now


class Greedy:
    """The run. ``free_s`` float64[N]: when the next slot of each center is free."""

    def __init__(self, world: World, draws: Draws, age_s: float) -> None:
        self._world = world
        self._draws = draws
        self._age_s = age_s
        length_s = float(draws.arrival_s[-1])
        n, count = len(world.centers), len(draws)
        self._climate = Climate(
            world,
            draws,
            Timeline(world, draws.seed, length_s),
            series_of(world.scenario, n, length_s, draws.seed),
        )
        self._slots = [[0.0] * center.slots for center in world.centers]
        for slots in self._slots:
            heapify(slots)
        self._free_s = np.zeros(n)
        gateways = len(world.gateway_place)
        self._views_s = np.zeros((gateways, n))
        self._own: list[list[deque[tuple[float, float, float]]]] = [
            [deque() for _ in range(n)] for _ in range(gateways if age_s else 0)
        ]
        self._unheard: deque[tuple[float, int, float]] = deque()
        self._busy_s = np.zeros(n)
        self._latency_s = np.full(count, inf)
        self._parts_s = np.full((3, count), np.nan)
        self._center = np.full(count, -1, dtype=np.int32)

    def run(self) -> None:
        """Every request in turn."""
        draws = self._draws
        vantages, gateways = draws.vantage.tolist(), draws.gateway.tolist()
        service_s, jitter_s = draws.service_ms / 1e3, (draws.jitter_ms[0] / 2e3).tolist()
        climate = self._climate.now
        rows = list(climate.half_s)
        for request, now in enumerate(draws.arrival_s.tolist()):
            if now >= climate.until_s:
                climate = self._climate.look(now)
                rows = list(climate.half_s)
            half_s = rows[vantages[request]]
            reach_s = half_s + (now + jitter_s[request])
            run_s = climate.factor * service_s[request]
            free_s = self._free_s if not self._age_s else self._view(now, gateways[request])
            end_s = np.maximum(free_s, reach_s)
            end_s += run_s
            end_s += half_s
            center = int(end_s.argmin())
            if end_s[center] < inf:
                reached_s = float(reach_s[center])
                self._reserve(request, gateways[request], now, center, reached_s)

    def _reserve(self, request: int, gateway: int, now: float, center: int, reach_s: float) -> None:
        """Take the first free slot of the center, for this request's true run time."""
        slots = self._slots[center]
        begins_s = max(slots[0], reach_s)
        factor = self._climate.now.factor[center]
        if begins_s >= self._climate.now.until_s:
            factor = self._later_factor(begins_s, center)
        run_s = float(self._draws.service_ms[request]) / 1e3 * float(factor)
        heapreplace(slots, begins_s + run_s)
        self._free_s[center] = slots[0]
        half_s = reach_s - now
        self._latency_s[request] = begins_s + run_s + half_s - now
        self._parts_s[:, request] = 2.0 * half_s, begins_s - reach_s, run_s
        self._center[request] = center
        self._busy_s[center] += run_s
        if self._age_s:
            share_s = run_s / len(slots)
            self._own[gateway][center].append((now, reach_s, share_s))
            view_s = self._views_s[gateway]
            view_s[center] = max(view_s[center], reach_s) + share_s
            self._unheard.append((now, center, slots[0]))

    def _later_factor(self, at_s: float, center: int) -> float:
        """The factor in force when a run begins after the next change."""
        series = self._climate.series
        if series is None:
            return float(self._climate.now.factor[center])
        moment = float(
            series.at(at_s)[center] / series.at(self._climate.now.until_s - 1e-6)[center]
        )
        return float(self._climate.now.factor[center]) * moment

    def _view(self, now: float, gateway: int) -> F64:
        """float64[N]: when centers seem free to one gateway."""
        unheard, before = self._unheard, now - self._age_s
        while unheard and unheard[0][0] <= before:
            at_s, center, free_s = unheard.popleft()
            for owner, own in enumerate(self._own):
                recent = own[center]
                while recent and recent[0][0] <= at_s:
                    recent.popleft()
                view_s = free_s
                for _, reach_s, share_s in recent:
                    view_s = max(view_s, reach_s) + share_s
                self._views_s[owner, center] = view_s
        view: F64 = self._views_s[gateway]
        return view

    def result(self, name: str, load: float, wall_s: float) -> Run:
        """The measured requests as a Run; there are no attempts, reports or probes to count."""
        world, draws = self._world, self._draws
        warm = slice(draws.warm, None)
        latency_ms = (self._latency_s[warm] * 1e3).astype(np.float32)
        network_ms, queue_ms, service_ms = (self._parts_s[:, warm] * 1e3).astype(np.float32)
        slots = np.array([center.slots for center in world.centers], dtype=float)
        lost = int(np.isinf(latency_ms).sum())
        return Run(
            scenario=world.scenario.name,
            policy=name,
            seed=draws.seed,
            load=load,
            target_ms=world.scenario.target_ms,
            centers=tuple(center.id for center in world.centers),
            arrival_s=draws.arrival_s[warm],
            latency_ms=latency_ms,
            ok=np.isfinite(latency_ms),
            center=self._center[warm],
            gateway=draws.gateway[warm],
            vantage=draws.vantage[warm],
            model=draws.model[warm],
            attempts=np.ones(len(latency_ms), dtype=np.int32),
            predicted_ms=latency_ms,
            network_ms=network_ms,
            queue_ms=queue_ms,
            service_ms=service_ms,
            failures={"no_center": lost} if lost else {},
            probes=0,
            reports=0,
            attempts_wasted=0,
            utilization=self._busy_s / (slots * float(draws.arrival_s[-1])),
            requests_in_all=len(draws),
            simulated_s=float(draws.arrival_s[-1]),
            wall_s=wall_s,
        )
