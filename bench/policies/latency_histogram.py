"""Latencies as counts in logarithmic buckets 1 % wide: small to keep, exact to pool.

A run of 100 000 requests becomes some 500 numbers, runs of several seeds are added by adding
counts, and a quantile is wrong by at most half a bucket (it is interpolated on the logarithm,
so by about 0.1 % where the density is smooth). What was not answered has a bucket of its own
above all others: it is infinitely late.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

LOW_MS = 0.02
RATIO = 1.01
BUCKETS = 1560
"""From 0.02 ms to 110 s; the bucket after the last counts what was not answered."""
_LOG_RATIO = math.log(RATIO)


class Counts(msgspec.Struct, frozen=True):
    """Counts from bucket ``first`` on, zeros at both ends left out."""

    first: int
    counts: list[int]

    def dense(self) -> F64:
        """float64[BUCKETS + 1]."""
        whole = np.zeros(BUCKETS + 1)
        whole[self.first : self.first + len(self.counts)] = self.counts
        return whole


def counted(latency_ms: F64) -> Counts:
    """The counts of ``latency_ms`` (float64[n], inf: not answered)."""
    answered = np.isfinite(latency_ms)
    logs = np.log(np.maximum(latency_ms[answered], LOW_MS) / LOW_MS) / _LOG_RATIO
    index = np.minimum(logs.astype(np.int64), BUCKETS - 1)
    whole = np.bincount(index, minlength=BUCKETS + 1)
    whole[BUCKETS] = int(latency_ms.size - answered.sum())
    present = np.flatnonzero(whole)
    if not present.size:
        return Counts(0, [])
    first, last = int(present[0]), int(present[-1])
    return Counts(first, whole[first : last + 1].tolist())


def quantiles(cumulated: F64, q: float, *, first: int = 0) -> F64:
    """float64[rows]: the ``q`` quantile, ms, of each row of cumulated counts [rows, columns].

    The columns are the buckets from ``first`` on, as far as there is something in them. The
    smallest latency with at least ``q`` of all at or below it; inf among the unanswered,
    NaN in a row without a request.
    """
    total = cumulated[:, -1]
    rank = q * total
    at = np.argmax(cumulated >= rank[:, None] - 1e-9, axis=1)
    rows = np.arange(cumulated.shape[0])
    before = np.where(at > 0, cumulated[rows, at - 1], 0.0)
    inside = np.maximum(cumulated[rows, at] - before, 1e-12)
    at = at + first
    part = np.clip((rank - before) / inside, 0.0, 1.0)
    value = LOW_MS * np.exp((at + part) * _LOG_RATIO)
    value = np.where(at >= BUCKETS, np.inf, value)
    return np.where(total > 0, value, np.nan)


def quantile(counts: F64, q: float) -> float:
    """The ``q`` quantile, ms, of dense counts float64[BUCKETS + 1]."""
    return float(quantiles(np.cumsum(counts)[None, :], q)[0])


def edges_ms() -> F64:
    """float64[BUCKETS + 1]: the borders of the answered buckets."""
    return np.asarray(LOW_MS * RATIO ** np.arange(BUCKETS + 1), dtype=np.float64)


def pooled(parts: Sequence[Counts]) -> F64:
    """The sum of several runs, dense."""
    return np.asarray(sum((part.dense() for part in parts), np.zeros(BUCKETS + 1)))
