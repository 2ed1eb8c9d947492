"""Server-sent events for all who watch: one frame, made once, told to everybody.

Theory of operation. Nothing is made while nobody watches. The first watcher starts a task that
looks, makes a frame and hands the same bytes to each watcher, which keeps only the latest: one
that reads slowly misses frames instead of piling them up. A frame may cost at most
``SHARE_MAX`` of the time until the next: the more centers, the longer the period. Everybody is
bounded: ``WATCHERS_MAX``, the next is answered 503.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from gateway.api import Overloaded
from gateway.serving.dashboard.frame import frame
from gateway.telemetry.answers import Window

LOG = logging.getLogger("nearway.dashboard")
PERIOD_S = 1.0
SHARE_MAX = 0.01
WATCHERS_MAX = 32


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to see at one instant; ``now`` of the clock that ``window`` is told by."""

    now: float
    window: Window
    fleet: Sequence[Mapping[str, Any]]
    state: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]] = ()


@dataclass(slots=True, eq=False)
class _Watcher:
    latest: bytes = b""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Feed:
    """``look`` is asked once a period while somebody watches."""

    def __init__(self, look: Callable[[], Awaitable[Look]], target_ms: float) -> None:
        self._look = look
        self._target_ms = target_ms
        self._watchers: set[_Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self.took_s = 0.0

    @property
    def watchers(self) -> int:
        """How many there are."""
        return len(self._watchers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """``GET /dashboard/events``: frames until the watcher leaves. Raises Overloaded."""
        if len(self._watchers) >= WATCHERS_MAX:
            raise Overloaded(f"{WATCHERS_MAX} dashboards are open, the most there may be")
        if self._stopped:
            raise Overloaded("the gateway is stopping: no dashboard is told any more")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        watcher = _Watcher()
        self._watchers.add(watcher)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="dashboard frames")
        try:
            while not self._stopped:
                await watcher.changed.wait()
                watcher.changed.clear()
                await response.write(watcher.latest)
        except ConnectionError:
            pass
        finally:
            self._watchers.discard(watcher)
        return response

    async def stop(self) -> None:
        """Make no more frames and let everybody go, or the door would wait for those who watch."""
        self._stopped = True
        for watcher in self._watchers:
            watcher.latest = b""
            watcher.changed.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        try:
            while self._watchers:
                began_s = time.thread_time()  # work, not waiting for a busy machine
                payload = await self._frame()
                self.took_s = time.thread_time() - began_s
                for watcher in self._watchers:
                    watcher.latest = payload
                    watcher.changed.set()
                await asyncio.sleep(max(PERIOD_S, self.took_s / SHARE_MAX))
        finally:
            self._task = None

    async def _frame(self) -> bytes:
        try:
            look = await self._look()
            await asyncio.sleep(0)  # requests between the steps: each holds the loop
            told = frame(
                look.window, look.fleet, look.state, now=look.now, target_ms=self._target_ms
            )
            told["events"] = look.events
            await asyncio.sleep(0)
        except Exception:
            LOG.exception("no frame for the dashboard")
            return b": no frame, see the log\n\n"
        return b"data: " + msgspec.json.encode(told) + b"\n\n"
