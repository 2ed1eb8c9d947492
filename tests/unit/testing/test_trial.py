"""What is made of two policies' runs; the simulator itself is a fake here."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pytest

from gateway.api import ConfigError
from gateway.config import Policy
from gateway.loading import Registry
from gateway.testing import trial as module
from gateway.testing.trial import run_trial


@dataclass
class FakeScenario:
    name: str = "s"


@dataclass
class FakeRun:
    policy: str
    seed: int
    latency_ms: np.ndarray
    ok: np.ndarray
    target_ms: float = 10.0
    load: float = 0.8


@pytest.fixture
def trial_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function: factor of the tried policy's latencies -> Trial, and the calls made."""
    calls: list[tuple[str, int]] = []

    def make(factor: float, failed: float = 0.0, seeds: int = 4) -> Any:
        def simulate(scenario: Any, name: str, policy: Policy, *, seed: int, **rest: Any) -> Any:
            calls.append((name, seed))
            random = np.random.default_rng(seed)
            latency_ms = random.exponential(3.0, 2000)
            if name == "tried":
                latency_ms = latency_ms * factor
                latency_ms[: int(failed * 2000)] = inf
            latency_ms = latency_ms.astype(np.float32)
            return FakeRun(name, seed, latency_ms, np.isfinite(latency_ms))

        monkeypatch.setattr(module, "simulate", simulate)
        told: list[int] = []
        trial = run_trial(
            FakeScenario(),  # type: ignore[arg-type]  # the fake simulator asks nothing of it
            ("base", Policy()),
            ("tried", Policy()),
            registry=Registry([]),
            seeds=range(1, seeds + 1),
            requests=None,
            load=None,
            done=told.append,
        )
        return trial, calls, told

    return make


def test_both_meet_every_seed_and_progress_is_told(trial_of: Any) -> None:
    trial, calls, told = trial_of(0.5)
    assert calls == [(name, seed) for seed in (1, 2, 3, 4) for name in ("base", "tried")]
    assert told == list(range(1, 9))
    assert (trial.requests, trial.seeds) == (8000, (1, 2, 3, 4))


def test_a_faster_policy_is_so_in_every_figure(trial_of: Any) -> None:
    trial, _, _ = trial_of(0.5)
    assert trial.p99_ratio.high == pytest.approx(0.5, rel=1e-4)
    assert trial.tried.p50_ms == pytest.approx(0.5 * trial.base.p50_ms, rel=1e-4)
    assert trial.slo_difference.low > 0
    assert not trial.alike


def test_what_fails_is_late_and_counted(trial_of: Any) -> None:
    trial, _, _ = trial_of(0.5, failed=0.02)
    assert trial.tried.failed_share == pytest.approx(0.02)
    assert trial.p99_ratio.value == inf
    assert trial.as_json()["tried"]["p99_ms"] is None


def test_the_same_decisions_are_alike(trial_of: Any) -> None:
    trial, _, _ = trial_of(1.0)
    assert trial.alike
    assert (trial.p50_ratio.low, trial.p50_ratio.high) == (1.0, 1.0)


def test_no_seed_is_refused(trial_of: Any) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        trial_of(1.0, seeds=0)
