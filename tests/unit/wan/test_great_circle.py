"""Distances on the globe."""

import numpy as np
import pytest

from gateway.api import Location
from gateway.wan.great_circle import EARTH_RADIUS_KM, distances_km, unit_vectors

PARIS = Location(48.8566, 2.3522)
LONDON = Location(51.5074, -0.1278)


def test_a_known_distance() -> None:
    assert distances_km(PARIS, [LONDON])[0] == pytest.approx(343.6, abs=0.5)


def test_a_point_is_nowhere_from_itself_and_half_a_turn_from_its_antipode() -> None:
    antipode = Location(-PARIS.lat, PARIS.lon - 180)
    km = distances_km(PARIS, [PARIS, antipode])
    assert km[0] == 0.0
    assert km[1] == pytest.approx(np.pi * EARTH_RADIUS_KM, rel=1e-6)


def test_the_date_line_is_no_border() -> None:
    km = distances_km(Location(0, 179.5), [Location(0, -179.5)])
    assert km[0] == pytest.approx(np.radians(1) * EARTH_RADIUS_KM)


def test_no_ends_give_no_distances() -> None:
    assert distances_km(PARIS, []).shape == (0,)


def test_the_order_of_dot_products_is_the_order_of_distances() -> None:
    rng = np.random.default_rng(3)
    points = [Location(lat, lon) for lat, lon in rng.uniform((-90, -180), (90, 180), (200, 2))]
    nearness = unit_vectors(points) @ unit_vectors([PARIS])[0]
    assert list(np.argsort(-nearness)) == list(np.argsort(distances_km(PARIS, points)))
