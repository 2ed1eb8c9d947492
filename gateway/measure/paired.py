"""Paired comparison of two policies that met the same requests: a ratio with its interval.

With common random numbers both policies meet the same arrivals, services and paths of a seed,
so a seed is one independent repetition of the *comparison*. Seeds are drawn with replacement,
the same draw for both; their latencies are pooled, and the ratio is taken of the pools. Within
a seed nothing is drawn: requests that wait in one queue are not independent, and their noise is
in the difference between seeds already. The central part of the replicates is widened by
Student's t for the number of seeds (a bootstrap over few is too sure of itself); a single seed
bounds nothing.

What was not answered is infinitely late: an error never improves a percentile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gateway.measure.intervals import LEVEL, NOTHING, REPLICATES, Interval
from gateway.measure.samples import F64, Mask


def ratio_of_quantiles(
    ours: Sequence[NDArray[np.floating]],
    other: Sequence[NDArray[np.floating]],
    q: float,
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
) -> Interval:
    """``ours / other`` of the pooled ``q`` quantile; an array of latencies (inf: failed) a seed.

    Two infinite quantiles are equal (neither answered that share of the requests).
    """
    _check_pairs(ours, other)
    draws, which = _distinct_draws(len(ours), replicates)
    mine, theirs = _pooled_quantiles(ours, draws, q), _pooled_quantiles(other, draws, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(mine) - np.log(theirs)
    logs = np.where(np.isinf(mine) & np.isinf(theirs), 0.0, logs)
    spread = _interval(logs[which], float(logs[0]), len(ours), level)
    return Interval(_exp(spread.low), _exp(spread.value), _exp(spread.high))


def difference_of_shares(
    ours: Sequence[Mask],
    other: Sequence[Mask],
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
) -> Interval:
    """``ours - other`` of the pooled share of true values; an array of flags a seed."""
    _check_pairs(ours, other)
    draws, which = _distinct_draws(len(ours), replicates)
    requests = draws @ np.array([flags.size for flags in ours], dtype=np.float64)
    mine = draws @ np.array([flags.sum() for flags in ours], dtype=np.float64)
    theirs = draws @ np.array([flags.sum() for flags in other], dtype=np.float64)
    shares = (mine - theirs) / requests
    spread = _interval(shares[which], float(shares[0]), len(ours), level)
    return Interval(max(-1.0, spread.low), spread.value, min(1.0, spread.high))


def _check_pairs(ours: Sequence[NDArray[np.generic]], other: Sequence[NDArray[np.generic]]) -> None:
    sizes = [values.size for values in ours], [values.size for values in other]
    if sizes[0] != sizes[1] or not sizes[0] or 0 in sizes[0]:
        raise ValueError(
            f"{sizes[0]} and {sizes[1]} requests; a pair is made of the same requests, seed by seed"
        )


def _distinct_draws(seeds: int, replicates: int) -> tuple[F64, NDArray[np.intp]]:
    """float64[D, seeds], all of them different (few seeds have few), and intp[replicates]: the
    draw of each replicate. The first draw takes every seed once: the whole.
    """
    random = np.random.default_rng(seeds)
    drawn = random.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=replicates)
    distinct, which = np.unique(drawn, axis=0, return_inverse=True)
    whole = np.ones((1, seeds), dtype=np.float64)
    return np.concatenate([whole, distinct]), which.reshape(-1).astype(np.intp) + 1


def _pooled_quantiles(runs: Sequence[NDArray[np.floating]], draws: F64, q: float) -> F64:
    """float64[D]: the smallest value with at least ``q`` of all at or below it, a draw each."""
    values = np.concatenate(runs).astype(np.float64)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    seed = np.repeat(np.arange(len(runs)), [run.size for run in runs])[order]
    found = np.empty(len(draws))
    for row, times in enumerate(draws):
        below = np.cumsum(times[seed])
        found[row] = ordered[np.searchsorted(below, q * below[-1] - 1e-9)]
    return found


def _interval(replicated: F64, value: float, seeds: int, level: float) -> Interval:
    """The central ``level`` of the replicates, each arm stretched by t for ``seeds - 1``."""
    if math.isnan(value):
        return NOTHING
    if seeds < 2:
        return Interval(-math.inf, value, math.inf)
    tail = (1.0 - level) / 2
    known = replicated[~np.isnan(replicated)]
    low, high = np.quantile(known, [tail, 1.0 - tail], method="nearest")
    stretch = _student(seeds - 1, level) * math.sqrt(seeds / (seeds - 1))
    return Interval(
        _beyond(value, float(low), stretch), value, _beyond(value, float(high), stretch)
    )


def _student(freedom: int, level: float) -> float:
    """Student's t over the normal quantile: the Cornish-Fisher expansion, exact below 3."""
    p = 0.5 + level / 2
    z = NormalDist().inv_cdf(p)
    if freedom == 1:
        return math.tan(math.pi * (p - 0.5)) / z
    if freedom == 2:
        return (2 * p - 1) / math.sqrt(2 * p * (1 - p)) / z
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return (z + first + second) / z


def _beyond(value: float, end: float, stretch: float) -> float:
    """``end`` moved away from ``value``; infinities stay what they are."""
    if math.isinf(value) or math.isinf(end):
        return end
    return value + stretch * (end - value)


def _exp(log: float) -> float:
    return math.inf if log > 700 else math.exp(log)
