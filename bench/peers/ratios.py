"""Means and ratios over rounds, with intervals.

A round is one independent repetition: every arm was started anew in it. A ratio is taken within
each round, so that a slow minute of the machine falls on both, and averaged on the logarithm;
the interval is Student's t for the number of rounds. One round bounds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist, fmean, stdev

from gateway.measure.intervals import LEVEL, NOTHING, Interval

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""The 97.5 % quantile of Student's t for 1 to 9 degrees of freedom."""

ByRound = Mapping[int, float]


def mean(values: ByRound) -> Interval:
    """The mean over rounds."""
    return _interval(list(values.values()))


def ratio(ours: ByRound, other: ByRound) -> Interval:
    """``ours / other`` of the rounds that both have; NOTHING when there is none."""
    logs = [
        math.log(ours[number] / other[number])
        for number in ours
        if number in other and ours[number] > 0 and other[number] > 0
    ]
    found = _interval(logs)
    return Interval(_exp(found.low), _exp(found.value), _exp(found.high))


def difference(ours: ByRound, other: ByRound) -> Interval:
    """``ours - other`` of the rounds that both have; NOTHING when there is none."""
    return _interval([ours[number] - other[number] for number in ours if number in other])


def student(freedom: int) -> float:
    """The two-sided 95 % quantile; beyond the table by Cornish and Fisher's first terms."""
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def _interval(values: list[float]) -> Interval:
    if not values:
        return NOTHING
    middle = fmean(values)
    if len(values) < 2:
        return Interval(-math.inf, middle, math.inf)
    reach = student(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(middle - reach, middle, middle + reach)


def _exp(log: float) -> float:
    return math.inf if log > 700 else math.exp(log)
