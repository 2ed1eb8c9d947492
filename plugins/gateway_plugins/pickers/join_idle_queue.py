"""Join-idle-queue: a center says when it is idle, and the next request goes there.

Lu, Xie, Kliot, Geller, Larus, Greenberg, Join-Idle-Queue (Performance Evaluation 68, 2011):
an idle server puts itself into the queue of one dispatcher; a dispatcher sends a job to the
first server in its queue, or to a random one when the queue is empty. Here the report that
comes with an answer is the message: a center that reports a free slot puts one *token* into
the queue of the gateway that hears it, never more tokens than it has free slots. (The paper's
servers run one job and choose the dispatcher at random; a gateway is answered about as often
as it asks.) Nothing else is known of load, so at high load the rule becomes random.

A center that fails fast reports free slots like any idle one and so attracts traffic.
``ring_ms``: None takes any token; a width takes the tokens of the nearest ring.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from gateway.api import (
    F32N,
    Array,
    Centers,
    Choice,
    Decision,
    Query,
    Report,
    check_ring,
    nearest_ring,
)


@dataclass(slots=True)
class Tokens:
    """The queue of idle centers, first come first, and how many tokens each has in it."""

    queue: list[int]
    held: list[int]


@dataclass(frozen=True)
class JoinIdleQueue:
    """Picks the first idle center in the queue, or any when there is none."""

    ring_ms: float | None = None

    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_ring(self.ring_ms)

    def memory(self, centers: int, random: Random) -> Tokens:
        """An empty queue."""
        return Tokens([], [0] * centers)

    def pick(
        self,
        total_ms: F32N,
        candidates: Any,
        centers: Centers,
        query: Query,
        now: float,
        random: Random,
        memory: Any,
    ) -> Choice:
        """The center of the first token that may be used; the token goes to ``chosen``."""
        tokens: Tokens = memory
        near = nearest_ring(total_ms, self.ring_ms)
        usable = near.tobytes()
        for center in tokens.queue:
            if usable[center]:
                return Choice(center, token=center)
        rows = near.nonzero()[0]
        return Choice(int(rows[int(random.random() * len(rows))]))

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """Take the token out of the queue."""
        tokens: Tokens = memory
        center = decision.token
        if isinstance(center, int) and tokens.held[center]:
            tokens.queue.remove(center)
            tokens.held[center] -= 1

    def reported(
        self,
        center: int,
        report: Report,
        now: float,
        mine: MutableMapping[str, Array],
        memory: Any,
    ) -> None:
        """A free slot that has no token yet gives one."""
        tokens: Tokens = memory
        if tokens.held[center] < max(1, report.slots) - report.in_flight:
            tokens.queue.append(center)
            tokens.held[center] += 1
