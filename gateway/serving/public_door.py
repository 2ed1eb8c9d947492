"""The public door, whichever lane owns its sockets: it listens, counts connections, closes them.

With ``server.lane = "hot"`` a connection begins in the hot lane and may become aiohttp's; with
``"aiohttp"`` it is aiohttp's from the first byte. Both are protocol factories, so that listening
is the same.

When the descriptors for clients are nearly used up, or ``server.connections_max`` is near, idle
connections are closed before their time, the longest idle first, several at once. At the bound
itself the next one is turned away with 503.
"""

from __future__ import annotations

import asyncio
import socket
from math import inf
from typing import Any

from aiohttp import web

from gateway.serving import descriptors
from gateway.serving.aiohttp_lane import AiohttpConnection, AiohttpLane
from gateway.serving.app import (
    Routes,
    handler_options,
    lasting_public_app,
    public_routes,
    runner_options,
)
from gateway.serving.front import Front
from gateway.serving.hot_lane import HotLane
from gateway.serving.sweep import close_idlest
from gateway.serving.tls import certificate_of
from gateway.serving.turned_away import TurnedAway, turning_away

BACKLOG = 4096
RETIRING_STEP_S = 0.02
ROOM_MADE = 1 / 16
"""Share of all connections that are closed at once when there is no room for more."""
ROOM_STEP_S = 0.1
"""How often idle ones are looked for at most."""


class PublicDoor:
    """``open``, then ``listen`` or ``accept``; ``lane`` is None where aiohttp owns everything."""

    def __init__(self, front: Front, local: Routes | None = None) -> None:
        """``local``: routes more, for whoever comes over a Unix socket. Raises ConfigError."""
        self._front = front
        self.certificate = certificate_of(front.settings.server)
        self._routes = public_routes(front)
        self._runner = web.AppRunner(
            lasting_public_app(self._routes, local), **runner_options(front)
        )
        self._servers: list[asyncio.Server] = []
        self._room_sought_s = -inf
        self._turned_away: set[TurnedAway] = set()
        self._bound_connections()
        self.lane: HotLane | None = None
        self.aiohttp: AiohttpLane | None = None

    async def open(self) -> None:
        """Everything but the sockets."""
        await self._runner.setup()
        front, loop = self._front, asyncio.get_running_loop()
        assert self._runner.server is not None
        self.aiohttp = AiohttpLane(front, self._runner.server, handler_options(front), loop)
        if front.settings.server.lane == "hot":
            self.lane = HotLane(front, self._aiohttp, loop)

    def take(self, front: Front) -> None:
        """Requests that begin from now on go by ``front``, on connections that are open too."""
        front.retiring = self._front.retiring
        self._front = front
        if self.certificate is not None:
            self.certificate.renew()
        self._bound_connections()
        self._routes.take(front)
        if self.aiohttp is not None:
            self.aiohttp.take(front, handler_options(front))
        if self.lane is not None:
            self.lane.take(front)

    def _bound_connections(self) -> None:
        """``room``: connections there are before idle ones are closed."""
        allowed, files = self._front.settings.server.connections_max, descriptors.limit()
        self.connections_max = min(allowed, descriptors.at_most(files))
        self.room = min(descriptors.for_clients(files), allowed - int(allowed * ROOM_MADE))
        self._no_more = turning_away(self.connections_max)

    def _aiohttp(self) -> AiohttpConnection | None:
        """A new handler of aiohttp's for one connection; None once it is stopped."""
        if self.aiohttp is None or self._runner.server is None:
            return None
        return self.aiohttp.connect()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen on an address; returns the one that was bound. Raises OSError.

        With ``server.reuse_port`` other processes may listen on it too.
        """
        reuse = self._front.settings.server.reuse_port or None  # None: as the system has it
        server = await asyncio.get_running_loop().create_server(
            self.connect, host, port, backlog=BACKLOG, reuse_port=reuse, **self._tls()
        )
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return bound[0], bound[1]

    async def accept(self, bound: socket.socket) -> asyncio.Server:
        """Accept on a bound socket, which becomes the door's; ``close`` it to stop."""
        server = await asyncio.get_running_loop().create_server(
            self.connect, sock=bound, backlog=BACKLOG, **self._tls()
        )
        self._servers.append(server)
        return server

    def _tls(self) -> dict[str, Any]:
        """What a listener is told of it."""
        if self.certificate is None:
            return {}
        within_s = self._front.settings.server.head_timeout_s
        return {"ssl": self.certificate.context, "ssl_handshake_timeout": within_s}

    def connect(self) -> asyncio.Protocol:
        """For a socket that was accepted."""
        count = self.connections
        if count >= self.room:
            self._make_room()
        if count >= self.connections_max:
            self._front.metrics.connections_refused += 1
            return TurnedAway(self._turned_away, self._no_more)
        if self.lane is not None:
            return self.lane.connect()
        handler = self._aiohttp()
        assert handler is not None
        return handler

    def _make_room(self) -> None:
        """Let the longest idle go. Where nobody idles, the looking itself must not cost much."""
        now = self._front.clock()
        if now - self._room_sought_s < ROOM_STEP_S:
            return
        self._room_sought_s = now
        everybody = [
            *(self.lane.connections if self.lane is not None else ()),
            *(self.aiohttp.connections if self.aiohttp is not None else ()),
        ]
        excess = len(everybody) - self.room
        close_idlest(everybody, now, excess + max(1, int(self.room * ROOM_MADE)))

    @property
    def connections(self) -> int:
        """How many are open, in either lane."""
        in_aiohttp = 0 if self.aiohttp is None else len(self.aiohttp.connections)
        return in_aiohttp + (0 if self.lane is None else len(self.lane.connections))

    def part(self) -> None:
        """Each connection closes with its next answer, whether that is 200 or 503."""
        self._front.retiring = True

    async def retire(self, within_s: float) -> None:
        """Accept no more; each connection closes with its next answer, idle ones in the end."""
        self._stop_accepting()
        self._front.retiring = True
        until_s = self._front.clock() + within_s
        while self.connections and self._front.clock() < until_s:
            await asyncio.sleep(RETIRING_STEP_S)
        await self.close()

    async def close(self, within_s: float | None = None) -> None:
        """Idle connections at once, the others after their answer, within so long;
        ``server.drain_s`` unless told otherwise.
        """
        self._stop_accepting()
        self._front.retiring = True
        for one in tuple(self._turned_away):
            one.abort()
        if self.aiohttp is not None:
            self.aiohttp.stop()
        drain_s = self._front.settings.server.drain_s if within_s is None else within_s
        closing = [] if self.lane is None else [self.lane.close(drain_s)]
        await asyncio.gather(*closing, self._close_aiohttp(drain_s))

    async def _close_aiohttp(self, within_s: float) -> None:
        if self._runner.server is not None:
            await self._runner.server.shutdown(within_s)
        await self._runner.cleanup()

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
