"""Reloads that nobody waits for: asked for by a signal, or by a change of the files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gateway.api import NearwayError


class Reloading:
    """Reloads that nobody waits for; one that is asked for while one is under way follows it."""

    def __init__(self, reload: Callable[[], Awaitable[object]]) -> None:
        self._reload = reload
        self._task: asyncio.Task[None] | None = None
        self._once_more = False

    def soon(self) -> None:
        """A signal."""
        if self._task is not None and not self._task.done():
            self._once_more = True
            return
        self._task = asyncio.create_task(self.again(), name="read the config again")

    async def again(self) -> None:
        """Read the config; what is wrong with it has been logged."""
        self._once_more = True
        while self._once_more:
            self._once_more = False
            with contextlib.suppress(NearwayError):
                await self._reload()

    def stop(self) -> None:
        """None is begun any more, and one under way changes nothing."""
        self._once_more = False
        if self._task is not None:
            self._task.cancel()
