"""What no policy can go below, by how much of the world one takes away.

* *light*: straight fibre to the nearest center, and the request's run time at the quickest.
* *empty*: the best center if nobody else were there: network, jitter and run time as drawn.
  Both hold request by request, so for every statistic; the share of requests that *empty*
  brings home in time is the share F that is feasible at all.
* *pooled*: all slots stand in one place, the way is each request's shortest. Its mean is the
  larger of that of *empty* and that of preemptive shortest-remaining-time on one server as
  quick as all slots together (Schrage 1968: no order has a smaller mean): a bound. Its
  quantiles and share are those of taking, in order of arrival, the slot that ends a request
  first: what a fleet without distances does, a reference and no strict bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.simulation.draws import Draws, draw
from gateway.simulation.oracle import refuse_batches
from gateway.simulation.scenario import Scenario
from gateway.simulation.world import World, world_of

F64 = NDArray[np.float64]
BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Bound:
    """One relaxation: milliseconds, and the share of all requests within the target."""

    mean_ms: float
    p50_ms: float
    p99_ms: float
    slo_share: float

    def summary(self) -> dict[str, float]:
        """JSON-ready."""
        return {
            "mean": round(self.mean_ms, 4),
            "p50": round(self.p50_ms, 4),
            "p99": round(self.p99_ms, 4),
            "slo_share": round(self.slo_share, 6),
        }


@dataclass(frozen=True, slots=True)
class Bounds:
    """The three, each with more of the world than the one before."""

    light: Bound
    empty: Bound
    pooled: Bound

    def summary(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name).summary() for name in ("light", "empty", "pooled")}


def bounds(
    scenario: Scenario, *, seed: int, requests: int | None = None, load: float | None = None
) -> Bounds:
    """The bounds of one run, over the same measured requests. Events and antagonists, which
    only make things worse, are left out.
    """
    refuse_batches(scenario, "bound")
    world = world_of(scenario)
    draws = draw(world, seed, requests=requests, load=load)
    measured = slice(draws.warm, None)
    target_ms = scenario.target_ms
    light_ms = world.light_ms.min(axis=1)[draws.vantage] + draws.service_ms * draws.factor.min()
    empty_ms = _empty_ms(world, draws)
    network_ms = world.base_ms.min(axis=1)[draws.vantage] + draws.jitter_ms[0]
    one_place_ms = network_ms + _one_place_ms(world, draws, network_ms)
    pooled = _bound(one_place_ms[measured], target_ms)
    shortest_ms = network_ms + _shortest_first_ms(world, draws, network_ms)
    mean_ms = max(float(empty_ms[measured].mean()), float(shortest_ms[measured].mean()))
    return Bounds(
        light=_bound(light_ms[measured], target_ms),
        empty=_bound(empty_ms[measured], target_ms),
        pooled=Bound(mean_ms, pooled.p50_ms, pooled.p99_ms, pooled.slo_share),
    )


def _bound(latency_ms: F64, target_ms: float) -> Bound:
    p50_ms, p99_ms = np.quantile(latency_ms, (0.5, 0.99), method="higher")
    within = float(np.mean(latency_ms <= target_ms))
    return Bound(float(latency_ms.mean()), float(p50_ms), float(p99_ms), within)


def _empty_ms(world: World, draws: Draws) -> F64:
    """float64[T]: min over centers of way + run time, in blocks that fit the cache."""
    best = np.empty(len(draws))
    for start in range(0, len(draws), BLOCK):
        rows = slice(start, start + BLOCK)
        cost: F64 = draws.service_ms[rows, None] * draws.factor
        cost += world.base_ms[draws.vantage[rows]]
        best[rows] = cost.min(axis=1)
    best += draws.jitter_ms[0]
    return best


def _one_place_ms(world: World, draws: Draws, network_ms: F64) -> F64:
    """float64[T]: wait and run time when each takes, in turn, the slot that ends it first."""
    factors = np.repeat(draws.factor, [center.slots for center in world.centers])
    free_s = np.zeros(len(factors))
    reach_s = draws.arrival_s + network_ms / 2e3
    took_s = np.empty(len(draws))
    service_s, reached = (draws.service_ms / 1e3).tolist(), reach_s.tolist()
    for request in np.argsort(reach_s, kind="stable").tolist():
        now = reached[request]
        end_s = np.maximum(free_s, now)
        end_s += service_s[request] * factors
        slot = int(end_s.argmin())
        free_s[slot] = end_s[slot]
        took_s[request] = end_s[slot] - now
    took_s *= 1e3
    return took_s


def _shortest_first_ms(world: World, draws: Draws, network_ms: F64) -> F64:
    """float64[T]: time in one server as quick as all slots together, shortest remaining first."""
    slots = np.array([center.slots for center in world.centers], dtype=float)
    speed = float((slots / draws.factor).sum())
    reach_s = draws.arrival_s + network_ms / 2e3
    work_s = (draws.service_ms / 1e3 / speed).tolist()
    took_s = np.empty(len(draws))
    waiting: list[tuple[float, int]] = []
    clock = 0.0
    reached = reach_s.tolist()
    for request in np.argsort(reach_s, kind="stable").tolist():
        now = reached[request]
        while waiting and clock < now:
            left_s, first = waiting[0]
            if clock + left_s > now:
                heapreplace(waiting, (left_s - (now - clock), first))
                break
            heappop(waiting)
            clock += left_s
            took_s[first] = clock - reached[first]
        clock = now
        heappush(waiting, (work_s[request], request))
    while waiting:
        left_s, first = heappop(waiting)
        clock += left_s
        took_s[first] = clock - reached[first]
    took_s *= 1e3
    return took_s
