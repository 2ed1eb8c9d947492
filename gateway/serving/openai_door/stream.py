"""Where a text answer arrives at the door: a reply that keeps the time of its tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.centers.port import Head, Relay
from gateway.serving.arrival import Parts
from gateway.serving.reply import EVENT_END, SAMPLE_EVERY, Reply, Through
from gateway.telemetry import Metrics

MARKS = 2
"""Events of a stream that bear no token: its beginning or end, and ``[DONE]``."""


class TextReply(Reply):
    """Counts the events of a stream; chunks are not read."""

    __slots__ = ("_clock", "_events", "_first_s", "_last_s", "_relay")

    def __init__(
        self, ready: asyncio.Future[None], stream_bytes_max: int, clock: Callable[[], float]
    ) -> None:
        super().__init__(ready, stream_bytes_max)
        self._clock = clock
        self._events = 0
        self._first_s = self._last_s = 0.0
        self._relay: Relay | None = None

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """See ``Answer``."""
        if parts is None:
            self._first_s = self._last_s = self._clock()
            self._relay = head.relay
        super().send_head(head, center, parts)

    def send_chunk(self, payload: bytes) -> None:
        """See ``Answer``."""
        if self._first_s:
            self._last_s = self._clock()
            self._events += payload.count(EVENT_END)
        super().send_chunk(payload)

    async def more(self, through: Through) -> None:
        """See ``Reply``; whole chunks go the short way meanwhile."""
        relay = self._relay
        if relay is not None:
            relay.sink = through.sink(relay, self._clock)
        try:
            await super().more(through)
        finally:
            if relay is not None:
                relay.sink = None

    def _wake(self) -> None:
        if self._relay is not None:
            self._relay.sink = None  # what is queued is written first
        super()._wake()

    def tell(self, metrics: Metrics, arrived_s: float) -> None:
        """Of a stream: when its first token came, and how fast the others."""
        if not self._first_s:
            return
        relay = self._relay
        if relay is not None and relay.reads:
            looked_at = -(-relay.reads // SAMPLE_EVERY)
            self._events += round(relay.sampled * relay.reads / looked_at)
            self._last_s = max(self._last_s, relay.heard_s)
        metrics.first_token((self._first_s - arrived_s) * 1e3)
        tokens = self._events - MARKS - 1
        if tokens > 0:
            metrics.next_tokens((self._last_s - self._first_s) * 1e3 / tokens)
