"""The levers of a center process: faults at its centers, and what it leaves to the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.api import InvalidRequest, Query, Unsupported
from gateway.config import load_settings
from gateway.runtime.center import CenterProcess
from gateway.runtime.center_plan import CenterPlan


@pytest.fixture
async def process() -> AsyncIterator[CenterProcess]:
    settings = load_settings(None, {"fleet.sites": "core"}).settings
    plan = CenterPlan(region="cn-east-4", port=0, emulate_wan=True)
    made = CenterProcess(settings, plan, asyncio.get_running_loop())
    yield made
    await made.close()


async def test_faults_by_center_region_and_path(process: CenterProcess) -> None:
    control = process.control
    control.set_fault("cn-east-4b", "slow", 3.0, None)
    control.set_fault("cn-east-4", "delay", 5.0, "Shanghai")
    faults = control.faults()
    assert {"center": "cn-east-4b", "kind": "slow", "value": 3.0, "vantage": None} in faults
    delayed = [fault["center"] for fault in faults if fault["vantage"] == "Shanghai"]
    assert delayed == [center.id for center in process.centers]
    row = next(row for row in control.fleet_state() if row["center"] == "cn-east-4b")
    assert {fault["kind"] for fault in row["faults"]} == {"slow", "delay"}
    assert control.clear_faults("cn-east-4b") == 2
    assert control.clear_faults(None) == len(process.centers) - 1
    assert control.faults() == []


async def test_what_is_not_its_own_is_refused(process: CenterProcess) -> None:
    control = process.control
    with pytest.raises(InvalidRequest, match="neither a center nor a region of this process"):
        control.set_fault("cn-north-9a", "down", 1.0, None)
    with pytest.raises(Unsupported):
        control.explain(Query(0, "m"))
    with pytest.raises(Unsupported):
        control.drain("cn-east-4b", draining=True)


async def test_its_state(process: CenterProcess) -> None:
    state = process.control.gateway_state()
    assert state["emulates"].startswith("cloud, seed 1")
    assert (state["connections"], state["in_flight"], state["ready"]) == (0, 0, False)
