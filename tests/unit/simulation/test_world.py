from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.api import ConfigError
from gateway.simulation.scenario import Scenario, scenario_of
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]


def on_the_map(**changes: object) -> Scenario:
    base = scenario_of({"name": "m", "description": "", "fleet": {"slots": 1}}, "test")
    return base.with_(**changes) if changes else base


def test_a_metro_is_nearer_in_its_own_zone(plan: Make) -> None:
    world = world_of(plan())
    assert world.base_ms.shape == (3, 24)
    own = np.array([[c.zone == place.name for c in world.centers] for place in world.places])
    assert world.base_ms[own].max() < world.base_ms[~own].min()
    assert set(world.nominal_ms[own]) == {0.3}
    assert not np.array_equal(world.base_ms, world.nominal_ms)


def test_gateways_stand_in_the_named_zones_in_turn(plan: Make) -> None:
    world = world_of(plan())
    assert [world.places[v].name for v in world.gateway_place] == [
        *("metro-a", "metro-b", "metro-c", "metro-a")
    ]


def test_an_unknown_zone_is_refused(plan: Make) -> None:
    with pytest.raises(ConfigError, match="'metro-z' is no zone"):
        world_of(plan(gateways__places=["metro-z"]))


def test_on_the_map_every_city_weighs_as_much_as_its_people() -> None:
    world = world_of(on_the_map())
    assert len(world.centers) == 88
    assert world.weights.sum() == pytest.approx(1.0)
    assert world.places[int(world.weights.argmax())].name == "Shanghai"
    assert all(center.slots == 1 for center in world.centers)


def test_a_tier_leaves_the_others_out() -> None:
    world = world_of(on_the_map(origins__tier="mainland"))
    assert {p.country for p, w in zip(world.places, world.weights, strict=True) if w} == {"CN"}


def test_origins_are_dealt_out_evenly_among_gateways() -> None:
    world = world_of(on_the_map(gateways__count=4))
    shares = np.bincount(world.gateway_of, weights=world.weights)
    assert len(shares) == 4
    assert shares.max() < 1.1 * shares.min()


def test_gateways_at_places_serve_the_origins_around_them() -> None:
    world = world_of(
        on_the_map(gateways__at="places", gateways__count=2, gateways__places=["Beijing", "Paris"])
    )
    assert world.gateway_of[world.find("Tianjin")] == 0
    assert world.gateway_of[world.find("Moscow")] == 1


def test_another_network_seed_is_another_network() -> None:
    one, two = world_of(on_the_map()), world_of(on_the_map(network__seed=2))
    assert not np.array_equal(one.base_ms, two.base_ms)
    assert np.array_equal(one.nominal_ms, two.nominal_ms)


def test_copies_stand_where_the_one_stood() -> None:
    world = world_of(on_the_map(fleet__copies=3))
    assert len({center.id for center in world.centers}) == 264
    assert world.nominal_ms[0, 0] == world.nominal_ms[0, 1]


def test_a_wrong_city_list_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("name,country\nParis,FR\n")
    plan = scenario_of(
        {
            "name": "m",
            "description": "",
            "folder": str(tmp_path),
            "origins": {"cities": "c.csv"},
        },
        "test",
    )
    with pytest.raises(ConfigError, match="expected the columns"):
        world_of(plan)


def test_an_unknown_place_is_refused() -> None:
    with pytest.raises(ConfigError, match="Atlantis"):
        world_of(on_the_map()).find("Atlantis")
