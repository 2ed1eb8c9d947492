"""Arrivals: when requests are sent and where they come from, fixed before the run starts.

An open loop's times don't depend on the answers, so they are drawn in advance from a seed:
the same seed gives the same run. Times and places have streams of their own, so another rate
doesn't change where the k-th request comes from.

No public trace tells a client's place; the origin of each request is therefore drawn by
weight (population, unless told otherwise), independently of its time. With n requests an
origin of weight share p gets n·p of them, give or take the root of n·p·(1 - p);
``origin_counts`` says how many it were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from gateway.api import ConfigError
from gateway.measure.samples import F64, I32

Shape = Literal["poisson", "constant"]

ARRIVALS_MAX = 20_000_000
"""Requests of one run; every one has a row in memory."""
TIME_STREAM = 0
ORIGIN_STREAM = 1


def poisson(rate: float, duration_s: float, seed: int) -> F64:
    """Instants of a Poisson process of ``rate`` per second, sorted, float64 seconds.

    Drawn as a Poisson number of uniform instants, which is the same process (conditional
    uniformity of its arrival times).
    """
    _check(rate, duration_s)
    random = np.random.default_rng([seed, TIME_STREAM])
    count = int(random.poisson(rate * duration_s))
    return np.sort(random.uniform(0.0, duration_s, count))


def constant(rate: float, duration_s: float) -> F64:
    """Instants 1/rate apart, the first at half of that, float64 seconds."""
    _check(rate, duration_s)
    count = int(rate * duration_s + 1e-9)
    return np.asarray((np.arange(count) + 0.5) / rate, dtype=np.float64)


def arrivals(shape: Shape, rate: float, duration_s: float, seed: int) -> F64:
    """Instants of the named shape, float64 seconds, sorted."""
    if shape == "poisson":
        return poisson(rate, duration_s, seed)
    return constant(rate, duration_s)


def draw_origins(count: int, weights: Mapping[str, float], seed: int) -> I32:
    """int32[count]: an index into the keys of ``weights`` for each request.

    Raises ConfigError when no weight is above zero or one is negative.
    """
    values = np.asarray(list(weights.values()), dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all() or values.min() < 0 or values.sum() <= 0:
        raise ConfigError(
            "origins need weights of zero or more, one above zero; "
            f"got {dict(list(weights.items())[:5])}"
        )
    random = np.random.default_rng([seed, ORIGIN_STREAM])
    edges = np.cumsum(values) / values.sum()
    drawn = np.searchsorted(edges, random.random(count), side="right")
    last = np.flatnonzero(values)[-1]
    return np.asarray(np.minimum(drawn, last), dtype=np.int32)


def origin_counts(origin: I32, origins: tuple[str, ...]) -> dict[str, int]:
    """How many requests came from each origin, largest first; those without any left out."""
    counts = np.bincount(origin, minlength=len(origins))
    order = np.argsort(-counts, kind="stable")
    return {origins[i]: int(counts[i]) for i in order if counts[i]}


def _check(rate: float, duration_s: float) -> None:
    if not (rate > 0 and duration_s > 0):
        raise ConfigError(f"rate and duration are above 0, got {rate}/s and {duration_s} s")
    if rate * duration_s > ARRIVALS_MAX:
        raise ConfigError(
            f"{rate}/s for {duration_s} s are more than {ARRIVALS_MAX} requests; "
            "ask for a shorter run or a lower rate"
        )
