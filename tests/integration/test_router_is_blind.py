"""What the emulator knows the router must not: seed and faults do not move a first decision."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import Query
from gateway.config import load_settings
from gateway.runtime.gateway import Gateway

ORIGINS = ("Shanghai", "Beijing", "Chengdu", "Hohhot", "Urumqi", "Nanjing", "Sao Paulo", "Lagos")
MODELS = ("blast-furnace", "grid-load", "rail-inspection")


async def first_decisions(*, faults: bool = False, **flags: Any) -> list[tuple[int, float]]:
    """(center, predicted ms) of the first decision a fresh gateway makes, by origin and model."""
    settings = load_settings(None, {"routing.seed": 1, **flags}).settings
    gateway = Gateway(settings, asyncio.get_running_loop())
    try:
        await gateway.load_models()
        if faults:
            for row in range(len(gateway.ports)):
                gateway.faults.set(row, "slow", 50.0, None)
                gateway.faults.set(row, "delay", 40.0 + row, None)
        deciding = gateway.deciding
        found = []
        for origin in ORIGINS:
            for model in MODELS:
                query = Query(deciding.find_vantage(origin), model)
                decision = deciding.router.decide(query, 0.0)
                found.append((decision.center, round(decision.predicted_ms - service(decision), 4)))
        return found
    finally:
        await gateway.close()


def service(decision: Any) -> float:
    """The measured run time differs from start to start; it is no secret of the emulator's."""
    return float(decision.parts_ms[2])


@pytest.mark.parametrize(
    "changed",
    [{"network.seed": 99}, {"network.seed": 7, "network.jitter": False}, {"faults": True}],
)
async def test_seed_and_faults_move_no_first_decision(changed: dict[str, Any]) -> None:
    assert await first_decisions(**changed) == await first_decisions()


async def test_the_test_would_see_a_change_that_the_router_may_know() -> None:
    assert await first_decisions(**{"network.profile": "internet"}) != await first_decisions()
