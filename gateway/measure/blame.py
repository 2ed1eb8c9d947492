"""Blame: which part of a request's time went furthest beyond what it was expected to take.

Every part has an expectation that was fixed before the run:

    network   the modelled path of its origin (halved in the one-way reading)
    queue     nothing
    service   the model's own run time, times the chosen center's speed factor
    gateway   0.5 ms, together with the client's share

The excess is the mean over the requests that were too late: they are what a failed verdict is
made of, and a part that was slow for punctual requests did no harm. ``client`` is the
generator's side of it (sending, the way to the gateway's socket and back).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gateway.measure.samples import F64, Samples
from gateway.measure.service_area import AreaRules

OWN_MS = 0.5
"""What gateway and client together may take before either is to blame."""
ERRORS = "errors"
PART_NAMES = ("network", "queue", "service", "gateway", "client")


@dataclass(frozen=True, slots=True)
class Expected:
    """What each part should take. ``run_ms``: the model's run time; NaN when not known, then
    service is never blamed. ``speed``: center id to its speed factor (1 where missing)."""

    network_ms: Mapping[str, float]
    run_ms: float = math.nan
    speed: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Blame:
    """``part``: the culprit, empty when nothing was beyond its expectation. Mean ms over the
    late requests, by part; ``over_ms = took_ms - expected_ms``, NaN where not known."""

    part: str
    late: int
    unanswered: int
    took_ms: Mapping[str, float]
    expected_ms: Mapping[str, float]
    over_ms: Mapping[str, float]

    @property
    def sentence(self) -> str:
        """The culprit and how much it took, for the end of a sentence; empty without one."""
        if not self.part:
            return ""
        if self.part == ERRORS:
            return f"{self.unanswered} of {self.late} late requests were not answered at all"
        return f"{self.part} took {self.over_ms[self.part]:.1f} ms more than expected"


def blame(late: Samples, expected: Expected, rules: AreaRules) -> Blame:
    """Who is to blame for the requests in ``late`` (only those that missed the target)."""
    answered = late.where(late.answered & ~np.isnan(late.network_ms))
    unanswered = int((~late.answered).sum())
    took = {name: _mean(part) for name, part in parts_ms(answered, rules).items()}
    wanted = _expected(answered, expected, rules)
    over = {name: took[name] - wanted[name] for name in PART_NAMES}
    part = ERRORS if unanswered * 2 > len(late) else _furthest(over)
    return Blame(part, len(late), unanswered, took, wanted, over)


def parts_ms(samples: Samples, rules: AreaRules) -> dict[str, F64]:
    """The five parts by name, float64[n]; network as it counts in the reading."""
    return {
        "network": rules.network_part(samples.network_ms),
        "queue": samples.queue_ms,
        "service": samples.service_ms,
        "gateway": samples.gateway_ms,
        "client": samples.client_ms,
    }


def _expected(samples: Samples, expected: Expected, rules: AreaRules) -> dict[str, float]:
    paths = np.array([expected.network_ms.get(o, math.nan) for o in samples.origins])
    network_ms = rules.network_part(paths)[samples.origin] if paths.size else np.empty(0)
    speed = expected.speed or {}
    # The last entry stands for a center that is not known: index -1.
    factors = np.array([*(speed.get(c, 1.0) for c in samples.centers), 1.0])
    # The two share their allowance by what they took: neither is blamed for the other's part.
    gateway, client = _mean(samples.gateway_ms), _mean(samples.client_ms)
    part = gateway / (gateway + client) if gateway + client > 0 else 0.5
    part = min(max(part, 0.0), 1.0)
    return {
        "network": _mean(network_ms),
        "queue": 0.0,
        "service": _mean(expected.run_ms * factors[samples.center]),
        "gateway": OWN_MS * part,
        "client": OWN_MS * (1.0 - part),
    }


def _furthest(over_ms: Mapping[str, float]) -> str:
    known = {name: ms for name, ms in over_ms.items() if math.isfinite(ms) and ms > 0.0}
    return max(known, key=lambda name: known[name]) if known else ""


def _mean(values: F64) -> float:
    return float(values.mean()) if values.size else math.nan
