"""Keeping a child running: when it ends unasked, the next one is started after a pause.

The pause is 0.1 s and doubles with every end, up to 10 s, until a child has lived for
``STEADY_S``. After ``ENDS_MAX`` ends in a row that came sooner it is given up: what fails so
often fails for a reason, and restarting it hides that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.runtime.child_process import ChildLost, ChildProcess

STEADY_S = 30.0
ENDS_MAX = 5
PAUSE_S, PAUSE_S_MAX = 0.1, 10.0

log = logging.getLogger("nearway.supervisor")


@dataclass(frozen=True, slots=True)
class Keeper:
    """``lost`` is told in the loop turn after a child has ended; ``again`` starts the next.

    ``again`` raises ChildLost when the child does not start, which counts as another end.
    """

    again: Callable[[], Awaitable[ChildProcess]]
    lost: Callable[[], None]
    restarted: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def keep(self, child: ChildProcess) -> None:
        """For ever, until cancelled. Raises ChildLost when the child ends again and again."""
        ends = 0
        while True:
            code = await child.ended()
            self.lost()
            lived_s = self.clock() - child.started_s
            await child.end(within_s=0.0)
            ends = 1 if lived_s > STEADY_S else ends + 1
            log.error("%s ended with %d after %.1f s", child, code, lived_s)
            child = await self._start_again(child, ends, code)
            self.restarted()

    async def _start_again(self, child: ChildProcess, ends: int, code: int) -> ChildProcess:
        why = f"with exit code {code}"
        while ends <= ENDS_MAX:
            await self.sleep(pause_s(ends))
            try:
                return await self.again()
            except ChildLost as error:
                ends += 1
                why = str(error)
                log.error("%s did not start again: %s", child.name, error)
        raise ChildLost(
            f"{child.name} ended {ends} times in a row, each within {STEADY_S:.0f} s, last: {why}; "
            "its own messages stand above. Restarting it does not help."
        )


def pause_s(ends: int) -> float:
    """How long to wait before a child that ended ``ends`` times in a row is started again."""
    return min(PAUSE_S * 2.0 ** (ends - 1), PAUSE_S_MAX)
