"""How a process that serves is told to end: politely once, and then at once.

The first SIGTERM or SIGINT begins the drain; a second one ends whatever is still going on.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

log = logging.getLogger("nearway")

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
LEFT_BEHIND: Final = 1
"""Exit code when requests were left without their answer."""

T = TypeVar("T")


class Stopping:
    """``asked`` is set by the first signal, ``insisted`` by the second."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.heard)

    def heard(self) -> None:
        """A signal to end."""
        if self.asked.is_set():
            self.insisted.set()
        self.asked.set()

    async def unless_again(self, work: Coroutine[Any, Any, T]) -> T | None:
        """``work``, cut short by a second signal: then None."""
        working = asyncio.create_task(work, name="stop")
        insisted = asyncio.create_task(self.insisted.wait(), name="told to stop again")
        try:
            await asyncio.wait({working, insisted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            insisted.cancel()
        if working.done():
            return working.result()
        working.cancel()
        await asyncio.wait({working})
        log.error("told to stop again: what is under way is cut off")
        return None

    def exit_code(self, left: int | None) -> int:
        """Of how many requests were left: 0 when none was. ``left`` None: nobody waited."""
        if left == 0:
            log.warning("stopped: every request was answered")
            return 0
        many = "an unknown number of" if left is None else str(left)
        log.error("stopped: %s requests were left without their answer", many)
        return LEFT_BEHIND
