"""A policy compiled against a table, once: who is asked when, of what, and in which order.

* Cached filters and scorers become *components* (components.py): a row a key.
* Live scorers become *live columns* (live.py), or rows of the table where they vary by a key.
* Plugins that vary by the request are asked each time (per_request.py).
* The picker is called, or is an argmin (picking.py); observers are told (watching.py).

Parts are summed and read live columns first, then components, then what is asked each time;
``in_policy_order`` puts them back into the order the policy names them in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from random import Random
from typing import Any

from gateway.api import BuiltPolicy, Centers, Filter, Named, Scorer, Table
from gateway.routing.components import Asked, Component, LiveRows, components_of
from gateway.routing.explaining import Explaining
from gateway.routing.guard import Budget, Guard
from gateway.routing.live import LiveColumns
from gateway.routing.per_request import PerRequest
from gateway.routing.picking import Picking
from gateway.routing.watching import Watcher, declare_columns, observes


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a router runs. ``guards`` in policy order; ``time_places``: which parts are time."""

    guards: list[Guard]
    live: LiveColumns
    components: tuple[Component, ...]
    per_request: PerRequest
    picking: Picking
    watchers: tuple[Watcher, ...]
    time_places: tuple[int, ...]
    in_policy_order: Callable[[list[Any]], tuple[Any, ...]]

    def explaining(self, policy: BuiltPolicy) -> Explaining:
        """The same, asked for reasons."""
        return Explaining(
            policy,
            self.live,
            self.components,
            self.per_request,
            self.picking,
            self.in_policy_order,
        )


def compiled_policy(table: Table, policy: BuiltPolicy, budget: Budget, *, seed: int) -> Compiled:
    """Declares the columns that the plugins feed. Raises ConfigError when the two do not fit."""
    asking: tuple[Named[Any], ...] = (*policy.filters, *policy.scorers, policy.picker)
    for feeding in (*policy.sources, *policy.observers, *asking):
        columns = dict(getattr(feeding.plugin, "columns", {}))
        declare_columns(table, feeding.name, columns)
    guarded = _Guarded(table, budget)
    filters = [guarded.filter(named) for named in policy.filters]
    scorers = [guarded.scorer(named) for named in policy.scorers]
    live = [s for s in scorers if s.plugin.live and not s.plugin.varies_by]
    in_rows = [s for s in scorers if s.plugin.live and s.plugin.varies_by]
    cached = [s for s in scorers if not s.plugin.live and s.plugin.varies_by is not None]
    asked = [s for s in scorers if not s.plugin.live and s.plugin.varies_by is None]
    components: tuple[Component, ...] = (
        *(LiveRows(table, s) for s in in_rows),
        *components_of(table, [f for f in filters if f.plugin.varies_by is not None], cached),
    )
    summed = [*live, *(s for c in components for s in c.scorers), *asked]
    guard = guarded.guard("picker", policy.picker.name)
    told: list[tuple[Guard, object]] = [(f.guard, f.plugin) for f in filters]
    told += [(s.guard, s.plugin) for s in scorers]
    told += [(guard, policy.picker.plugin)]
    told = [(known, plugin) for known, plugin in told if observes(plugin)]
    told += [(guarded.guard("observer", o.name), o.plugin) for o in policy.observers]
    watchers = tuple(
        Watcher(table, known.name, plugin, known, Random(f"{seed}:{known.kind}:{known.name}"))
        for known, plugin in told
    )
    remembers = [watcher for watcher in watchers if watcher.guard is guard]
    return Compiled(
        guarded.guards,
        LiveColumns(table, live),
        components,
        PerRequest(len(table), [f for f in filters if f.plugin.varies_by is None], asked),
        Picking(
            table,
            policy.picker.name,
            policy.picker.plugin,
            guard,
            seed=seed,
            memory=lambda: remembers[0].memory if remembers else None,
        ),
        watchers,
        tuple(i for i, s in enumerate(scorers) if getattr(s.plugin, "is_time", True)),
        _reordering([summed.index(scorer) for scorer in scorers]),
    )


class _Guarded:
    """Every plugin of a policy with its guard and its view of the table."""

    def __init__(self, table: Table, budget: Budget) -> None:
        self.guards: list[Guard] = []
        self._table = table
        self._budget = budget

    def guard(self, kind: str, name: str, **options: Any) -> Guard:
        guard = Guard(kind, name, self._budget, **options)
        self.guards.append(guard)
        return guard

    def filter(self, named: Named[Filter]) -> Asked[Filter]:
        plugin = named.plugin
        guard = self.guard(
            "filter", named.name, varies_by=plugin.varies_by, spared=not plugin.advisory
        )
        return Asked(plugin, guard, Centers(self._table, plugin.reads))

    def scorer(self, named: Named[Scorer]) -> Asked[Scorer]:
        plugin = named.plugin
        guard = self.guard("scorer", named.name, varies_by=plugin.varies_by)
        return Asked(plugin, guard, Centers(self._table, plugin.reads))


def _reordering(places: list[int]) -> Callable[[list[Any]], tuple[Any, ...]]:
    """A function that puts parts, read in the order they are summed, into policy order."""
    if places == list(range(len(places))):
        return tuple
    return itemgetter(*places)
