"""The path model: the round trip from a place to a center, by distance and a pair's luck.

    rtt = a + b1 * min(d, 1000) / 100 + b2 * max(d - 1000, 0) / 100        d in km, rtt in ms
    path = max(rtt * exp(z * s), 1.15 * fibre + 0.2) + border + last mile + zone offset

A profile's constants are quantile regressions of measured round trips: between about a
thousand pairs of public cloud regions within 2 500 km, for ``internet`` between some ten
thousand pairs of public hosts within 2 000 km. So ``a`` and ``b`` are what a path typically
costs, not what physics allows. ``s`` is the spread that was left around the fit. ``z`` is a
standard normal clipped to two sigma, drawn once a pair of (place, city) from a hash: two
zones of one city share their way there, else the luckiest of all zones would win and
coverage would inflate.

What is assumed, not measured: the spread and jitter of ``premium``, the border term, the
last mile (0 unless set) and the 0.05-0.5 ms by which zones of one city differ. No path from
the shipped sites themselves was measured.

The *prior* is the same model without luck: factor 1, no zone offset, no seed. It is all the
fleet may know before the first answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gateway.api import F32N, Center, Place
from gateway.wan.great_circle import distances_km
from gateway.wan.places import is_mainland

F64N = NDArray[np.float64]

FIBRE_MS_PER_KM = 0.00979
"""Round trip of light in fibre (refractive index 1.468) laid straight: 0.979 ms per 100 km."""

FLOOR_OVER_FIBRE = 1.15
FLOOR_MS = 0.2
NEAR_KM = 1000.0
FACTOR_SIGMAS_MAX = 2.0
ZONE_OFFSET_MS = (0.05, 0.5)

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Profile:
    """How good the paths are.

    ``base_ms``, ``near_ms``, ``far_ms``: a, b1 and b2 above (the latter two per 100 km).
    ``sigma_better``, ``sigma_worse``: the spread s for z < 0 and z >= 0.
    ``jitter_median_ms``, ``jitter_sigma``: of the log-normal jitter of one request.
    """

    name: str
    base_ms: float
    near_ms: float
    far_ms: float
    sigma_better: float
    sigma_worse: float
    jitter_median_ms: float
    jitter_sigma: float


PROFILES: dict[str, Profile] = {
    "premium": Profile("premium", 1.6, 1.66, 1.37, 0.05, 0.10, 0.06, 0.8),  # tenth percentile
    "cloud": Profile("cloud", 2.3, 2.02, 1.65, 0.16, 0.31, 0.12, 0.9),  # median of cloud paths
    "internet": Profile("internet", 6.7, 2.19, 1.68, 0.32, 0.46, 0.36, 1.5),  # public hosting
}


class PathModel:
    """Round trips in ms under one profile, with its two explicit extra terms.

    ``border_ms`` is added when exactly one end lies in mainland China, ``last_mile_ms``
    to every path.
    """

    def __init__(self, profile: Profile, *, border_ms: float, last_mile_ms: float) -> None:
        self.profile = profile
        self.border_ms = border_ms
        self.last_mile_ms = last_mile_ms

    def prior_ms(self, place: Place, centers: Sequence[Center]) -> F32N:
        """Factor 1, no seed, no zone offset, no jitter: float32[N]."""
        return self._path_ms(place, centers, 1.0).astype(np.float32)

    def path_ms(self, place: Place, centers: Sequence[Center], seed: int) -> F64N:
        """The emulated round trip without jitter: float64[N]."""
        factors = pair_factors(place, centers, seed, self.profile)
        return self._path_ms(place, centers, factors) + zone_offsets_ms(centers, seed)

    def _path_ms(self, place: Place, centers: Sequence[Center], factor: F64N | float) -> F64N:
        profile = self.profile
        km = distances_km(place.location, [center.location for center in centers])
        near_km = np.minimum(km, NEAR_KM)
        typical_ms = (
            profile.base_ms
            + profile.near_ms * near_km / 100
            + profile.far_ms * (km - near_km) / 100
        )
        floor_ms = FLOOR_OVER_FIBRE * FIBRE_MS_PER_KM * km + FLOOR_MS
        crosses = np.array([is_mainland(center) != is_mainland(place) for center in centers])
        path_ms: F64N = (
            np.maximum(typical_ms * factor, floor_ms)
            + np.where(crosses, self.border_ms, 0.0)
            + self.last_mile_ms
        )
        return path_ms


def fibre_ms(place: Place, centers: Sequence[Center]) -> F64N:
    """What physics allows: the round trip through perfectly straight fibre, float64[N]."""
    km = distances_km(place.location, [center.location for center in centers])
    return km * FIBRE_MS_PER_KM


def pair_factors(place: Place, centers: Sequence[Center], seed: int, profile: Profile) -> F64N:
    """exp(z * s), fixed for a seed and a pair of place and city: float64[N]."""
    of_city: dict[str, float] = {}
    for city in {center.city for center in centers}:
        z = _NORMAL.inv_cdf(_uniform(f"{seed}|{place.name}|{city}"))
        z = min(max(z, -FACTOR_SIGMAS_MAX), FACTOR_SIGMAS_MAX)
        of_city[city] = z * (profile.sigma_better if z < 0 else profile.sigma_worse)
    factors: F64N = np.exp([of_city[center.city] for center in centers])
    return factors


def zone_offsets_ms(centers: Sequence[Center], seed: int) -> F64N:
    """The fixed 0.05-0.5 ms that tells zones of one city apart: float64[N]."""
    low_ms, high_ms = ZONE_OFFSET_MS
    uniforms = np.array([_uniform(f"{seed}|{center.city}|{center.id}") for center in centers])
    offsets_ms: F64N = low_ms + (high_ms - low_ms) * uniforms
    return offsets_ms


def _uniform(key: str) -> float:
    """A number strictly between 0 and 1 that depends on ``key`` alone, on every machine."""
    number = int.from_bytes(blake2b(key.encode(), digest_size=6).digest(), "big")
    return (number + 0.5) / 2**48
