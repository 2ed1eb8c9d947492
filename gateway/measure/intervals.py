"""Intervals: how far a measured share or percentile may be off, from the run itself.

Requests of one second meet the same queue, the same noise and the same hiccup: they are not
independent, and an interval that takes them for independent is too narrow. So whole one-second
blocks are drawn with replacement, which keeps what happens inside a second together: the block
bootstrap (Carlstein 1986, non-overlapping blocks; Künsch 1989, moving blocks; Politis and
Romano 1994, random lengths: for lengths far above the correlation time they agree). From the
replicates the percentile interval is taken, widened by Student's t for the number of blocks,
since a bootstrap over few blocks is too sure of itself.

The bootstrap is blind to what never happened: when every request succeeds all replicates are
the same and its width is 0. Therefore no interval is narrower than the one for independent
requests: Wilson's for a share (at zero failures about 3.8/n, like the rule of three for 95 %),
the binomial order-statistic interval for a percentile, whose upper end is infinite while n is
too small to bound it: p99.9 needs some 3 700 requests.

What was not answered counts as infinitely late: an error must never improve a percentile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gateway.measure.samples import F64, Mask, Samples

LEVEL = 0.95
REPLICATES = 1000
BLOCK_S = 1.0
GRID = 512
"""Order statistics a bootstrapped percentile can fall on, twice: everywhere and near it."""
EXACT_MEAN_MAX = 400.0
"""Above this many expected exceedances the binomial is taken as normal."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the interval that holds the true one in ``level`` of runs; NaN: nothing
    was measured. ``high`` is infinite where the run is too short to bound it."""

    low: float
    value: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of ``high - low``, in the value's unit."""
        return (self.high - self.low) / 2

    def as_json(self) -> dict[str, float | None]:
        """``low``, ``value``, ``high``; null where not finite."""
        return {
            "low": finite(self.low),
            "value": finite(self.value),
            "high": finite(self.high),
        }


NOTHING = Interval(math.nan, math.nan, math.nan)


def finite(value: float) -> float | None:
    """The value, or None where JSON has no word for it."""
    return float(value) if math.isfinite(value) else None


def share_within(
    samples: Samples,
    target_ms: float,
    *,
    total_ms: F64 | None = None,
    weights: F64 | None = None,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval:
    """The share of requests answered within ``target_ms``; all others are misses.

    ``total_ms`` (float64[n], default ``client_total_ms``) is what is held against the target.
    ``weights`` (float64[len(origins)]) stratifies by origin: each origin's share counts with
    its weight (population, say) instead of with the number of requests that fell on it, so
    the draw of the cities adds no noise of its own.
    """
    total = samples.client_total_ms if total_ms is None else total_ms
    hit = samples.answered & (total <= target_ms)
    if weights is None:
        return share_of(hit, samples.intended_s, level=level, replicates=replicates, seed=seed)
    return _stratified_share(hit, samples, weights, level=level, replicates=replicates, seed=seed)


def share_of(
    hit: Mask,
    intended_s: F64,
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval:
    """The share of true values in ``hit`` (bool[n]), blocks by ``intended_s`` (float64[n])."""
    n = int(hit.size)
    if n == 0:
        return NOTHING
    blocks, index = _blocks(intended_s)
    hits = np.bincount(index, weights=hit, minlength=blocks)
    counts = np.bincount(index, minlength=blocks).astype(np.float64)
    share = float(hit.mean())
    drawn = _draws(blocks, replicates, seed)
    spread = _percentile_interval((drawn @ hits) / (drawn @ counts), share, blocks, level)
    return _union(spread, wilson(share, n, level=level), lowest=0.0, highest=1.0)


def quantile_interval(
    samples: Samples,
    q: float,
    *,
    total_ms: F64 | None = None,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval:
    """The ``q`` quantile (0 < q < 1) of ``total_ms``, ms; the unanswered are infinitely late."""
    total = samples.client_total_ms if total_ms is None else total_ms
    values = np.where(samples.answered, total, np.inf)
    return quantile_of(values, samples.intended_s, q, level=level, replicates=replicates, seed=seed)


def quantile_of(
    values: F64,
    intended_s: F64,
    q: float,
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval:
    """The ``q`` quantile of ``values`` (float64[n], inf allowed), blocks by ``intended_s``.

    The quantile is the smallest value with at least ``q`` of all at or below it.
    """
    if not 0.0 < q < 1.0:
        raise ValueError(f"a quantile lies between 0 and 1, got {q}")
    n = int(values.size)
    if n == 0:
        return NOTHING
    ordered = np.sort(values)
    value = float(ordered[max(0, math.ceil(q * n - 1e-9) - 1)])
    low_rank, high_rank = binomial_ranks(n, q, level=level)
    ranks = Interval(
        float(ordered[low_rank]) if low_rank >= 0 else 0.0,
        value,
        float(ordered[high_rank]) if high_rank < n else math.inf,
    )
    blocks, index = _blocks(intended_s)
    if blocks < 2 or not math.isfinite(value):
        return ranks
    drawn = _draws(blocks, replicates, seed)
    replicated = _replicated_quantiles(values, ordered, index, drawn, q)
    return _union(
        _percentile_interval(replicated, value, blocks, level), ranks, lowest=0.0, highest=math.inf
    )


def wilson(share: float, n: float, *, level: float = LEVEL) -> Interval:
    """Wilson's score interval (1927) for ``share`` of ``n`` independent requests."""
    z = _z(level)
    shrink = 1.0 + z * z / n
    middle = (share + z * z / (2 * n)) / shrink
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / shrink
    low = 0.0 if share <= 0.0 else max(0.0, middle - reach)
    high = 1.0 if share >= 1.0 else min(1.0, middle + reach)
    return Interval(low, share, high)


def binomial_ranks(n: int, q: float, *, level: float = LEVEL) -> tuple[int, int]:
    """Ranks (from 0) of the order statistics that hold the ``q`` quantile in ``level`` of runs.

    -1 or ``n`` where even the extreme observation doesn't bound it. The number of
    observations below the true quantile is binomial(n, q); no distribution is assumed.
    """
    tail = (1.0 - level) / 2
    below = _binomial_quantiles(n, q, tail)
    return below[0] - 1, below[1]


def seconds_needed(interval: Interval, ran_s: float, half_width: float) -> float:
    """How long a run should be for ``half_width``, from one of ``ran_s`` seconds.

    Widths shrink with the square root of the duration. Infinite when nothing bounds it yet.
    """
    if half_width <= 0.0:
        raise ValueError(f"a half-width is above 0, got {half_width}")
    if not math.isfinite(interval.half_width):
        return math.inf
    return ran_s * (interval.half_width / half_width) ** 2


def _stratified_share(
    hit: Mask, samples: Samples, weights: F64, *, level: float, replicates: int, seed: int
) -> Interval:
    """Post-stratified share: the weighted mean of the origins' own shares.

    An origin without a request cannot be judged and gives its weight to the others. The floor
    takes each origin's variance at (hits + 1)/(n + 2), so that 3 of 3 is not taken for certain.
    """
    strata = len(samples.origins)
    if weights.shape != (strata,):
        raise ValueError(f"{weights.shape} weights for {strata} origins")
    if hit.size == 0:
        return NOTHING
    blocks, index = _blocks(samples.intended_s)
    cell = index * strata + samples.origin
    size = blocks * strata
    hits = np.bincount(cell, weights=hit, minlength=size).reshape(blocks, strata)
    counts = np.bincount(cell, minlength=size).reshape(blocks, strata).astype(np.float64)
    total, good = counts.sum(axis=0), hits.sum(axis=0)
    seen = total > 0
    weight = np.where(seen, weights, 0.0)
    weight = weight / weight.sum()
    shares = np.divide(good, total, out=np.zeros(strata), where=seen)
    share = float(weight @ shares)

    drawn = _draws(blocks, replicates, seed)
    drawn_counts = drawn @ counts
    own = np.broadcast_to(shares, drawn_counts.shape).copy()
    np.divide(drawn @ hits, drawn_counts, out=own, where=drawn_counts > 0)
    spread = _percentile_interval(own @ weight, share, blocks, level)
    guarded = (good + 1) / (total + 2)
    variance = float((weight**2 * guarded * (1 - guarded) / (total + 2))[seen].sum())
    reach = _z(level) * math.sqrt(variance)
    return _union(spread, Interval(share - reach, share, share + reach), lowest=0.0, highest=1.0)


def _blocks(intended_s: F64) -> tuple[int, NDArray[np.intp]]:
    """Number of non-empty one-second blocks, and each request's block (intp[n])."""
    second = np.floor(intended_s / BLOCK_S).astype(np.int64)
    present, index = np.unique(second, return_inverse=True)
    return int(present.size), index.astype(np.intp)


def _draws(blocks: int, replicates: int, seed: int) -> F64:
    """float64[replicates, blocks]: how often each block is drawn; rows sum to ``blocks``."""
    random = np.random.default_rng(seed)
    drawn = random.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=replicates)
    return drawn.astype(np.float64)


def _percentile_interval(replicated: F64, value: float, blocks: int, level: float) -> Interval:
    """The central ``level`` of the replicates, its arms stretched by t for ``blocks - 1``."""
    if blocks < 2:
        return Interval(value, value, value)
    tail = (1.0 - level) / 2
    low, high = np.quantile(replicated, [tail, 1.0 - tail], method="nearest")
    z = _z(level)
    student = z + (z**3 + z) / (4 * (blocks - 1))
    stretch = student / z * math.sqrt(blocks / (blocks - 1))
    return Interval(
        value - stretch * max(0.0, value - float(low)),
        value,
        value + stretch * max(0.0, float(high) - value),
    )


def _replicated_quantiles(
    values: F64, ordered: F64, index: NDArray[np.intp], drawn: F64, q: float
) -> F64:
    """float64[replicates]: the quantile of each replicate, on a grid of order statistics.

    Counting at ``2 × GRID`` points turns the replicates into one matrix product, exact up to
    the distance of two points: within 1/(16 × GRID) of a rank near the quantile.
    """
    n, blocks = ordered.size, drawn.shape[1]
    near = q + np.linspace(-1.0, 1.0, GRID) * min(q, 1.0 - q)
    levels = np.concatenate([np.linspace(0.0, 1.0, GRID), near])
    grid = np.unique(ordered[np.clip(np.ceil(levels * n).astype(np.int64) - 1, 0, n - 1)])
    slot = np.searchsorted(grid, values, side="left")
    per_block = np.bincount(index * (grid.size + 1) + slot, minlength=blocks * (grid.size + 1))
    at_or_below = per_block.reshape(blocks, grid.size + 1).cumsum(axis=1).astype(np.float64)
    counts = drawn @ at_or_below
    reached = counts[:, : grid.size] >= q * counts[:, -1:] - 1e-9
    return np.asarray(grid[np.argmax(reached, axis=1)], dtype=np.float64)


def _binomial_quantiles(n: int, q: float, tail: float) -> tuple[int, int]:
    """The ``tail`` and ``1 - tail`` quantiles of binomial(n, q)."""
    if q > 0.5:
        low, high = _binomial_quantiles(n, 1.0 - q, tail)
        return n - high, n - low
    if n * q > EXACT_MEAN_MAX:
        middle, reach = n * q, NormalDist().inv_cdf(1.0 - tail) * math.sqrt(n * q * (1.0 - q))
        return max(0, math.floor(middle - reach)), min(n, math.ceil(middle + reach))
    low, seen, k = -1, 0.0, 0
    chance = math.exp(n * math.log1p(-q))
    while True:
        seen += chance
        if low < 0 and seen >= tail:
            low = k
        if seen >= 1.0 - tail or k >= n:
            return low, k
        chance *= (n - k) / (k + 1) * q / (1.0 - q)
        k += 1


def _union(one: Interval, other: Interval, *, lowest: float, highest: float) -> Interval:
    """The smallest interval that holds both, within what is possible."""
    low, high = min(one.low, other.low), max(one.high, other.high)
    return Interval(max(lowest, low), one.value, min(highest, high))


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)
