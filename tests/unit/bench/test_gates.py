"""A gate holds by the worse end of its interval, and what is not measured does not hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.policies import grid
from bench.policies.cells import ORACLE, Arm, Cell, Condition, Figures, Series, Stored
from bench.policies.choosing import labels_of
from bench.policies.conditions import Event, full
from bench.policies.evidence import Evidence
from bench.policies.gates import Gate, judge, tally
from bench.policies.latency_histogram import counted
from bench.policies.tables import gates_table, losing_table
from gateway.measure.intervals import NOTHING, Interval

OURS, P2C = "ours", "two_choices_least_request"


def gate(low: float, value: float, high: float, limit: float, **more: object) -> Gate:
    return Gate("group", "claim", limit, Interval(low, value, high), **more)  # type: ignore[arg-type]  # keywords of a test


@pytest.mark.parametrize(
    ("one", "ruling"),
    [
        (gate(0.5, 0.6, 0.7, 0.7), "holds"),
        (gate(0.5, 0.6, 0.71, 0.7), "does not hold"),
        (gate(0.5, 0.6, 0.7, 0.7, strict=True), "does not hold"),
        (gate(0.9, 0.95, 0.99, 0.9, low_is_good=False), "holds"),
        (gate(0.89, 0.95, 0.99, 0.9, low_is_good=False), "does not hold"),
        (gate(-math.inf, 0.1, math.inf, 0.7), "does not hold"),
        (Gate("group", "claim", 1.0, NOTHING), "not measured"),
    ],
)
def test_the_worse_end_decides(one: Gate, ruling: str) -> None:
    assert one.ruling == ruling


def stored(condition: str, label: str, seed: int, latency_ms: np.ndarray, **more: object) -> Stored:
    figures = Figures(
        requests=latency_ms.size,
        simulated=latency_ms.size,
        failed=int(np.isinf(latency_ms).sum()),
        within=int((latency_ms <= 10.0).sum()),
        duration_s=1.0,
        sum_ms=float(latency_ms[np.isfinite(latency_ms)].sum()),
        cpu_s=0.1,
        counts=counted(latency_ms),
        **more,  # type: ignore[arg-type]  # keywords of a test
    )
    asked = Condition(name=condition, scenario="s", load=0.8, requests=0, family="s")
    return Stored(
        cell=Cell(condition=asked, arm=Arm(label=label, policy=label), seed=seed), figures=figures
    )


def evidence() -> Evidence:
    cells = []
    for seed in range(1, 11):
        base = np.random.default_rng(seed).lognormal(1.0, 0.3, 5_000)
        for label, scale in ((OURS, 0.2), (P2C, 1.0), (ORACLE, 0.15), ("peak_ewma", 0.19)):
            cells += [
                stored(condition, label, seed, scale * base, feasible=1.0)
                for condition in ("S1 at .8", "S1 at .6")
            ]
    return Evidence.of(cells)


def test_the_table_of_gates_from_known_figures() -> None:
    gates = {one.claim: one for one in judge(evidence(), OURS, {})}
    assert gates[f"p99 / {P2C}, S1 at .8"].measured.value == pytest.approx(0.2, rel=0.02)
    assert gates[f"p99 / {P2C}, S1 at .6"].ruling == "holds"
    assert gates["p99 / peak_ewma, S1 at .8"].ruling == "does not hold"
    assert gates["p99 / peak_ewma, worst of all conditions"].measured.value > 1.04
    assert gates["p99 / best rival, S1 at .8"].note == "peak_ewma"
    assert gates["p99 / random, S0 at .8"].ruling == "not measured"
    assert gates["p99 / oracle, S1 at .8"].measured.value == pytest.approx(4 / 3, rel=0.02)
    held, missed, unknown = tally(list(gates.values()))
    assert min(held, missed, unknown) > 0
    rows = gates_table(list(gates.values())).rows
    assert {row[1] for row in rows} == {"holds", "does not hold", "not measured"}


def test_losing_cells_are_shown() -> None:
    rows = losing_table(evidence(), OURS, [P2C, "peak_ewma"]).rows
    assert {row[:2] for row in rows} == {("S1 at .8", "peak_ewma"), ("S1 at .6", "peak_ewma")}
    assert {"p50", "p99", "mean"} <= {row[2] for row in rows}


def with_series(within: list[int], seed: int) -> Stored:
    bins = len(within)
    course = Series(
        bin_s=0.1,
        offered=[100] * bins,
        within=within,
        failed=[0] * bins,
        could_shift=[10] * bins,
        shifted=[10] * 100 + [10, 8, 3, 0] + [0] * (bins - 104),
    )
    return stored("S3 refuse", OURS, seed, np.full(100, 1.0), series=course, event_failed=0.001)


def test_recovery_is_counted_from_the_event_to_the_level_it_settles_at() -> None:
    course = [100] * 100 + [0, 0, 96, 0, 50, 91, 92, 91] + [90, 89] * 50
    found = Evidence.of(with_series(course, seed) for seed in range(10))
    recovered = found.recovery_s("S3 refuse", OURS, 10.0, 20.0)
    assert recovered.value == pytest.approx(0.5)
    gates = {one.claim: one for one in judge(found, OURS, {"S3 refuse": Event(10.0, 20.0, "x")})}
    assert gates["back to 95 %, S3 refuse"].ruling == "holds"
    assert gates["failed while a region refuses, S3 refuse"].ruling == "holds"


def test_what_never_recovers_is_never_back() -> None:
    swinging = [100] * 100 + [100, 0] * 60
    found = Evidence.of([with_series(swinging, 1), with_series(swinging, 2)])
    assert found.recovery_s("S3 refuse", OURS, 10.0, 20.0).value == math.inf


def test_traffic_that_leaves_a_longer_path() -> None:
    found = Evidence.of(with_series([100] * 300, seed) for seed in range(10))
    assert found.reranked_s("S3 refuse", OURS, 10.0, 20.0).value == pytest.approx(0.3)
    assert math.isnan(found.recovery_s("S3 refuse", P2C, 10.0, 20.0).value)


def test_every_gate_is_about_a_condition_and_policies_that_the_full_run_has() -> None:
    asked = {one.condition.name: labels_of(one.who) for one in full()}
    for one in judge(Evidence(), grid.OURS, {}):
        _, _, rest = one.claim.rpartition(" / ")
        other, comma, condition = rest.partition(", ")
        if one.claim.endswith("worst of all conditions") or other == "best rival":
            continue
        found = [name for name in asked if one.claim.endswith(name)]
        assert found, one.claim
        if comma and condition in asked and other in grid.BASELINES:
            assert other in asked[condition], one.claim
