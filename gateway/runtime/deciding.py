"""The deciding half, built from a config: fleet, table, policy, router.

``serve`` puts doors and centers around it; ``explain`` asks it without serving.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random

import numpy as np
from gateway_models import repository as shipped_repository

from gateway.api import F32N, BoolN, Center, Table
from gateway.config import Settings
from gateway.config.fleet_file import load_fleet
from gateway.engine import ModelRepository
from gateway.fleet import Fleet
from gateway.loading import Registry, build_policy
from gateway.routing import Router
from gateway.wan import PROFILES, Gazetteer, PathModel, load_cities


@dataclass(slots=True)
class Deciding:
    """What is known and how it is decided on."""

    settings: Settings
    centers: tuple[Center, ...]
    gazetteer: Gazetteer
    path_model: PathModel
    fleet: Fleet
    router: Router
    find_vantage: Callable[[str], int]

    def declared(self, model: str) -> BoolN:
        """bool[N]: which centers declare ``model``."""
        return np.array(
            [any(fnmatchcase(model, pattern) for pattern in c.models) for c in self.centers]
        )


def build_deciding(settings: Settings, budget_clock: Callable[[], float]) -> Deciding:
    """Raises ConfigError for a wrong fleet, policy, plugin or place."""
    fleet_file = Path(settings.fleet.file) if settings.fleet.file else None
    centers = load_fleet(fleet_file, settings.fleet.sites)
    gazetteer = Gazetteer(load_cities(), centers)
    path_model = PathModel(
        PROFILES[settings.network.profile],
        border_ms=settings.network.border_ms,
        last_mile_ms=settings.network.last_mile_ms,
    )

    def rtt_prior(vantage: int) -> F32N:
        return path_model.prior_ms(gazetteer.places[vantage], centers)

    # Not the network's seed: what the emulator draws must not reach a decision.
    seed = settings.routing.seed
    table = Table(centers)
    fleet = Fleet(table, rtt_prior=rtt_prior, random=Random(f"{seed}:fleet"))
    policy = build_policy(
        settings.routing.policy,
        settings.policies[settings.routing.policy],
        Registry.discover(),
        [*table.columns, *table.row_tables],
    )
    router = Router(
        table,
        policy,
        fleet,
        seed=seed,
        budget_clock=budget_clock,
        plugin_budget_ms=settings.routing.plugin_budget_ms,
        plugin_limit_ms=settings.routing.plugin_limit_ms,
    )
    return Deciding(
        settings,
        centers,
        gazetteer,
        path_model,
        fleet,
        router,
        _vantage_finder(settings, gazetteer),
    )


def _vantage_finder(settings: Settings, gazetteer: Gazetteer) -> Callable[[str], int]:
    """Origin -> vantage: itself, or the one place the gateway stands at."""
    if settings.gateway.location == "origin":
        return gazetteer.find
    here = gazetteer.find(settings.gateway.location)

    def find(origin: str) -> int:
        gazetteer.find(origin)
        return here

    return find


def build_repository(settings: Settings) -> ModelRepository:
    """The shipped models first, then the user's folders. Raises ConfigError."""
    roots = [shipped_repository()] if settings.models.shipped else []
    roots += [Path(folder) for folder in settings.models.dirs]
    return ModelRepository(roots, tensor_elements_max=settings.server.tensor_elements_max)


def deciding_from_priors(settings: Settings) -> Deciding:
    """Every model loaded, nothing learned yet: what the gateway knows at its first request."""
    deciding = build_deciding(settings, time.thread_time)
    models = build_repository(settings)
    models.scan()
    for name in models.names():
        models.load(name)
        deciding.fleet.add_model(name, models.get(name).run_ms, deciding.declared(name))
    return deciding
