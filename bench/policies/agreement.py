"""Agreement of the live gateway with the simulator: one quantile over the other, with an interval.

The two are independent, so their uncertainties add in squares on the logarithm: the live one
from a bootstrap over one-second blocks, the simulated one from a bootstrap over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from bench.policies import paired
from bench.policies.tables import interval, markdown
from gateway.measure.charts import Table
from gateway.measure.intervals import Interval, quantile_of
from gateway.measure.samples import F64

LIMITS = (0.85, 1.15)
LATE_P99_MS_MAX = 2.0
"""A generator later than this at p99 stands on a machine that is late with everything else."""
AGREES, DISAGREES, TOO_BUSY = "agrees", "does not agree", "cannot tell: the machine was too busy"


@dataclass(frozen=True, slots=True)
class Live:
    """What the generator saw, float64[n] each: latency (inf: not answered), the intended
    instant, how late the generator was, and the gateway's and the client's part, ms.
    """

    latency_ms: F64
    at_s: F64
    late_ms: F64
    own_ms: F64


def joined(parts: Sequence[Live]) -> Live:
    """All blocks of a condition, one after the other."""
    return Live(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Live)))


@dataclass(frozen=True, slots=True)
class Agreement:
    """One condition; quantiles in ms, ``ratio`` live / simulated.

    ``late_p99_ms``: how late the generator was, ``own_p50_ms``: the median of what the
    simulator has not, the time in gateway, client and sockets.
    """

    name: str
    rate_per_s: float
    requests: int
    live_p50: Interval
    simulated_p50: Interval
    live: Interval
    simulated: Interval
    ratio: Interval
    failed_live: float
    failed_simulated: float
    late_p99_ms: float
    own_p50_ms: float

    @property
    def ruling(self) -> str:
        """Agrees when the whole interval lies within the limits; no word of a busy machine."""
        if LIMITS[0] <= self.ratio.low and self.ratio.high <= LIMITS[1]:
            return AGREES
        return TOO_BUSY if self.late_p99_ms > LATE_P99_MS_MAX else DISAGREES


def agreement(
    name: str, rate_per_s: float, measured: Live, simulated: paired.Arm, q: float
) -> Agreement:
    """The ``q`` quantile of both, held against each other."""
    latency_ms, at_s = measured.latency_ms, measured.at_s
    live = quantile_of(latency_ms, at_s, q)
    other = paired.alone(simulated, paired.quantile_at(q))
    return Agreement(
        name=name,
        rate_per_s=rate_per_s,
        requests=int(latency_ms.size),
        live_p50=quantile_of(latency_ms, at_s, 0.5),
        simulated_p50=paired.alone(simulated, paired.quantile_at(0.5)),
        live=live,
        simulated=other,
        ratio=quotient(live, other),
        failed_live=float(np.isinf(latency_ms).mean()),
        failed_simulated=float(1 - simulated.answered.sum() / simulated.requests.sum()),
        late_p99_ms=float(np.nanquantile(measured.late_ms, 0.99)),
        own_p50_ms=float(np.nanmedian(measured.own_ms)),
    )


def quotient(above: Interval, below: Interval) -> Interval:
    """The ratio of two independent figures; each arm of its interval from both."""
    value = above.value / below.value
    up = math.hypot(_arm(above.value, above.high), _arm(below.value, below.low))
    down = math.hypot(_arm(above.value, above.low), _arm(below.value, below.high))
    return Interval(value * math.exp(-down), value, value * math.exp(min(700.0, up)))


def table(found: Sequence[Agreement]) -> str:
    """A row a condition."""
    rows = [
        (
            one.name,
            f"{one.rate_per_s:.0f}",
            str(one.requests),
            interval(one.live_p50),
            interval(one.simulated_p50),
            interval(one.live),
            interval(one.simulated),
            interval(one.ratio),
            f"{one.own_p50_ms:.2f}",
            f"{one.late_p99_ms:.2f}",
            one.ruling,
        )
        for one in found
    ]
    columns = (
        "condition",
        *("requests/s", "requests", "p50 live", "p50 simulated", "p99 live", "p99 simulated"),
        *("live / simulated", "gateway and client p50", "generator late p99"),
        f"within {LIMITS[0]} to {LIMITS[1]}",
    )
    return markdown(Table(columns, rows, caption="ms [95 %]"))


def _arm(value: float, end: float) -> float:
    """The distance on the logarithm; infinite where nothing bounds it."""
    if end <= 0.0 or math.isinf(end):
        return math.inf
    return abs(math.log(end / value))
