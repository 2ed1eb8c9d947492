"""The eligible centers in turn.

Every gateway begins at a place of its own: proxies that all begin at the first send their
requests in step (ingress-nginx issue 4023). The rule is blind to speed and to queues; an
error moves the turn on like an answer, so it attracts nothing.
``ring_ms``: None goes round all; a width goes round the nearest ring.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from gateway.api import F32N, Array, Centers, Decision, Query, check_ring, nearest_ring


@dataclass(slots=True)
class Turn:
    """The row that had the last turn."""

    last: int


@dataclass(frozen=True)
class RoundRobin:
    """Picks the next eligible row after the last one chosen."""

    ring_ms: float | None = None

    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_ring(self.ring_ms)

    def memory(self, centers: int, random: Random) -> Turn:
        """Begin anywhere."""
        return Turn(random.randrange(centers))

    def pick(
        self,
        total_ms: F32N,
        candidates: Any,
        centers: Centers,
        query: Query,
        now: float,
        random: Random,
        memory: Any,
    ) -> int:
        """The first eligible row after the last turn's, round the end."""
        turn: Turn = memory
        mine = nearest_ring(total_ms, self.ring_ms).tobytes()
        row = mine.find(1, turn.last + 1)
        return row if row >= 0 else mine.find(1)

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """The turn is taken."""
        memory.last = decision.center
