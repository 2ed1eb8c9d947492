"""The composition root: one running gateway, built from a config.

Order of life: ``Gateway(settings, loop)`` builds every part (any mistake is a ConfigError
before a socket is opened), ``load_models`` warms the engine, ``open_doors`` listens,
``drain`` refuses new requests and waits for those in flight, ``close`` stops the rest.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.api import ConfigError
from gateway.centers.port import CenterPort
from gateway.centers.shared_engine import SharedEngine
from gateway.config import Settings
from gateway.engine import ModelRepository, Runner
from gateway.runtime.alias_check import check_aliases
from gateway.runtime.control import RunningControl
from gateway.runtime.deciding import Deciding, build_deciding, build_repository
from gateway.runtime.generation import Generation, Lasting
from gateway.runtime.health_log import HealthLog
from gateway.runtime.look import look_at
from gateway.runtime.loop_watch import BEAT_S, LoopWatch
from gateway.runtime.plugin_clock import plugin_clock
from gateway.runtime.reload import Reloader
from gateway.runtime.worker_seat import WorkerSeat
from gateway.serving import Front, PublicDoor, admin_routes, lasting_admin_app
from gateway.serving.dashboard import Feed
from gateway.serving.grpc_door import open_grpc_door
from gateway.telemetry import Metrics, PolicyFigures, Recorded
from gateway.telemetry.events import RecentEvents
from gateway.telemetry.recent import RecentMs
from gateway.wan import DelayLine, Faults

if TYPE_CHECKING:
    from gateway.serving.grpc_door.door import GrpcDoor

log = logging.getLogger("nearway.routing")


SWITCH_S = 5e-4
CUT_OFF_S = 0.2
"""How long a connection may take to close once nothing more is waited for."""


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
        self.seat = seat
        deciding = build_deciding(settings, plugin_clock(), seat)
        repository = build_repository(settings)
        repository.scan()
        check_aliases(settings.models.aliases, deciding.centers, repository.names())
        self.line = DelayLine(loop)
        self.runner = Runner(
            settings.models.threads_max,
            settings.models.inline_below_ms,
            loop.call_soon_threadsafe,
        )
        self.engine = SharedEngine(
            repository,
            self.runner,
            self._residency_changed,
            tensor_elements_max=settings.server.tensor_elements_max,
            on_cold=self._cold_changed,
            memory_bytes_max=int(settings.models.memory_mb_max * 1e6),
        )
        self.ready = False
        self.reloader: Reloader | None = None
        self.control = RunningControl(self)
        self.lasting = Lasting(
            loop,
            self.line,
            self.runner,
            self.engine,
            RecentMs(),
            Metrics(tuple(center.id for center in deciding.centers)),
            self.control,
            lambda: self.ready,
            Feed(partial(look_at, self), settings.telemetry.target_ms),
        )
        self.lasting.metrics.policy_figures = self.policy_figures
        self.lasting.metrics.model_memory = self.engine.memory
        self.generation = Generation(self.lasting, deciding, repository)
        self.generation.make_log()
        self.health_log = HealthLog([center.id for center in deciding.centers])
        self.events = RecentEvents()
        logging.getLogger("nearway").addHandler(self.events)
        self.watch: LoopWatch | None = None
        self.door = PublicDoor(self.front)
        self.admin_routes = admin_routes(self.front)
        self.grpc = self._grpc_door(loop)
        self.grpc_address = ""
        self._drained = False
        self._admin: web.AppRunner | None = None
        self._accepting: dict[int, asyncio.Server] = {}

    # ---- what is in force ------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The config in force."""
        return self.generation.settings

    @property
    def deciding(self) -> Deciding:
        """The deciding half in force."""
        return self.generation.deciding

    @property
    def front(self) -> Front:
        """What requests go by that begin now."""
        return self.generation.front

    @property
    def ports(self) -> list[CenterPort]:
        """Of the centers in force, by row."""
        return self.generation.reach.all

    @property
    def faults(self) -> Faults:
        """Those in force, by row."""
        return self.generation.faults

    @property
    def repository(self) -> ModelRepository:
        """The models of this process."""
        return self.engine.repository

    def take(self, generation: Generation) -> None:
        """It is in force: requests that begin from now on go by it."""
        self.generation = generation
        self.health_log = HealthLog([center.id for center in generation.deciding.centers])
        self.lasting.metrics.take_centers([center.id for center in generation.deciding.centers])
        self.door.take(generation.front)
        self.admin_routes.take(generation.front)
        if self.grpc is not None:
            self.grpc.take(generation.front)

    def _residency_changed(self, model: str, center: int, resident: bool, run_ms: float) -> None:
        self.generation.residents.told(model, center, resident, run_ms)

    def _cold_changed(self, model: str, rows: Sequence[int], cold_ms: float, run_ms: float) -> None:
        self.generation.residents.cold(model, rows, cold_ms, run_ms)

    # ---- now and then ----------------------------------------------------------------------

    def _beat(self, now: float) -> None:
        """A few times a second: what is due, and whether predictions can be trusted."""
        self.deciding.fleet.tick(now, ahead_s=0.5 * BEAT_S)  # or the next request would pay for it
        self.generation.probe_ejected(now)
        self.health_log.look(self.deciding.fleet, now)
        router, residuals = self.deciding.router, self.deciding.fleet.residuals
        if router.look(*residuals.sums, now):
            log.warning("%s", router.why())
        if self.front.admission.adaptive:
            self.front.admission.learn(*residuals.attempts(), now)

    def policy_figures(self) -> PolicyFigures:
        """What predictions were worth and what a shadow says, for a scrape."""
        router, shadow = self.deciding.router, self.deciding.shadow
        residuals = self.deciding.fleet.residuals
        log_task = self.generation.decision_log
        recorder = None if log_task is None else log_task.recorder
        recording = self.generation.recording
        return PolicyFigures(
            residuals.by_model(),
            residuals.by_center(),
            [row["health"] for row in self.deciding.fleet.state()],
            0.0 if router.watch is None else router.watch.error_share,
            router.doubted,
            router.fallbacks,
            0 if shadow is None else shadow.compared,
            0 if shadow is None else shadow.agreed,
            0 if shadow is None else shadow.skipped,
            0.0 if shadow is None else shadow.regret_ms,
            0 if recorder is None else recorder.records,
            0 if recorder is None else recorder.dropped,
            Recorded() if recording is None else recording.figures(),
        )

    # ---- life ------------------------------------------------------------------------------

    async def load_models(self) -> None:
        """Load, or declare, what a center in this process declares; connect to the others and ask
        them.
        """
        here = self.generation
        for name in self.repository.names():
            declaring = [port for port in here.reach.emulated if port.declares(name)]
            if not declaring:
                continue
            if self.settings.models.load == "on_demand":
                self.repository.declare(name)
            else:
                await asyncio.to_thread(self.repository.load, name)
            for port in declaring:
                port.adopt(name)
        await here.reach.open()
        await here.residency.ask()
        here.residency.start()

    async def open_doors(self) -> tuple[str, str]:
        """Listen; returns (url, admin_url). Raises ConfigError when a port is taken."""
        await self.door.open()
        self._admin = web.AppRunner(lasting_admin_app(self.admin_routes), access_log=None)
        await self._admin.setup()
        if self.grpc is not None:
            self.grpc_address = await self._listen_grpc(self.grpc)
        url = admin_url = ""
        if self.seat is None:
            url, admin_url = await self._listen(self._admin)
        else:
            await web.UnixSite(self._admin, self.seat.admin_path).start()
        await self.generation.sources.start()
        calm_the_collector()
        keep_threads_short()
        self.watch = LoopWatch(self.line, self._beat)
        self.generation.start_writing()
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
        within_s = self.settings.server.drain_s
        await asyncio.gather(self.door.retire(within_s), self._close_grpc(within_s))

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
        scheme = "http" if self.door.certificate is None else "https"
        return f"{scheme}://{host}:{port}", f"http://{admin_host}:{admin_port}"

    def _grpc_door(self, loop: asyncio.AbstractEventLoop) -> GrpcDoor | None:
        """Raises ConfigError when what it needs is not installed."""
        server = self.settings.server
        if server.grpc_port < 0:
            return None
        shared = server.reuse_port or self.seat is not None
        return open_grpc_door(self.front, loop, reuse_port=shared)

    async def _listen_grpc(self, door: GrpcDoor) -> str:
        server = self.settings.server
        try:
            return await door.listen(server.host, server.grpc_port)
        except OSError as error:
            raise taken("grpc_port", server.host, server.grpc_port, error) from None

    async def _close_grpc(self, within_s: float | None = None) -> None:
        door, self.grpc = self.grpc, None
        if door is not None:
            await door.close(self.settings.server.drain_s if within_s is None else within_s)

    async def drain(self) -> int:
        """Refuse new work, wait for what is in flight; returns how many were left.

        Whoever connects meanwhile hears 503 and when to come again, which tells more than a
        refused connection. Where another process may listen on the same port nobody hears it: no
        connection is accepted any more, and each that there is ends with its next answer.
        """
        if self.settings.server.reuse_port and self.seat is None:
            await self.retire()
        self.ready = False
        self.door.part()
        until_s = self.line.now() + self.settings.server.drain_s
        while self.front.metrics.in_flight and self.line.now() < until_s:
            await asyncio.sleep(0.02)
        self._drained = True
        return self.front.metrics.in_flight

    async def close(self) -> None:
        """Stop everything that was started. What a drain has not seen end is cut off."""
        self.ready = False
        await self.generation.stop_asking()
        await self.lasting.feed.stop()
        logging.getLogger("nearway").removeHandler(self.events)
        cut_off_s = CUT_OFF_S if self._drained else None
        await asyncio.gather(self.door.close(cut_off_s), self._close_grpc(cut_off_s))
        if self._admin is not None:
            await self._admin.cleanup()
        if self.watch is not None:
            self.watch.stop()
        await self.generation.close()
        await self.generation.reach.close()
        self.engine.close()
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


def keep_threads_short() -> None:
    """A thread that loads a model computes in Python now and then; the loop waits no longer for
    it than this. By default that is 5 ms, and a request's run asks for it once at least.
    """
    sys.setswitchinterval(SWITCH_S)
