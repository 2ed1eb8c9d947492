"""Which processes a plan needs; the stage itself stands in the integration test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.api import Center, ConfigError, Location
from gateway.measure.chaos.plan import ChaosPlan, Fault
from gateway.measure.chaos.stage import stage_plan

CENTERS = tuple(
    Center(f"{r}-{z}", r, f"{r}-{z}", "Wuxi", "CN", Location(31.0, 120.0))
    for r in ("near", "next")
    for z in "ab"
)


def plan(*faults: tuple[str, str]) -> ChaosPlan:
    made = tuple(Fault(1.0, 1.0, kind, target) for kind, target in faults)  # type: ignore[arg-type]
    return ChaosPlan("t", made)


def test_only_what_is_harmed_from_outside_stands_alone() -> None:
    made = stage_plan((plan(("kill", "near-a")), plan(("slow", "next-a"))), CENTERS, {})
    assert made.alone == {"near-a"}
    assert made.proxied == frozenset()
    assert made.workers == 1


def test_a_way_that_breaks_needs_a_proxy() -> None:
    made = stage_plan((plan(("garbage", "near"), ("stop", "next-b")),), CENTERS, {})
    assert made.alone == {"near-a", "near-b", "next-b"}
    assert made.proxied == {"near-a", "near-b"}


def test_any_center_may_be_the_busiest() -> None:
    made = stage_plan((plan(("black_hole", "busiest")),), CENTERS, {})
    assert made.alone == made.proxied == {center.id for center in CENTERS}


def test_a_worker_to_be_killed_needs_a_sibling() -> None:
    assert stage_plan((plan(("kill_worker", "gateway")),), CENTERS, {}).workers == 2


def test_a_restart_needs_a_port_for_two() -> None:
    assert stage_plan((plan(("restart", "gateway")),), CENTERS, {}).shares_port
    assert not stage_plan((plan(("reload", "gateway")),), CENTERS, {}).shares_port


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ConfigError, match="'far'"):
        stage_plan((plan(("kill", "far")),), CENTERS, {})


def test_a_center_somewhere_else_cannot_be_harmed() -> None:
    centers = (replace(CENTERS[0], url="http://10.0.0.1:1"), *CENTERS[1:])
    with pytest.raises(ConfigError, match="near-a has a url"):
        stage_plan((plan(("kill", "near-b")),), centers, {})
