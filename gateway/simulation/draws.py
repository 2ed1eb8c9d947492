"""Everything random in a run that is nobody's choice, drawn before it begins.

Common random numbers: the instant, origin, model, run time and session of request r, and the
jitter of its k-th attempt, depend on the scenario, the seed and r (and k) alone. So two
policies meet the same requests under the same luck, and their difference is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.simulation import arrivals
from gateway.simulation.scenario import ModelPlan, Scenario
from gateway.simulation.scenario_files import find_file
from gateway.simulation.speeds import own_factors
from gateway.simulation.streams import stream
from gateway.simulation.world import World
from gateway.wan import PROFILES
from gateway.wan.network import TAIL_MEAN_MS, TAIL_SHARE

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Draws:
    """T requests in order of arrival, of which the first ``warm`` are not measured.

    ``arrival_s`` float64[T], ``vantage gateway model session`` int32[T], ``service_ms``
    float64[T] at speed 1, ``jitter_ms`` float64[A, T] by attempt, ``factor`` float64[N]:
    how many times slower than nominal each center is by nature. ``stalls`` float64[A, T]: how
    many times as long the run of each attempt takes; None: no run stalls.
    """

    seed: int
    warm: int
    rate_per_s: float
    arrival_s: F64
    vantage: I32
    gateway: I32
    model: I32
    session: I32
    service_ms: F64
    jitter_ms: F64
    factor: F64
    stalls: F64 | None = None

    def __len__(self) -> int:
        return len(self.arrival_s)


def capacity_per_s(world: World, factor: F64) -> float:
    """Requests a second that all slots together can do, without antagonists and events."""
    slots = np.array([center.slots for center in world.centers], dtype=float)
    plan = world.scenario.service
    shares = np.array([model.share for model in world.models])
    mean_ms = float(np.average([m.mean_ms for m in world.models], weights=shares))
    if plan.batch is not None:
        whole = plan.batch.alpha_ms + plan.batch.beta_ms * plan.batch.max
        mean_ms = whole / plan.batch.max
    return float((slots / factor).sum() / (mean_ms / 1e3))


def draw(world: World, seed: int, *, requests: int | None, load: float | None) -> Draws:
    """All draws of one run. ``requests`` and ``load`` replace the scenario's."""
    scenario = world.scenario
    factor = own_factors(scenario, world.centers, seed)
    load = scenario.arrivals.load if load is None else load
    rate_per_s = load * capacity_per_s(world, factor)
    measured = scenario.requests if requests is None else requests
    count = measured + round(rate_per_s * scenario.warm_up_s)
    rows = _trace(scenario, count)
    shape, by_step = rate_shape(world, count / rate_per_s)
    if rows is not None:
        arrival_s = rows.at_s
        if scenario.arrivals.trace is not None and not scenario.arrivals.trace.keep_rate:
            arrival_s = arrival_s * (count / rate_per_s / max(1e-9, float(arrival_s[-1])))
    else:
        random = stream(seed, "arrivals")
        arrival_s = arrivals.instants(
            np.cumsum(arrivals.gaps(scenario.arrivals, count, random)), rate_per_s, shape
        )
    place = _places(world, seed, arrival_s, by_step, rows)
    vantage, gateway = _begin(world, seed, place)
    model = _models(world, seed, count, rows)
    sessions = max(1, scenario.arrivals.sessions)
    return Draws(
        seed=seed,
        warm=count - measured,
        rate_per_s=rate_per_s,
        arrival_s=arrival_s,
        vantage=vantage,
        gateway=gateway,
        model=model,
        session=stream(seed, "sessions").integers(0, sessions, count, dtype=np.int32),
        service_ms=_service_ms(world, seed, model, rows),
        jitter_ms=np.stack(
            [jitter_ms(scenario, seed, k, count) for k in range(scenario.attempts.max)]
        ),
        factor=factor,
        stalls=_stalls(scenario, seed, count),
    )


def jitter_ms(scenario: Scenario, seed: int, attempt: int, count: int) -> F64:
    """float64[count]: what the ``attempt``-th attempt of each request adds to its way, ms."""
    if not scenario.network.jitter:
        return np.zeros(count)
    random = stream(seed, f"jitter {attempt}")
    metro = scenario.network.metro
    if metro is not None:
        return random.lognormal(np.log(metro.jitter_median_ms), metro.jitter_sigma, count)
    profile = PROFILES[scenario.network.profile]
    drawn = random.lognormal(np.log(profile.jitter_median_ms), profile.jitter_sigma, count)
    tail = random.random(count) < TAIL_SHARE
    drawn += np.where(tail, random.exponential(TAIL_MEAN_MS, count), 0.0)
    return drawn


def _stalls(scenario: Scenario, seed: int, count: int) -> F64 | None:
    plan = scenario.service
    if plan.stall_share == 0.0:
        return None
    uniform = [stream(seed, f"stalls {k}").random(count) for k in range(scenario.attempts.max)]
    return np.where(np.stack(uniform) < plan.stall_share, plan.stall_factor, 1.0)


def _trace(scenario: Scenario, count: int) -> arrivals.TraceRows | None:
    plan = scenario.arrivals.trace
    if plan is None:
        return None
    path = find_file(scenario, plan.file, "arrivals.trace.file")
    return arrivals.read_trace(path, plan.column, plan.equals, count)


def rate_shape(world: World, length_s: float) -> tuple[F64 | None, F64 | None]:
    """The rate over its mean by step, and every place's weight by step; None: constant."""
    plan = world.scenario.arrivals
    if plan.diurnal is None and plan.crowd is None:
        return None, None
    at_s = np.arange(0.0, 1.5 * length_s + 1.0, arrivals.STEP_S)
    factors = np.ones((len(at_s), len(world.places)))
    if plan.diurnal is not None:
        longitudes = np.array([place.location.lon for place in world.places])
        factors = arrivals.diurnal_factors(plan.diurnal, longitudes, at_s)
    if plan.crowd is not None:
        rows = [world.find(name) for name in plan.crowd.origins]
        factors = factors * arrivals.crowd_factors(plan.crowd, rows, len(world.places), at_s)
    by_step = factors * world.weights
    return by_step.sum(axis=1), by_step


def _places(
    world: World, seed: int, arrival_s: F64, by_step: F64 | None, rows: arrivals.TraceRows | None
) -> I32:
    """int32[T]: where each request comes from."""
    if rows is not None and rows.origins:
        known = {name: world.find(name) for name in sorted(set(rows.origins))}
        return np.array([known[name] for name in rows.origins], dtype=np.int32)
    uniform = stream(seed, "origins").random(len(arrival_s))
    if by_step is None:
        return _pick(world.weights, uniform)
    place = np.empty(len(arrival_s), dtype=np.int32)
    step = np.minimum((arrival_s / arrivals.STEP_S).astype(int), len(by_step) - 1)
    starts = np.flatnonzero(np.diff(step, prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(step)), strict=True):
        place[start:end] = _pick(by_step[step[start]], uniform[start:end])
    return place


def _pick(weights: F64, uniform: F64) -> I32:
    edges = np.cumsum(weights)
    rows = np.searchsorted(edges, uniform * edges[-1], side="right")
    picked: I32 = np.minimum(rows, len(weights) - 1).astype(np.int32)
    return picked


def _begin(world: World, seed: int, place: I32) -> tuple[I32, I32]:
    """The vantage and the gateway of each request: int32[T] both."""
    here = world.gateway_place
    if world.gateway_of[0] < 0:
        gateway = stream(seed, "gateways").integers(0, len(here), len(place), dtype=np.int32)
        return here[gateway], gateway
    gateway = world.gateway_of[place]
    if world.scenario.gateways.at == "origin":
        return place, gateway
    return here[gateway], gateway


def _models(world: World, seed: int, count: int, rows: arrivals.TraceRows | None) -> I32:
    names = [model.name for model in world.models]
    if rows is not None and rows.models and set(rows.models) <= set(names):
        return np.array([names.index(name) for name in rows.models], dtype=np.int32)
    if len(names) == 1:
        return np.zeros(count, dtype=np.int32)
    shares = np.array([model.share for model in world.models])
    return _pick(shares, stream(seed, "models").random(count))


def _service_ms(world: World, seed: int, model: I32, rows: arrivals.TraceRows | None) -> F64:
    """float64[T]: log-normal of the model's mean, plus what the tokens take."""
    normal = stream(seed, "service").standard_normal(len(model))
    plans: tuple[ModelPlan, ...] = world.models
    mean = np.array([plan.mean_ms for plan in plans])[model]
    sigma = np.array([plan.sigma for plan in plans])[model]
    drawn: F64 = mean * np.exp(sigma * normal - sigma**2 / 2.0)
    if rows is not None:
        drawn += rows.tokens * world.scenario.service.per_token_ms
    return drawn
