"""Where an exchange answers over aiohttp, and how chunks of a stream reach the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from gateway.api import NearwayError, TooLarge
from gateway.centers.port import Head, Relay, Whole
from gateway.serving.arrival import Parts

EVENT_END = b"\n\n"
SAMPLE_EVERY = 16
"""Of so many reads one is looked at for events: counting costs as much as all else does."""


class Reply:
    """Where the exchange answers; ``ready`` is done once the handler has something to do.

    While the handler waits for more of a stream, and the client reads what there is, a chunk goes
    ``through`` to the connection: waking a handler would cost three times as much.
    """

    __slots__ = (
        "_bytes_max",
        "_queued",
        "_through",
        "center",
        "chunks",
        "ended",
        "error",
        "head",
        "parts",
        "ready",
    )

    def __init__(self, ready: asyncio.Future[None], stream_bytes_max: int) -> None:
        self.ready = ready
        self.head: Head | None = None
        self.parts: Parts | None = None
        self.center = -1
        self.chunks: list[bytes] = []
        self.ended = False
        self.error: NearwayError | None = None
        self._bytes_max = stream_bytes_max
        self._queued = 0
        self._through: Through | None = None

    def send_whole(self, whole: Whole, center: int, parts: Parts) -> None:
        """See ``Answer``."""
        self.head = Head(whole.status, whole.content_type, whole.head_bytes)
        self.center, self.parts = center, parts
        self.chunks.append(whole.payload)
        self.ended = True
        self._wake()

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """See ``Answer``; a stream wakes the handler at its head, a whole answer at its end."""
        self.head, self.center, self.parts = head, center, parts
        if parts is None:
            self._wake()

    def send_chunk(self, payload: bytes) -> None:
        """Queue a chunk; a client that does not keep up loses the stream at the bound."""
        if self.parts is not None:
            self.chunks.append(payload)
            return
        through = self._through
        if through is not None and not self.chunks and through.write(payload):
            return
        self._queued += len(payload)
        if self._queued <= self._bytes_max:
            self.chunks.append(payload)
        elif self.error is None:
            self.error = TooLarge(
                f"the client left more than {self._bytes_max} bytes of the stream unread"
            )
        self._wake()

    def send_end(self) -> None:
        """The answer is complete."""
        self.ended = True
        self._wake()

    def fail(self, error: NearwayError) -> None:
        """No answer, or the end of a broken one."""
        self.error = error
        self._wake()

    def take(self) -> list[bytes]:
        """The chunks queued since the last call."""
        chunks, self.chunks, self._queued = self.chunks, [], 0
        return chunks

    async def more(self, through: Through) -> None:
        """Until the handler has something to do; chunks go through meanwhile."""
        self.ready = asyncio.get_running_loop().create_future()
        self._through = through
        try:
            await self.ready
        finally:
            self._through = None

    def _wake(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)


class WholeReply(Reply):
    """Waits for the end of the answer, in whatever parts it comes."""

    __slots__ = ("_left_bytes",)

    def __init__(self, ready: asyncio.Future[None], answer_bytes_max: int) -> None:
        super().__init__(ready, answer_bytes_max)
        self._left_bytes = answer_bytes_max

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """See ``Answer``."""
        self.head, self.center, self.parts = head, center, parts

    def send_chunk(self, payload: bytes) -> None:
        """See ``Answer``."""
        self._left_bytes -= len(payload)
        if self._left_bytes >= 0:
            self.chunks.append(payload)
        elif self.error is None:
            self.fail(TooLarge("the answer is larger than remote.answer_bytes_max"))

    @property
    def payload(self) -> bytes:
        """The body, when it is whole."""
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


class Through:
    """Chunks of a stream, written where its head went out already."""

    __slots__ = ("_chunked", "_protocol")

    def __init__(self, request: web.Request) -> None:
        self._protocol = request.protocol
        self._chunked = bool(getattr(request.writer, "chunked", False))

    def write(self, payload: bytes) -> bool:
        """False when the client is gone, or does not read what there is for it."""
        protocol = self._protocol
        transport = protocol.transport
        if transport is None or transport.is_closing() or protocol.writing_paused:
            return False
        if not self._chunked:
            transport.write(payload)
        elif payload:  # an empty chunk would be the last
            transport.write(b"%x\r\n%b\r\n" % (len(payload), payload))
        return True

    def sink(self, relay: Relay, clock: Callable[[], float]) -> Callable[[bytes], bool] | None:
        """What writes whole chunks as they came; None for a client that knows none.

        One frame of Python a chunk: every name is the closure's own.
        """
        protocol = self._protocol
        transport = protocol.transport
        if not self._chunked or transport is None:
            return None
        write, unsent, is_closing = (
            transport.write,
            transport.get_write_buffer_size,
            transport.is_closing,
        )

        def take(framed: bytes) -> bool:
            if unsent() or is_closing():
                return False
            write(framed)
            relay.heard_s = clock()
            if not relay.reads % SAMPLE_EVERY:
                relay.sampled += framed.count(EVENT_END)
            relay.reads += 1
            return True

        return take
