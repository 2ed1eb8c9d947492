"""How long a connection lives: is the peer there, is anything under way, is it to go?

Nothing here has a timer: the connection is looked at a few times a second.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.frames import Code

PING_EVERY_S: Final = 30.0
PING_WITHIN_S: Final = 10.0
LEAVE_S: Final = 1.0
"""A peer that has not answered a ping by then is not waited for when it is told to go."""
ALIVE: Final = b"alive?\0\0"
LEAVING: Final = b"leaving\0"


class Verdict(Enum):
    """What is to be done with the connection."""

    STAY = auto()
    LEAVE = auto()
    LAST = auto()
    DEAD = auto()


class Life:
    """``heard`` is set by whoever hears the peer. Leaving is gentle (RFC 9113, 6.8): a GOAWAY that
    still takes every stream, and a PING; when that is answered the peer knows, and what it opens
    from then on is not looked at.
    """

    __slots__ = ("_busy", "_heard_s", "_idle_s", "_leaving_s", "_ping_s", "_rested_s", "_write",
                 "heard")  # fmt: skip

    def __init__(self, now: float, idle_s: float, write: Callable[[bytes], None]) -> None:
        """``idle_s``: how long it may be without a stream."""
        self._idle_s = idle_s
        self._write = write
        self._heard_s = self._rested_s = now
        self._busy = False
        self._ping_s: float | None = None
        self._leaving_s: float | None = None
        self.heard = False

    def rested_s(self, now: float) -> float:
        """How long nothing was under way, as far as was looked."""
        return 0.0 if self._busy else now - self._rested_s

    def worked(self) -> None:
        """A stream was opened."""
        self._busy = True

    def look(self, now: float, *, busy: bool) -> Verdict:
        """``busy``: a stream is open."""
        if self.heard:
            self.heard, self._heard_s = False, now
        if self._ping_s is not None and now - self._ping_s > PING_WITHIN_S:
            return Verdict.DEAD
        if self._ping_s is None and now - self._heard_s > PING_EVERY_S:
            self._ping_s = now
            self._write(f.frame(f.PING, 0, 0, ALIVE))
        if self._leaving_s is not None:
            return Verdict.LAST if now - self._leaving_s > LEAVE_S else Verdict.STAY
        if busy:
            self._busy = True
        elif self._busy:
            self._busy, self._rested_s = False, now
        elif now - self._rested_s > self._idle_s:
            return Verdict.LEAVE
        return Verdict.STAY

    def leave(self, now: float) -> None:
        """Tell the peer that it is to go."""
        if self._leaving_s is None:
            self._leaving_s = now
            goaway = f.goaway(f.STREAM_MAX, Code.NO_ERROR)
            self._write(goaway + f.frame(f.PING, 0, 0, LEAVING))

    def answered(self, ping: bytes) -> bool:
        """A PING was; True: the peer knows that it is to go."""
        if ping == ALIVE:
            self._ping_s = None
        return ping == LEAVING and self._leaving_s is not None
