"""Keeping a child running: when it ends unasked, the next one is started after a pause.

The pause grows with every death within a window; after too many it is given up (``crash_loop``):
what fails so often fails for a reason, and restarting it hides that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.runtime.child_process import ChildLost, ChildProcess
from gateway.runtime.crash_loop import CrashLoop

log = logging.getLogger("nearway.supervisor")


@dataclass(frozen=True, slots=True)
class Keeper:
    """``lost`` is told in the loop turn after a child has ended; ``again`` starts the next.

    ``again`` raises ChildLost when the child does not start, which counts as another death.
    """

    again: Callable[[], Awaitable[ChildProcess]]
    lost: Callable[[], None]
    restarted: Callable[[], None]
    crash_loop: CrashLoop
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def keep(self, child: ChildProcess) -> None:
        """For ever, until cancelled. Raises ChildLost when the child dies again and again."""
        while True:
            code = await child.ended()
            self.lost()
            lived_s = self.clock() - child.started_s
            await child.end(within_s=0.0)
            log.error("%s ended with %d after %.1f s", child, code, lived_s)
            child = await self._start_again(child, code)
            self.restarted()

    async def _start_again(self, child: ChildProcess, code: int) -> ChildProcess:
        why = f"with exit code {code}"
        while not self.crash_loop.died(self.clock()):
            await self.sleep(self.crash_loop.pause_s)
            try:
                return await self.again()
            except ChildLost as error:
                why = str(error)
                log.error("%s did not start again: %s", child.name, error)
        raise ChildLost(
            f"{child.name} ended {self.crash_loop.deaths} times within "
            f"{self.crash_loop.window_s:g} s, last: {why}; its own messages stand above. "
            "Restarting it does not help."
        )
