"""Which requests are traced, and what was seen of them until somebody exports it.

Theory of operation. ``begin`` says at a request's beginning whether it is traced: a client that
was believed when it said so decides (W3C's sampled flag, ``gateway.wire.traceparent``), else
chance does, with ``share``. ``per_s_max`` bounds both, by a token bucket. ``ended`` takes the
record of a traced request, ``take`` hands on all since the last call. What is not fetched is
dropped beyond ``KEPT_MAX`` and counted. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from gateway.telemetry.request_record import RequestRecord, Trace
from gateway.wire.traceparent import TraceParent, parse_traceparent

KEPT_MAX: Final = 4096


class Tracer:
    """``clock``: seconds. ``dropped``: traced requests that were not exported for want of room;
    ``over``: those that were not traced because ``per_s_max`` were already.
    """

    __slots__ = ("_clock", "_filled_s", "_kept", "_per_s_max", "_random", "_share", "_tokens",
                 "dropped", "over")  # fmt: skip

    def __init__(
        self, clock: Callable[[], float], random: Random, *, share: float, per_s_max: float
    ) -> None:
        self._clock = clock
        self._random = random
        self._share = share
        self._per_s_max = per_s_max
        self._tokens = max(1.0, per_s_max)
        self._filled_s = clock()
        self._kept: list[RequestRecord] = []
        self.dropped = 0
        self.over = 0

    def begin(self, traceparent: str) -> Trace | None:
        """The span of a request that is traced, else None; empty: the client named no trace."""
        parent = parse_traceparent(traceparent) if traceparent else None
        if parent is None:
            if self._random.random() >= self._share or not self._room():
                return None
            return Trace(self._random.getrandbits(128) or 1, self.new_span_id(), 0)
        if not parent.sampled or not self._room():
            return None
        return Trace(parent.trace_id, self.new_span_id(), parent.span_id)

    def new_span_id(self) -> int:
        """64 bits, not 0."""
        return self._random.getrandbits(64) or 1

    def ended(self, record: RequestRecord) -> None:
        """A traced request is over."""
        if len(self._kept) < KEPT_MAX:
            self._kept.append(record)
        else:
            self.dropped += 1

    def take(self) -> list[RequestRecord]:
        """All that ended since the last call."""
        kept, self._kept = self._kept, []
        return kept

    def _room(self) -> bool:
        now = self._clock()
        filled = self._tokens + (now - self._filled_s) * self._per_s_max
        self._tokens = min(filled, max(1.0, self._per_s_max))
        self._filled_s = now
        if self._tokens < 1.0:
            self.over += 1
            return False
        self._tokens -= 1.0
        return True


def traceparent_of(trace: Trace, span_id: int) -> str:
    """What is told to whoever works for ``span_id``."""
    return str(TraceParent(trace.trace_id, span_id, sampled=True))
