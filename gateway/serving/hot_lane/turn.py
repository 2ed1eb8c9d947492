"""One request at a time on one connection: admission, exchange, and the bytes of its answer.

A ``Turn`` belongs to a connection and is used again for each of its requests; it is also the
exchange's ``Answer``, so nothing but the exchange itself is made for a request.

    admit ─▶ run ─▶ (exchange under way) ─ send_whole, or send_head .. send_end, or fail ─▶ over
      │       │                                                              │
      └───────┴─ refused ────────────────────▶ over          gone ◀─ client ─┘

``admit`` and ``over`` come in pairs, as do ``front.enter`` and ``front.leave``. Two answers need
a task: the error of a model that nobody serves (centers are asked why), and one so large that a
thread compresses it; such a task is the turn's, and ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from gateway.api import NearwayError
from gateway.centers.outbox import TurnWriter
from gateway.centers.port import Head, Whole
from gateway.serving.arrival import Arrival, Parts
from gateway.serving.boundary import (
    INTERNAL,
    JSON,
    LOG,
    SERVER,
    check_fields,
    error_body,
    error_fields,
    head_lines,
    internal_message,
)
from gateway.serving.encoding import (
    INLINE_BYTES_MAX,
    deflate,
    deflate_now,
    wanted_encoding,
)
from gateway.serving.exchange import Exchange
from gateway.serving.models import is_vague
from gateway.wire import error_json
from gateway.wire.server_timing import FORM

if TYPE_CHECKING:
    from gateway.serving.hot_lane.connection import Connection
    from gateway.serving.hot_lane.head import RequestHead
    from gateway.serving.hot_lane.lane import HotLane

JOIN_BYTES_MAX = 16 * 1024
"""A larger body is not copied to stand behind its head: uvloop sends both in one call."""
KNOCK = b"HTTP/1.1 100 Continue\r\n\r\n"

# One `%` writes the head of nearly every answer: 1 us, where a dict of fields takes 4.
_WHOLE = f"%s%s\r\nServer-Timing: {FORM}\r\nContent-Length: %d%s\r\n"


class Turn:
    """What a connection does with one request.

    ``running``: from ``run`` until it is over. ``streaming``: its answer has begun, with no end
    in sight. ``_odd``: there is more to forget than after most requests.
    """

    __slots__ = (
        "_admitted",
        "_arrival",
        "_arrived_s",
        "_begun",
        "_chunks",
        "_connection",
        "_exchange",
        "_front",
        "_head",
        "_heads_out",
        "_lane",
        "_odd",
        "_request_id",
        "_task",
        "_told",
        "_transport",
        "_writer",
        "running",
        "streaming",
    )

    def __init__(
        self,
        lane: HotLane,
        connection: Connection,
        transport: asyncio.Transport,
        writer: TurnWriter,
    ) -> None:
        self._lane = lane
        self._front = lane.front
        self._heads_out = lane.heads_out
        self._connection = connection
        self._transport = transport
        self._begun = b""
        self._writer = writer
        self._head: RequestHead | None = None
        self._exchange: Exchange | None = None
        self._arrival: Arrival | None = None
        self._task: asyncio.Task[None] | None = None
        self._told: tuple[Head, int, Parts] | None = None
        self._chunks: list[bytes] = []
        self._arrived_s = 0.0
        self._request_id = ""
        self._admitted = False
        self._odd = False
        self.streaming = False
        self.running = False

    # ---- in -------------------------------------------------------------------------------

    def admit(self, head: RequestHead) -> bool:
        """Is there room for the request, and is its head right? False: it has been answered."""
        lane = self._lane
        front = self._front = lane.front
        self._head = head
        self._arrived_s = lane.clock()
        self._request_id = head.request_id or lane.new_id()
        try:
            front.enter(head.body_bytes)
            self._admitted = True
            if head.refusal is not None:
                raise head.refusal
        except NearwayError as error:
            self.refuse(error)
            return False
        return True

    def run(self, body: bytes) -> None:
        """The body of an admitted request is here."""
        lane, head = self._lane, self._head
        assert head is not None
        self.running = True
        try:
            arrival = lane.arrival_of(
                head.said, self._request_id, head.model, head.version, body, self._arrived_s
            )
        except NearwayError as error:
            self.refuse(error)
            return
        except Exception:  # noqa: BLE001 - the request boundary, as below
            self._internal_error()
            return
        self._heads_out = lane.heads_out  # of the same config as the exchange
        with_ = lane.collaborators
        if with_.recorder is None:
            exchange = Exchange(with_, arrival, self)
        else:
            exchange = with_.recorder.exchange(with_, arrival, self)
        self._arrival, self._exchange = arrival, exchange
        try:
            exchange.begin()
        except Exception:  # noqa: BLE001 - the request boundary: one request fails, not the door
            self._internal_error()

    def refuse(self, error: NearwayError, *, close: bool = False) -> None:
        """Answer with an error before there is an exchange."""
        assert self._head is not None
        told = (self._request_id, self._head.model, error.http_status, error.reason)
        self._front.refused(*told)
        self._answer_error(error, close=close)

    # ---- what the connection says ---------------------------------------------------------

    def pause(self) -> None:
        """The client reads slowly."""
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        """It has caught up."""
        if self._exchange is not None:
            self._exchange.resume()

    def knock(self) -> bool:
        """The client said it is done: has it left, or does it still read?

        An interim answer is passed over by who reads (RFC 9110, 15.2) and reset by who left.
        True when one was sent; HTTP/1.0 knows none.
        """
        if self._head is None or self._head.minor == 0:
            return False
        self._writer.write(KNOCK)
        return True

    def gone(self) -> None:
        """The connection is lost: whatever is under way is not wanted any more."""
        if self._task is not None:
            self._task.cancel()
        if self._exchange is not None:
            self._exchange.cancel()
        self._forget()
        del self._connection  # nothing calls it any more, and no cycle is left

    # ---- out: what the exchange says (see ``Answer``) -------------------------------------

    def send_whole(self, whole: Whole, center: int, parts: Parts) -> None:
        """See ``Answer``."""
        payload, head, lane = whole.payload, self._head, self._lane
        arrival = self._arrival
        assert head is not None
        assert arrival is not None
        start = self._heads_out.starts.get((center, whole.content_type, whole.status))
        if start is None:
            start = lane.start_of(self._heads_out, center, whole.content_type, whole.status)
        if (
            not head.plain
            or not start
            or arrival.model is not arrival.query.model
            or whole.head_bytes is not None
            or parts.service_ms == 0.0
            or self._lane.front.retiring
            or (len(payload) >= lane.compress_bytes_min and head.asked.accept_encoding is not None)
        ):
            told = Head(whole.status, whole.content_type, whole.head_bytes)
            self._send_told(told, center, parts, payload)
            return
        text = _WHOLE % (
            start,
            self._request_id,
            parts.gateway_ms,
            parts.network_ms,
            parts.queue_ms,
            parts.service_ms,
            len(payload),
            lane.date,
        )
        self._write(text, payload)
        self._over()

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """See ``Answer``; a stream begins at once, a whole answer at its end."""
        if parts is not None:
            self._odd, self._told = True, (head, center, parts)
            return
        self._odd = self.streaming = True
        try:
            self._begin_stream(head, center)
        except Exception:  # noqa: BLE001 - the request boundary
            self.streaming = False
            self._internal_error()

    def send_chunk(self, payload: bytes) -> None:
        """See ``Answer``; a client that does not keep up loses the stream at the bound."""
        if self._told is not None:
            self._chunks.append(payload)
            return
        head, transport = self._head, self._transport
        if not self.streaming or head is None or not payload or transport.is_closing():
            return
        if head.minor == 0:
            self._writer.write(payload)
        elif len(payload) <= JOIN_BYTES_MAX:
            self._writer.write(b"%x\r\n%b\r\n" % (len(payload), payload))
        else:
            self._writer.send()
            transport.writelines((b"%x\r\n" % len(payload), payload, b"\r\n"))
        if transport.get_write_buffer_size() > self._lane.unread_bytes_max:
            transport.abort()

    def send_end(self) -> None:
        """See ``Answer``."""
        if self._told is not None:
            head, center, parts = self._told
            self._send_told(head, center, parts, b"".join(self._chunks))
        elif self.streaming and not self._transport.is_closing():
            if self._head is not None and self._head.minor:
                self._writer.write(b"0\r\n\r\n")
            self._over(close=self._closes())

    def fail(self, error: NearwayError) -> None:
        """See ``Answer``; a stream that breaks off never looks like a whole answer. One whose
        head has not left yet, begun in this very turn of the loop, is the error instead.
        """
        if self.streaming and self._writer.take_back(self._begun):
            self.streaming = False
        if self.streaming:
            self._transport.abort()
        elif self._exchange is not None and is_vague(error, self._exchange.decision):
            self._later(self._answer_closer, error)
        else:
            self._answer_error(error)

    # ---- out: bytes -----------------------------------------------------------------------

    def _send_told(self, head: Head, center: int, parts: Parts, payload: bytes) -> None:
        """A whole answer whose head needs a closer look."""
        try:
            fields, encoding = self._fields(head, center, parts), None
            if len(payload) >= self._lane.compress_bytes_min:
                encoding = wanted_encoding(self._asked_encoding())
            if encoding is not None:
                fields["Content-Encoding"] = encoding
                if len(payload) > INLINE_BYTES_MAX:
                    self._later(self._deflated, head.status, fields, payload, encoding)
                    return
                payload = deflate_now(payload, encoding)
            check_fields(fields)
        except Exception:  # noqa: BLE001 - the request boundary
            self._internal_error()
        else:
            self._write_whole(head.status, fields, payload)

    def _asked_encoding(self) -> str | None:
        return None if self._head is None else self._head.asked.accept_encoding

    def _fields(self, head: Head, center: int, parts: Parts | None) -> dict[str, str]:
        assert self._head is not None
        assert self._arrival is not None
        assert self._exchange is not None
        return self._heads_out.fields(
            head, center, parts, self._arrival, self._exchange, self._head.asked
        )

    def _begin_stream(self, head: Head, center: int) -> None:
        assert self._head is not None
        fields = self._fields(head, center, None)
        check_fields(fields)
        if self._head.minor:
            fields["Transfer-Encoding"] = "chunked"
        text = self._head_text(head.status, fields, close=self._closes())
        self._begun = text.encode("utf-8", "surrogateescape")
        self._writer.write(self._begun)

    async def _deflated(
        self, status: int, fields: dict[str, str], payload: bytes, encoding: str
    ) -> None:
        check_fields(fields)
        self._write_whole(status, fields, await deflate(payload, encoding))

    async def _answer_closer(self, error: NearwayError) -> None:
        assert self._arrival is not None
        closer = await self._lane.models.closer_error(error, None, self._arrival)
        self._answer_error(closer)

    def _answer_error(self, error: NearwayError, *, close: bool = False) -> None:
        fields = {"Content-Type": JSON, "Server": SERVER, **error_fields(error, self._request_id)}
        self._write_whole(error.http_status, fields, error_body(error), close=close)

    def _internal_error(self) -> None:
        """Called while an unforeseen exception is handled."""
        if self._head is None:
            return  # it has been answered already
        message = internal_message(self._request_id, f"POST infer of {self._head.model}")
        if self._exchange is None:
            self._front.refused(self._request_id, self._head.model, 500, INTERNAL)
        else:
            self._exchange.cancel(500)
        fields = {"Content-Type": JSON, "Server": SERVER, "x-request-id": self._request_id}
        self._write_whole(500, fields, error_json(message))

    def _write_whole(
        self, status: int, fields: dict[str, str], payload: bytes, *, close: bool = False
    ) -> None:
        close = close or self._closes()
        fields["Content-Length"] = str(len(payload))
        self._write(self._head_text(status, fields, close=close), payload)
        self._over(close=close)

    def _write(self, head: str, payload: bytes) -> None:
        told = head.encode("utf-8", "surrogateescape")
        try:
            if len(payload) <= JOIN_BYTES_MAX:
                self._writer.write(told + payload)
            else:
                self._writer.send()
                self._transport.writelines((told, payload))
        except RuntimeError:  # closed in this turn of the loop: ``gone`` follows
            LOG.debug("request %s: the client left before its answer", self._request_id)

    def _closes(self) -> bool:
        """Is this the connection's last answer?"""
        head = self._head
        if head is None or self._lane.front.retiring or not head.keep_alive:
            return True
        return self.streaming and head.minor == 0

    def _head_text(self, status: int, fields: dict[str, str], *, close: bool) -> str:
        minor = 1 if self._head is None else self._head.minor
        if close and minor:
            fields["Connection"] = "close"
        elif not close and not minor:
            fields["Connection"] = "keep-alive"
        return f"{head_lines(minor, status, fields)}{self._lane.date[2:]}\r\n"

    # ---- the end --------------------------------------------------------------------------

    def _later(self, work: Callable[..., Awaitable[None]], *given: Any) -> None:
        self._odd, self._task = True, self._lane.spawn(self._guarded(work, *given))

    async def _guarded(self, work: Callable[..., Awaitable[None]], *given: Any) -> None:
        try:
            await work(*given)
        except Exception:  # noqa: BLE001 - the request boundary
            self._internal_error()

    def _over(self, *, close: bool = False) -> None:
        self._forget()
        self._connection.over(close=close)

    def _forget(self) -> None:
        """Nothing of the request is kept, and its place is given back."""
        body_bytes = 0 if self._head is None else self._head.body_bytes
        self._head = self._exchange = self._arrival = None
        self.running = False
        if self._odd:
            self._odd = self.streaming = False
            self._task = self._told = None
            self._chunks = []
            self._begun = b""
        if self._admitted:
            self._admitted = False
            self._front.leave(body_bytes)
