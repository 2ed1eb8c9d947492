"""How long a gateway may keep a connection for frames waiting: hello, frames, answers.

These are a few long-lived connections, so each has timers of its own; none is set for a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

HELLO_S: Final = 10.0
FRAME_S: Final = 30.0
UNREAD_S: Final = 30.0


class FramesPatience:
    """``end`` is called with a reason when a hello, or the rest of a frame, does not come in time;
    ``abort`` when nothing is read for ``UNREAD_S``.
    """

    def __init__(self, end: Callable[[str], None], abort: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = end
        self._abort = abort
        self._coming = self._loop.call_later(HELLO_S, end, f"no hello within {HELLO_S:g} s")
        self._unread: asyncio.TimerHandle | None = None
        self._partial = True

    def heard(self, *, whole: bool, partial: bool) -> None:
        """Bytes came: some frame is ``whole`` with them, and the last one is ``partial``."""
        if whole or partial > self._partial:
            self._coming.cancel()
            if partial:
                reason = f"a frame did not come whole within {FRAME_S:g} s"
                self._coming = self._loop.call_later(FRAME_S, self._end, reason)
            self._partial = partial

    def stuck(self) -> None:
        """It does not read."""
        self._unread = self._loop.call_later(UNREAD_S, self._abort)

    def reads(self) -> None:
        """It reads again."""
        if self._unread is not None:
            self._unread.cancel()

    def stop(self) -> None:
        """The connection is over."""
        self._coming.cancel()
        self.reads()
