"""Adaptive concurrency: how much may be under way at a center, learned from its latency alone.

The rule is Gradient2 of Netflix's concurrency-limits (``limit/Gradient2Limit.java``; the idea in
Landau, Thurston and Bozarth, Performance Under Load, 2018), a limit a center, all centers at
once as columns. Each window with enough answers:

    long      <- exponential mean of the window means, over ``LONG_WINDOWS``
    gradient   = clip(long / mean of this window, 0.5, 1)
    limit     <- 0.8 limit + 0.2 (gradient limit + headroom)

``long`` falls by a tenth where it stands at more than twice the window's mean (a long overload
is over); a limit of which less than half is in use is left alone (nothing is learned from it).
The headroom is the square root of the limit, as in Envoy's adaptive concurrency filter, where
Gradient2 has a constant of 4: small centers are not allowed several times their slots.

What it is for: centers that do not tell how many slots they have, or tell wrongly. Where they
are known, the router prices the queue before it stands; a limit learned from latency only
follows, and takes a change of the traffic's mixture (another origin, a heavier model) for one of
the center, since latencies of all requests are pooled. That is why it is off by default.

A center at its limit is passed over by new work, not failed; see ``admission``.
"""

from __future__ import annotations

import numpy as np

from gateway.api import Array

LONG_WINDOWS = 600
WARM_WINDOWS = 10
SMOOTHING = 0.2
GRADIENT_MIN = 0.5
ANSWERS_MIN = 10
LIMIT_MAX = 100_000.0


class GradientLimits:
    """``limit``: float64[N], ``allowed``: int64[N], its whole part; never below ``limit_min``."""

    __slots__ = ("_long_ms", "_min", "_windows", "allowed", "limit")

    def __init__(self, slots: Array, limit_min: int) -> None:
        """``slots``: int[N], what is said of each center; a limit begins at four times that."""
        self._min = float(limit_min)
        self.limit = np.clip(4.0 * np.asarray(slots, dtype=np.float64), self._min, LIMIT_MAX)
        self.allowed = self.limit.astype(np.int64)
        self._long_ms = np.zeros(len(self.limit))
        self._windows = np.zeros(len(self.limit), dtype=np.int64)

    def learn(self, answers: Array, attempts_ms: Array, in_flight: Array) -> None:
        """A window is over. Per center: int[N] answers, float64[N] the sum of their attempt
        times, int[N] the most (or the present) number of requests under way.
        """
        heard = answers >= ANSWERS_MIN
        mean_ms = np.divide(attempts_ms, answers, out=np.ones_like(self.limit), where=heard)
        heard &= mean_ms > 0.0
        self._windows += heard
        span = np.minimum(self._windows, LONG_WINDOWS)
        # While warming up it is the plain mean of the windows so far.
        weight = np.where(span <= WARM_WINDOWS, 1.0 / np.maximum(span, 1), 2.0 / (span + 1.0))
        long_ms = self._long_ms + weight * (mean_ms - self._long_ms)
        fallen = long_ms > 2.0 * mean_ms
        long_ms[fallen] *= 0.9
        self._long_ms[heard] = long_ms[heard]
        learns = heard & (in_flight >= 0.5 * self.limit)
        gradient = np.clip(long_ms / mean_ms, GRADIENT_MIN, 1.0)
        wanted = gradient * self.limit + np.sqrt(self.limit)
        moved = (1.0 - SMOOTHING) * self.limit + SMOOTHING * wanted
        self.limit[learns] = np.clip(moved, self._min, LIMIT_MAX)[learns]
        self.allowed[:] = self.limit

    def full(self, in_flight: Array) -> Array:
        """int[K]: the rows of the centers at their limit."""
        return np.flatnonzero(in_flight >= self.allowed)
