"""The port of every center, made from its declaration in the fleet file.

    no url                     a center in this process, its path emulated; emulate = "none":
                               there is no path, and requests of one turn share a run
    http://, https://          any Open Inference Protocol server
    nearway://, nearway+unix:  a process of our own; centers at one address share a connection

What is reached over a network is opened and closed here, all at once. That a center cannot be
reached is no error: it may come, and the others serve meanwhile.

When a config is read again, the ports of centers that are declared as before are the same
objects, with their connections and what is under way (``build_ports`` with ``before``); they
learn of their new rows in the turn in which the new config comes into force (``settle``).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from gateway.api import Center, ConfigError, Place
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.framed import FramedCenter, FramedConnection, OnReach, nobody_told
from gateway.centers.local import LocalCenter
from gateway.centers.outbox import Outbox
from gateway.centers.port import CenterPort
from gateway.centers.remote import Endpoint, RemoteCenter, tls_context
from gateway.centers.shared_engine import OnCold, OnResidency, SharedEngine, not_told
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

    ``emulated``: those in this process. ``kept``: of all, those that were there before.
    ``network``: of the emulated ones, None where there is none.
    """

    all: list[CenterPort] = field(default_factory=list)
    emulated: list[EmulatedCenter | LocalCenter] = field(default_factory=list)
    remote: list[RemoteCenter] = field(default_factory=list)
    reached: list[Reached] = field(default_factory=list)
    kept: list[CenterPort] = field(default_factory=list)
    network: EmulatedNetwork | None = None
    faults: Faults = field(default_factory=Faults)
    vantage_names: tuple[str, ...] = ()

    def settle(self, on_residency: OnResidency, on_cold: OnCold, on_reach: OnReach) -> None:
        """Everybody stands in his row from now on, and tells of his models there."""
        kept = {id(port) for port in self.kept}
        for row, port in enumerate(self.all):
            if id(port) not in kept:
                continue
            if isinstance(port, EmulatedCenter):
                assert self.network is not None
                port.moved(row, self.network, self.faults)
            elif isinstance(port, LocalCenter):
                port.moved(row, self.faults)
            elif isinstance(port, RemoteCenter | FramedCenter):
                port.moved(row, self.vantage_names)
        for reached in self.reached:
            if isinstance(reached, FramedConnection):
                reached.on_residency, reached.on_cold = on_residency, on_cold
                reached.on_reach = on_reach

    async def open(self) -> None:
        """Connect to whatever is not in this process."""
        await asyncio.gather(*(one.open() for one in self.reached))

    async def open_new(self) -> None:
        """Connect to what was not there before."""
        kept = {id(port) for port in self.kept}
        kept |= {id(port.connection) for port in self.kept if isinstance(port, FramedCenter)}
        await asyncio.gather(*(one.open() for one in self.reached if id(one) not in kept))

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(one.close() for one in self.reached))

    async def close_all_but(self, after: Ports) -> None:
        """Close what is not in ``after``."""
        still = {id(one) for one in after.reached}
        await asyncio.gather(*(one.close() for one in self.reached if id(one) not in still))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the ports of this process share. ``places``: the vantages, by number.

    ``on_residency`` and ``on_cold`` hear of the models of centers elsewhere, ``on_reach`` of
    connections to them that are lost and come back.
    """

    loop: asyncio.AbstractEventLoop
    places: Sequence[Place]
    path_model: PathModel
    engine: SharedEngine
    faults: Faults
    line: DelayLine
    overshoot: RecentMs
    on_residency: OnResidency
    on_cold: OnCold = not_told
    on_reach: OnReach = nobody_told


@dataclass(frozen=True, slots=True)
class Before:
    """The ports there are, and what they were made by."""

    settings: Settings
    centers: tuple[Center, ...]
    places: Sequence[Place]
    ports: Ports


def build_ports(
    settings: Settings,
    centers: Sequence[Center],
    surroundings: Surroundings,
    before: Before | None = None,
) -> Ports:
    """Raises ConfigError for a URL or an ``emulate`` that cannot be served."""
    maker = _PortMaker(settings, centers, surroundings)
    if before is not None:
        maker.keep_from(before)
    for row, center in enumerate(centers):
        maker.make(row, center)
    return maker.ports


def _still_fit(
    before: Before, settings: Settings, centers: Sequence[Center]
) -> dict[str, CenterPort]:
    """By id, the ports of centers that are declared as before, under the same bounds.

    Centers behind one connection stay together, or none of them does.
    """
    was, now = before.settings, settings
    here = was.emulation == now.emulation and was.network.seed == now.network.seed
    remote = was.remote == now.remote
    after = {center.id: center for center in centers}
    fit: dict[str, CenterPort] = {}
    torn: set[int] = set()
    for center, port in zip(before.centers, before.ports.all, strict=True):
        same = after.get(center.id) == center
        if isinstance(port, FramedCenter):
            fits = same
            if not same:
                torn.add(id(port.connection))
        elif isinstance(port, RemoteCenter):
            fits = same and remote
        else:
            fits = same and here
        if fits:
            fit[center.id] = port
    torn |= _joined(before, after.values())
    return {
        name: port
        for name, port in fit.items()
        if not isinstance(port, FramedCenter) or id(port.connection) not in torn
    }


def _joined(before: Before, after: Iterable[Center]) -> set[int]:
    """The connections behind which there is a center that was not there."""
    known = {center.id for center in before.centers}
    new = {parse_framed(c.url) for c in after if c.id not in known and c.url and is_framed(c.url)}
    connections = [one for one in before.ports.reached if isinstance(one, FramedConnection)]
    return {id(one) for one in connections if one.address in new}


class _PortMaker:
    """Makes ports one by one, and what several of them share only when one needs it."""

    def __init__(
        self, settings: Settings, centers: Sequence[Center], surroundings: Surroundings
    ) -> None:
        names = tuple(place.name for place in surroundings.places)
        self.ports = Ports(faults=surroundings.faults, vantage_names=names)
        self._settings = settings
        self._centers = centers
        self._with = surroundings
        self._kept: dict[str, CenterPort] = {}
        self._tls: ssl.SSLContext | None = None
        self._outbox = Outbox(self._with.loop.call_soon)
        self._framed: dict[FramedAddress, FramedConnection] = {}

    def keep_from(self, before: Before) -> None:
        """Take over what still fits."""
        self._kept = _still_fit(before, self._settings, self._centers)
        for port in self._kept.values():
            if isinstance(port, FramedCenter):
                self._framed[port.connection.address] = port.connection
        same_ways = (
            before.centers == tuple(self._centers)
            and before.settings.network == self._settings.network
            and tuple(before.places) == tuple(self._with.places)
            and before.ports.faults is self._with.faults
        )
        if same_ways:
            self.ports.network = before.ports.network

    def make(self, row: int, center: Center) -> None:
        """The port of one center, appended to ``ports``."""
        if center.id in self._kept:
            self._keep(self._kept[center.id])
            return
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

    def _keep(self, port: CenterPort) -> None:
        ports = self.ports
        ports.all.append(port)
        ports.kept.append(port)
        if isinstance(port, EmulatedCenter | LocalCenter):
            ports.emulated.append(port)
            if isinstance(port, EmulatedCenter):
                self._network()
        elif isinstance(port, RemoteCenter):
            ports.remote.append(port)
            ports.reached.append(port)
        elif isinstance(port, FramedCenter) and port.connection not in ports.reached:
            ports.reached.append(port.connection)

    def _network(self) -> EmulatedNetwork:
        if self.ports.network is None:
            settings, here = self._settings.network, self._with
            self.ports.network = EmulatedNetwork(
                here.places,
                self._centers,
                here.path_model,
                settings.seed,
                jitter=settings.jitter,
                faults=here.faults,
                random=Random(f"{settings.seed}:jitter"),
            )
        return self.ports.network

    def _emulated(self, row: int, center: Center) -> EmulatedCenter:
        settings, here = self._settings, self._with
        port = EmulatedCenter(
            row,
            center,
            engine=here.engine,
            network=self._network(),
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
            vantage_names=self.ports.vantage_names,
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
                on_residency=here.on_residency,
                on_cold=here.on_cold,
                on_reach=here.on_reach,
            )
            self.ports.reached.append(connection)
        return FramedCenter(row, center, connection, self.ports.vantage_names)
