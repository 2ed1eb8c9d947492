"""Fluid mode: requests as amounts, for loads no event loop can follow.

Theory of operation. Time goes in steps of 1 ms. In a step every *class* (the place a path begins
at) brings a Poisson number of requests, and they are poured over the centers: each request to
where the sum

    network + queue + service,     queue = S / c × max(0, n + 1 - c)

is smallest, where n (all under way to, in and from the center), S and c are those of the
default prediction, and each request poured raises n by one. The common level of that pouring
has a closed form (``pour``); an eighth of the classes, drawn anew, is poured at a time.

Amounts reach their center half a round trip later, begin to run as slots are free and end
after a discretised log-normal time; so queues grow and drain as in event mode, up to what
happens within a step. What a request waited is taken from the queue there at its decision.
Latency is gathered in a histogram of network + wait and folded with the distribution of run
time and jitter at the end.

It is a mean field of *one well-informed gateway with the default prediction*: no plugins, no
learning, no staleness, no failures; meant for centers of many slots. Where both modes can run
(some slots a center, no events) their quantiles agree within a few percent.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.api import ConfigError
from gateway.simulation.draws import capacity_per_s, jitter_ms, rate_shape
from gateway.simulation.scenario import Scenario
from gateway.simulation.speeds import own_factors
from gateway.simulation.streams import stream
from gateway.simulation.world import World, world_of

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

STEP_MS = 1.0
BIN_MS = 0.05
BINS = 1 << 16
CANDIDATES = 32
BLOCKS = 8
SAMPLES = 200_000
WAIT_MS_MAX = 1000.0


@dataclass(frozen=True, slots=True)
class FluidRun:
    """What fluid mode gives: ``density`` float64[bins] is the share of requests whose latency
    lies in each bin of 0.05 ms; ``utilization`` float64[N].
    """

    scenario: str
    seed: int
    load: float
    rate_per_s: float
    requests: float
    target_ms: float
    density: F64
    utilization: F64
    simulated_s: float
    wall_s: float

    def quantile_ms(self, q: float) -> float:
        """The ``q`` quantile of latency, to a bin."""
        return float(np.searchsorted(np.cumsum(self.density), q) + 1) * BIN_MS

    def mean_ms(self) -> float:
        """Mean latency."""
        return float(self.density @ (np.arange(len(self.density)) + 0.5)) * BIN_MS

    @property
    def slo_share(self) -> float:
        """Share of requests within the target."""
        return float(self.density[: round(self.target_ms / BIN_MS)].sum())

    def summary(self) -> dict[str, Any]:
        """JSON-ready, the same bytes for the same seed."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "load": self.load,
            "rate_per_s": round(self.rate_per_s, 1),
            "requests": round(self.requests),
            "simulated_s": self.simulated_s,
            "latency_ms": {
                "mean": round(self.mean_ms(), 3),
                **{f"p{q * 100:g}": round(self.quantile_ms(q), 2) for q in (0.5, 0.9, 0.99)},
            },
            "slo_share": round(self.slo_share, 6),
            "utilization": {
                "mean": round(float(self.utilization.mean()), 4),
                "max": round(float(self.utilization.max()), 4),
            },
        }


def simulate_fluid(
    scenario: Scenario, *, seed: int, load: float | None = None, duration_s: float = 60.0
) -> FluidRun:
    """Pour ``duration_s`` of the scenario's load; its warm-up comes before. Raises ConfigError
    for what it knows nothing of: events, batches, traces, antagonists, noise.
    """
    for name, found in (
        ("events", scenario.events),
        ("service.batch", scenario.service.batch),
        ("arrivals.trace", scenario.arrivals.trace),
        ("antagonist", scenario.antagonist),
        ("noise", scenario.noise),
    ):
        if found:
            raise ConfigError(f"scenario {scenario.name}: fluid mode knows no {name}; leave it out")
    world = world_of(scenario)
    load = scenario.arrivals.load if load is None else load
    began = time.perf_counter()
    fluid = Fluid(world, seed, load, duration_s)
    fluid.run()
    return fluid.result(load, time.perf_counter() - began)


def pour(amount: I64, cost_ms: F64, room: F64, per_ms: F64) -> F64:
    """float64[B, K]: how ``amount`` int64[B] divides when each request takes the cheapest center.

    ``cost_ms`` ascends along K. A center takes ``room`` at its cost, then costs 1 / ``per_ms``
    more with each: so the amounts of a row lie below a common level (water-filling).
    """
    rate = np.cumsum(per_ms, axis=1)
    weighted = np.cumsum(cost_ms * per_ms, axis=1)
    rooms = np.cumsum(room, axis=1)
    below = np.zeros_like(cost_ms)  # poured in all when the level reaches a center's cost
    below[:, 1:] = cost_ms[:, 1:] * rate[:, :-1] - weighted[:, :-1] + rooms[:, :-1]
    rows = np.arange(len(amount))
    last = (below <= amount[:, None]).sum(axis=1) - 1
    left = amount - below[rows, last]
    in_room = left <= room[rows, last]
    level_ms = np.where(
        in_room,
        cost_ms[rows, last],
        (amount - rooms[rows, last] + weighted[rows, last]) / rate[rows, last],
    )
    poured: F64 = (level_ms[:, None] - cost_ms) * per_ms + room
    poured[np.arange(cost_ms.shape[1]) > last[:, None]] = 0.0
    poured[rows, last] = np.where(in_room, left, poured[rows, last])
    return poured


def whole(poured: F64, offset: F64) -> I64:
    """int64[B, K]: whole numbers of the same sum a row, within one of ``poured`` (systematic
    sampling). ``offset`` float64[B] in [0, 1).
    """
    edges = np.floor(np.cumsum(poured, axis=1) + offset[:, None] + 1e-9)
    numbers: I64 = np.diff(edges, axis=1, prepend=0.0).astype(np.int64)
    return numbers


class Fluid:
    """The state of all centers; ``step`` pours, moves and ends one millisecond."""

    def __init__(self, world: World, seed: int, load: float, duration_s: float) -> None:
        scenario = world.scenario
        self._world = world
        self._seed = seed
        self._random = stream(seed, "fluid")
        self._factor = own_factors(scenario, world.centers, seed)
        self._rate_per_s = load * capacity_per_s(world, self._factor)
        self._slots = np.array([c.slots for c in world.centers], dtype=float)
        n = len(world.centers)
        self._warm = round(scenario.warm_up_s * 1e3 / STEP_MS)
        self._steps = self._warm + round(duration_s * 1e3 / STEP_MS)
        length_s = self._steps * STEP_MS / 1e3
        self._by_step = rate_shape(world, length_s)[1]
        mean_jitter_ms = float(jitter_ms(scenario, seed, 0, 20_000).mean())
        self._network_ms = world.base_ms + mean_jitter_ms
        self._classes: I64 = np.flatnonzero(world.weights)
        self._mean_ms = float(np.average([m.mean_ms for m in world.models]))
        self._service_ms = self._mean_ms * self._factor
        self._per_ms = self._slots / self._service_ms
        nearest = (self._network_ms + self._service_ms).argsort(axis=1, kind="stable")
        self._candidates = nearest[:, : min(CANDIDATES, n)]
        longest_ms = float(self._network_ms.max()) + WAIT_MS_MAX + 20.0 * self._service_ms.max()
        self._ring = int(longest_ms / STEP_MS) + 2
        self._reach = np.zeros((self._ring, n))
        self._end = np.zeros((self._ring, n))
        self._return = np.zeros((self._ring, n))
        self._under_way = np.zeros(n)
        self._waiting = np.zeros(n)
        self._busy = np.zeros(n)
        self._used = np.zeros(n)
        self._poured = 0.0
        groups, self._group = np.unique(self._factor, return_inverse=True)
        self._groups = groups
        self._ends = [self._end_shares(factor, world.models[0].sigma) for factor in groups]
        self._histogram = np.zeros((len(groups), BINS))

    def _end_shares(self, factor: float, sigma: float) -> F64:
        """float64[H]: the share of runs that end so many steps after they began; mean kept."""
        draws = stream(self._seed, "fluid service").standard_normal(SAMPLES)
        steps = self._mean_ms * factor * np.exp(sigma * draws - sigma**2 / 2) / STEP_MS
        steps = np.minimum(steps, 20.0 * self._mean_ms * factor / STEP_MS)
        low = np.floor(steps).astype(int)
        up = steps - low
        size = int(low.max()) + 2
        shares: F64 = np.zeros(size)
        shares += np.bincount(low, (1.0 - up) / SAMPLES, size)
        shares += np.bincount(low + 1, up / SAMPLES, size)
        shares[1] += shares[0]  # nothing ends in the step it began
        shares[0] = 0.0
        return shares

    def run(self) -> None:
        """Every step in turn."""
        for step in range(self._steps):
            self._move(step)
            self._decide(step)

    def _move(self, step: int) -> None:
        """Runs end, arrivals reach their centers, waiting ones begin."""
        now = step % self._ring
        self._under_way -= self._return[now]
        self._busy -= self._end[now]
        self._waiting += self._reach[now]
        self._return[now] = self._end[now] = self._reach[now] = 0.0
        begins = np.minimum(self._waiting, self._slots - self._busy)
        self._waiting -= begins
        self._busy += begins
        if step >= self._warm:
            self._used += self._busy
        counts = np.maximum(begins, 0.0).round().astype(np.int64)
        for group, shares in enumerate(self._ends):
            rows = np.flatnonzero((self._group == group) & (counts > 0))
            if not len(rows):
                continue
            ends = self._random.multinomial(counts[rows], shares)
            slots = (now + np.arange(len(shares))) % self._ring
            self._end[slots[:, None], rows[None, :]] += ends.T

    def _decide(self, step: int) -> None:
        """Pour this step's requests, an eighth of the classes at a time."""
        weights = self._weights(step)
        amounts = self._random.poisson(weights * (self._rate_per_s * STEP_MS / 1e3))
        some = self._random.permutation(np.flatnonzero(amounts))
        if not len(some):
            return
        blocks = np.array_split(some, min(BLOCKS, len(some)))
        taken = [self._pour_block(self._classes[rows], amounts[rows]) for rows in blocks]
        self._send(step, *(np.concatenate(parts) for parts in zip(*taken, strict=True)))

    def _weights(self, step: int) -> F64:
        if self._by_step is None:
            return self._world.weights[self._classes]
        row = int(step * STEP_MS / 20.0)
        weights: F64 = self._by_step[min(row, len(self._by_step) - 1), self._classes]
        return weights

    def _pour_block(self, places: I64, amounts: I64) -> tuple[I64, I64, F64]:
        """(centers, numbers, network_ms) of the requests of some classes, poured side by side."""
        near = self._candidates[places]
        per_ms = self._per_ms[near]
        ahead = self._under_way[near] + 1.0 - self._slots[near]
        network_ms = self._network_ms[places[:, None], near]
        cost_ms = network_ms + self._service_ms[near] + np.maximum(ahead, 0.0) / per_ms
        order = cost_ms.argsort(axis=1, kind="stable")
        rows = np.arange(len(places))[:, None]
        room = np.maximum(-ahead, 0.0)[rows, order]
        poured = pour(amounts, cost_ms[rows, order], room, per_ms[rows, order])
        numbers = whole(poured, self._random.random(len(places)))
        row, column = np.nonzero(numbers)
        chosen = order[row, column]
        centers: I64 = near[row, chosen]
        counts: I64 = numbers[row, column]
        np.add.at(self._under_way, centers, counts)
        return centers, counts, network_ms[row, chosen]

    def _send(self, step: int, centers: Any, numbers: Any, network_ms: Any) -> None:
        """Set amounts on their way, and write down what they will have taken."""
        position = self._random.random(len(centers)) * self._reach[step % self._ring][centers]
        ahead = self._waiting[centers] + position
        free = self._slots[centers] - self._busy[centers]
        wait_ms = np.maximum(ahead - free, 0.0) / self._per_ms[centers]
        wait_ms = np.minimum(wait_ms, WAIT_MS_MAX)
        out = np.maximum(
            1, np.rint(network_ms / 2.0 / STEP_MS + self._random.random(len(centers)) - 0.5)
        )
        back = np.rint((network_ms + wait_ms + self._service_ms[centers]) / STEP_MS)
        np.add.at(self._reach, ((step + out.astype(int)) % self._ring, centers), numbers)
        np.add.at(
            self._return, ((step + np.maximum(back, 1).astype(int)) % self._ring, centers), numbers
        )
        if step >= self._warm:
            bins = np.minimum(((network_ms + wait_ms) / BIN_MS).astype(int), BINS - 1)
            np.add.at(self._histogram, (self._group[centers], bins), numbers)
            self._poured += float(numbers.sum())

    def result(self, load: float, wall_s: float) -> FluidRun:
        """Fold in run times and jitter."""
        steps = self._steps - self._warm
        density = np.zeros(2 * BINS)
        for group, factor in enumerate(self._groups):
            density += _folded(self._histogram[group], self._own_density(float(factor)))
        return FluidRun(
            scenario=self._world.scenario.name,
            seed=self._seed,
            load=load,
            rate_per_s=self._rate_per_s,
            requests=self._poured,
            target_ms=self._world.scenario.target_ms,
            density=density / max(1e-12, density.sum()),
            utilization=self._used / (self._slots * steps),
            simulated_s=steps * STEP_MS / 1e3,
            wall_s=wall_s,
        )

    def _own_density(self, factor: float) -> F64:
        """float64[BINS]: the distribution of run time and of jitter about its mean."""
        scenario = self._world.scenario
        random = stream(self._seed, "fluid own")
        plans = self._world.models
        shares = np.array([plan.share for plan in plans])
        model = random.choice(len(plans), SAMPLES, p=shares / shares.sum())
        mean = np.array([plan.mean_ms for plan in plans])[model]
        sigma = np.array([plan.sigma for plan in plans])[model]
        took = factor * mean * np.exp(sigma * random.standard_normal(SAMPLES) - sigma**2 / 2)
        jitter = jitter_ms(scenario, self._seed, 0, SAMPLES)
        took = took + jitter - jitter.mean()
        bins = np.clip(took / BIN_MS, 0, BINS - 1).astype(int)
        return np.bincount(bins, minlength=BINS) / SAMPLES


def _folded(one: F64, other: F64) -> F64:
    """float64[2 × BINS]: the distribution of the sum, by Fourier transform."""
    size = 2 * BINS
    product = np.fft.rfft(one, size) * np.fft.rfft(other, size)
    return np.maximum(np.fft.irfft(product, size), 0.0)
