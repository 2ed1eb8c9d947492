"""Who is inside by the model, and how far a round trip reaches."""

from typing import Any

import numpy as np
import pytest

from gateway.api import Center, ConfigError, Location, Place
from gateway.measure.service_area import (
    AreaRules,
    ServiceArea,
    fibre_radius_km,
    radius_km,
    survey,
)
from gateway.wan import PROFILES, PathModel, load_cities

CLOUD = PROFILES["cloud"]
MODEL = PathModel(CLOUD, border_ms=60.0, last_mile_ms=0.0)


def center(name: str, lat: float, lon: float, zone: str = "a") -> Center:
    return Center(
        id=f"{name}{zone}",
        region=name,
        zone=zone,
        city=name,
        country="CN",
        location=Location(lat, lon),
    )


WUHU = center("Wuhu", 31.33, 118.38)


def place(name: str, lat: float, lon: float, people: int, country: str = "CN") -> Place:
    return Place(name, country, Location(lat, lon), people)


NEAR = place("Nanjing", 32.06, 118.78, 9_000_000)
FAR = place("Urumqi", 43.8, 87.6, 3_000_000)
ABROAD = place("Paris", 48.85, 2.35, 2_000_000, "FR")


def small_area(**rules: Any) -> ServiceArea:
    return survey([FAR, NEAR, ABROAD], [WUHU], MODEL, AreaRules(**rules))


def test_the_near_city_is_inside_the_far_one_is_not_and_foreigners_do_not_count() -> None:
    area = small_area()
    assert [city.name for city in area.cities] == ["Nanjing", "Urumqi"]
    assert area.inside == (True, False)
    assert area.people_inside == 9_000_000
    assert area.coverage.people == 12_000_000
    assert area.coverage.inside == pytest.approx(0.75)


def test_a_bigger_budget_shrinks_the_area_and_is_custom() -> None:
    cities = load_cities()
    usual, more = (
        survey(cities, [WUHU], MODEL, AreaRules(service_budget_ms=budget)) for budget in (1.0, 3.0)
    )
    assert {c.name for c in more.members} < {c.name for c in usual.members}
    assert more.rules.custom
    assert not usual.rules.custom


def test_one_way_counts_half_the_network_so_the_limit_doubles() -> None:
    rules = AreaRules(reading="one-way")
    assert rules.network_ms_max == pytest.approx(18.0)
    assert rules.network_part(np.array([18.0])).tolist() == [9.0]
    assert AreaRules().network_ms_max == pytest.approx(9.0)


def test_the_bounds_are_in_order() -> None:
    coverage = survey(load_cities(), [WUHU], MODEL, AreaRules()).coverage
    assert coverage.inside <= coverage.zero_service
    assert coverage.typical < coverage.fibre
    assert coverage.seeds_low <= coverage.seeds_median <= coverage.seeds_high
    assert coverage.seeds_low < coverage.seeds_high


def test_the_network_is_the_path_of_the_seed_plus_the_median_jitter() -> None:
    paths_ms = MODEL.path_ms(NEAR, [WUHU], 7)
    with_jitter = small_area(seed=7).cities[0].network_ms
    without = small_area(seed=7, jitter=False).cities[0].network_ms
    assert with_jitter == pytest.approx(paths_ms[0] + CLOUD.jitter_median_ms)
    assert without == pytest.approx(paths_ms[0])


def test_the_best_of_several_zones_counts_in_every_seed() -> None:
    zones = [center("Wuhu", 31.33, 118.38, zone) for zone in "abcd"]
    area = survey([NEAR], zones, MODEL, AreaRules(target_ms=5.3))
    alone = [
        min(MODEL.path_ms(NEAR, zones, seed)) + CLOUD.jitter_median_ms <= 4.3
        for seed in range(1, 101)
    ]
    assert area.cities[0].seeds_inside == pytest.approx(np.mean(alone))
    assert 0.0 < area.cities[0].seeds_inside < 1.0


def test_membership_by_origin_name() -> None:
    assert small_area().inside_of(["Urumqi", "Nanjing", "Atlantis"]).tolist() == [
        False,
        True,
        False,
    ]


def test_the_knife_edge_holds_what_lies_near_the_limit_on_both_sides() -> None:
    area = survey(load_cities(), [WUHU], MODEL, AreaRules())
    spare_ms = [area.rules.network_ms_max - city.network_ms for city in area.knife_edge]
    assert min(spare_ms) < 0 < max(spare_ms)
    assert max(abs(ms) for ms in spare_ms) <= 0.5


@pytest.mark.parametrize("km", [10.0, 331.7, 1000.0, 1600.0])
def test_the_radius_is_the_path_model_solved_for_the_distance(km: float) -> None:
    typical_ms = CLOUD.base_ms + CLOUD.near_ms * min(km, 1000) / 100
    typical_ms += CLOUD.far_ms * max(km - 1000, 0) / 100
    assert radius_km(CLOUD, typical_ms) == pytest.approx(km)


def test_no_time_no_radius() -> None:
    assert radius_km(CLOUD, CLOUD.base_ms - 0.1) == 0.0
    assert fibre_radius_km(-1.0) == 0.0
    assert fibre_radius_km(0.979) == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"service_budget_ms": 10.0}, "--service-budget-ms"),
        ({"service_budget_ms": -1.0}, "0 <= budget < target"),
        ({"reading": "both-ways"}, "round-trip or one-way"),
    ],
)
def test_impossible_rules_are_refused(rules: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AreaRules(**rules)


def test_nobody_inside_says_who_is_nearest() -> None:
    with pytest.raises(ConfigError, match=r"nearest, Nanjing.*--target-ms"):
        small_area(target_ms=2.0)


def test_no_center_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 centers and 1 mainland"):
        survey([NEAR], [], MODEL, AreaRules())
