"""Means by weight: what several workers learned, as one value a cell.

Each worker publishes an estimate and how many samples it has seen so far. A sample weighs 1
when it comes and half after ``HALF_LIFE_S``, so that a worker which stopped measuring stops
counting; the merged value is the mean of the estimates by these *recent* weights. An
estimate that a worker took over from the others adds no weight of its own, so taking over
and merging again moves it toward those who measure, and never away.
"""

from __future__ import annotations

import numpy as np

from gateway.api import Array

HALF_LIFE_S = 10.0
WEIGHT_MIN = 1e-3


def recent_weights(recent: Array, samples: Array, seen: Array, elapsed_s: Array | float) -> None:
    """Fade ``recent`` by ``elapsed_s``, add what ``samples`` has beyond ``seen``; in place.

    All of one shape, a worker's cells first; a count that fell is a new worker's.
    ``elapsed_s`` broadcasts against them. ``seen`` becomes ``samples``.
    """
    fresh = samples - seen
    np.copyto(fresh, samples, where=fresh < 0)
    recent *= np.exp2(np.asarray(elapsed_s) * (-1.0 / HALF_LIFE_S))
    recent += fresh
    recent[recent < WEIGHT_MIN] = 0.0
    np.copyto(seen, samples)


def weighted_means(estimates: Array, recent: Array) -> tuple[Array, Array]:
    """(mean, weight) over the first axis; the mean of cells without weight is 0."""
    known = recent.sum(axis=0)
    total = np.where(recent > 0.0, estimates * recent, 0.0).sum(axis=0)
    return np.divide(total, known, out=np.zeros(known.shape), where=known > 0.0), known
