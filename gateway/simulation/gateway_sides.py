"""The gateways of a run: to each a table, a fleet and a router of its own, as the live one.

Nothing of the plugins is changed or replaced. Only the budget clock stands still: a plugin put
out for being slow on this machine would make a run depend on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np

from gateway.api import F32N, Center, PluginError, Table
from gateway.config.settings import Policy
from gateway.fleet import Fleet
from gateway.loading import Registry, build_policy
from gateway.routing import Router
from gateway.simulation.speeds import own_factors
from gateway.simulation.world import World

PLUGIN_BUDGET_MS = 0.25
PLUGIN_LIMIT_MS = 5.0


@dataclass(frozen=True, slots=True)
class GatewaySide:
    """One gateway's knowledge and its router."""

    fleet: Fleet
    router: Router


def gateway_sides(
    world: World, policy_name: str, policy: Policy, *, seed: int, registry: Registry | None
) -> tuple[GatewaySide, ...]:
    """Build every gateway of the scenario. Raises ConfigError for a wrong policy."""
    found = Registry.discover() if registry is None else registry
    scenario, centers = world.scenario, world.centers
    if scenario.speeds.declared:
        factors = own_factors(scenario, centers, seed).tolist()
        centers = tuple(
            replace(c, speed_factor=factor) for c, factor in zip(centers, factors, strict=True)
        )
    return tuple(
        _side(world, centers, policy_name, policy, f"{seed}.{number}", found)
        for number in range(world.scenario.gateways.count)
    )


def _side(
    world: World,
    centers: tuple[Center, ...],
    policy_name: str,
    policy: Policy,
    seed: str,
    registry: Registry,
) -> GatewaySide:
    nominal_ms = world.nominal_ms.astype(np.float32)

    def rtt_prior(vantage: int) -> F32N:
        row: F32N = nominal_ms[vantage].copy()
        return row

    table = Table(centers)
    fleet = Fleet(table, rtt_prior=rtt_prior, random=Random(f"{seed}:fleet"))
    built = build_policy(policy_name, policy, registry, [*table.columns, *table.row_tables])
    router = Router(
        table,
        built,
        fleet,
        seed=Random(f"{seed}:router").getrandbits(31),
        budget_clock=lambda: 0.0,
        plugin_budget_ms=PLUGIN_BUDGET_MS,
        plugin_limit_ms=PLUGIN_LIMIT_MS,
    )
    everywhere = np.ones(len(centers), dtype=np.bool_)
    for model in world.models:
        fleet.add_model(model.name, model.mean_ms, everywhere)
    read_sources(router, Path(world.scenario.folder or "."))
    return GatewaySide(fleet, router)


def read_sources(router: Router, folder: Path) -> None:
    """Fill the columns of the policy's sources once. Raises PluginError."""
    table = router.table
    ids = tuple(center.id for center in table.centers)
    for named in router.policy.sources:
        for short, values in named.plugin.read(ids, folder).items():
            name = f"{named.name}.{short}"
            if name not in table.columns or np.shape(values) != (len(ids),):
                raise PluginError(
                    f"source {named.name}: column {short!r} of shape {np.shape(values)}; "
                    f"expected a declared one of shape ({len(ids)},)"
                )
            table.columns[name][:] = values
            table.touch(name)
