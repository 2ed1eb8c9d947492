"""The composition root: one running gateway, built from a config.

Order of life: ``Gateway(settings, loop)`` builds every part (any mistake is a ConfigError
before a socket is opened), ``load_models`` warms the engine, ``open_doors`` listens,
``drain`` refuses new requests and waits for those in flight, ``close`` stops the rest.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path
from random import Random

import numpy as np
from aiohttp import web

from gateway.api import ConfigError
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.shared_engine import SharedEngine
from gateway.config import Settings
from gateway.engine import Runner
from gateway.runtime.control import RunningControl
from gateway.runtime.deciding import build_deciding, build_repository
from gateway.runtime.decision_log import DecisionLogTask
from gateway.runtime.loop_watch import LoopWatch
from gateway.runtime.plugin_clock import plugin_clock
from gateway.runtime.source_feed import SourceFeed
from gateway.serving import Front, build_admin_app, build_public_app, runner_options
from gateway.telemetry import Metrics, PolicyFigures
from gateway.telemetry.recent import RecentMs
from gateway.wan import DelayLine, EmulatedNetwork, Faults

log = logging.getLogger("nearway.routing")


class Gateway:
    """Everything one gateway process owns."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.deciding = build_deciding(settings, plugin_clock())
        self.repository = build_repository(settings)
        self.repository.scan()
        self._known_models: set[str] = set()
        self.line = DelayLine(loop)
        self.runner = Runner(
            settings.models.threads_max,
            settings.models.inline_below_ms,
            loop.call_soon_threadsafe,
        )
        self.faults = Faults()
        self.overshoot = RecentMs()
        self.engine = SharedEngine(
            self.repository,
            self.runner,
            self._residency_changed,
            tensor_elements_max=settings.server.tensor_elements_max,
        )
        self.ports = self._emulated_centers()
        self.decision_log = (
            DecisionLogTask(self.deciding, self.line.now)
            if settings.telemetry.decision_log
            else None
        )
        self.watch: LoopWatch | None = None
        self.sources = SourceFeed(self.deciding, Path.cwd())
        self.ready = False
        self.control = RunningControl(self)
        self.front = self._front()
        self.front.metrics.policy_figures = self.policy_figures
        self._doors: list[web.AppRunner] = []

    def _emulated_centers(self) -> list[EmulatedCenter]:
        settings, deciding = self.settings, self.deciding
        remote = next((c for c in deciding.centers if c.url is not None), None)
        if remote is not None:
            raise ConfigError(
                f"center {remote.id}: url = {remote.url!r}, but this version serves centers of "
                "its own process only; remove the url from the fleet file"
            )
        network = EmulatedNetwork(
            deciding.gazetteer.places,
            deciding.centers,
            deciding.path_model,
            settings.network.seed,
            jitter=settings.network.jitter,
            faults=self.faults,
            random=Random(f"{settings.network.seed}:jitter"),
        )
        return [
            EmulatedCenter(
                row,
                center,
                engine=self.engine,
                network=network,
                faults=self.faults,
                line=self.line,
                overshoot=self.overshoot,
                random=Random(f"{settings.network.seed}:{center.id}"),
                queue_max=settings.emulation.queue_max,
            )
            for row, center in enumerate(deciding.centers)
        ]

    def _front(self) -> Front:
        deciding = self.deciding
        healthy = deciding.router.table.columns["healthy"]
        return Front(
            settings=self.settings,
            router=deciding.router,
            ports=self.ports,
            centers=deciding.centers,
            find_vantage=deciding.find_vantage,
            vantage_names=tuple(place.name for place in deciding.gazetteer.places),
            clock=self.line.now,
            call_at=self.line.call_at,
            control=self.control,
            ready=lambda: self.ready,
            metrics=Metrics(tuple(center.id for center in deciding.centers)),
            healthy=lambda row: bool(healthy[row]),
        )

    # ---- what the parts tell one another ---------------------------------------------------

    def _residency_changed(self, model: str, center: int, resident: bool, run_ms: float) -> None:
        fleet = self.deciding.fleet
        if model not in self._known_models:
            self._known_models.add(model)
            fleet.add_model(model, run_ms, np.zeros(len(self.ports), dtype=bool))
        fleet.set_resident(model, center, resident=resident)

    def _beat(self, now: float) -> None:
        """A few times a second: what is due, and whether predictions can be trusted."""
        self._probe_ejected(now)
        router, residuals = self.deciding.router, self.deciding.fleet.residuals
        if router.look(*residuals.sums, now):
            log.warning("%s", router.why())

    def policy_figures(self) -> PolicyFigures:
        """What predictions were worth and what a shadow says, for a scrape."""
        router, shadow = self.deciding.router, self.deciding.shadow
        residuals = self.deciding.fleet.residuals
        recorder = None if self.decision_log is None else self.decision_log.recorder
        return PolicyFigures(
            residuals.by_model(),
            residuals.by_center(),
            0.0 if router.watch is None else router.watch.error_share,
            router.doubted,
            router.fallbacks,
            0 if shadow is None else shadow.compared,
            0 if shadow is None else shadow.agreed,
            0 if shadow is None else shadow.skipped,
            0.0 if shadow is None else shadow.regret_ms,
            0 if recorder is None else recorder.records,
            0 if recorder is None else recorder.dropped,
        )

    def _probe_ejected(self, now: float) -> None:
        fleet = self.deciding.fleet
        for center in fleet.to_probe(now):
            self.front.prober.ask_health(center, self._probed)

    def _probed(self, center: int, alive: bool) -> None:
        self.deciding.fleet.probed(center, alive=alive, now=self.line.now())

    # ---- life ------------------------------------------------------------------------------

    async def load_models(self) -> None:
        """Load what any center declares, then let every center adopt it."""
        for name in self.repository.names():
            declared = self.deciding.declared(name)
            if not declared.any():
                continue
            await asyncio.to_thread(self.repository.load, name)
            for port in self.ports:
                if declared[port.row]:
                    port.adopt(name)

    async def open_doors(self) -> tuple[str, str]:
        """Listen; returns (url, admin_url). Raises ConfigError when a port is taken."""
        server = self.settings.server
        public = web.AppRunner(build_public_app(self.front), **runner_options(self.front))
        admin = web.AppRunner(build_admin_app(self.front), access_log=None)
        url = await self._listen(public, server.host, server.port, "port")
        admin_url = await self._listen(admin, server.admin_host, server.admin_port, "admin_port")
        await self.sources.start()
        calm_the_collector()
        self.watch = LoopWatch(self.line, self._beat)
        if self.decision_log is not None:
            self.decision_log.start()
        self.ready = True
        return url, admin_url

    async def _listen(self, runner: web.AppRunner, host: str, port: int, key: str) -> str:
        await runner.setup()
        self._doors.append(runner)
        site = web.TCPSite(runner, host, port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"server.{key} = {port}: cannot listen on {host}: {error.strerror}; "
                f"another process may hold it. Set server.{key} (0 picks a free one)."
            ) from None
        bound = runner.addresses[0]
        return f"http://{bound[0]}:{bound[1]}"

    async def drain(self) -> int:
        """Refuse new work, wait for what is in flight; returns how many were left."""
        self.ready = False
        until_s = self.line.now() + self.settings.server.drain_s
        while self.front.metrics.in_flight and self.line.now() < until_s:
            await asyncio.sleep(0.02)
        return self.front.metrics.in_flight

    async def close(self) -> None:
        """Stop everything that was started."""
        self.ready = False
        await self.sources.stop()
        for runner in self._doors:
            await runner.cleanup()
        if self.watch is not None:
            self.watch.stop()
        if self.decision_log is not None:
            await self.decision_log.stop()
        self.runner.close()
        self.line.close()


def calm_the_collector() -> None:
    """A full collection over the start-up's objects costs milliseconds: take them out of it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
