"""The deciding half, built from a config: fleet, table, policy, router.

``serve`` puts doors and centers around it; ``explain`` asks it without serving.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random

import numpy as np
from gateway_models import repository as shipped_repository

from gateway.api import (
    F32N,
    BoolN,
    BuiltPolicy,
    Center,
    ConfigError,
    Named,
    Place,
    Source,
    Table,
)
from gateway.config import Settings
from gateway.config.fleet_file import load_fleet
from gateway.config.settings import Policy
from gateway.engine import ColdModel, ModelRepository
from gateway.fleet import Fleet
from gateway.loading import Registry, build_policy
from gateway.routing import InForce, Ledger, PredictionWatch, Router, Shadow
from gateway.routing.watching import declare_columns
from gateway.runtime.worker_seat import WorkerSeat
from gateway.wan import PROFILES, Gazetteer, PathModel, load_cities


@dataclass(slots=True)
class Deciding:
    """What is known and how it is decided on. ``sources``: those of every policy built."""

    settings: Settings
    centers: tuple[Center, ...]
    gazetteer: Gazetteer
    path_model: PathModel
    fleet: Fleet
    router: InForce
    shadow: Shadow | None
    sources: tuple[Named[Source], ...]
    find_vantage: Callable[[str], int]

    def declared(self, model: str) -> BoolN:
        """bool[N]: which centers declare ``model``."""
        return np.array(
            [any(fnmatchcase(model, pattern) for pattern in c.models) for c in self.centers]
        )


def build_deciding(
    settings: Settings,
    budget_clock: Callable[[], float],
    worker: WorkerSeat | None = None,
    places: Sequence[Place] = (),
) -> Deciding:
    """``worker``: whose deciding it is among several. ``places``: those of the config before,
    whose numbers stay (empty: the shipped cities). Raises ConfigError for a wrong fleet, policy,
    plugin or place.
    """
    fleet_file = Path(settings.fleet.file) if settings.fleet.file else None
    centers = load_fleet(fleet_file, settings.fleet.sites)
    gazetteer = Gazetteer(places or load_cities(), centers)
    if worker is not None:
        centers = worker.centers(centers)
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
    if worker is None:
        fleet = Fleet(table, rtt_prior=rtt_prior, random=Random(f"{seed}:fleet"))
    else:
        fleet = worker.fleet(table, rtt_prior, Random(f"{seed}:fleet:{worker.number}"))
    policies = _Policies(settings, table, Registry.discover())
    make = _RouterMaker(settings, budget_clock)
    router = _in_force(settings, policies, table, fleet, make)
    shadow = _shadow(settings, policies, router, make)
    return Deciding(
        settings,
        centers,
        gazetteer,
        path_model,
        fleet,
        router,
        shadow,
        policies.sources(),
        _vantage_finder(settings, gazetteer, centers),
    )


class _Policies:
    """Builds policies of the config by name, and remembers them."""

    def __init__(self, settings: Settings, table: Table, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        self._columns = (*table.columns, *table.row_tables)
        self._built: dict[str, BuiltPolicy] = {}

    def build(self, name: str) -> BuiltPolicy:
        """Raises ConfigError."""
        if name not in self._built:
            policy = self._settings.policies[name]
            self._built[name] = build_policy(name, policy, self._registry, self._columns)
        return self._built[name]

    def sources(self) -> tuple[Named[Source], ...]:
        """Of all built, each name once."""
        found = {source.name: source for p in self._built.values() for source in p.sources}
        return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _RouterMaker:
    """Makes routers with the config's budgets."""

    settings: Settings
    budget_clock: Callable[[], float]

    def over(self, table: Table, policy: BuiltPolicy, ledger: Ledger) -> Router:
        """A router of ``policy``."""
        routing = self.settings.routing
        return Router(
            table,
            policy,
            ledger,
            seed=routing.seed,
            budget_clock=self.budget_clock,
            plugin_budget_ms=routing.plugin_budget_ms,
            plugin_limit_ms=routing.plugin_limit_ms,
            screen_clock=time.perf_counter,
        )


def _in_force(
    settings: Settings, policies: _Policies, table: Table, fleet: Fleet, make: _RouterMaker
) -> InForce:
    """The configured policy, and the one that stands in while its predictions are wrong."""
    routing = settings.routing
    policy = policies.build(routing.policy)
    router = make.over(table, policy, fleet)
    if not routing.fallback or routing.fallback == routing.policy or not predicts(policy):
        return InForce(router)
    fallback = make.over(table, policies.build(routing.fallback), fleet)
    return InForce(router, fallback=fallback, watch=PredictionWatch(routing.error_share_max))


def predicts(policy: BuiltPolicy) -> bool:
    """Whether the policy chooses by a prediction of the whole time, which can be held to it.

    A picker of its own idea has sums for the record alone, and one who adds the network only
    promises nothing about the rest. The default policy's picker goes by the sums.
    """
    reads = {name for scorer in policy.scorers for name in scorer.plugin.reads}
    by_sums = getattr(policy.picker.plugin, "takes_argmin", False)
    by_sums = by_sums or policy.picker.name == Policy().picker
    return by_sums and {"rtt_ms", "service_ms"} <= reads


def _shadow(
    settings: Settings, policies: _Policies, router: InForce, make: _RouterMaker
) -> Shadow | None:
    """The shadow the config names, listening already."""
    chosen = settings.routing.shadow
    if not chosen.policy:
        return None
    policy = policies.build(chosen.policy)
    for source in policy.sources:  # fed like the live ones', so they stand in the live table
        declare_columns(router.table, source.name, dict(source.plugin.columns))
    shadow = Shadow(
        router.table,
        policy,
        make.over,
        predict=router.predict,
        clock=make.budget_clock,
        budget=chosen.budget,
        sample=chosen.sample,
        random=Random(f"{settings.routing.seed}:shadow"),
    )
    router.listen(shadow)
    return shadow


def _vantage_finder(
    settings: Settings, gazetteer: Gazetteer, centers: Sequence[Center]
) -> Callable[[str], int]:
    """Origin -> vantage: itself, or the one place the gateway stands at.

    A path that is not emulated begins where this process is, whatever the origin.
    """
    location = settings.gateway.location
    if location == "auto":
        real = any(center.url is not None and center.emulate == "none" for center in centers)
        location = settings.origins.default if real else "origin"
    if location == "origin":
        return gazetteer.find
    here = gazetteer.find(location)

    def find(origin: str) -> int:
        gazetteer.find(origin)
        return here

    return find


def build_repository(settings: Settings) -> ModelRepository:
    """The shipped models first, then the user's folders. Raises ConfigError."""
    if settings.models.memory_mb_max and settings.models.load != "on_demand":
        raise ConfigError(
            f"models.memory_mb_max = {settings.models.memory_mb_max:g} needs models.load = "
            '"on_demand": a model can only be given up if its next request may load it again'
        )
    elements_max = settings.server.tensor_elements_max
    return ModelRepository(
        model_roots(settings),
        tensor_elements_max=elements_max,
        custom_ops=settings.models.custom_ops,
    )


def model_roots(settings: Settings) -> list[Path]:
    """The folders that models lie in."""
    roots = [shipped_repository()] if settings.models.shipped else []
    return [*roots, *(Path(folder) for folder in settings.models.dirs)]


def deciding_from_priors(settings: Settings) -> Deciding:
    """Every model loaded, or declared, nothing learned yet: what the gateway knows at its first
    request.
    """
    deciding = build_deciding(settings, time.thread_time)
    models = build_repository(settings)
    models.scan()
    for name in models.names():
        declared = deciding.declared(name)
        if settings.models.load == "all":
            models.load(name)
            deciding.fleet.add_model(name, models.get(name).run_ms, declared)
            continue
        models.declare(name)
        cold = models.present()[name]
        deciding.fleet.add_model(name, cold.run_ms, declared)
        here = np.array([center.url is None for center in deciding.centers]) & declared
        if isinstance(cold, ColdModel):
            deciding.fleet.set_cold(name, np.flatnonzero(here).tolist(), cold.load_ms, cold.run_ms)
    return deciding
