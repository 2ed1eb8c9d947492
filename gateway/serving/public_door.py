"""The public door, whichever lane owns its sockets: it listens, counts connections, closes them.

With ``server.lane = "hot"`` a connection begins in the hot lane and may become aiohttp's; with
``"aiohttp"`` it is aiohttp's from the first byte. Both are protocol factories, so that listening
is the same.
"""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from gateway.serving.app import build_public_app, runner_options
from gateway.serving.front import Front
from gateway.serving.hot_lane import HotLane

BACKLOG = 1024
RETIRING_STEP_S = 0.02


class PublicDoor:
    """``open``, then ``listen`` or ``accept``; ``lane`` is None where aiohttp owns everything."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._runner = web.AppRunner(build_public_app(front), **runner_options(front))
        self._servers: list[asyncio.Server] = []
        self.lane: HotLane | None = None

    async def open(self) -> None:
        """Everything but the sockets."""
        await self._runner.setup()
        if self._front.settings.server.lane == "hot":
            self.lane = HotLane(self._front, self._aiohttp, asyncio.get_running_loop())

    def _aiohttp(self) -> web.RequestHandler | None:
        """A new handler of aiohttp's for one connection; None once it is stopped."""
        server = self._runner.server
        return None if server is None else server()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen on an address; returns the one that was bound. Raises OSError."""
        server = await asyncio.get_running_loop().create_server(
            self.connect, host, port, backlog=BACKLOG
        )
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return bound[0], bound[1]

    async def accept(self, bound: socket.socket) -> asyncio.Server:
        """Accept on a bound socket, which becomes the door's; ``close`` it to stop."""
        server = await asyncio.get_running_loop().create_server(
            self.connect, sock=bound, backlog=BACKLOG
        )
        self._servers.append(server)
        return server

    def connect(self) -> asyncio.Protocol:
        """For a socket that was accepted."""
        """For a socket that was accepted."""
        if self.lane is not None:
            return self.lane.connect()
        handler = self._aiohttp()
        assert handler is not None
        return handler

    @property
    def connections(self) -> int:
        """How many are open, in either lane."""
        server = self._runner.server
        in_aiohttp = 0 if server is None else len(server.connections)
        return in_aiohttp + (0 if self.lane is None else len(self.lane.connections))

    async def retire(self, within_s: float) -> None:
        """Accept no more; each connection closes with its next answer, idle ones in the end."""
        self._stop_accepting()
        self._front.retiring = True
        until_s = self._front.clock() + within_s
        while self.connections and self._front.clock() < until_s:
            await asyncio.sleep(RETIRING_STEP_S)
        await self.close()

    async def close(self) -> None:
        """Idle connections at once, the others after their answer, within ``server.drain_s``."""
        self._stop_accepting()
        self._front.retiring = True
        if self.lane is None:
            await self._runner.cleanup()
            return
        drain_s = self._front.settings.server.drain_s
        await asyncio.gather(self.lane.close(drain_s), self._runner.cleanup())

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
