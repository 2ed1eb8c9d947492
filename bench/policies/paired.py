"""Paired comparisons: how much better, with an interval, from the same requests under each policy.

Every policy meets the same requests, services, faults and paths of a seed (common random
numbers), so a seed is one independent repetition of the *comparison*. Seeds are drawn with
replacement, the same draw for both policies, their latencies are pooled, and the statistic (a
ratio of quantiles or means, a difference of shares) is taken of the pools. Nothing is drawn
again within a seed: its noise is in the difference between seeds already, and requests that
wait in one queue are not independent. The central 95 % of the replicates is widened by
Student's t for the number of seeds, since a bootstrap over ten is too sure of itself. With fewer
than six, too few different draws exist to show on which side the tail is: both arms are then
as long as the longer. One seed bounds nothing.

Ratios are taken on the logarithm. Two infinite quantiles are equal (neither policy answered
that share of the requests); one infinite quantile makes the ratio 0 or infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import NormalDist

import numpy as np

from bench.policies.latency_histogram import F64, Counts, quantiles
from gateway.measure.intervals import NOTHING, Interval

LEVEL = 0.95
REPLICATES = 1000
SEEDS_FEW = 6
UNSTABLE_MS = 1e12
"""Stands for an infinite quantile of a baseline, of which what remains is 0."""
Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)

Statistic = Callable[["Arm", F64], F64]
"""Of an arm and weights float64[rows, seeds]: float64[rows]."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One policy under one condition, a row a seed: what its runs add up to.

    ``counts`` float64[seeds, buckets + 1]; ``sum_ms`` (answered latencies), ``answered``,
    ``within`` (answered in time) and ``requests`` float64[seeds].
    """

    seeds: tuple[int, ...]
    counts: F64
    sum_ms: F64
    answered: F64
    within: F64
    requests: F64
    known: dict[Statistic, tuple[F64, F64]] = field(default_factory=dict, compare=False, repr=False)

    def of(self, statistic: Statistic) -> tuple[F64, F64]:
        """The statistic of all seeds, float64[1], and of every draw, float64[REPLICATES].

        The draws of a number of seeds are the same for every arm, so both are kept.
        """
        if statistic not in self.known:
            weights, drawn = _weights(len(self.seeds))
            self.known[statistic] = statistic(self, weights), statistic(self, drawn)
        return self.known[statistic]

    def only(self, seeds: Sequence[int]) -> Arm:
        """The rows of ``seeds``, in that order."""
        if tuple(seeds) == self.seeds:
            return self
        rows = [self.seeds.index(seed) for seed in seeds]
        return Arm(
            tuple(seeds),
            self.counts[rows],
            self.sum_ms[rows],
            self.answered[rows],
            self.within[rows],
            self.requests[rows],
        )


def arm(
    seeds: Sequence[int],
    counts: Sequence[Counts],
    sum_ms: Sequence[float],
    within: Sequence[int],
) -> Arm:
    """An arm from the figures of its runs, one entry a seed."""
    dense = np.stack([part.dense() for part in counts])
    return Arm(
        tuple(seeds),
        dense,
        np.asarray(sum_ms, dtype=np.float64),
        dense[:, :-1].sum(axis=1),
        np.asarray(within, dtype=np.float64),
        dense.sum(axis=1),
    )


@cache
def quantile_at(q: float) -> Statistic:
    """The pooled ``q`` quantile, ms."""

    def of(one: Arm, weights: F64) -> F64:
        used = np.flatnonzero(one.counts.sum(axis=0))
        if not used.size:
            return np.full(weights.shape[0], np.nan)
        counts = one.counts[:, used[0] : used[-1] + 1]
        return quantiles(weights @ np.cumsum(counts, axis=1), q, first=int(used[0]))

    return of


def mean_ms(one: Arm, weights: F64) -> F64:
    """The mean latency of what was answered; infinite when a tenth or more was not."""
    answered = weights @ one.answered
    mean = np.divide(
        weights @ one.sum_ms, answered, out=np.full(answered.shape, np.inf), where=answered > 0
    )
    return np.asarray(np.where(answered < 0.9 * (weights @ one.requests), np.inf, mean))


def share_within(one: Arm, weights: F64) -> F64:
    """The share of all requests that were answered in time."""
    return np.asarray((weights @ one.within) / (weights @ one.requests))


def value(one: Arm, statistic: Statistic) -> float:
    """The statistic of all seeds pooled."""
    return float(one.of(statistic)[0][0])


def alone(one: Arm, statistic: Statistic) -> Interval:
    """The statistic of one arm with its interval."""
    whole, drawn = one.of(statistic)
    return _interval(drawn, float(whole[0]), len(one.seeds))


def ratio(ours: Arm, other: Arm, statistic: Statistic) -> Interval:
    """``ours / other`` of the seeds that both have; NOTHING when there is none."""
    ours, other = _shared(ours, other)
    if not ours.seeds:
        return NOTHING
    (whole, drawn), (base, base_drawn) = ours.of(statistic), other.of(statistic)
    log = float(_log_ratio(whole, base)[0])
    logs = _interval(_log_ratio(drawn, base_drawn), log, len(ours.seeds))
    return Interval(*(_exp(v) for v in (logs.low, logs.value, logs.high)))


def difference(ours: Arm, other: Arm, statistic: Statistic) -> Interval:
    """``ours - other`` of the seeds that both have; NOTHING when there is none."""
    ours, other = _shared(ours, other)
    if not ours.seeds:
        return NOTHING
    (whole, drawn), (base, base_drawn) = ours.of(statistic), other.of(statistic)
    return _interval(drawn - base_drawn, float((whole - base)[0]), len(ours.seeds))


def gap_closed(ours: Arm, other: Arm, oracle: Arm, statistic: Statistic) -> Interval:
    """``(other - ours) / (other - oracle)``: 1 as good as the oracle, 0 no better than other."""
    seeds = [s for s in ours.seeds if s in other.seeds and s in oracle.seeds]
    if not seeds:
        return NOTHING
    (mine, mine_drawn), (base, base_drawn), (best, best_drawn) = (
        one.only(seeds).of(statistic) for one in (ours, other, oracle)
    )
    whole = float(_closed(mine, base, best)[0])
    return _interval(_closed(mine_drawn, base_drawn, best_drawn), whole, len(seeds))


def _closed(mine: F64, base: F64, best: F64) -> F64:
    base = np.where(np.isinf(base), UNSTABLE_MS, base)
    gap = base - best
    share: F64 = np.divide(base - mine, gap, out=np.full(gap.shape, np.nan), where=gap > 0)
    return share


def mean_of(values: Sequence[float]) -> Interval:
    """The mean over seeds of a figure that each run gives, never below 0."""
    known = np.asarray([v for v in values if not math.isnan(v)], dtype=np.float64)
    if not known.size:
        return NOTHING
    _, drawn = _weights(int(known.size))
    spread = _interval(drawn @ known / known.size, float(known.mean()), int(known.size))
    return not_below_zero(spread)


def ratio_of_means(ours: Sequence[float], other: Sequence[float]) -> Interval:
    """Mean over mean of two figures of the same seeds; 0/0 is NOTHING."""
    pairs = [(a, b) for a, b in zip(ours, other, strict=True) if not math.isnan(a + b)]
    if not pairs or sum(b for _, b in pairs) <= 0:
        return NOTHING
    mine, base = np.asarray(pairs, dtype=np.float64).T
    _, drawn = _weights(len(pairs))
    below = drawn @ base
    replicated = np.divide(drawn @ mine, below, out=np.full(below.shape, np.inf), where=below > 0)
    spread = _interval(replicated, float(mine.sum() / base.sum()), len(pairs))
    return not_below_zero(spread)


def not_below_zero(found: Interval) -> Interval:
    """For figures that can't be: the lower end cut off."""
    return Interval(max(0.0, found.low), found.value, found.high)


def of_seeds(seeds: int, statistic: Callable[[F64], F64]) -> Interval:
    """Any statistic of weights float64[rows, seeds], never below 0, with its interval."""
    weights, drawn = _weights(seeds)
    return not_below_zero(_interval(statistic(drawn), float(statistic(weights)[0]), seeds))


def _shared(ours: Arm, other: Arm) -> tuple[Arm, Arm]:
    seeds = [seed for seed in ours.seeds if seed in other.seeds]
    return ours.only(seeds), other.only(seeds)


@cache
def _weights(seeds: int) -> tuple[F64, F64]:
    """All seeds once, float64[1, seeds], and how often each is drawn, [REPLICATES, seeds]."""
    random = np.random.default_rng(seeds)
    drawn = random.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=REPLICATES)
    return np.ones((1, seeds)), drawn.astype(np.float64)


def _log_ratio(ours: F64, other: F64) -> F64:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(ours) - np.log(other)
    return np.where(np.isinf(ours) & np.isinf(other), 0.0, logs)


def _exp(log: float) -> float:
    return math.inf if log > 700 else math.exp(log)


def _interval(replicated: F64, whole: float, seeds: int) -> Interval:
    """The central part of the replicates, each arm stretched by t for ``seeds - 1``."""
    if math.isnan(whole):
        return NOTHING
    if seeds < 2:
        return Interval(-math.inf, whole, math.inf)
    tail = (1.0 - LEVEL) / 2
    replicated = replicated[~np.isnan(replicated)]
    low, high = np.quantile(replicated, [tail, 1.0 - tail], method="nearest")
    freedom = seeds - 1
    student = Z + (Z**3 + Z) / (4 * freedom) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)
    stretch = student / Z * math.sqrt(seeds / freedom)
    low, high = (_beyond(whole, float(end), stretch) for end in (low, high))
    if seeds < SEEDS_FEW:
        longer = max(whole - low, high - whole)
        low, high = whole - longer, whole + longer
    return Interval(low, whole, high)


def _beyond(whole: float, end: float, stretch: float) -> float:
    """``end`` moved away from ``whole``; infinities stay what they are."""
    if math.isinf(whole) or math.isinf(end):
        return end
    return whole + stretch * (end - whole)
