"""A trial: a policy with a plugin beside the policy without, simulated on the same requests.

Both meet the same arrivals, services and paths of a seed, so the difference between them is
the plugin's and not the draw's. Nothing here is a measurement of a real service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.api import ConfigError
from gateway.config import Policy
from gateway.loading import Registry
from gateway.measure.intervals import Interval, finite
from gateway.measure.paired import difference_of_shares, ratio_of_quantiles
from gateway.simulation import Run, Scenario, simulate


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy over all seeds, pooled: latency in ms, share within the target."""

    policy: str
    p50_ms: float
    p99_ms: float
    slo_share: float
    failed_share: float

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready record; null where infinite."""
        return {
            "policy": self.policy,
            "p50_ms": finite(self.p50_ms),
            "p99_ms": finite(self.p99_ms),
            "slo_share": self.slo_share,
            "failed_share": self.failed_share,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """``base`` without the plugin, ``tried`` with it; ratios are tried / base."""

    scenario: str
    target_ms: float
    load: float
    seeds: tuple[int, ...]
    requests: int
    base: Figures
    tried: Figures
    p50_ratio: Interval
    p99_ratio: Interval
    slo_difference: Interval
    alike: bool

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return {
            "scenario": self.scenario,
            "target_ms": self.target_ms,
            "load": self.load,
            "seeds": list(self.seeds),
            "requests": self.requests,
            "base": self.base.as_json(),
            "tried": self.tried.as_json(),
            "p50_ratio": self.p50_ratio.as_json(),
            "p99_ratio": self.p99_ratio.as_json(),
            "slo_difference": self.slo_difference.as_json(),
            "alike": self.alike,
        }


def run_trial(
    scenario: Scenario,
    base: tuple[str, Policy],
    tried: tuple[str, Policy],
    *,
    registry: Registry,
    seeds: Sequence[int],
    requests: int | None,
    load: float | None,
    done: Callable[[int], object] = lambda _: None,
) -> Trial:
    """Simulate both policies under every seed; ``done`` is told the number of runs behind.

    Raises ConfigError for a policy that cannot be built and for no seed.
    """
    if not seeds:
        raise ConfigError("--seeds 0: expected at least one, and two for an interval")
    pairs: list[tuple[Run, Run]] = []
    for seed in seeds:
        runs = []
        for name, policy in (base, tried):
            run = simulate(
                scenario, name, policy, seed=seed, registry=registry, requests=requests, load=load
            )
            runs.append(run)
            done(2 * len(pairs) + len(runs))
        pairs.append((runs[0], runs[1]))
    return _compared(scenario, [a for a, _ in pairs], [b for _, b in pairs])


def _compared(scenario: Scenario, base: list[Run], tried: list[Run]) -> Trial:
    ours, other = [run.latency_ms for run in tried], [run.latency_ms for run in base]
    in_time = [
        [run.ok & (run.latency_ms <= run.target_ms) for run in runs] for runs in (tried, base)
    ]
    return Trial(
        scenario=scenario.name,
        target_ms=base[0].target_ms,
        load=base[0].load,
        seeds=tuple(run.seed for run in base),
        requests=sum(run.latency_ms.size for run in base),
        base=_figures(base),
        tried=_figures(tried),
        p50_ratio=ratio_of_quantiles(ours, other, 0.5),
        p99_ratio=ratio_of_quantiles(ours, other, 0.99),
        slo_difference=difference_of_shares(in_time[0], in_time[1]),
        alike=all(np.array_equal(a, b) for a, b in zip(ours, other, strict=True)),
    )


def _figures(runs: list[Run]) -> Figures:
    latency_ms = np.concatenate([run.latency_ms for run in runs])
    ok = np.concatenate([run.ok for run in runs])
    return Figures(
        policy=runs[0].policy,
        p50_ms=float(np.quantile(latency_ms, 0.5, method="inverted_cdf")),
        p99_ms=float(np.quantile(latency_ms, 0.99, method="inverted_cdf")),
        slo_share=float(np.mean(ok & (latency_ms <= runs[0].target_ms))),
        failed_share=1.0 - float(ok.mean()),
    )
