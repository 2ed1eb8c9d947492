"""The ports of a seed's centers, and the processes behind those that are elsewhere."""

from __future__ import annotations

from random import Random
from typing import Any, cast

from gateway.api import Center
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.framed import FramedCenter, FramedConnection, OnReach
from gateway.centers.local import LocalCenter
from gateway.centers.outbox import Outbox
from gateway.centers.port import CenterPort
from gateway.centers.remote import Endpoint, RemoteCenter
from gateway.centers.shared_engine import OnResidency
from gateway.config.framed_url import FramedAddress
from gateway.telemetry.recent import RecentMs
from gateway.testing.adversary.loop import VirtualLoop
from gateway.testing.adversary.network import Network
from gateway.testing.adversary.processes import (
    FRAMES_PORT,
    HTTP_PORT,
    MODELS,
    QUEUE_MAX,
    Engine,
    FramedProcess,
    HttpProcess,
    line_of,
)
from gateway.testing.adversary.shapes import PLACE_NAMES, PLACES, ZONES, Shape, draw_center
from gateway.wan import EmulatedNetwork, Faults, PathModel


class OrderedSet(dict[Any, None]):
    """A set that is walked in the order of its making: hashes of objects differ by run."""

    def add(self, item: Any) -> None:
        """Put it in."""
        self[item] = None

    def discard(self, item: Any) -> None:
        """Take it out; harmless when it is not there."""
        self.pop(item, None)


class CenterPorts:
    """All of one process, by center id; they live as long as it does, whatever the config."""

    def __init__(
        self,
        loop: VirtualLoop,
        network: Network,
        shape: Shape,
        random: Random,
        path_model: PathModel,
    ) -> None:
        self.by_id: dict[str, CenterPort] = {}
        self.centers: list[Center] = []
        self.framed: list[FramedProcess] = []
        self.https: list[HttpProcess] = []
        self.connections: list[FramedConnection] = []
        self.remote: list[RemoteCenter] = []
        self.here: list[LocalCenter | EmulatedCenter] = []
        self.faults = Faults()
        self._loop = loop
        self._network = network
        self._shape = shape
        self._random = random
        self._path_model = path_model
        self._hosts: dict[str, str] = {}
        self._draw()

    def _draw(self) -> None:
        """The centers, in an order drawn by the seed; no ports yet."""
        random, shape = self._random, self._shape
        for process, count in enumerate(shape.framed):
            zone, host = random.choice(ZONES), f"framed-{process}"
            centers = [
                draw_center(10 * process + place, "framed", zone, random) for place in range(count)
            ]
            self._hosts.update({center.id: host for center in centers})
            self.framed.append(
                FramedProcess(self._loop, self._network, host, centers, Random(random.random()))
            )
            self.centers += centers
        for number in range(shape.remote):
            host = f"http-{number}"
            self.https.append(HttpProcess(self._loop, self._network, host, Random(random.random())))
            center = draw_center(number, "http", random.choice(ZONES), random)
            self._hosts[center.id] = host
            self.centers.append(center)
        for kind, count in (("emulated", shape.emulated), ("local", shape.local)):
            for number in range(count):
                self.centers.append(draw_center(number, kind, random.choice(ZONES), random))
        random.shuffle(self.centers)

    @property
    def processes(self) -> list[FramedProcess | HttpProcess]:
        """All that are elsewhere."""
        return [*self.framed, *self.https]

    @property
    def reached(self) -> list[FramedConnection | RemoteCenter]:
        """What is opened at the start and closed at the end."""
        return [*self.connections, *self.remote]

    # ---- making and moving ------------------------------------------------------------------

    def make(self, engine: Engine, on_residency: OnResidency, on_reach: OnReach) -> None:
        """One port a center."""
        outbox = Outbox(self._loop.call_soon)
        links: dict[str, FramedConnection] = {}
        for row, center in enumerate(self.centers):
            host = self._hosts.get(center.id, "")
            if host.startswith("framed"):
                if host not in links:
                    links[host] = self._connection(host, on_residency, on_reach)
                self.by_id[center.id] = FramedCenter(row, center, links[host], PLACE_NAMES)
            elif host:
                self.by_id[center.id] = self._remote(row, center, outbox, host)
            elif center.emulate == "gateway":
                self._keep(self._emulated(row, center, engine))
            else:
                self._keep(self._local(row, center, engine))

    def move(self, centers: tuple[Center, ...]) -> None:
        """The same centers stand in other rows, as after a reload."""
        before, self.faults = self.faults, Faults()
        rows = {center.id: row for row, center in enumerate(centers)}
        self.faults.take(before, {row: rows[center.id] for row, center in enumerate(self.centers)})
        self.centers = list(centers)
        network = self._emulated_network()
        for center_id, port in self.by_id.items():
            row = rows[center_id]
            if isinstance(port, EmulatedCenter):
                port.moved(row, network, self.faults)
            elif isinstance(port, LocalCenter):
                port.moved(row, self.faults)
            elif isinstance(port, RemoteCenter | FramedCenter):
                port.moved(row, PLACE_NAMES)

    def adopt(self) -> None:
        """The models are in memory where a center is in this process."""
        for port in self.here:
            for model in MODELS:
                port.adopt(model)

    def _keep(self, port: LocalCenter | EmulatedCenter) -> None:
        self.here.append(port)
        self.by_id[port.center.id] = port

    def _connection(
        self, host: str, on_residency: OnResidency, on_reach: OnReach
    ) -> FramedConnection:
        made = FramedConnection(
            FramedAddress(host=host, port=FRAMES_PORT),
            loop=self._loop,
            clock=self._loop.time,
            random=Random(self._random.random()),
            on_residency=on_residency,
            on_reach=on_reach,
        )
        self.connections.append(made)
        return made

    def _remote(self, row: int, center: Center, outbox: Outbox, host: str) -> RemoteCenter:
        made = RemoteCenter(
            row,
            center,
            Endpoint.from_url(f"http://{host}:{HTTP_PORT}"),
            loop=self._loop,
            clock=self._loop.time,
            limits=self._shape.settings.remote,
            vantage_names=(),
            outbox=outbox,
        )
        made.pool._open = cast(Any, OrderedSet())
        self.remote.append(made)
        return made

    def _emulated_network(self) -> EmulatedNetwork:
        return EmulatedNetwork(
            PLACES,
            self.centers,
            self._path_model,
            1,
            jitter=True,
            faults=self.faults,
            random=Random(self._random.random()),
        )

    def _emulated(self, row: int, center: Center, engine: Engine) -> EmulatedCenter:
        return EmulatedCenter(
            row,
            center,
            engine=engine.shared,
            network=self._emulated_network(),
            faults=self.faults,
            line=line_of(self._loop),
            overshoot=RecentMs(),
            random=Random(self._random.random()),
            queue_max=QUEUE_MAX,
        )

    def _local(self, row: int, center: Center, engine: Engine) -> LocalCenter:
        return LocalCenter(
            row,
            center,
            engine=engine.shared,
            faults=self.faults,
            line=line_of(self._loop),
            call_soon=self._loop.call_soon,
            random=Random(self._random.random()),
            queue_max=QUEUE_MAX,
        )
