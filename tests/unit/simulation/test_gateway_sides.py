from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.api import ConfigError, PluginError, Query
from gateway.config.settings import Policy
from gateway.routing import Router
from gateway.simulation.gateway_sides import gateway_sides
from gateway.simulation.scenario import Scenario
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]


def test_every_gateway_has_knowledge_of_its_own(plan: Make) -> None:
    sides = gateway_sides(world_of(plan()), "p", Policy(), seed=1, registry=None)
    assert len(sides) == 4
    first, second = sides[0].router, sides[1].router
    assert isinstance(first, Router)
    assert first.table is not second.table
    decision = first.decide(Query(0, "emulated"), 0.0)
    first.commit(decision, 0.0)
    assert first.table.columns["in_flight"].sum() == 1
    assert second.table.columns["in_flight"].sum() == 0


def test_gateways_know_nominal_ways_and_declared_speeds_only(plan: Make) -> None:
    scenario = plan(speeds__groups=[{"factor": 4.0, "count": 12}])
    world = world_of(scenario)
    (side, *_) = gateway_sides(world, "p", Policy(), seed=1, registry=None)
    rtt = side.router.table.row_tables["rtt_ms"].row(0)
    assert np.all(rtt <= world.nominal_ms[0] + 1e-6)
    assert {center.speed_factor for center in side.router.table.centers} == {1.0}


def test_speeds_may_be_declared(plan: Make) -> None:
    scenario = plan(speeds={"groups": [{"factor": 4.0, "count": 12}], "declared": True})
    (side, *_) = gateway_sides(world_of(scenario), "p", Policy(), seed=1, registry=None)
    assert sorted(c.speed_factor for c in side.router.table.centers) == [1.0] * 12 + [4.0] * 12


def test_a_wrong_policy_is_refused(plan: Make) -> None:
    with pytest.raises(ConfigError, match=r"policies\.p\.picker"):
        gateway_sides(world_of(plan()), "p", Policy(picker="none"), seed=1, registry=None)


def test_sources_fill_their_columns_once(plan: Make, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[surcharge_ms]\na1 = 7.5\n")
    policy = Policy(
        scorers=("network", "queue", "service", "surcharge"),
        sources=({"name": "surcharge_file", "path": "s.toml"},),
    )
    scenario = plan(folder=str(tmp_path), fleet__file="metro.toml")
    (side, *_) = gateway_sides(world_of(scenario), "p", policy, seed=1, registry=None)
    columns = side.router.table.columns
    (name,) = [key for key in columns if key.startswith("surcharge_file.")]
    assert columns[name][0] == 7.5


def test_a_source_without_its_file_is_told(plan: Make) -> None:
    policy = Policy(
        scorers=("network", "surcharge"), sources=({"name": "surcharge_file", "path": "no.toml"},)
    )
    with pytest.raises((ConfigError, PluginError)):
        gateway_sides(world_of(plan()), "p", policy, seed=1, registry=None)
