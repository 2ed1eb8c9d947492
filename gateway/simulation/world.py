"""The world of a scenario: centers, places, the ways between them and who serves whom.

It depends on the scenario alone, not on a run's seed. Gateways see of it only what they would
in life: the centers as declared, the nominal round trips as priors.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from gateway.api import Center, ConfigError, InvalidRequest, Location, Place
from gateway.config.fleet_file import load_fleet
from gateway.simulation.scenario import ModelPlan, Scenario
from gateway.simulation.scenario_files import find_file
from gateway.wan import PROFILES, Gazetteer, PathModel, fibre_ms, is_in_tier, load_cities

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
MODEL = "emulated"


@dataclass(frozen=True, slots=True)
class World:
    """V places, N centers. ``base_ms``: fixed round trips, ``nominal_ms``: what a prior says,
    ``light_ms``: straight fibre; all float64[V, N]. ``weights``: float64[V], the share of
    the requests that begin at each place; ``gateway_of``: int32[V], -1 = each gateway alike
    (then the vantage is the gateway's own, ``gateway_place``: int32[G]).
    """

    scenario: Scenario
    centers: tuple[Center, ...]
    places: tuple[Place, ...]
    base_ms: F64
    nominal_ms: F64
    light_ms: F64
    weights: F64
    gateway_of: I32
    gateway_place: I32
    models: tuple[ModelPlan, ...]

    def find(self, name: str) -> int:
        """The index of a place by its name. Raises ConfigError."""
        for index, place in enumerate(self.places):
            if place.name.casefold() == name.casefold():
                return index
        try:
            return Gazetteer(self.places, self.centers).find(name)
        except InvalidRequest as error:
            raise ConfigError(f"scenario {self.scenario.name}: {error}") from None


def world_of(scenario: Scenario) -> World:
    """Lay out a scenario. Raises ConfigError for a wrong fleet, city or place."""
    centers = _centers(scenario)
    models = scenario.models or (
        ModelPlan(name=MODEL, mean_ms=scenario.service.mean_ms, sigma=scenario.service.sigma),
    )
    if scenario.network.metro is not None:
        return _metro(scenario, centers, models)
    return _map(scenario, centers, models)


def _centers(scenario: Scenario) -> tuple[Center, ...]:
    plan = scenario.fleet
    path: Path | None = None
    if plan.file != "shipped":
        path = find_file(scenario, plan.file, "fleet.file")
    centers = load_fleet(path, plan.sites)
    # The models a map declares are those of a real service; here every center serves them all.
    centers = tuple(
        replace(center, slots=plan.slots or center.slots, models=("*",)) for center in centers
    )
    if plan.copies == 1:
        return centers
    return tuple(
        replace(center, id=f"{center.id}.{copy}")
        for center in centers
        for copy in range(plan.copies)
    )


def _map(scenario: Scenario, centers: tuple[Center, ...], models: tuple[ModelPlan, ...]) -> World:
    """Cities with a population, and the path model between them and the centers."""
    network, plan = scenario.network, scenario.origins
    cities = load_cities() if plan.cities == "shipped" else _read_cities(scenario)
    places = Gazetteer(cities, centers).places
    chosen = [p.population > 0 and (plan.tier == "all" or is_in_tier(p, plan.tier)) for p in places]
    weights = np.array(
        [p.population * ok for p, ok in zip(places, chosen, strict=True)], dtype=float
    )
    if not weights.any():
        raise ConfigError(f"scenario {scenario.name}: origins.tier = {plan.tier!r} has no city")
    model = PathModel(
        PROFILES[network.profile], border_ms=network.border_ms, last_mile_ms=network.last_mile_ms
    )
    gateway_place = np.full(scenario.gateways.count, -1, dtype=np.int32)
    world = World(
        scenario=scenario,
        centers=centers,
        places=places,
        base_ms=np.stack([model.path_ms(place, centers, network.seed) for place in places]),
        nominal_ms=np.stack([model.prior_ms(place, centers) for place in places]).astype(float),
        light_ms=np.stack([fibre_ms(place, centers) for place in places]),
        weights=weights / weights.sum(),
        gateway_of=_dealt(weights, scenario.gateways.count),
        gateway_place=gateway_place,
        models=models,
    )
    if scenario.gateways.at == "origin":
        return world
    return _at_places(world)


def _at_places(world: World) -> World:
    """Gateways at named places: an origin's requests begin at the nearest of them."""
    gateways = world.scenario.gateways
    here = [world.find(gateways.places[g % len(gateways.places)]) for g in range(gateways.count)]
    stands = [
        Center(f"gateway{g}", "", "", "", "", world.places[v].location) for g, v in enumerate(here)
    ]
    nearest = np.array([int(fibre_ms(place, stands).argmin()) for place in world.places])
    return replace(
        world, gateway_of=nearest.astype(np.int32), gateway_place=np.array(here, dtype=np.int32)
    )


def _metro(scenario: Scenario, centers: tuple[Center, ...], models: tuple[ModelPlan, ...]) -> World:
    """Zones of one metropolitan area; a gateway stands in a zone."""
    metro, gateways = scenario.network.metro, scenario.gateways
    assert metro is not None
    zones: dict[str, Location] = {}
    for center in centers:
        zones.setdefault(center.zone, center.location)
    names = list(zones)
    for name in gateways.places:
        if name not in zones:
            raise ConfigError(
                f"scenario {scenario.name}: gateways.places: {name!r} is no zone of the fleet; "
                f"zones: {', '.join(names)}"
            )
    places = tuple(Place(name, "", location) for name, location in zones.items())
    nominal = np.array([[_zone_ms(metro, name, c.zone) for c in centers] for name in names])
    luck = np.array([[_luck(scenario, name, c.zone) for c in centers] for name in names])
    here = [names.index(gateways.places[g % len(gateways.places)]) for g in range(gateways.count)]
    weights = np.bincount(here, minlength=len(names)).astype(float)
    return World(
        scenario=scenario,
        centers=centers,
        places=places,
        base_ms=nominal * luck,
        nominal_ms=nominal,
        light_ms=np.stack([fibre_ms(place, centers) for place in places]),
        weights=weights / weights.sum(),
        gateway_of=np.full(len(names), -1, dtype=np.int32),
        gateway_place=np.array(here, dtype=np.int32),
        models=models,
    )


def _zone_ms(metro: object, here: str, there: str) -> float:
    return float(getattr(metro, "same_zone_ms" if here == there else "inter_zone_ms"))


def _luck(scenario: Scenario, here: str, there: str) -> float:
    metro = scenario.network.metro
    assert metro is not None
    u = Random(f"{scenario.network.seed}|{here}|{there}").random()
    return 1.0 + metro.spread * (2.0 * u - 1.0)


def _dealt(weights: F64, gateways: int) -> I32:
    """Origins to gateways, heaviest first, each to the one that has least: int32[V]."""
    owner = np.zeros(len(weights), dtype=np.int32)
    load = [0.0] * gateways
    for place in np.argsort(-weights, kind="stable").tolist():
        least = load.index(min(load))
        owner[place] = least
        load[least] += float(weights[place])
    return owner


def _read_cities(scenario: Scenario) -> Sequence[Place]:
    path = find_file(scenario, scenario.origins.cities, "origins.cities")
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return [
                Place(
                    row["name"],
                    row["country"],
                    Location(float(row["lat"]), float(row["lon"])),
                    int(row["population"]),
                )
                for row in csv.DictReader(lines)
            ]
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path}: {error!r}; expected the columns name,country,lat,lon,population"
        ) from None
