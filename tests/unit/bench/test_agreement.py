"""Live over simulated: the interval carries both uncertainties."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.policies.agreement import (
    AGREES,
    DISAGREES,
    TOO_BUSY,
    Live,
    agreement,
    joined,
    quotient,
    table,
)
from bench.policies.latency_histogram import counted
from bench.policies.paired import arm
from gateway.measure.intervals import Interval


def test_uncertainties_add_in_squares_on_the_logarithm() -> None:
    found = quotient(Interval(9.0, 10.0, 11.0), Interval(4.5, 5.0, 5.5))
    assert found.value == 2.0
    assert found.high == pytest.approx(2 * math.exp(math.hypot(math.log(1.1), math.log(1 / 0.9))))
    certain = quotient(Interval(9.0, 10.0, 11.0), Interval(5.0, 5.0, 5.0))
    assert (certain.low, certain.high) == (pytest.approx(1.8), pytest.approx(2.2))
    assert quotient(Interval(1.0, 2.0, math.inf), Interval(1.0, 1.0, 1.0)).high > 1e100


def simulated(scale: float):
    runs = [np.random.default_rng(s).lognormal(3.0, 0.3, 5_000) * scale for s in range(10)]
    return arm(range(10), [counted(r) for r in runs], [r.sum() for r in runs], [0] * 10)


def measured(late_ms: float) -> Live:
    latency = np.random.default_rng(99).lognormal(3.0, 0.3, 30_000)
    same = np.full(30_000, late_ms)
    return Live(latency, np.arange(30_000) / 600.0, same, same)


@pytest.mark.parametrize(
    ("scale", "late_ms", "ruling"),
    [(1.0, 0.1, AGREES), (1.4, 0.1, DISAGREES), (1.4, 5.0, TOO_BUSY), (1.0, 5.0, AGREES)],
)
def test_the_whole_interval_must_lie_within_the_limits(
    scale: float, late_ms: float, ruling: str
) -> None:
    found = agreement("S0", 600.0, measured(late_ms), simulated(scale), 0.99)
    assert found.ruling == ruling
    assert found.ratio.value == pytest.approx(1 / scale, rel=0.05)
    assert f"| {ruling} |" in table([found])


def test_blocks_are_joined() -> None:
    one = measured(0.1)
    whole = joined([one, one])
    assert whole.latency_ms.size == whole.own_ms.size == 60_000
