"""Small worlds for the simulation's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.config.settings import Policy
from gateway.simulation.scenario import Scenario, scenario_of

RANDOM = Policy(scorers=("network", "queue", "service"), picker="two_choices")


@pytest.fixture
def plan() -> Callable[..., Scenario]:
    """A metro of 24 centers with 4 gateways; changes are keys of the file."""

    def make(**changes: Any) -> Scenario:
        base = scenario_of(
            {
                "name": "small",
                "description": "a small one",
                "warm_up_s": 0.2,
                "requests": 2000,
                "fleet": {"file": "metro.toml"},
                "network": {"metro": {}},
                "gateways": {
                    "count": 4,
                    "at": "places",
                    "places": ["metro-a", "metro-b", "metro-c"],
                },
            },
            "test",
        )
        return base.with_(**changes) if changes else base

    return make
