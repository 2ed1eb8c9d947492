"""The port of every center, made from its declaration in the fleet file.

    no url                     a center in this process, its path emulated; emulate = "none":
                               there is no path, and requests of one turn share a run
    http://, https://          any Open Inference Protocol server
    nearway://, nearway+unix:  a process of our own; centers at one address share a connection

What is reached over a network is opened and closed here, all at once. That a center cannot be
reached is no error: it may come, and the others serve meanwhile.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from gateway.api import Center, ConfigError, Place
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.framed import FramedCenter, FramedConnection
from gateway.centers.local import LocalCenter
from gateway.centers.outbox import Outbox
from gateway.centers.port import CenterPort
from gateway.centers.remote import Endpoint, RemoteCenter, tls_context
from gateway.centers.shared_engine import SharedEngine
from gateway.config import Settings
from gateway.config.framed_url import FramedAddress, is_framed, parse_framed
from gateway.telemetry.recent import RecentMs
from gateway.wan import DelayLine, EmulatedNetwork, Faults, PathModel


class Reached(Protocol):
    """What is opened at the start and closed at the end."""

    async def open(self) -> None:
        """Connect; returns when that has succeeded or failed once."""

    async def close(self) -> None:
        """Close; attempts under way fail."""


@dataclass(slots=True)
class Ports:
    """``all`` in row order; the others are those of one kind among them.

    ``emulated``: those in this process.
    """

    all: list[CenterPort] = field(default_factory=list)
    emulated: list[EmulatedCenter | LocalCenter] = field(default_factory=list)
    remote: list[RemoteCenter] = field(default_factory=list)
    reached: list[Reached] = field(default_factory=list)

    async def open(self) -> None:
        """Connect to whatever is not in this process."""
        await asyncio.gather(*(one.open() for one in self.reached))

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(one.close() for one in self.reached))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the ports of this process share. ``places``: the vantages, by number."""

    loop: asyncio.AbstractEventLoop
    places: Sequence[Place]
    path_model: PathModel
    engine: SharedEngine
    faults: Faults
    line: DelayLine
    overshoot: RecentMs


def build_ports(settings: Settings, centers: Sequence[Center], surroundings: Surroundings) -> Ports:
    """Raises ConfigError for a URL or an ``emulate`` that cannot be served."""
    maker = _PortMaker(settings, centers, surroundings)
    for row, center in enumerate(centers):
        maker.make(row, center)
    return maker.ports


class _PortMaker:
    """Makes ports one by one, and what several of them share only when one needs it."""

    def __init__(
        self, settings: Settings, centers: Sequence[Center], surroundings: Surroundings
    ) -> None:
        self.ports = Ports()
        self._settings = settings
        self._centers = centers
        self._with = surroundings
        self._vantage_names = tuple(place.name for place in surroundings.places)
        self._network: EmulatedNetwork | None = None
        self._tls: ssl.SSLContext | None = None
        self._outbox = Outbox(self._with.loop.call_soon)
        self._framed: dict[FramedAddress, FramedConnection] = {}

    def make(self, row: int, center: Center) -> None:
        """The port of one center, appended to ``ports``."""
        if center.url is None:
            here = self._local if center.emulate == "none" else self._emulated
            self.ports.all.append(here(row, center))
            return
        if center.emulate == "gateway":
            raise ConfigError(
                f'center {center.id}: emulate = "gateway" is for centers in this process, and '
                f'url = {center.url!r}; say "none", or "center" when that process emulates'
            )
        make = self._over_frames if is_framed(center.url) else self._remote
        self.ports.all.append(make(row, center, center.url))

    def _emulated(self, row: int, center: Center) -> EmulatedCenter:
        settings, here = self._settings, self._with
        if self._network is None:
            self._network = EmulatedNetwork(
                here.places,
                self._centers,
                here.path_model,
                settings.network.seed,
                jitter=settings.network.jitter,
                faults=here.faults,
                random=Random(f"{settings.network.seed}:jitter"),
            )
        port = EmulatedCenter(
            row,
            center,
            engine=here.engine,
            network=self._network,
            faults=here.faults,
            line=here.line,
            overshoot=here.overshoot,
            random=Random(f"{settings.network.seed}:{center.id}"),
            queue_max=settings.emulation.queue_max,
        )
        self.ports.emulated.append(port)
        return port

    def _local(self, row: int, center: Center) -> LocalCenter:
        here = self._with
        port = LocalCenter(
            row,
            center,
            engine=here.engine,
            faults=here.faults,
            line=here.line,
            call_soon=here.loop.call_soon,
            random=Random(f"{self._settings.network.seed}:{center.id}"),
            queue_max=self._settings.emulation.queue_max,
        )
        self.ports.emulated.append(port)
        return port

    def _remote(self, row: int, center: Center, url: str) -> RemoteCenter:
        limits = self._settings.remote
        endpoint = Endpoint.from_url(url)
        if endpoint.secure and self._tls is None:
            self._tls = tls_context(limits.ca_file)
        port = RemoteCenter(
            row,
            center,
            endpoint,
            loop=self._with.loop,
            clock=time.monotonic,
            limits=limits,
            vantage_names=self._vantage_names,
            tls=self._tls if endpoint.secure else None,
            outbox=self._outbox,
        )
        self.ports.remote.append(port)
        self.ports.reached.append(port)
        return port

    def _over_frames(self, row: int, center: Center, url: str) -> FramedCenter:
        here = self._with
        address = parse_framed(url)
        connection = self._framed.get(address)
        if connection is None:
            connection = self._framed[address] = FramedConnection(
                address,
                loop=here.loop,
                clock=here.line.now,
                random=Random(f"{self._settings.routing.seed}:{address}"),
                on_residency=here.engine.on_residency,
            )
            self.ports.reached.append(connection)
        return FramedCenter(row, center, connection, self._vantage_names)
