"""What fails together, by row."""

from __future__ import annotations

import pytest

from gateway.api import Center, Location
from gateway.routing.domains import Domains

HERE = Location(0.0, 0.0)
PLACES = [  # region, zone, city: two regions stand in one city
    ("east", "a", "x"),
    ("east", "a", "x"),
    ("east", "b", "x"),
    ("other", "a", "x"),
    ("west", "a", "y"),
]


@pytest.fixture
def domains() -> Domains:
    return Domains([Center(f"c{n}", *place, "CN", HERE) for n, place in enumerate(PLACES)])


def test_a_zone_belongs_to_its_region(domains: Domains) -> None:
    assert domains.zones([0]) == {0, 1}
    assert domains.zones([3]) == {3}
    assert domains.zones([1, 2, 4]) == {0, 1, 2, 4}


def test_regions_are_told_once_each(domains: Domains) -> None:
    assert domains.regions([0, 2]) == {(0, 1, 2)}
    assert domains.regions([1, 4]) == {(0, 1, 2), (4,)}


def test_a_city_fails_when_two_were_tried_there_whatever_their_regions(domains: Domains) -> None:
    assert domains.failing_cities([0]) == set()
    assert domains.failing_cities([0, 4]) == set()
    assert domains.failing_cities([0, 3]) == {0, 1, 2, 3}


def test_cities_of_one_name_in_two_countries_are_two() -> None:
    domains = Domains(
        [Center(f"c{n}", f"r{n}", "a", "x", land, HERE) for n, land in enumerate(("CN", "US"))]
    )
    assert domains.failing_cities([0, 1]) == set()
