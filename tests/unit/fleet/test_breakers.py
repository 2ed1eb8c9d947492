"""Breakers: what trips, what does not, and how much errors alone may take out."""

from __future__ import annotations

from gateway.fleet.breakers import Breakers, Domain
from gateway.fleet.tuning import HealthTuning

# A city of 24 centers in three zones, and a far one of two.
CITY = [("city", zone) for zone in "abc" for _ in range(8)] + [("far", "a"), ("far", "b")]


def breakers_of(places: list[tuple[str, str]] | None = None) -> Breakers:
    return Breakers(places or CITY, HealthTuning())


def fail(breakers: Breakers, centers: range, now: float) -> list[Domain | None]:
    return [breakers.went_bad(center, now) for center in centers]


def test_a_zone_trips_when_more_than_half_of_it_fails() -> None:
    breakers = breakers_of()
    told = fail(breakers, range(5), 1.0)
    assert told[:4] == [None] * 4
    assert told[4] is not None
    assert told[4].kind == "zone"
    assert told[4].members == list(range(8))


def test_the_same_center_failing_again_counts_once() -> None:
    breakers = breakers_of()
    assert [breakers.went_bad(0, 1.0 + 0.01 * k) for k in range(20)] == [None] * 20


def test_only_what_fails_within_a_second_counts() -> None:
    breakers = breakers_of()
    assert fail(breakers, range(3), 1.0) + fail(breakers, range(3, 6), 2.1) == [None] * 6


def test_three_zones_trip_their_region() -> None:
    places = [("city", zone) for zone in "abcd" for _ in range(3)] + [("city", "x")] * 20
    breakers = breakers_of(places)
    kinds = []
    for zone in range(3):
        for center in (3 * zone, 3 * zone + 1):
            tripped = breakers.went_bad(center, 1.0 + 0.1 * zone)
            kinds.append(tripped.kind if tripped else None)
    assert kinds == [None, "zone", None, "zone", None, "region"]


def test_more_than_half_of_a_region_trips_it_whatever_the_zones() -> None:
    places = [("r", f"z{i}") for i in range(7)]
    told = fail(breakers_of(places), range(4), 1.0)
    assert told[:3] == [None] * 3
    assert told[3] is not None
    assert (told[3].kind, told[3].members) == ("region", list(range(7)))


def test_the_domains_of_a_center_are_those_that_may_trip() -> None:
    places = [("r", "a"), ("r", "a"), ("r", "b"), ("s", "a")]
    breakers = Breakers(places, HealthTuning())
    assert breakers.domains(0) == [[0, 1, 2]]
    assert breakers.domains(3) == []


def test_two_centers_make_no_domain() -> None:
    assert fail(breakers_of(), range(24, 26), 1.0) == [None, None]


def test_zones_of_the_same_name_in_two_regions_are_two() -> None:
    places = [("r", "a")] * 3 + [("s", "a")] * 3
    breakers = breakers_of(places)
    assert breakers.went_bad(0, 1.0) is None
    assert breakers.went_bad(3, 1.0) is None
    assert breakers.mates(4) == [3, 4, 5]


def test_errors_alone_take_out_a_third_of_a_zone_and_of_a_region() -> None:
    breakers = breakers_of()
    out: set[int] = set()
    for center in range(24):
        if breakers.has_room(center, out.__contains__):
            out.add(center)
    assert [sum(1 for c in out if c // 8 == zone) for zone in range(3)] == [2, 2, 2]
    assert breakers.has_room(24, out.__contains__)
    assert not breakers.has_room(25, {24}.__contains__)
