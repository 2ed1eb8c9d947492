"""The path model against the figures it was fitted to, and what of it the router may know."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gateway.api import Center, Location, Place
from gateway.config.fleet_file import load_fleet
from gateway.wan.paths import (
    FIBRE_MS_PER_KM,
    PROFILES,
    PathModel,
    fibre_ms,
    pair_factors,
    zone_offsets_ms,
)
from gateway.wan.places import Gazetteer, load_cities

FLEET = load_fleet(None, "all")
CORE = load_fleet(None, "core")
GAZETTEER = Gazetteer(load_cities(), FLEET)
CLOUD = PathModel(PROFILES["cloud"], border_ms=60.0, last_mile_ms=0.0)


def place(name: str) -> Place:
    return GAZETTEER.places[GAZETTEER.find(name)]


def at(target: Place, center_id: str = "x") -> Center:
    return Center(center_id, "x", center_id, target.name, target.country, target.location)


def of(*ids: str) -> list[Center]:
    return [center for center in FLEET if center.id in ids]


@pytest.mark.parametrize(
    ("origin", "target", "ms"),
    [
        ("Shanghai", "cn-east-4a", 8.2),
        ("Beijing", "cn-north-9a", 8.5),
        ("Shanghai", "Hangzhou", 5.6),
        ("Shanghai", "Zhangjiakou", 26.1),
        ("Shanghai", "Shenzhen", 26.0),
    ],
)
def test_known_round_trips(origin: str, target: str, ms: float) -> None:
    centers = of(target) or [at(place(target))]
    assert round(float(CLOUD.prior_ms(place(origin), centers)[0]), 1) == ms


def share_within(ms: float, centers: Sequence[Center], *, fibre: bool) -> float:
    """Per cent of the people of the 142 mainland cities with a round trip of at most ``ms``."""
    cities = [GAZETTEER.places[vantage] for vantage in GAZETTEER.cities_in("mainland")]
    people = np.array([city.population for city in cities])
    rtt = fibre_ms if fibre else CLOUD.prior_ms
    nearest_ms = np.array([rtt(city, centers).min() for city in cities])
    return float(100 * people[nearest_ms <= ms].sum() / people.sum())


@pytest.mark.parametrize(
    ("centers", "service_ms", "fibre", "per_cent"),
    [
        (CORE, 2, False, 18),
        (CORE, 1, False, 31),
        (FLEET, 2, False, 56),
        (FLEET, 1, False, 61),
        (CORE, 2, True, 81),
        (FLEET, 2, True, 92),
    ],
)
def test_coverage_of_the_mainland_by_people(
    centers: tuple[Center, ...], service_ms: float, fibre: bool, per_cent: float
) -> None:
    assert share_within(10 - service_ms, centers, fibre=fibre) == pytest.approx(per_cent, abs=0.6)


def test_two_slopes_meet_at_1000_km() -> None:
    equator = Place("Zero", "XX", Location(0, 0))
    degrees = [km / 111.19508 for km in (999.9, 1000.0, 1000.1, 2000.0)]
    centers = [replace(FLEET[0], country="XX", location=Location(0, lon)) for lon in degrees]
    ms = CLOUD._path_ms(equator, centers, 1.0)
    assert ms[1] == pytest.approx(2.3 + 10 * 2.02, abs=1e-3)
    assert ms[1] - ms[0] == pytest.approx(0.1 * 2.02 / 100, rel=0.01)
    assert ms[2] - ms[1] == pytest.approx(0.1 * 1.65 / 100, rel=0.01)
    assert ms[3] == pytest.approx(2.3 + 10 * 2.02 + 10 * 1.65, abs=1e-3)


def test_the_prior_is_float32_and_knows_neither_seed_nor_zone() -> None:
    prior_ms = CLOUD.prior_ms(place("Shanghai"), FLEET)
    assert prior_ms.dtype == np.float32
    assert prior_ms.shape == (88,)
    zones = [row for row, center in enumerate(FLEET) if center.region == "cn-southwest-2"]
    assert len(set(prior_ms[zones].tolist())) == 1


def test_the_seed_moves_paths_and_only_paths() -> None:
    shanghai = place("Shanghai")
    before = CLOUD.prior_ms(shanghai, FLEET)
    one, two = CLOUD.path_ms(shanghai, FLEET, 1), CLOUD.path_ms(shanghai, FLEET, 2)
    assert one.dtype == np.float64
    assert (one != two).all()
    assert (one == CLOUD.path_ms(shanghai, FLEET, 1)).all()
    assert (before == CLOUD.prior_ms(shanghai, FLEET)).all()


def test_a_path_does_not_depend_on_who_else_is_in_the_fleet() -> None:
    alone = CLOUD.path_ms(place("Beijing"), of("cn-east-4b"), 7)
    together = CLOUD.path_ms(place("Beijing"), FLEET, 7)
    row = [center.id for center in FLEET].index("cn-east-4b")
    assert alone[0] == together[row]


def test_hashes_are_the_same_on_every_machine() -> None:
    factor = pair_factors(place("Shanghai"), of("cn-east-4a"), 1, PROFILES["cloud"])[0]
    assert factor == pytest.approx(0.956726, abs=1e-6)
    assert zone_offsets_ms(of("cn-east-4a"), 1)[0] == pytest.approx(0.384034, abs=1e-6)


def test_zones_of_a_city_share_luck_and_differ_by_a_fixed_offset() -> None:
    guiyang = [center for center in FLEET if center.city == "Guiyang"]
    factors = pair_factors(place("Shanghai"), guiyang, 3, PROFILES["cloud"])
    assert len(set(factors.tolist())) == 1
    offsets_ms = zone_offsets_ms(guiyang, 3)
    assert len(set(offsets_ms.tolist())) == 6
    for origin in ("Shanghai", "Beijing"):
        ms = CLOUD.path_ms(place(origin), guiyang, 3)
        assert ms - ms[0] == pytest.approx(offsets_ms - offsets_ms[0])


def test_factors_are_as_wide_as_the_profile_says() -> None:
    profile = PROFILES["cloud"]
    one = of("cn-east-4a")
    logs = np.log([pair_factors(p, one, s, profile)[0] for p in GAZETTEER.places for s in range(9)])
    assert np.median(logs) == pytest.approx(0, abs=0.03)
    assert np.percentile(logs, 15.87) == pytest.approx(-profile.sigma_better, abs=0.02)
    assert np.percentile(logs, 84.13) == pytest.approx(profile.sigma_worse, abs=0.04)
    assert logs.min() == pytest.approx(-2 * profile.sigma_better)
    assert logs.max() == pytest.approx(2 * profile.sigma_worse)


def test_offsets_stay_between_their_bounds() -> None:
    offsets_ms = np.concatenate([zone_offsets_ms(FLEET, seed) for seed in range(10)])
    assert 0.05 <= offsets_ms.min() < 0.06
    assert 0.49 < offsets_ms.max() <= 0.5


def test_no_luck_beats_the_floor_over_fibre() -> None:
    lucky = PathModel(
        replace(PROFILES["premium"], base_ms=0.0, near_ms=0.1, far_ms=0.1),
        border_ms=0.0,
        last_mile_ms=0.0,
    )
    shanghai = place("Shanghai")
    floor_ms = 1.15 * fibre_ms(shanghai, FLEET) + 0.2
    assert lucky.prior_ms(shanghai, FLEET) == pytest.approx(floor_ms, rel=1e-6)
    path_ms = lucky.path_ms(shanghai, FLEET, 1) - zone_offsets_ms(FLEET, 1)
    assert path_ms == pytest.approx(floor_ms)


@pytest.mark.parametrize(
    ("origin", "target", "crosses"),
    [
        ("Shenzhen", "ap-southeast-1a", True),
        ("Hong Kong", "cn-south-2a", True),
        ("Hong Kong", "ap-southeast-1a", False),
        ("Taipei", "ap-southeast-1a", False),
        ("Paris", "ru-moscow-1a", False),
        ("Shenzhen", "cn-south-1a", False),
    ],
)
def test_the_border_term_is_paid_when_one_end_is_on_the_mainland(
    origin: str, target: str, crosses: bool
) -> None:
    free = PathModel(PROFILES["cloud"], border_ms=0.0, last_mile_ms=0.0)
    start, centers = place(origin), of(target)
    extra_ms = CLOUD.path_ms(start, centers, 5) - free.path_ms(start, centers, 5)
    assert extra_ms == pytest.approx(60.0 if crosses else 0.0)


def test_the_last_mile_is_paid_on_every_path() -> None:
    model = PathModel(PROFILES["cloud"], border_ms=60.0, last_mile_ms=3.5)
    start = place("Wuhan")
    assert model.path_ms(start, FLEET, 1) - CLOUD.path_ms(start, FLEET, 1) == pytest.approx(3.5)
    prior_ms = model.prior_ms(start, FLEET) - CLOUD.prior_ms(start, FLEET)
    assert prior_ms == pytest.approx(3.5, abs=1e-3)


def test_fibre_is_straight() -> None:
    hangzhou = at(place("Hangzhou"))
    assert fibre_ms(place("Shanghai"), [hangzhou])[0] == pytest.approx(1.58, abs=0.01)
    assert pytest.approx(0.979) == FIBRE_MS_PER_KM * 100


def test_a_better_profile_is_faster_everywhere() -> None:
    priors = [
        PathModel(PROFILES[name], border_ms=0, last_mile_ms=0).prior_ms(place("Wuhan"), FLEET)
        for name in ("premium", "cloud", "internet")
    ]
    assert (priors[0] < priors[1]).all()
    assert (priors[1] < priors[2]).all()
