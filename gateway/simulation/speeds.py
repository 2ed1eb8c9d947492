"""How slow each center is: by nature, and by what its neighbours do from moment to moment.

A factor multiplies run time: 1 nominal, 2 takes twice as long. The series is drawn before the
run; a request is slowed by the factor in force when it begins to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.api import Center
from gateway.simulation.scenario import Antagonist, Noise, Scenario
from gateway.simulation.streams import stream

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SpeedSeries:
    """``factors`` float64[steps, N], each in force for ``step_s``; past its end it repeats."""

    step_s: float
    factors: F64

    def at(self, now_s: float) -> F64:
        """float64[N]: the factors in force at ``now_s``."""
        row: F64 = self.factors[int(now_s / self.step_s + 1e-9) % len(self.factors)]
        return row


def own_factors(scenario: Scenario, centers: Sequence[Center], seed: int) -> F64:
    """float64[N]: declared factor × the group a center fell into; groups do not overlap."""
    declared = [center.speed_factor for center in centers]
    factors = np.array(declared)
    order = stream(seed, "speeds").permutation(len(centers))
    taken = 0
    for group in scenario.speeds.groups:
        size = group.count or round(group.share * len(centers))
        factors[order[taken : taken + size]] *= group.factor
        taken += size
    return factors


def series_of(scenario: Scenario, centers: int, length_s: float, seed: int) -> SpeedSeries | None:
    """The moment's factors beside the own ones; None when the scenario has none."""
    if scenario.antagonist is not None:
        return _antagonist(scenario.antagonist, centers, length_s, seed)
    if scenario.noise is not None:
        return _noise(scenario.noise, centers, length_s, seed)
    return None


def _antagonist(plan: Antagonist, centers: int, length_s: float, seed: int) -> SpeedSeries:
    random = stream(seed, "antagonist")
    steps = int(length_s / plan.period_s) + 2
    hit = max(1, round(plan.share * centers)) if plan.share > 0.0 else 0
    rows = random.random((steps, centers)).argsort(axis=1)[:, :hit]
    factors = np.ones((steps, centers))
    np.put_along_axis(factors, rows, plan.factor, axis=1)
    return SpeedSeries(plan.period_s, factors)


def _noise(plan: Noise, centers: int, length_s: float, seed: int) -> SpeedSeries:
    """|x| of a stationary AR(1) of standard deviation sigma, so that exp of it is >= 1."""
    random = stream(seed, "noise")
    steps = int(length_s / plan.step_s) + 2
    keep = np.exp(-plan.step_s / plan.tau_s)
    own, common = np.sqrt(1.0 - plan.common_share), np.sqrt(plan.common_share)
    fresh = own * random.standard_normal((steps, centers))
    fresh += common * random.standard_normal((steps, 1))
    value = fresh[0]
    rows = [value]
    for row in fresh[1:]:
        value = keep * value + np.sqrt(1.0 - keep**2) * row
        rows.append(value)
    return SpeedSeries(plan.step_s, np.exp(np.abs(plan.sigma * np.array(rows))))
