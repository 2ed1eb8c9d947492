"""Hosts, listeners and the ways between them, and what an adversary may do to these.

A *host* is a name. Whoever connects says from where; a listener stands at (host, port). A way
is one direction between two hosts, so a partition can be one-sided. Between connections bytes
may overtake one another, within one they never do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from gateway.testing.adversary.loop import VirtualLoop
from gateway.testing.adversary.sockets import End
from gateway.testing.adversary.ways import Pipe, Way

SYN_AGAIN_S = 0.2
GATEWAY = "gateway"
HTTP_DOOR = (GATEWAY, 8080)

Address = tuple[str, int]
Factory = Callable[[], asyncio.Protocol]


@dataclass(slots=True)
class Connected:
    """A connection: who began it, who took it, and both ends."""

    source: str
    target: str
    near: End
    far: End
    pipes: tuple[Pipe, Pipe]

    @property
    def open(self) -> bool:
        """Neither end is closed."""
        return not (self.near.closed or self.far.closed)

    @property
    def over(self) -> bool:
        """Both ends are closed."""
        return self.near.closed and self.far.closed

    def reset(self) -> None:
        """Both ends find it reset."""
        self.near.reset()
        self.far.reset()


class Network:
    """All of it. ``connected``: every connection that has an end open."""

    def __init__(self, loop: VirtualLoop, random: Random, *, cut: float) -> None:
        self.connected: list[Connected] = []
        self._loop = loop
        self._random = random
        self._cut = cut
        self._ways: dict[tuple[str, str], Way] = {}
        self._listeners: dict[Address, Factory] = {}
        self._down: set[str] = set()

    def way(self, source: str, target: str) -> Way:
        """One direction between two hosts."""
        way = self._ways.get((source, target))
        if way is None:
            random = self._random
            way = Way(random.uniform(2e-4, 4e-3), random.uniform(0.0, 1e-3), self._cut)
            self._ways[source, target] = way
        return way

    @property
    def ways(self) -> list[Way]:
        """All there are."""
        return list(self._ways.values())

    # ---- listening and connecting -----------------------------------------------------------

    def listen(self, address: Address, factory: Factory) -> None:
        """Connections to ``address`` are taken by what ``factory`` makes."""
        self._listeners[address] = factory

    async def connect(
        self, factory: Factory, address: Address, source: str = GATEWAY
    ) -> tuple[End, asyncio.Protocol]:
        """Raises ConnectionRefusedError where nobody listens; a dead machine says nothing."""
        target = address[0]
        there, back = self.way(source, target), self.way(target, source)
        await asyncio.sleep(there.draw_s(self._random))
        while there.blocked or back.blocked or target in self._down:
            await asyncio.sleep(SYN_AGAIN_S)
        accept = self._listeners.get(address)
        await asyncio.sleep(back.draw_s(self._random))
        if accept is None or self._listeners.get(address) is not accept:
            raise ConnectionRefusedError(111, "Connection refused")
        return self._join(factory(), accept(), source, address)

    def _join(
        self, protocol: asyncio.Protocol, accepted: asyncio.Protocol, source: str, address: Address
    ) -> tuple[End, asyncio.Protocol]:
        there, back = self.way(source, address[0]), self.way(address[0], source)
        out, home = (Pipe(self._loop, way, self._random) for way in (there, back))
        rtt_s = there.delay_s + back.delay_s
        near = End(self._loop, out, address, rtt_s)
        far = End(self._loop, home, ("127.0.0.1", 1), rtt_s)
        near.join(far, protocol)
        far.join(near, accepted)
        made = Connected(source, address[0], near, far, (out, home))
        self.connected = [kept for kept in self.connected if not kept.over]
        self.connected.append(made)
        accepted.connection_made(far)
        protocol.connection_made(near)
        return near, protocol

    # ---- what may be done to it -------------------------------------------------------------

    def reset_at(self, connected: Connected, side: int, after_bytes: int) -> None:
        """Reset it when so many more bytes have been sent one way (0: from who began it)."""
        pipe = connected.pipes[side]
        if after_bytes == 0:
            self._loop.call_soon(connected.reset)
            return
        pipe.reset_in = after_bytes
        pipe.on_reset = connected.reset

    def crash(self, host: str, *, machine: bool) -> None:
        """Its process dies, or (``machine``) all of it does, without a word."""
        for address in [address for address in self._listeners if address[0] == host]:
            del self._listeners[address]
        if machine:
            self._down.add(host)
        for connected in list(self.connected):
            if connected.target == host:
                connected.far.die(machine=machine)

    def back(self, host: str) -> None:
        """The machine answers again; who listens there is for others to say."""
        self._down.discard(host)
        for connected in self.connected:
            if connected.target == host:
                connected.far.machine_down = False
