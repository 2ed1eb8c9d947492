"""All that one config decides: table, fleet, router, ports as watched, front, log.

Made from the gateway's own parts as ``gateway.runtime.generation`` does, and watched by a
ledger of its own: what a generation charged it must refund, in force or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, cast

import numpy as np

from gateway.api import BuiltPolicy, Center, Named, Table
from gateway.api.control import Control
from gateway.config import Settings
from gateway.config.settings import SHIPPED_POLICIES
from gateway.fleet import Fleet
from gateway.fleet.kept_rows import kept_rows
from gateway.loading import Registry, build_policy
from gateway.routing import InForce, PredictionWatch, Router
from gateway.runtime.residency import Residency
from gateway.serving import Front
from gateway.telemetry import Metrics
from gateway.telemetry.decision_log import DecisionRecorder
from gateway.testing.adversary.disk import Disk, DiskPath
from gateway.testing.adversary.engine import MODEL, RUN_MS, SMALLER
from gateway.testing.adversary.ledger import Ledger, Limits, Told, WatchedPort, WatchedRouter
from gateway.testing.adversary.loop import VirtualLoop
from gateway.testing.adversary.plugins import Mood, Moody, MoodyFilter
from gateway.testing.adversary.ports import CenterPorts
from gateway.testing.adversary.shapes import PLACE_NAMES, PLACES, find_place
from gateway.testing.adversary.trace import Trace
from gateway.wan import PathModel
from gateway.wire.decision_frames import LogHeader

LOG_MB_MAX = 0.02


@dataclass(slots=True)
class Lasting:
    """What every generation of one process stands on."""

    loop: VirtualLoop
    ports: CenterPorts
    path_model: PathModel
    metrics: Metrics
    trace: Trace
    disk: Disk
    mood: Mood
    requests: dict[bytes, Told]
    ready: bool = True


class Generation:
    """Raises ConfigError when its log cannot be written: nothing has changed then."""

    def __init__(
        self, lasting: Lasting, settings: Settings, centers: tuple[Center, ...], random: Random
    ) -> None:
        self.settings = settings
        self.centers = centers
        self.lasting = lasting
        self.table = Table(centers)
        self.fleet = Fleet(self.table, rtt_prior=self._rtt_prior, random=Random(random.random()))
        attempts = settings.attempts
        limits = Limits(
            attempts.max, attempts.retry_budget, attempts.retries_min, attempts.hedge_share
        )
        self.ledger = Ledger(lasting.trace, lasting.loop.time, limits)
        self.ledger.requests = lasting.requests
        self.ledger.requests_in_flight = lambda: lasting.metrics.in_flight
        self.router = self._router()
        self.recorder = self._decision_log()
        self.ports = [
            WatchedPort(row, lasting.ports.by_id[center.id], self.ledger)
            for row, center in enumerate(centers)
        ]
        self.residency = Residency(
            lasting.ports.remote, self.told, lambda _: RUN_MS, settings.remote.index_s
        )
        self.resident: dict[str, set[int]] = {}
        self.front = self._front()

    @property
    def emptied(self) -> bool:
        """Nothing it charged is under way."""
        return not self.ledger.open

    def told(self, model: str, row: int, resident: bool, run_ms: float) -> None:
        """A model came or went at a center."""
        if model not in self.resident:
            self.resident[model] = set()
            self.fleet.add_model(model, run_ms, np.zeros(len(self.centers), dtype=bool))
        self.fleet.set_resident(model, row, resident=resident)
        if resident:
            self.resident[model].add(row)
        else:
            self.resident[model].discard(row)

    def come_into_force(self, before: Generation) -> None:
        """What was known of the same centers goes over, in one turn of the loop."""
        now = self.lasting.loop.time()
        rows = {center.id: row for row, center in enumerate(self.centers)}
        moves = {row: rows[center.id] for row, center in enumerate(before.centers)}
        self.residency.carry_over(before.residency, moves)
        self.lasting.ports.move(self.centers)
        for model, where in before.resident.items():
            for row in sorted(where):
                self.told(model, moves[row], True, RUN_MS)
        self.fleet.carry_over(before.fleet, kept_rows(before.centers, self.centers), now)
        for old, new in moves.items():
            if before.fleet.draining(old):
                self.fleet.drain(new, draining=True)

    # ---- building ---------------------------------------------------------------------------

    def _rtt_prior(self, vantage: int) -> Any:
        return self.lasting.path_model.prior_ms(PLACES[vantage], self.centers)

    def _router(self) -> InForce:
        routing, mood = self.settings.routing, self.lasting.mood
        policy = self._built(routing.policy)
        policy = replace(
            policy,
            filters=(*policy.filters, Named("moody_filter", MoodyFilter(mood))),
            scorers=(*policy.scorers, Named("moody", Moody(mood))),
        )
        if routing.policy != "predicted_completion":
            return InForce(self._over(policy))
        fallback = self._over(self._built(routing.fallback))
        watch = PredictionWatch(routing.error_share_max)
        return InForce(self._over(policy), fallback=fallback, watch=watch)

    def _built(self, name: str) -> BuiltPolicy:
        columns = (*self.table.columns, *self.table.row_tables)
        return build_policy(name, SHIPPED_POLICIES[name], plugins_found(), columns)

    def _over(self, policy: BuiltPolicy) -> Router:
        routing = self.settings.routing
        return Router(
            self.table,
            policy,
            self.fleet,
            seed=routing.seed,
            budget_clock=self.lasting.loop.time,
            plugin_budget_ms=routing.plugin_budget_ms,
            plugin_limit_ms=routing.plugin_limit_ms,
        )

    def reach_changed(self, center: str, reachable: bool) -> None:
        """As the runtime's."""
        for row, known in enumerate(self.centers):
            if known.id == center:
                now = self.lasting.loop.time()
                self.fleet.reach_changed(row, reachable=reachable, now=now)

    def _front(self) -> Front:
        lasting, healthy = self.lasting, self.table.columns["healthy"]
        front = Front(
            settings=self.settings,
            router=cast(Any, WatchedRouter(self.router, self.fleet, self.ledger)),
            ports=cast(Any, self.ports),
            centers=self.centers,
            find_vantage=find_place,
            vantage_names=PLACE_NAMES,
            clock=lasting.loop.time,
            call_at=lasting.loop.call_at,
            control=cast(Control, None),
            ready=lambda: lasting.ready,
            metrics=lasting.metrics,
            call_soon=lasting.loop.call_soon,
            healthy=lambda row: bool(healthy[row]),
            smaller={MODEL: SMALLER},
            table=self.table,
        )
        front.intake._id_prefix = "simulated"
        return front

    def _decision_log(self) -> DecisionRecorder:
        policy = self.router.configured.policy
        scorers = tuple(named.name for named in policy.scorers)
        header = LogHeader(self.centers, PLACE_NAMES, policy.name, {}, scorers, 1)
        path = cast(Path, DiskPath(self.lasting.disk, "decisions"))
        recorder = DecisionRecorder(path, self.table, header, mb_max=LOG_MB_MAX)
        self.router.listen(recorder)
        return recorder


@lru_cache(1)
def plugins_found() -> Registry:
    """Every plugin that is installed: looked for once a process."""
    return Registry.discover()
