"""Distances on the globe: the haversine formula on a sphere of the Earth's mean radius."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.api import Location

EARTH_RADIUS_KM = 6371.0088


def distances_km(start: Location, ends: Sequence[Location]) -> NDArray[np.float64]:
    """Great-circle distance from ``start`` to each of ``ends``: float64[N], km."""
    lat, lon = _radians(ends)
    start_lat, start_lon = np.radians([start.lat, start.lon])
    half_chord = (
        np.sin((lat - start_lat) / 2) ** 2
        + np.cos(start_lat) * np.cos(lat) * np.sin((lon - start_lon) / 2) ** 2
    )
    km: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(half_chord, 1.0)))
    return km


def unit_vectors(points: Sequence[Location]) -> NDArray[np.float64]:
    """Points of the unit sphere, float64[N, 3]: the nearest has the greatest dot product."""
    lat, lon = _radians(points)
    return np.column_stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))


def _radians(points: Sequence[Location]) -> NDArray[np.float64]:
    """Latitudes and longitudes: float64[2, N]."""
    degrees = np.array([(point.lat, point.lon) for point in points], dtype=np.float64)
    radians: NDArray[np.float64] = np.radians(degrees.reshape(-1, 2)).T
    return radians
