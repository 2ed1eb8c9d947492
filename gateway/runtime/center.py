"""One process of centers: frames and HTTP on one port, or one socket, and nothing decided.

Order of life, as a gateway's: ``CenterProcess`` builds every part, ``load_models`` warms the
engine, ``open_doors`` listens, ``drain`` says goodbye to the gateways and waits for what is
under way, ``close`` stops the rest.

Frames reach the centers directly. HTTP is a gateway's own door over the one center, when there is
one (``one_center``); over several there is no telling which is meant. On the Unix socket it is
an admin door besides, and that alone for several, or for all that have no URL.

With ``emulate_wan`` the way from the vantage that a request names to its center is emulated
here: before the center sees the request, and before its answer leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

from gateway import __version__
from gateway.api import CenterDown, ConfigError, Report
from gateway.centers.port import CenterPort
from gateway.centers.shared_engine import SharedEngine
from gateway.config import Settings
from gateway.config.fleet_file import load_fleet
from gateway.config.framed_url import FramedAddress
from gateway.engine import Runner
from gateway.runtime.center_control import CenterControl
from gateway.runtime.center_plan import (
    CenterListening,
    CenterPlan,
    chosen,
    http_settings,
    in_words,
)
from gateway.runtime.deciding import build_repository
from gateway.runtime.gateway import calm_the_collector, keep_threads_short, taken
from gateway.runtime.loop_watch import LoopWatch
from gateway.runtime.one_center import OneCenter
from gateway.runtime.ports import Surroundings, build_ports
from gateway.runtime.recording import recording_of
from gateway.serving import Front, PublicDoor, admin_routes, build_admin_app
from gateway.serving.frames_door import FramesDoor, Hosted
from gateway.serving.intake import Headers
from gateway.serving.shared_port import SharedPort
from gateway.telemetry import Metrics
from gateway.telemetry.recent import RecentMs
from gateway.wan import PROFILES, DelayLine, Faults, Gazetteer, PathModel, load_cities
from gateway.wire.frames import ResidencyLine

DRAIN_STEP_S = 0.02
PROBE_S = 5.0


class CenterProcess:
    """Everything one center process owns. ``emulates``: the network it emulates, in words."""

    def __init__(
        self, settings: Settings, plan: CenterPlan, loop: asyncio.AbstractEventLoop
    ) -> None:
        plan.check()
        self.plan = plan
        self.settings = settings
        file = Path(settings.fleet.file) if settings.fleet.file else None
        fleet = load_fleet(file, settings.fleet.sites)
        self.gazetteer = Gazetteer(load_cities(), fleet)
        self.centers = chosen(fleet, plan)
        self.emulates = in_words(settings) if plan.emulate_wan else ""
        self.faults = Faults()
        self.overshoot = RecentMs()
        self.line = DelayLine(loop)
        self.watch: LoopWatch | None = None
        self.ready = False
        self._resident: dict[tuple[str, str], float] = {}
        self._cold: dict[tuple[str, str], float] = {}
        self._runner = Runner(
            settings.models.threads_max,
            settings.models.inline_below_ms,
            loop.call_soon_threadsafe,
        )
        repository = build_repository(settings)
        repository.scan()
        self.engine = SharedEngine(
            repository,
            self._runner,
            self._residency_changed,
            tensor_elements_max=settings.server.tensor_elements_max,
            on_cold=self._cold_changed,
            memory_bytes_max=int(settings.models.memory_mb_max * 1e6),
        )
        self.reach = build_ports(settings, self.centers, self._surroundings(loop))
        self.recording = recording_of(
            settings.telemetry,
            self.line.now,
            centers=[center.id for center in self.centers],
            origins=[place.name for place in self.gazetteer.places],
            center=True,
        )
        self.frames = FramesDoor(self._hosted())
        self.control = CenterControl(self)
        self._front = self._build_front()
        self._door = PublicDoor(self._front, admin_routes(self._front))
        self._admin: web.AppRunner | None = None
        self._servers: list[asyncio.Server] = []

    # ---- its parts ------------------------------------------------------------------------

    def _surroundings(self, loop: asyncio.AbstractEventLoop) -> Surroundings:
        network = self.settings.network
        path_model = PathModel(
            PROFILES[network.profile],
            border_ms=network.border_ms,
            last_mile_ms=network.last_mile_ms,
        )
        return Surroundings(
            loop,
            self.gazetteer.places,
            path_model,
            self.engine,
            self.faults,
            self.line,
            self.overshoot,
            self._residency_changed,
        )

    def _hosted(self) -> Hosted:
        server = self.settings.server
        return Hosted(
            self.ports,
            self.gazetteer.find,
            self._residencies,
            self.line.now,
            f"nearway {__version__}",
            self.emulates,
            server.in_flight_max,
            server.body_bytes_max,
            None if self.recording is None else self.recording.tracer,
        )

    @property
    def ports(self) -> dict[str, CenterPort]:
        """By center id."""
        ids = (center.id for center in self.centers)
        return dict(zip(ids, self.reach.all, strict=True))

    def _build_front(self) -> Front:
        return Front(
            settings=http_settings(self.settings, self.centers[0], emulates=bool(self.emulates)),
            router=OneCenter(),
            ports=self.reach.all,
            centers=self.centers,
            find_vantage=lambda name: self.gazetteer.find(unquote(name)),
            vantage_names=tuple(place.name for place in self.gazetteer.places),
            clock=self.line.now,
            call_at=self.line.call_at,
            control=self.control,
            ready=lambda: self.ready,
            metrics=Metrics(tuple(center.id for center in self.centers)),
            tells_drawn=bool(self.emulates),
            probe_center=self._probe,
            recorder=None if self.recording is None else self.recording.recorder,
        )

    async def _probe(self, headers: Headers) -> Report:
        """Over HTTP: the way of a probe in a frame. Raises CenterDown, InvalidRequest."""
        told: asyncio.Future[Report | None] = asyncio.get_running_loop().create_future()

        def on_result(report: Report | None) -> None:
            if not told.done():
                told.set_result(report)

        vantage = self._front.intake.said(headers, trusted=True).vantage
        self.reach.all[0].probe(vantage, on_result)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROBE_S):
                report = await told
                if report is not None:
                    return report
        raise CenterDown(f"center {self.centers[0].id} refused, or kept silent")

    # ---- models ---------------------------------------------------------------------------

    def _residency_changed(self, model: str, row: int, resident: bool, run_ms: float) -> None:
        center = self.centers[row].id
        if resident:
            self._resident[center, model] = run_ms
        else:
            self._resident.pop((center, model), None)
            self._cold.pop((center, model), None)
        if self.ready:
            self.frames.tell([self._line(center, model, run_ms, resident=resident)])

    def _cold_changed(self, model: str, rows: Sequence[int], cold_ms: float, run_ms: float) -> None:
        """Gateways learn what a request now waits for the model, and how long it runs."""
        centers = [self.centers[row].id for row in rows]
        for center in centers:
            self._resident[center, model] = run_ms
            self._cold[center, model] = cold_ms
        if self.ready:
            lines = [self._line(center, model, run_ms, resident=True) for center in centers]
            self.frames.tell(lines)

    def _line(self, center: str, model: str, run_ms: float, *, resident: bool) -> ResidencyLine:
        return ResidencyLine(center, model, resident, run_ms, self._cold.get((center, model), 0.0))

    def _residencies(self) -> list[ResidencyLine]:
        return [
            self._line(center, model, run_ms, resident=True)
            for (center, model), run_ms in self._resident.items()
        ]

    async def load_models(self) -> None:
        """Load, or declare, what a center of this process declares."""
        for name in self.engine.repository.names():
            declaring = [port for port in self.reach.emulated if port.declares(name)]
            if declaring and self.settings.models.load == "on_demand":
                self.engine.repository.declare(name)
            elif declaring:
                await asyncio.to_thread(self.engine.repository.load, name)
            for port in declaring:
                port.adopt(name)

    @property
    def models(self) -> tuple[str, ...]:
        """Those that are loaded somewhere here."""
        return tuple(sorted({model for _, model in self._resident}))

    # ---- life -----------------------------------------------------------------------------

    async def open_doors(self) -> CenterListening:
        """Listen; says where. Raises ConfigError when an address is taken."""
        plan, loop = self.plan, asyncio.get_running_loop()
        addresses, http = [], ""
        await self._door.open()
        if plan.port is not None:
            factory = self._frames_or_model if len(self.centers) == 1 else self.frames.connection
            try:
                server = await loop.create_server(factory, plan.host, plan.port, backlog=128)
            except OSError as error:
                raise taken("port", plan.host, plan.port, error) from None
            self._servers.append(server)
            bound = server.sockets[0].getsockname()
            addresses.append(FramedAddress(host=bound[0], port=bound[1]))
            if len(self.centers) == 1:
                http = str(addresses[0]).replace("nearway:", "http:", 1)
        if plan.socket is not None:
            addresses.append(await self._open_socket(plan.socket.absolute()))
        calm_the_collector()
        keep_threads_short()
        self.watch = LoopWatch(self.line, lambda _: None)
        if self.recording is not None:
            self.recording.start()
        self.ready = True
        return CenterListening(tuple(addresses), http, self.centers, self.models, self.emulates)

    async def _open_socket(self, path: Path) -> FramedAddress:
        """A Unix socket that its owner alone may use."""
        factory = self._frames_or_model
        if len(self.centers) > 1 or not self.plan.region:
            factory = self._frames_or_admin
            self._admin = web.AppRunner(build_admin_app(self._front), access_log=None)
            await self._admin.setup()
        try:
            _clear(path)
            server = await asyncio.get_running_loop().create_unix_server(
                factory, str(path), backlog=128
            )
            path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        except OSError as error:
            raise ConfigError(
                f"--socket {path}: {error.strerror or error}; expected a path in a folder that "
                "this process may write to"
            ) from None
        self._servers.append(server)
        return FramedAddress(path=str(path))

    def _frames_or_model(self) -> SharedPort:
        return SharedPort(self.frames.connection, self._door.connect)

    def _frames_or_admin(self) -> SharedPort:
        assert self._admin is not None
        server = self._admin.server
        assert server is not None
        return SharedPort(self.frames.connection, server)

    @property
    def in_flight(self) -> int:
        """Requests under way, over frames and HTTP."""
        return self.frames.in_flight + self._front.metrics.in_flight

    async def drain(self) -> int:
        """Take nothing new, wait for what is under way; returns how many were left."""
        self.ready = False
        self._door.part()
        for server in self._servers:
            server.close()
        self.frames.leave("the center process stops")
        until_s = self.line.now() + self.settings.server.drain_s
        while self.in_flight and self.line.now() < until_s:
            await asyncio.sleep(DRAIN_STEP_S)
        return self.in_flight

    async def close(self) -> None:
        """Stop everything that was started."""
        self.ready = False
        for server in self._servers:
            server.close()
        self.frames.close()
        await self._door.close()
        if self._admin is not None:
            await self._admin.cleanup()
        if self.plan.socket is not None and self._servers:
            with contextlib.suppress(OSError):
                self.plan.socket.unlink()
        if self.watch is not None:
            self.watch.stop()
        if self.recording is not None:
            await self.recording.stop()
        self.engine.close()
        self._runner.close()
        self.line.close()


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises OSError for anything else that is there."""
    if not path.exists():
        return
    if not path.is_socket():
        raise OSError("there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError("another process listens there")
