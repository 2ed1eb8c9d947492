"""``GET /v2/stream``: many inferences over one WebSocket, answered in the order they are done.

Theory of operation. Each message is one request, text JSON and binary MessagePack, with an id that
its answer bears. One coroutine reads; each request under way is an ``OneOfMany`` with a task that
sends its answer. A request keeps its place until its answer is written, and while no place is free
nothing is read, so that TCP holds the client back. Whoever leaves takes all of it along: the
handler is cancelled, its tasks are, and centers are told to stop.

The connection outlives configurations: each message goes by the front in force when it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from gateway.api import InvalidRequest, NoCenter, RequestError
from gateway.serving import cors
from gateway.serving.front import Front
from gateway.serving.intake import Said
from gateway.serving.one_of_many import OneOfMany

LOOK_S = 0.5
"""How often a connection without messages is looked at: is it idle, does the gateway drain?"""
CLOSE_S = 1.0
"""How long the client may take to answer a close."""
FrontOf = Callable[[web.Request], Front]


class ForeignOrigin(RequestError):
    """A page of an origin that is not allowed opened a WebSocket."""

    http_status = 403


class StreamDoor:
    """The route. ``front_of``: the front in force now."""

    def __init__(self, front_of: FrontOf) -> None:
        self._front_of = front_of

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Until either side closes. Raises ForeignOrigin, InvalidRequest, NoCenter before that."""
        front = self._front_of(request)
        check_origin(request, front.settings.server.cors_origins)
        if front.retiring or not front.ready():
            raise NoCenter("the gateway is starting or draining; ask another one, or again later")
        intake, server = front.intake, front.settings.server
        said = intake.said(request.headers, trusted=intake.trusts(request.remote))
        socket: web.WebSocketResponse = web.WebSocketResponse(
            heartbeat=server.websocket_ping_s,
            max_msg_size=server.body_bytes_max,
            compress=False,
            timeout=CLOSE_S,
        )
        if not socket.can_prepare(request).ok:
            raise InvalidRequest(
                "/v2/stream is a WebSocket; connect with ws://, or send POST .../infer instead"
            )
        request_id = intake.request_id(request.headers)
        await socket.prepare(request)
        stream = Stream(request, socket, self._front_of, said, request_id)
        await stream.run(server.websocket_in_flight_max)
        return socket


def check_origin(request: web.Request, origins: tuple[str, ...]) -> None:
    """Browsers say whose page it is and ask nobody first. Raises ForeignOrigin.

    A page of this very host may, and those of ``server.cors_origins``; who is no browser says
    nothing.
    """
    origin = request.headers.get("Origin")
    if origin is None or cors.allowed(origin, origins):
        return
    if urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
        raise ForeignOrigin(
            f"a page of {origin[:200]!r} may open no WebSocket here; name it in server.cors_origins"
        )


class Stream:
    """One connection."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        front_of: FrontOf,
        said: Said,
        request_id: str,
    ) -> None:
        self._request = request
        self._socket = socket
        self._front_of = front_of
        self._said = said
        self._request_id = request_id
        self._count = 0
        self._ids: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, in_flight_max: int) -> None:
        """Read and answer until the end; nothing is under way afterwards."""
        self._free = asyncio.Semaphore(in_flight_max)
        self._heard_s = self._front_of(self._request).clock()
        try:
            while await self._next():
                pass
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Where the client broke off nobody else ends the timer of pings, which holds all of it.
            await self._socket.close(drain=False)

    async def _next(self) -> bool:
        """One message, when there is room for it; False at the end."""
        await self._free.acquire()
        if self._front_of(self._request).retiring:
            return await self._part()
        try:
            async with asyncio.timeout(LOOK_S):  # receive's own begins again with each ping
                message = await self._socket.receive()
        except TimeoutError:
            self._free.release()
            return await self._stays()
        if message.type is WSMsgType.TEXT:
            self._begin(message.data.encode(), packed=False)
        elif message.type is WSMsgType.BINARY:
            self._begin(message.data, packed=True)
        else:
            return False
        return True

    async def _part(self) -> bool:
        """The gateway drains: what is under way is answered, and nothing more is read."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the gateway drains")
        return False

    async def _stays(self) -> bool:
        """Nobody said anything for a while."""
        front = self._front_of(self._request)
        if self._tasks:
            self._heard_s = front.clock()
        elif front.clock() - self._heard_s > front.settings.server.idle_timeout_s:
            await self._socket.close(code=WSCloseCode.OK, message=b"idle for too long")
            return False
        return True

    def _begin(self, body: bytes, *, packed: bool) -> None:
        front = self._front_of(self._request)
        now = self._heard_s = front.clock()
        self._count += 1
        budget_ms = self._said.budget_ms or front.intake.deadline_ms
        one = OneOfMany(front, packed=packed)
        request_id = f"{self._request_id}-{self._count}"
        one.begin(body, self._said, request_id, now, now + budget_ms / 1e3, taken=self._ids)
        task = asyncio.get_running_loop().create_task(
            self._answer(one, packed=packed), name="websocket: one request"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, one: OneOfMany, *, packed: bool) -> None:
        """Send what is told of one, and give its place back."""
        try:
            told = await one.told()
            self._ids.discard(one.taken_id)
            if packed:
                await self._socket.send_bytes(told)
            else:
                await self._socket.send_str(told.decode())
        except ConnectionError:
            pass  # it has left; reading notices as well
        finally:
            one.end()
            self._free.release()
