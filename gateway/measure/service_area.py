"""The service area: the cities whose modelled network leaves enough of the target.

A city is inside when the round trip to its best center, by the path model with the seed in
force and the jitter's median added, leaves at least the service budget of the target:

    round trip:  network     <= target - budget
    one way:     network / 2 <= target - budget

The area is fixed by the model before anything is measured, so that a slow gateway cannot
shrink its own yardstick. Beside it stand the bounds nobody's software can move: what straight
fibre would allow, and what would be inside if serving took no time at all. People are the
inhabitants of the mainland's cities of the shipped list, nobody else.

A path's factor is luck, fixed by the seed. Coverage is therefore given three times: for the
seed in force, at factor 1, and over the seeds 1 to 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gateway.api import Center, ConfigError, Location, Place
from gateway.measure.samples import F64, Mask
from gateway.wan.paths import FIBRE_MS_PER_KM, NEAR_KM, PathModel, Profile, fibre_ms
from gateway.wan.paths import zone_offsets_ms as offsets_of
from gateway.wan.places import is_mainland

Reading = Literal["round-trip", "one-way"]
READINGS: tuple[Reading, ...] = ("round-trip", "one-way")
DEFAULT_BUDGET_MS = 1.0
SEEDS = 100
KNIFE_EDGE_MS = 0.5
"""A city whose network lies this near to the limit can be moved by its path's luck alone."""


@dataclass(frozen=True, slots=True)
class AreaRules:
    """What decides who is inside. Raises ConfigError for a budget that leaves no network."""

    target_ms: float = 10.0
    service_budget_ms: float = DEFAULT_BUDGET_MS
    reading: Reading = "round-trip"
    seed: int = 1
    jitter: bool = True

    def __post_init__(self) -> None:
        if self.reading not in READINGS:
            raise ConfigError(f"reading {self.reading!r}; expected {' or '.join(READINGS)}")
        if not 0.0 <= self.service_budget_ms < self.target_ms:
            raise ConfigError(
                f"a service budget of {self.service_budget_ms:g} ms in a target of "
                f"{self.target_ms:g} ms; expected 0 <= budget < target, so that some time is "
                "left for the network (--service-budget-ms, --target-ms)"
            )

    @property
    def custom(self) -> bool:
        """True when the budget is not the usual 1 ms."""
        return self.service_budget_ms != DEFAULT_BUDGET_MS

    @property
    def network_ms_max(self) -> float:
        """The longest round trip of a city inside."""
        return self.round_trip_ms(self.target_ms - self.service_budget_ms)

    def round_trip_ms(self, network_part_ms: float) -> float:
        """The round trip that counts as ``network_part_ms`` in this reading."""
        return network_part_ms * (2.0 if self.reading == "one-way" else 1.0)

    def network_part(self, network_ms: F64) -> F64:
        """How much of a round trip (float64[n], ms) counts against the target."""
        return network_ms / self.round_trip_ms(1.0)


@dataclass(frozen=True, slots=True)
class City:
    """One city by the model; round trips in ms, jitter's median included except in fibre."""

    name: str
    population: int
    lat: float
    lon: float
    network_ms: float
    """To the best center, for the seed in force."""
    typical_ms: float
    """The same at factor 1."""
    fibre_ms: float
    """In straight fibre to the nearest center."""
    center: str
    """The best center's id."""
    seeds_inside: float
    """For what share of the seeds 1 to 100 the city is inside."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of ``people`` (inhabitants of the mainland's cities), 0 to 1."""

    people: int
    inside: float
    typical: float
    seeds_low: float
    seeds_median: float
    seeds_high: float
    zero_service: float
    """If serving took no time: the whole target left to the network of the seed in force."""
    fibre: float
    """If every path were straight fibre, the budget still kept."""


@dataclass(frozen=True, slots=True)
class ServiceArea:
    """Every mainland city, nearest first by modelled network, and who is inside."""

    rules: AreaRules
    cities: tuple[City, ...]
    inside: tuple[bool, ...]
    coverage: Coverage

    @property
    def people_inside(self) -> int:
        """Inhabitants of the cities inside."""
        return sum(city.population for city in self.members)

    @property
    def members(self) -> tuple[City, ...]:
        """The cities inside, nearest first."""
        return tuple(c for c, within in zip(self.cities, self.inside, strict=True) if within)

    @property
    def knife_edge(self) -> tuple[City, ...]:
        """Cities within ``KNIFE_EDGE_MS`` of the limit, nearest to a center first."""
        limit = self.rules.network_ms_max
        return tuple(c for c in self.cities if abs(c.network_ms - limit) <= KNIFE_EDGE_MS)

    def inside_of(self, origins: Sequence[str]) -> Mask:
        """bool[len(origins)]: which of the named origins are inside."""
        members = {city.name for city in self.members}
        return np.array([name in members for name in origins], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Paths:
    """Every mainland city's best path; float64[cities], ms, jitter's median included except
    in fibre. ``by_seed_ms``: float64[SEEDS, cities], for the seeds 1 to ``SEEDS``."""

    places: tuple[Place, ...]
    profile: Profile
    network_ms: F64
    centers: tuple[str, ...]
    typical_ms: F64
    fibre_ms: F64
    by_seed_ms: F64


def survey(
    places: Sequence[Place], centers: Sequence[Center], model: PathModel, rules: AreaRules
) -> ServiceArea:
    """The service area of ``centers`` (those that serve the model) among ``places``.

    Raises ConfigError when there is no center, no mainland city, or nobody is inside.
    """
    return service_area(best_paths(places, centers, model, rules), rules)


def best_paths(
    places: Sequence[Place], centers: Sequence[Center], model: PathModel, rules: AreaRules
) -> Paths:
    """The best path of each mainland city, by the seed and jitter of ``rules``; the target
    plays no part, so both readings share one. Raises ConfigError without centers or cities."""
    mainland = tuple(place for place in places if is_mainland(place))
    if not centers or not mainland:
        raise ConfigError(
            f"{len(centers)} centers and {len(mainland)} mainland cities; expected at least one "
            "of each: choose other --sites, another fleet file or a model that is declared"
        )
    jitter_ms = model.profile.jitter_median_ms if rules.jitter else 0.0
    now_ms = [model.path_ms(place, centers, rules.seed) for place in mainland]
    typical_ms = [float(model.prior_ms(place, centers).min()) for place in mainland]
    return Paths(
        mainland,
        model.profile,
        np.array([float(paths_ms.min()) for paths_ms in now_ms]) + jitter_ms,
        tuple(centers[int(paths_ms.argmin())].id for paths_ms in now_ms),
        np.array(typical_ms) + jitter_ms,
        np.array([float(fibre_ms(place, centers).min()) for place in mainland]),
        _best_by_seed_ms(mainland, centers, model) + jitter_ms,
    )


def service_area(paths: Paths, rules: AreaRules) -> ServiceArea:
    """Who is inside by ``rules``; raises ConfigError when nobody is."""
    limit_ms = rules.network_ms_max
    seeds_inside = (paths.by_seed_ms <= limit_ms).mean(axis=0)
    cities = [
        City(
            place.name,
            place.population,
            place.location.lat,
            place.location.lon,
            float(paths.network_ms[i]),
            float(paths.typical_ms[i]),
            float(paths.fibre_ms[i]),
            paths.centers[i],
            float(seeds_inside[i]),
        )
        for i, place in enumerate(paths.places)
    ]
    cities.sort(key=lambda city: (city.network_ms, city.name))
    inside = tuple(city.network_ms <= limit_ms for city in cities)
    if not any(inside):
        raise ConfigError(_nobody(cities[0], rules, paths.profile))
    return ServiceArea(rules, tuple(cities), inside, _coverage(paths, rules))


def _coverage(paths: Paths, rules: AreaRules) -> Coverage:
    population = np.array([place.population for place in paths.places], dtype=np.float64)
    share = population / population.sum()
    limit_ms = rules.network_ms_max
    seeds = (paths.by_seed_ms <= limit_ms) @ share
    return Coverage(
        people=int(population.sum()),
        inside=float(share @ (paths.network_ms <= limit_ms)),
        typical=float(share @ (paths.typical_ms <= limit_ms)),
        seeds_low=float(seeds.min()),
        seeds_median=float(np.median(seeds)),
        seeds_high=float(seeds.max()),
        zero_service=float(share @ (paths.network_ms <= rules.round_trip_ms(rules.target_ms))),
        fibre=float(share @ (paths.fibre_ms <= limit_ms)),
    )


def radius_km(profile: Profile, network_ms: float) -> float:
    """How far a round trip of ``network_ms`` reaches at factor 1; 0 when not out of the door.

    The path model's line solved for the distance; the jitter is the caller's to subtract.
    """
    left_ms = network_ms - profile.base_ms
    if left_ms <= 0.0:
        return 0.0
    near_span_ms = profile.near_ms * NEAR_KM / 100
    if left_ms <= near_span_ms:
        return left_ms / profile.near_ms * 100
    return NEAR_KM + (left_ms - near_span_ms) / profile.far_ms * 100


def fibre_radius_km(network_ms: float) -> float:
    """How far light in straight fibre gets and back in ``network_ms``."""
    return max(0.0, network_ms) / FIBRE_MS_PER_KM


def _best_by_seed_ms(places: Sequence[Place], centers: Sequence[Center], model: PathModel) -> F64:
    """float64[SEEDS, places]: the best path of each place without jitter, seed by seed.

    Zones of one spot differ by an offset that is the same for every origin, so only the best
    zone of each spot can be anybody's best: 23 paths to compute instead of 88.
    """
    best_ms = np.empty((SEEDS, len(places)))
    for row in range(SEEDS):
        candidates = _best_of_each_spot(centers, row + 1)
        for i, place in enumerate(places):
            best_ms[row, i] = model.path_ms(place, candidates, row + 1).min()
    return best_ms


def _best_of_each_spot(centers: Sequence[Center], seed: int) -> list[Center]:
    best: dict[tuple[str, str, Location], tuple[float, Center]] = {}
    for center, offset_ms in zip(centers, offsets_of(centers, seed).tolist(), strict=True):
        spot = (center.city, center.country, center.location)
        if spot not in best or offset_ms < best[spot][0]:
            best[spot] = (offset_ms, center)
    return [center for _, center in best.values()]


def _nobody(nearest: City, rules: AreaRules, profile: Profile) -> str:
    return (
        f"no city is inside: the nearest, {nearest.name}, has {nearest.network_ms:.1f} ms of "
        f"network by profile {profile.name!r}, the target of {rules.target_ms:g} ms less "
        f"{rules.service_budget_ms:g} ms of service leaves {rules.network_ms_max:.1f} ms. "
        "Raise --target-ms, or choose --sites all or another --profile"
    )
