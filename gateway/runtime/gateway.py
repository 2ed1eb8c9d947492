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

import numpy as np
from aiohttp import web

from gateway.api import ConfigError, NotFound
from gateway.centers.shared_engine import SharedEngine
from gateway.config import Settings
from gateway.engine import Runner
from gateway.runtime.control import RunningControl
from gateway.runtime.deciding import build_deciding, build_repository
from gateway.runtime.decision_log import DecisionLogTask
from gateway.runtime.loop_watch import BEAT_S, LoopWatch
from gateway.runtime.plugin_clock import plugin_clock
from gateway.runtime.ports import Ports, Surroundings, build_ports
from gateway.runtime.residency import UNKNOWN_RUN_MS, Residency
from gateway.runtime.source_feed import SourceFeed
from gateway.runtime.worker_seat import WorkerSeat
from gateway.serving import Front, PublicDoor, build_admin_app
from gateway.telemetry import Metrics, PolicyFigures
from gateway.telemetry.recent import RecentMs
from gateway.wan import DelayLine, Faults

log = logging.getLogger("nearway.routing")


class Gateway:
    """Everything one gateway process owns."""

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        *,
        seat: WorkerSeat | None = None,
    ) -> None:
        """``seat``: where it sits when it is one worker among several."""
        self.settings = settings
        self.seat = seat
        self.deciding = build_deciding(settings, plugin_clock(), seat)
        self.repository = build_repository(settings)
        self.repository.scan()
        self._known_models: set[str] = set()
        self.resident: dict[str, tuple[float, set[int]]] = {}
        """By model: its run time as measured where it runs, ms, and the centers that have it."""
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
        self.reach = self._build_ports(loop)
        self.ports = self.reach.all
        self.residency = Residency(
            self.reach.remote,
            self._residency_changed,
            self._run_ms,
            settings.remote.index_s,
        )
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
        self.door = PublicDoor(self.front)
        self._admin: web.AppRunner | None = None
        self._accepting: dict[int, asyncio.Server] = {}

    def _build_ports(self, loop: asyncio.AbstractEventLoop) -> Ports:
        deciding = self.deciding
        surroundings = Surroundings(
            loop,
            deciding.gazetteer.places,
            deciding.path_model,
            self.engine,
            self.faults,
            self.line,
            self.overshoot,
        )
        return build_ports(self.settings, deciding.centers, surroundings)

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
        if resident:
            self.resident.setdefault(model, (run_ms, set()))[1].add(center)
        elif model in self.resident:
            self.resident[model][1].discard(center)
            if not self.resident[model][1]:
                del self.resident[model]

    def _run_ms(self, model: str) -> float:
        """The prior for a model that a remote center has: as measured here, if it was."""
        try:
            return self.repository.get(model).run_ms
        except NotFound:
            return UNKNOWN_RUN_MS

    def _beat(self, now: float) -> None:
        """A few times a second: what is due, and whether predictions can be trusted."""
        self.deciding.fleet.tick(now, ahead_s=0.5 * BEAT_S)  # or the next request would pay for it
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
        """Load what a center in this process declares; connect to the others and ask them."""
        for name in self.repository.names():
            declaring = [port for port in self.reach.emulated if port.declares(name)]
            if not declaring:
                continue
            await asyncio.to_thread(self.repository.load, name)
            for port in declaring:
                port.adopt(name)
        await self.reach.open()
        await self.residency.ask()
        self.residency.start()

    async def open_doors(self) -> tuple[str, str]:
        """Listen; returns (url, admin_url). Raises ConfigError when a port is taken."""
        await self.door.open()
        self._admin = web.AppRunner(build_admin_app(self.front), access_log=None)
        await self._admin.setup()
        url = admin_url = ""
        if self.seat is None:
            url, admin_url = await self._listen(self._admin)
        else:
            await web.UnixSite(self._admin, self.seat.admin_path).start()
        await self.sources.start()
        calm_the_collector()
        self.watch = LoopWatch(self.line, self._beat)
        if self.decision_log is not None:
            self.decision_log.start()
        self.ready = True
        for number in self.seat.own_sockets if self.seat is not None else ():
            await self.accept(number, wanted=True)
        return url, admin_url

    async def accept(self, number: int, *, wanted: bool) -> None:
        """Accept on a public socket of all workers, or no longer; it stays open elsewhere."""
        assert self.seat is not None
        if not wanted:
            server = self._accepting.pop(number, None)
            if server is not None:
                server.close()
        elif number not in self._accepting:
            socket = self.seat.sockets[number].dup()
            self._accepting[number] = await self.door.accept(socket)

    async def retire(self) -> None:
        """Accept no more; each connection closes with its next answer, idle ones in the end."""
        self._accepting.clear()
        await self.door.retire(self.settings.server.drain_s)

    async def _listen(self, admin: web.AppRunner) -> tuple[str, str]:
        server = self.settings.server
        try:
            host, port = await self.door.listen(server.host, server.port)
        except OSError as error:
            raise taken("port", server.host, server.port, error) from None
        site = web.TCPSite(admin, server.admin_host, server.admin_port, backlog=128)
        try:
            await site.start()
        except OSError as error:
            raise taken("admin_port", server.admin_host, server.admin_port, error) from None
        admin_host, admin_port = admin.addresses[0][:2]
        return f"http://{host}:{port}", f"http://{admin_host}:{admin_port}"

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
        await self.door.close()
        if self._admin is not None:
            await self._admin.cleanup()
        if self.watch is not None:
            self.watch.stop()
        if self.decision_log is not None:
            await self.decision_log.stop()
        await self.residency.stop()
        await self.reach.close()
        self.runner.close()
        self.line.close()


def taken(key: str, host: str, port: int, error: OSError) -> ConfigError:
    """A door cannot listen."""
    return ConfigError(
        f"server.{key} = {port}: cannot listen on {host}: {error.strerror}; "
        f"another process may hold it. Set server.{key} (0 picks a free one)."
    )


def calm_the_collector() -> None:
    """A full collection over the start-up's objects costs milliseconds: take them out of it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
