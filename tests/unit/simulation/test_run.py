from __future__ import annotations

import json
from collections.abc import Callable
from math import inf

import numpy as np
import pytest

from gateway.config.settings import Policy
from gateway.simulation import Run, simulate
from gateway.simulation.scenario import Scenario

Make = Callable[..., Scenario]


@pytest.fixture
def run(plan: Make) -> Run:
    return simulate(plan(requests=500), "p", Policy(), seed=1)


def with_latency(run: Run, latency_ms: list[float]) -> Run:
    from dataclasses import replace

    values = np.array(latency_ms, dtype=np.float32)
    return replace(run, latency_ms=values, ok=np.isfinite(values), attempts=np.ones_like(values))


def test_a_failure_is_infinitely_late(run: Run) -> None:
    it = with_latency(run, [1.0, 2.0, 3.0, inf])
    assert it.quantile_ms(0.5) == 3.0
    assert it.quantile_ms(0.99) == inf
    assert it.mean_ms() == pytest.approx(2.0)
    assert it.slo_share == 0.75
    assert it.failed_share == 0.25


def test_a_summary_is_json_with_the_parts(run: Run) -> None:
    summary = run.summary()
    document = json.dumps(summary, allow_nan=False)
    assert "wall" not in document
    parts = summary["parts_ms"]
    total = parts["network"] + parts["queue"] + parts["service"]
    assert total == pytest.approx(summary["latency_ms"]["mean"], abs=0.01)


def test_a_run_nobody_answered_has_a_summary(run: Run) -> None:
    it = with_latency(run, [inf] * len(run.latency_ms))
    summary = it.summary()
    assert summary["latency_ms"]["mean"] is None
    assert summary["latency_ms"]["p99"] is None
    assert summary["prediction"] == {"bias_ms": None, "mae_ms": None}
    json.dumps(summary, allow_nan=False)
