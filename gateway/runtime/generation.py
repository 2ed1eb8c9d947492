"""All that one config decides, in one object: what is read anew is replaced as a whole.

Theory of operation. A gateway has parts that live as long as its process (``Lasting``: loop,
sockets, engine, counters) and one ``Generation`` in force. A new config makes a new generation
aside; it comes into force in one turn of the loop (``reload``), and what the one before has under
way ends on its own parts: its router refunds what it charged, its ports hear their answers.
What a center has in this process or over a connection is the same object in both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.api import NotFound
from gateway.api.control import Control
from gateway.centers.shared_engine import SharedEngine
from gateway.config import Settings
from gateway.engine import ModelRepository, Runner
from gateway.engine.model_card import about_model
from gateway.runtime.deciding import Deciding
from gateway.runtime.decision_log import DecisionLogTask
from gateway.runtime.ports import Before, Ports, Surroundings, build_ports
from gateway.runtime.readiness import why_unready
from gateway.runtime.recording import Recording, recording_of
from gateway.runtime.residency import UNKNOWN_RUN_MS, Residency
from gateway.runtime.residents import Residents
from gateway.runtime.source_feed import SourceFeed
from gateway.serving import Front
from gateway.serving.dashboard import Feed
from gateway.serving.deadlines import loop_timer
from gateway.telemetry import Metrics
from gateway.telemetry.recent import RecentMs
from gateway.wan import DelayLine, Faults

SETTLE_S = 0.02


@dataclass(slots=True)
class Lasting:
    """What every generation of one process stands on. ``ready``: whether inference may enter."""

    loop: asyncio.AbstractEventLoop
    line: DelayLine
    runner: Runner
    engine: SharedEngine
    overshoot: RecentMs
    metrics: Metrics
    control: Control
    ready: Callable[[], bool]
    feed: Feed


class Generation:
    """The parts made from one config. Raises ConfigError for a port that cannot be made.

    ``before``: the generation in force, which is not touched.
    """

    def __init__(
        self,
        lasting: Lasting,
        deciding: Deciding,
        repository: ModelRepository,
        before: Generation | None = None,
    ) -> None:
        self.settings: Settings = deciding.settings
        self.deciding = deciding
        self.repository = repository
        self.lasting = lasting
        self.faults = self._faults_after(before)
        self._row_of = {center.id: row for row, center in enumerate(deciding.centers)}
        self.residents = Residents(deciding.fleet, len(deciding.centers), self._note_config)
        self.reach = self._ports(before)
        self.residency = Residency(
            self.reach.remote,
            self.residents.told,
            self._run_ms,
            self.settings.remote.index_s,
        )
        self.sources = SourceFeed(deciding, Path.cwd())
        self.decision_log: DecisionLogTask | None = None
        self.recording = self._recording()
        self.front = self._front()

    def _faults_after(self, before: Generation | None) -> Faults:
        if before is None:
            return Faults()
        if before.deciding.centers == self.deciding.centers:
            return before.faults
        return Faults()  # they are taken over when it comes into force

    def _ports(self, before: Generation | None) -> Ports:
        deciding, lasting = self.deciding, self.lasting
        surroundings = Surroundings(
            lasting.loop,
            deciding.gazetteer.places,
            deciding.path_model,
            lasting.engine,
            self.faults,
            lasting.line,
            lasting.overshoot,
            self.residents.told,
            self.residents.cold,
            self.reach_changed,
        )
        was = None
        if before is not None:
            was = Before(
                before.settings,
                before.deciding.centers,
                before.deciding.gazetteer.places,
                before.reach,
            )
        return build_ports(self.settings, deciding.centers, surroundings, was)

    def _recording(self) -> Recording | None:
        deciding = self.deciding
        return recording_of(
            self.settings.telemetry,
            self.lasting.line.now,
            centers=[center.id for center in deciding.centers],
            origins=[place.name for place in deciding.gazetteer.places],
            here=[row for row, center in enumerate(deciding.centers) if center.url is None],
            scorers=lambda: tuple(named.name for named in deciding.router.policy.scorers),
        )

    def _front(self) -> Front:
        deciding, lasting = self.deciding, self.lasting
        healthy = deciding.router.table.columns["healthy"]
        return Front(
            settings=self.settings,
            router=deciding.router,
            ports=self.reach.all,
            centers=deciding.centers,
            find_vantage=deciding.find_vantage,
            vantage_names=tuple(place.name for place in deciding.gazetteer.places),
            clock=lasting.line.now,
            call_at=lasting.line.call_at,
            call_about=loop_timer(lasting.loop),
            control=lasting.control,
            ready=lasting.ready,
            metrics=lasting.metrics,
            healthy=lambda row: bool(healthy[row]),
            table=deciding.router.table,
            smaller=dict(self.settings.models.smaller),
            unready=self.why_unready,
            places=deciding.gazetteer.places,
            feed=lasting.feed,
            about_model=partial(about_model, self.repository),
            recorder=None if self.recording is None else self.recording.recorder,
        )

    def why_unready(self) -> str:
        """Empty when enough centers answer; see ``readiness``."""
        in_service = self.deciding.router.table.columns["healthy"].tolist()
        models = {name: rows for name, (_, rows) in self.residents.by_model.items()}
        return why_unready(in_service, models, self.settings.server.ready_centers_min)

    # ---- what it is told -------------------------------------------------------------------

    def reach_changed(self, center: str, reachable: bool) -> None:
        """The connection to a center was lost, or is there again."""
        row = self._row_of.get(center)
        if row is not None:
            now = self.lasting.line.now()
            self.deciding.fleet.reach_changed(row, reachable=reachable, now=now)

    def _note_config(self, model: str) -> None:
        """What one in memory here declares: its class, and a smaller model, where the gateway's
        own config names none.
        """
        try:
            config = self.repository.config(model)
        except NotFound:
            return
        self.deciding.fleet.set_class_c(model, class_c=config.latency_class == "C")
        if config.smaller:
            self.front.smaller.setdefault(model, config.smaller)

    def _run_ms(self, model: str) -> float:
        """The prior for a model that a remote center has: as measured here, if it was."""
        try:
            cold = self.repository.cold(model)
            return cold.run_ms if cold is not None else self.repository.get(model).run_ms
        except NotFound:
            return UNKNOWN_RUN_MS

    def probe_ejected(self, now: float) -> None:
        """Ask the ejected centers that are due."""
        for center in self.deciding.fleet.to_probe(now):
            self.front.prober.ask_health(center, self._probed)

    def _probed(self, center: int, alive: bool) -> None:
        self.deciding.fleet.probed(center, alive=alive, now=self.lasting.line.now())

    # ---- life ------------------------------------------------------------------------------

    def make_log(self) -> None:
        """Open the decision log, if there is to be one. Raises ConfigError for its path."""
        if self.settings.telemetry.decision_log:
            self.decision_log = DecisionLogTask(self.deciding, self.lasting.line.now)

    def start_writing(self) -> None:
        """The logs that the config names are written from now on."""
        if self.decision_log is not None:
            self.decision_log.start()
        if self.recording is not None:
            self.recording.start()

    async def stop_asking(self) -> None:
        """Neither sources nor remote centers are asked any more."""
        await self.sources.stop()
        await self.residency.stop()

    async def close(self) -> None:
        """Everything of its own; ports are closed by whoever closes all."""
        await self.stop_asking()
        if self.decision_log is not None:
            await self.decision_log.stop()
        if self.recording is not None:
            await self.recording.stop()

    async def emptied(self, within_s: float) -> bool:
        """Until nothing it charged is under way; False when that takes too long."""
        until_s = self.lasting.line.now() + within_s
        while self.deciding.fleet.in_flight:
            if self.lasting.line.now() > until_s:
                return False
            await asyncio.sleep(SETTLE_S)
        return True


def rows_by_id(before: Deciding, after: Deciding) -> dict[int, int]:
    """(row before: row after) of the centers with the same id."""
    rows = {center.id: row for row, center in enumerate(after.centers)}
    return {row: rows[center.id] for row, center in enumerate(before.centers) if center.id in rows}
