"""What lies between two ends: ways of a network, and pipes along them.

A pipe delivers in order, cut where the network cuts, after a delay of its ``Way``. While the way
is blocked nothing arrives and nothing is lost, for TCP sends again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Protocol

from gateway.testing.adversary.loop import VirtualLoop

EARLY_BYTES = 12
RESET = "reset"
END_OF_FILE = "eof"


class Receiver(Protocol):
    """Where a pipe ends."""

    def arrive(self, what: bytes | str) -> None:
        """Bytes, RESET or END_OF_FILE."""


class Way:
    """One direction between two hosts. ``cut``: probability that a write arrives in pieces."""

    def __init__(self, delay_s: float, jitter_s: float, cut: float) -> None:
        self.delay_s = delay_s
        self.jitter_s = jitter_s
        self.cut = cut
        self.factor = 1.0
        self.blocked = False
        self.pipes: dict[Pipe, None] = {}

    def block(self) -> None:
        """Nothing arrives any more."""
        self.blocked = True

    def heal(self) -> None:
        """What was held arrives."""
        self.blocked = False
        for pipe in list(self.pipes):
            pipe.arm()

    def draw_s(self, random: Random) -> float:
        """One delay."""
        return self.factor * (self.delay_s + self.jitter_s * random.random())


class Pipe:
    """From ``sender`` to ``receiver``, in order. ``reset_in``: bytes until somebody resets it."""

    def __init__(self, loop: VirtualLoop, way: Way, random: Random) -> None:
        self.receiver: Receiver | None = None
        self.reset_in: int | None = None
        self.on_reset: Callable[[], None] | None = None
        self._loop = loop
        self._way = way
        self._random = random
        self._flying: deque[tuple[float, bytes | str]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_s = 0.0
        way.pipes[self] = None

    def send(self, what: bytes | str, *, cuts: bool = True) -> None:
        """Bytes, RESET or END_OF_FILE. ``cuts``: bytes may arrive in pieces."""
        random, way = self._random, self._way
        due_s = max(self._last_s, self._loop.time() + way.draw_s(random))
        if isinstance(what, bytes):
            what = self._before_reset(what)
            while cuts and len(what) > 1 and random.random() < way.cut:
                early = random.random() < 0.5  # where a line begins is where readers err
                at = random.randrange(1, min(len(what), EARLY_BYTES) if early else len(what))
                self._flying.append((due_s, what[:at]))
                what = what[at:]
                due_s += way.jitter_s * random.random()
        self._last_s = due_s
        if what:
            self._flying.append((due_s, what))
        self.arm()
        if self.reset_in == 0 and self.on_reset is not None:
            self.reset_in = None
            self._loop.call_soon(self.on_reset)

    def _before_reset(self, data: bytes) -> bytes:
        if self.reset_in is None:
            return data
        kept = data[: self.reset_in]
        self.reset_in -= len(kept)
        return kept

    def arm(self) -> None:
        """See to it that what flies arrives, unless the way is blocked."""
        if self._timer is None and self._flying and not self._way.blocked:
            self._timer = self._loop.call_at(self._flying[0][0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        if self._way.blocked or not self._flying:
            return
        _, what = self._flying.popleft()
        self.arm()
        if self.receiver is not None:
            self.receiver.arrive(what)

    def forget(self) -> None:
        """Both ends are gone."""
        self._flying.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._way.pipes.pop(self, None)
