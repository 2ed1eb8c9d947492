"""What a run gives: an array a quantity over the measured requests, and sums of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
BoolN = NDArray[np.bool_]

QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """R measured requests in order of arrival; a failed one has latency +inf and center -1.

    ``network_ms queue_ms service_ms predicted_ms`` are of the answering attempt (nan when
    failed), ``latency_ms`` runs from the arrival at the gateway. ``failures`` counts by
    reason; ``probes`` and ``reports`` are messages beside the requests, of the whole run;
    ``utilization`` float64[N]: share of the slots' time in use. ``wall_s`` is real time.
    ``hedges``: second copies sent, of the whole run, None where they are not; ``hedges_won``:
    those that brought the answer. A copy is an attempt.
    """

    scenario: str
    policy: str
    seed: int
    load: float
    target_ms: float
    centers: tuple[str, ...]
    arrival_s: F64
    latency_ms: F32
    ok: BoolN
    center: I32
    gateway: I32
    vantage: I32
    model: I32
    attempts: I32
    predicted_ms: F32
    network_ms: F32
    queue_ms: F32
    service_ms: F32
    failures: dict[str, int]
    probes: int
    reports: int
    attempts_wasted: int
    utilization: F64
    requests_in_all: int
    simulated_s: float
    wall_s: float
    hedges: int | None = None
    hedges_won: int = 0

    @property
    def requests_per_s(self) -> float:
        """Requests simulated a second of real time, warm-up included."""
        return self.requests_in_all / self.wall_s if self.wall_s > 0.0 else 0.0

    def quantile_ms(self, q: float) -> float:
        """The ``q`` quantile of latency over all requests; inf when it falls on a failure."""
        return float(np.quantile(self.latency_ms, q, method="higher"))

    def mean_ms(self) -> float:
        """Mean latency of the answers; nan when there is none."""
        return float(self.latency_ms[self.ok].mean(dtype=np.float64)) if self.ok.any() else np.nan

    @property
    def slo_share(self) -> float:
        """Share of all requests answered within the target."""
        return float(np.mean(self.ok & (self.latency_ms <= self.target_ms)))

    @property
    def failed_share(self) -> float:
        """Share of all requests that got no answer."""
        return 1.0 - float(self.ok.mean())

    def summary(self) -> dict[str, Any]:
        """A JSON-ready record: the same bytes for the same seed, so without wall time."""
        return {
            "scenario": self.scenario,
            "policy": self.policy,
            "seed": self.seed,
            "load": self.load,
            "target_ms": self.target_ms,
            "requests": len(self.latency_ms),
            "simulated_s": _round(self.simulated_s),
            "latency_ms": {
                "mean": _round(self.mean_ms()),
                **{f"p{q * 100:g}": _round(self.quantile_ms(q)) for q in QUANTILES},
            },
            "parts_ms": {
                "network": _mean(self.network_ms, self.ok),
                "queue": _mean(self.queue_ms, self.ok),
                "service": _mean(self.service_ms, self.ok),
            },
            "slo_share": _round(self.slo_share, 6),
            "failed_share": _round(self.failed_share, 6),
            "failures": dict(sorted(self.failures.items())),
            "attempts_per_request": _round(float(self.attempts.mean()), 5),
            "attempts_wasted": self.attempts_wasted,
            **self._hedges(),
            "probes": self.probes,
            "reports": self.reports,
            "utilization": {
                "mean": _round(float(self.utilization.mean())),
                "max": _round(float(self.utilization.max())),
            },
            "prediction": self._prediction(),
        }

    def _hedges(self) -> dict[str, Any]:
        """Only of a run with hedging."""
        sent = self.hedges
        if sent is None:
            return {}
        share = _round(sent / self.requests_in_all, 6)
        won = _round(self.hedges_won / sent) if sent else None
        return {"hedges": {"sent": sent, "per_request": share, "won_share": won}}

    def _prediction(self) -> dict[str, float | None]:
        """How far predictions were off, over the answers of first attempts."""
        first = self.ok & (self.attempts == 1) & np.isfinite(self.predicted_ms)
        if not first.any():
            return {"bias_ms": None, "mae_ms": None}
        off = (self.predicted_ms[first] - self.latency_ms[first]).astype(np.float64)
        return {"bias_ms": _round(float(off.mean())), "mae_ms": _round(float(np.abs(off).mean()))}


def _mean(values: F32, ok: BoolN) -> float | None:
    return _round(float(values[ok].mean(dtype=np.float64))) if ok.any() else None


def _round(value: float, digits: int = 4) -> float | None:
    """For JSON, which knows no inf and no nan."""
    return round(value, digits) if np.isfinite(value) else None
