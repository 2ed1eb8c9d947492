"""Flow control (RFC 9113, 5.2): how much each side may still send, of a stream or of them all."""

from __future__ import annotations

from gateway.serving.grpc_door.http2.frames import WINDOW_MAX


class Inflow:
    """What the peer may send. It is told of room again once half of the window is free."""

    __slots__ = ("_freed", "_half", "left")

    def __init__(self, window: int) -> None:
        """``window``: bytes the peer was told it may send."""
        self.left = window
        self._half = window // 2
        self._freed = 0

    def take(self, size: int) -> bool:
        """So many bytes came; False when they were more than allowed."""
        self.left -= size
        return self.left >= 0

    def free(self, size: int) -> int:
        """So many are dealt with; returns by how much to widen the peer's window, mostly 0."""
        self._freed += size
        if self._freed <= self._half:
            return 0
        more, self._freed = self._freed, 0
        self.left += more
        return more


class Outflow:
    """What may be sent to the peer; below 0 after it has made its windows smaller."""

    __slots__ = ("left",)

    def __init__(self, window: int) -> None:
        self.left = window

    def widen(self, more: int) -> bool:
        """Also by less than nothing; False when the window is larger than any may be."""
        self.left += more
        return self.left <= WINDOW_MAX
