"""The gRPC door: HTTP/2 on the gateway's own loop, and calls in its streams.

Theory of operation. A connection (``http2``) cuts bytes into frames and streams; a stream is a
``Call``, which cuts them into messages; a method answers. ``ModelInfer`` goes to the exchange by
callbacks, as a request in the hot lane does, and leaves in one write. A gRPC library's own server
costs more than all of that: its threads, or its own loop, take more processor time a call than the
gateway does (see ``bench/grpc``).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from gateway.centers.outbox import Outbox
from gateway.serving import descriptors
from gateway.serving.front import Front
from gateway.serving.grpc_door.call import Method
from gateway.serving.grpc_door.calls import Calls
from gateway.serving.grpc_door.health import HealthService
from gateway.serving.grpc_door.http2 import Connection
from gateway.serving.grpc_door.infer import Infer
from gateway.serving.grpc_door.messages import SERVICE
from gateway.serving.grpc_door.places import Places
from gateway.serving.grpc_door.questions import Questions
from gateway.serving.grpc_door.reflection import ReflectionService
from gateway.serving.grpc_door.response import ResponseWriter
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.stream import StreamInfer
from gateway.serving.sweep import Sweep
from gateway.serving.tls import certificate_of

ALPN: Final = ("h2",)
BACKLOG: Final = 4096
OTHERS_CLOSE_S: Final = 0.1
"""Several that end together have closed their sockets within so long."""
CLOSING_STEP_S: Final = 0.02
CUT_OFF_S: Final = 0.2
"""How long a connection may take to close once nothing more is waited for."""


class GrpcDoor:
    """``listen``, then ``close``; ``take`` leads calls that begin from then on to another front."""

    def __init__(self, front: Front, loop: asyncio.AbstractEventLoop, *, reuse_port: bool) -> None:
        """``reuse_port``: other processes listen on the same port. Raises ConfigError."""
        self._front = front
        self._shared = reuse_port
        self._loop = loop
        self._certificate = certificate_of(front.settings.server, ALPN)
        self._serving = Serving(front, loop)
        self._calls = Calls(self._serving, _methods(self._serving))
        self._server: asyncio.Server | None = None
        self.clock = front.clock
        self.outbox = Outbox(loop.call_soon)
        self.connections: set[Connection] = set()
        self.make_head = self._calls.make_head
        self.open = self._calls.open
        self._sweep = Sweep(loop, lambda: self.clock(), self.connections)
        self._bound()

    def take(self, front: Front) -> None:
        """Calls that begin from now on go by ``front``."""
        self._front = front
        self._serving.take(front)
        self._calls.take(front)
        self._bound()
        if self._certificate is not None:
            self._certificate.renew()

    def _bound(self) -> None:
        self.limits = self._calls.limits
        allowed = self._front.settings.server.connections_max
        self._connections_max = min(allowed, descriptors.at_most(descriptors.limit()))

    async def listen(self, host: str, port: int) -> str:
        """Listen on an address; returns what was bound, as host:port. Raises OSError."""
        tls: dict[str, Any] = {}
        if self._certificate is not None:
            within_s = self._front.settings.server.head_timeout_s
            tls = {"ssl": self._certificate.context, "ssl_handshake_timeout": within_s}
        self._server = await self._loop.create_server(
            self._connect, host, port, backlog=BACKLOG, reuse_port=self._shared or None, **tls
        )
        host, bound = self._server.sockets[0].getsockname()[:2]
        return f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"

    async def close(self, within_s: float) -> None:
        """Accept no more; what is under way may end within so long, the rest is cancelled.

        Where others listen on the port, clients are told to go when only these can be found.
        """
        if self._server is not None:
            self._server.close()
            if self._shared:
                await asyncio.sleep(min(within_s, OTHERS_CLOSE_S))
        until_s = self.clock() + within_s
        for connection in tuple(self.connections):
            connection.leave()
        while self.connections and self.clock() < until_s:
            await asyncio.sleep(CLOSING_STEP_S)
        for connection in tuple(self.connections):
            connection.abort()
        until_s = self.clock() + CUT_OFF_S
        while self.connections and self.clock() < until_s:
            await asyncio.sleep(CLOSING_STEP_S)
        for connection in tuple(self.connections):
            connection.drop()
        self._sweep.stop()
        for task in tuple(self._serving.tasks):
            task.cancel()

    # ---- what connections ask: see ``Owner`` -----------------------------------------------

    def joined(self, connection: Connection) -> None:
        """It is there."""
        self.connections.add(connection)

    def lost(self, connection: Connection) -> None:
        """It is closed."""
        self.connections.discard(connection)

    def _connect(self) -> asyncio.Protocol:
        """For a socket that was accepted."""
        if len(self.connections) >= self._connections_max:
            self._front.metrics.connections_refused += 1
            return _Refused()
        return Connection(self)


class _Refused(asyncio.Protocol):
    """One connection too many: it is closed, and its client tries again by itself."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        transport.close()


def _methods(serving: Serving) -> dict[str, Method]:
    """By path."""
    places = Places(max(1, serving.front.settings.server.grpc_calls_max // 2))
    writer = ResponseWriter()
    return {
        f"/{SERVICE}/ModelInfer": Method(Infer(serving, writer)),
        f"/{SERVICE}/ModelStreamInfer": Method(talk=StreamInfer(serving, writer, places)),
        **Questions(serving).methods(),
        **HealthService(serving, places).methods(),
        **ReflectionService(places).methods(),
    }
