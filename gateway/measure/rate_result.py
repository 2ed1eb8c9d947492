"""The figures of one rate: percentiles with intervals, parts, errors, and whom to blame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from gateway.measure.intervals import Interval, quantile_interval, share_within
from gateway.measure.samples import F64, PARTS, Samples
from gateway.measure.timer_probe import Noise

LimitedBy = Literal["", "generator", "machine"]

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
LATE_LIMIT_MS = 1.0
"""A generator whose sends are later than this at p99 colours what it measures."""
EDGES_MS = np.geomspace(0.01, 100_000.0, 7 * 40 + 1)
"""Histogram edges: 40 a decade from 0.01 ms to 100 s."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, 99th percentile and largest, ms."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class RateResult:
    """What one rate gave; times in ms. ``errors`` includes the warm-up's.

    ``limited_by`` says what kept the figures from being the server's alone: "generator",
    "machine", or empty. ``typical_ms`` and ``slowest_ms`` are mean parts of the requests
    between the 40th and 60th percentile and of the slowest hundredth: they add up to a total.
    """

    asked_rate: float
    achieved_rate: float
    duration_s: float
    requests: int
    answered: int
    errors: dict[str, int]
    latency_ms: dict[str, Interval]
    share_within: Interval
    parts_ms: dict[str, Spread]
    typical_ms: dict[str, float]
    slowest_ms: dict[str, float]
    centers: dict[str, int]
    late_send_ms: Spread
    noise: Noise
    limited_by: LimitedBy
    p99_by_second_ms: list[float]
    histogram_edges_ms: list[float]
    histogram: list[int]


def rate_result(
    samples: Samples,
    *,
    rate: float,
    duration_s: float,
    target_ms: float,
    noise: Noise,
    warmup_s: float = 0.0,
    seed: int = 0,
) -> RateResult:
    """The figures of ``samples``, all intended in the ``duration_s`` after ``warmup_s``.

    The achieved rate counts answers that came before the end of that time: one that keeps up
    has nearly all, one that only fills a queue has not.
    """
    answered = samples.answered
    ended_s = samples.intended_s + samples.client_total_ms / 1e3
    in_time = answered & (ended_s <= warmup_s + duration_s)
    late = _spread(samples.late_send_ms)
    total = samples.client_total_ms[answered]
    counts, edges = np.histogram(np.clip(total, EDGES_MS[0], EDGES_MS[-1]), EDGES_MS)
    first, last = _filled(counts)
    return RateResult(
        asked_rate=rate,
        achieved_rate=float(in_time.sum()) / duration_s,
        duration_s=duration_s,
        requests=len(samples),
        answered=int(answered.sum()),
        errors=dict(samples.errors),
        latency_ms={
            name: quantile_interval(samples, q, seed=seed) for name, q in QUANTILES.items()
        },
        share_within=share_within(samples, target_ms, seed=seed),
        parts_ms=_parts(samples),
        typical_ms=mean_parts(samples, 0.4, 0.6),
        slowest_ms=mean_parts(samples, 0.99, 1.0),
        centers=_center_counts(samples),
        late_send_ms=late,
        noise=noise,
        limited_by=_limited_by(late, noise),
        p99_by_second_ms=p99_by_second(samples),
        histogram_edges_ms=edges[first : last + 2].round(5).tolist(),
        histogram=counts[first : last + 1].tolist(),
    )


def p99_by_second(samples: Samples) -> list[float]:
    """The 99th percentile of each second from the first request's on; NaN where none was sent."""
    if not len(samples):
        return []
    second = np.floor(samples.intended_s).astype(np.int64)
    value = np.where(samples.answered, samples.client_total_ms, np.inf)
    order = np.argsort(second, kind="stable")
    seconds = np.arange(second.min(), second.max() + 2)
    cuts = np.searchsorted(second[order], seconds)
    pieces = [value[order][a:b] for a, b in pairwise(cuts)]
    return [
        float(np.quantile(p, 0.99, method="inverted_cdf")) if p.size else float("nan")
        for p in pieces
    ]


def mean_parts(samples: Samples, low: float, high: float) -> dict[str, float]:
    """Mean of each part over the answered requests whose total lies between two quantiles.

    Empty when the server tells no parts. Means of the same requests add up to their mean
    total, which percentiles of parts don't.
    """
    told = samples.where(samples.answered & np.isfinite(samples.client_ms))
    if not len(told):
        return {}
    edges = np.quantile(told.client_total_ms, (low, high))
    inside = (told.client_total_ms >= edges[0]) & (told.client_total_ms <= edges[1])
    chosen = told.where(inside)
    names = ("network_ms", "queue_ms", "service_ms", "gateway_ms", "client_ms")
    return {n.removesuffix("_ms"): float(getattr(chosen, n).mean()) for n in names}


def _spread(values: F64) -> Spread:
    known = values[np.isfinite(values)]
    if not known.size:
        return Spread(float("nan"), float("nan"), float("nan"))
    p50_ms, p99_ms, max_ms = np.percentile(known, (50, 99, 100)).tolist()
    return Spread(p50_ms, p99_ms, max_ms)


def _parts(samples: Samples) -> dict[str, Spread]:
    """Each part of the answered requests; empty when the server tells none."""
    parts = {
        name.removesuffix("_ms"): getattr(samples, name)[samples.answered]
        for name in (*PARTS, "client_ms")
    }
    return {n: _spread(v) for n, v in parts.items() if np.isfinite(v).any()}


def _center_counts(samples: Samples) -> dict[str, int]:
    known = samples.center[samples.center >= 0]
    counts = np.bincount(known, minlength=len(samples.centers))
    named = zip(samples.centers, counts.tolist(), strict=True)
    return dict(sorted(named, key=lambda pair: -pair[1]))


def _limited_by(late: Spread, noise: Noise) -> LimitedBy:
    """A generator that lags is late every time; a busy machine makes it late now and then."""
    if late.p50_ms > LATE_LIMIT_MS:
        return "generator"
    return "machine" if max(late.p99_ms, noise.p99_ms) > LATE_LIMIT_MS else ""


def _filled(counts: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[int, int]:
    filled = np.flatnonzero(counts)
    return (int(filled[0]), int(filled[-1])) if filled.size else (0, 0)
