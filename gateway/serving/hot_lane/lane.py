"""The hot lane: the public socket's first owner, and what its connections share.

Inference requests run through callbacks from the socket to the center and back; whatever else
comes makes the connection aiohttp's. The lane never judges: admission, routing and answers are
those of ``gateway.serving.infer``, through the same objects.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any

from aiohttp.web import RequestHandler

from gateway.centers.outbox import Outbox
from gateway.serving.answer_head import AnswerHead
from gateway.serving.boundary import SERVER, check_fields, head_lines
from gateway.serving.encoding import compress_bytes_min
from gateway.serving.front import Front
from gateway.serving.hot_lane.connection import Connection
from gateway.serving.hot_lane.head import HeadCache, HeadReader
from gateway.serving.models import ModelDoor
from gateway.serving.patience import patience_of
from gateway.serving.sweep import Sweep

STARTS_KEPT = 1024
CLOSING_STEP_S = 0.02


class HotLane:
    """Makes connections (``connect`` is a protocol factory), sweeps and closes them.

    ``make_handler``: a new aiohttp request handler, for a connection that is handed over; None
    when it takes no more.
    ``wall``: seconds since the epoch, for the Date of answers.
    """

    def __init__(
        self,
        front: Front,
        make_handler: Callable[[], RequestHandler | None],
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.make_handler = make_handler
        self._heads = tuple(HeadCache(trusted=trusted) for trusted in (False, True))
        self.take(front)
        settings = front.settings
        self.clock = front.clock
        self.call_later = loop.call_later
        self.outbox = Outbox(loop.call_soon)
        self.head_bytes_max = settings.server.head_bytes_max
        self.unread_bytes_max = settings.server.body_bytes_max
        self.connections: set[Connection] = set()
        self.date = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = loop
        self._wall = wall
        self._second = -1
        self._tell_date()
        self._sweep = Sweep(loop, lambda: self.clock(), self.connections, self._tell_date)

    def take(self, front: Front) -> None:
        """Whatever begins from now on goes by ``front``; a request under way ends by its own."""
        self.front = front
        self.models = ModelDoor(front)
        self.heads_out = AnswerHead(front)
        self.collaborators = front.collaborators
        self.arrival_of = front.intake.arrival_of
        self.new_id = front.intake.new_id
        self.patience = patience_of(front.settings)
        self.compress_bytes_min = compress_bytes_min(front.settings.server)
        reader = HeadReader(front.intake, front.settings)
        for cache in self._heads:
            cache.take(reader)

    @property
    def running(self) -> int:
        """Requests under way."""
        return sum(connection.running for connection in self.connections)

    @property
    def tasks(self) -> int:
        """Answers that wait for a task."""
        return len(self._tasks)

    # ---- what connections and turns ask ---------------------------------------------------

    def connect(self) -> Connection:
        """For a socket that was accepted."""
        return Connection(self)

    def heads_of(self, peer: str | None) -> HeadCache:
        """The heads as they are believed from this peer."""
        return self._heads[self.front.intake.trusts(peer)]

    def start_of(self, heads_out: AnswerHead, center: int, content_type: str, status: int) -> str:
        """How the head of a plain answer begins, up to the value of its ``x-request-id``.

        Empty when what the center says cannot stand in a head.
        """
        fields = {
            "Content-Type": content_type,
            "x-nearway-center": heads_out.centers[center],
            "Server": SERVER,
        }
        if len(heads_out.starts) >= STARTS_KEPT:
            heads_out.starts.clear()
        try:
            check_fields(fields)
        except ValueError:
            return ""
        start = f"{head_lines(1, status, fields)}x-request-id: "
        heads_out.starts[center, content_type, status] = start
        return start

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that the lane owns; whoever asked for it may cancel it."""
        task = self._loop.create_task(work, name="hot lane: an answer that takes longer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def lost(self, connection: Connection) -> None:
        """Closed or handed over."""
        self.connections.discard(connection)

    def _tell_date(self) -> None:
        second = int(self._wall())
        if second != self._second:
            self._second = second
            self.date = f"\r\nDate: {formatdate(second, usegmt=True)}\r\n"

    # ---- the end --------------------------------------------------------------------------

    def close_gently(self) -> None:
        """Idle connections are closed now, the others after their answer."""
        self.front.retiring = True
        for connection in tuple(self.connections):
            connection.close_if_idle()

    async def close(self, within_s: float) -> None:
        """``close_gently``, and after ``within_s`` not gently any more."""
        self.close_gently()
        until_s = self.clock() + within_s
        while self.connections and self.clock() < until_s:
            await asyncio.sleep(CLOSING_STEP_S)
        for connection in tuple(self.connections):
            connection.abort()
        self._sweep.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
