"""The answer as it comes from a center, held back until it may be sent.

Head and chunks are kept until ``send``; afterwards it is ``streaming`` and chunks go through.
Until then another center's answer may take its place, in a new one of these.
"""

from __future__ import annotations

from gateway.centers.port import Head
from gateway.serving.arrival import Answer, Parts

HELD_BYTES_MAX = 64 * 1024


class HeldAnswer:
    """What has been heard of the answer and is not sent yet."""

    __slots__ = ("_answer", "_bytes", "chunks", "head", "streaming")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._bytes = 0
        self.head: Head | None = None
        self.chunks: list[bytes] = []
        self.streaming = False

    @property
    def full(self) -> bool:
        """More is held than should wait for the turn's end."""
        return self._bytes > HELD_BYTES_MAX

    def add(self, payload: bytes) -> None:
        """One more chunk: sent on when the answer is a stream, kept otherwise."""
        if self.streaming:
            self._answer.send_chunk(payload)
        else:
            self.chunks.append(payload)
            self._bytes += len(payload)

    def send(self, center: int, parts: Parts | None) -> None:
        """Head and chunks go out; without ``parts`` more will follow."""
        assert self.head is not None
        self.streaming = True
        self._answer.send_head(self.head, center, parts)
        for payload in self.chunks:
            self._answer.send_chunk(payload)
        self.chunks = []
