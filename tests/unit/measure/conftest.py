"""A whole verification without running one: samples drawn from the path model itself."""

from collections.abc import Callable

import numpy as np
import pytest

from gateway.config.fleet_file import load_fleet
from gateway.measure.arrivals import draw_origins, poisson
from gateway.measure.noise import LoopState
from gateway.measure.samples import Samples
from gateway.measure.timer_probe import Noise
from gateway.measure.verdict import judge
from gateway.measure.verify import (
    VerifyResult,
    area_summary,
    case_of,
    eligible,
    latency_histogram,
    origin_weights,
    surveyed,
)
from gateway.measure.verify_plan import VerifyPlan

PLAN = VerifyPlan(sites="core", rate=100.0, duration_s=60.0)
CENTERS = eligible(load_fleet(None, PLAN.sites), PLAN.model)
AREAS = surveyed(PLAN, CENTERS)

MakeResult = Callable[..., VerifyResult]


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """Builds a result; ``gateway_ms`` is what the gateway takes, ``timer_ms`` the noise."""
    return _result


def _result(
    *, gateway_ms: float = 0.2, timer_ms: float = 0.1, plugins: tuple[str, ...] = ()
) -> VerifyResult:
    timer, loop = Noise(100, 0.05, timer_ms, 1.5), LoopState(0.02, 0.1, 7, 1.9, 0.04, 0.12)
    samples = _samples(gateway_ms)
    case = case_of(PLAN, samples, AREAS, CENTERS, timer=timer, loop=loop, run_ms=0.1)
    edges, counts = latency_histogram(case)
    return VerifyResult(
        PLAN,
        PLAN.command(),
        "2026-01-01T00:00:00+00:00",
        "0.1.0",
        "2 cores",
        judge(case),
        tuple(area_summary(area) for area in AREAS),
        CENTERS,
        0.1,
        timer,
        loop,
        plugins,
        {"timeout": 3},
        edges,
        counts,
    )


def _samples(gateway_ms: float) -> Samples:
    weights = origin_weights(AREAS[0], PLAN.others_share)
    times_s = poisson(PLAN.rate, PLAN.duration_s + PLAN.warmup_s, seed=1)
    n = times_s.size
    origin = draw_origins(n, weights, seed=1)
    paths_ms = {city.name: city.network_ms for city in AREAS[0].cities}
    network_ms = np.array([paths_ms[name] for name in weights])[origin]
    return Samples(
        times_s,
        origin,
        np.full(n, 200, np.int32),
        network_ms + 0.1 + gateway_ms + 0.1,
        np.full(n, 0.1),
        np.full(n, gateway_ms),
        network_ms,
        np.zeros(n),
        np.full(n, 0.1),
        np.full(n, 0.02),
        np.zeros(n, np.int32),
        tuple(weights),
        (CENTERS[0].id,),
    )
