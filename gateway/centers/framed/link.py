"""One connection to a center process, from its first byte to its last.

Theory of operation.

    connected ─ our hello ─▶ their hello ─▶ OPEN ─ goodbye ─▶ LEAVING ─▶ ENDED
                     │ anything else          └──── lost, or garbage ───────▲
                     └──────────────────────────────────────────────────────┘

Attempts are taken while OPEN. At most as many are under way as the center's hello allows, and
none is written while the transport is full: the others wait here, in their order, bounded. The
budget in a request's frame is what is left when it is written. While LEAVING what is under way
goes on, nothing new is taken. ENDED: every attempt has heard ``Failed(CenterDown)``, every
probe None, every question its error, each exactly once.

Frames of one turn of the loop are joined and written once, in a turn of its own; then the
attempts among them hear ``Sent``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from gateway.api import CenterBusy, CenterDown, InvalidRequest, NearwayError, Report, TooLarge
from gateway.centers.framed.call import FramedCall
from gateway.centers.port import Answered, Attempt, Chunk, Failed, Head, OnReport, Sent, Whole
from gateway.wire import frames
from gateway.wire.frames import FrameReader, Hello, ProtocolError

SENT = Sent()
WAITING_MAX: Final = 1024
PROBES_MAX: Final = 1024
STREAM_BYTES: Final = 1024 * 1024
WRITE_BUFFER_BYTES: Final = 256 * 1024
BUDGET_MS_MAX: Final = 1e12
LINGER_S: Final = 1.0

OnResident = Callable[[list[frames.ResidencyLine]], None]
Clock = Callable[[], float]


class FramedLink(asyncio.Protocol):
    """The gateway's end. ``greeted`` and ``lost`` are done once in its life.

    ``lost`` tells why, in words. ``peer`` is the center's hello.
    """

    def __init__(
        self,
        name: str,
        software: str,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        on_resident: OnResident,
        on_gone: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_gone``: nothing is taken any more; called once, before any attempt hears of it."""
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.peer: Hello | None = None
        self.taking = False
        self.credit_step = STREAM_BYTES // 4
        self._name = name
        self._software = software
        self._loop = loop
        self._clock = clock
        self._on_resident = on_resident
        self._on_gone = on_gone
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._why = ""
        self._numbers = 0
        self._in_flight_max = 0
        self._body_bytes_max = 0
        self._full = False
        self._calls: dict[int, FramedCall] = {}
        self._waiting: dict[int, FramedCall] = {}
        self._probes: dict[int, OnReport] = {}
        self._questions: dict[int, asyncio.Future[bytes]] = {}
        self._out: list[bytes] = []
        self._sent: list[FramedCall] = []
        self._flush_is_due = False

    # ---- what the centers call ------------------------------------------------------------

    def start(
        self, center: str, vantage: str, attempt: Attempt, on_event: Callable[[Any], None]
    ) -> FramedCall:
        """Send the attempt, or let it wait for room; see ``CenterPort.start``."""
        self._numbers += 1
        call = FramedCall(self, self._numbers, center, vantage, attempt, on_event)
        if not self.taking:
            self._loop.call_soon(call.fail, CenterDown(self._why))
        elif not self._full and len(self._calls) < self._in_flight_max and not self._waiting:
            self._send(call, attempt)
        elif len(self._waiting) < WAITING_MAX:
            self._waiting[call.id] = call
        else:
            self._loop.call_soon(call.fail, self._crowded())
        return call

    def probe(self, center: str, vantage: str, on_result: OnReport) -> None:
        """See ``CenterPort.probe``; of too many without an answer the oldest are forgotten."""
        if not self.taking:
            self._loop.call_soon(on_result, None)
            return
        self._numbers += 1
        self._probes[self._numbers] = on_result
        if len(self._probes) > PROBES_MAX:
            del self._probes[next(iter(self._probes))]
        self._write(frames.encode(frames.Probe(self._numbers, center, vantage)))

    async def ask(self, verb: str, center: str, model: str, version: str) -> bytes:
        """The body of the reply. Raises what the center raised, or CenterDown."""
        if not self.taking:
            raise CenterDown(self._why)
        self._numbers += 1
        number = self._numbers
        question = _encoded(frames.Question(number, verb, center, model, version))
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._questions[number] = reply
        self._write(question)
        try:
            return await reply
        finally:
            self._questions.pop(number, None)

    def end(self, why: str) -> None:
        """Tell the center why and close; what is open fails now."""
        self._why = self._why or why
        transport, self._transport = self._transport, None
        if transport is not None:
            self._out.append(frames.encode(frames.Goodbye(why[:1000], drains=False)))
            transport.write(b"".join(self._out))
            transport.close()
            self._loop.call_later(LINGER_S, transport.abort)
        self._fail_all()

    # ---- what a call calls ----------------------------------------------------------------

    def cancelled(self, call: FramedCall) -> None:
        """Forget it, and tell the center when it knows of it."""
        if self._waiting.pop(call.id, None) is None and self._calls.pop(call.id, None) is not None:
            self._write(frames.encode(frames.Cancel(call.id)))
            self._send_waiting()

    def credit(self, call: FramedCall, amount: int) -> None:
        """``amount`` more bytes of its answer may come."""
        if call.id in self._calls:
            self._write(frames.encode(frames.Credit(call.id, amount)))

    def soon(self, call: FramedCall) -> None:
        """Hand on what ``call`` has kept, in a turn of its own."""
        self._loop.call_soon(call.hand_on)

    # ---- out ------------------------------------------------------------------------------

    def _send(self, call: FramedCall, attempt: Attempt) -> None:
        call.attempt = None
        budget_ms = (attempt.deadline_s - self._clock()) * 1e3
        request = frames.Request(
            call.id,
            call.center,
            attempt.model,
            attempt.version,
            call.vantage,
            min(max(0.0, budget_ms), BUDGET_MS_MAX),
            attempt.head_bytes,
            attempt.request_id,
            attempt.route,
            attempt.traceparent,
        )
        try:
            if len(attempt.body) > self._body_bytes_max:
                raise self._too_large(len(attempt.body))
            data = _encoded(request, attempt.body)
        except NearwayError as error:
            self._loop.call_soon(call.fail, error)
            return
        self._calls[call.id] = call
        self._sent.append(call)
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        out, sent = self._out, self._sent
        self._out, self._sent = [], []
        if self._transport is None or not out:
            return
        self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        for call in sent:
            if call.open:
                call.on_event(SENT)

    def _send_waiting(self) -> None:
        waiting = self._waiting
        while waiting and self.taking and not self._full and len(self._calls) < self._in_flight_max:
            call = waiting.pop(next(iter(waiting)))
            assert call.attempt is not None
            self._send(call, call.attempt)

    # ---- in -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Frames of the center."""
        try:
            for frame, body in self._reader.feed(data):
                if self._transport is None:
                    return
                take = _TAKE.get(type(frame))
                if take is None:
                    raise ProtocolError(f"a center does not send {type(frame).__name__} frames")
                take(self, frame, body)
        except ProtocolError as error:
            self.end(f"center process at {self._name}: {error}")
        if self._waiting:
            self._send_waiting()

    def _take_hello(self, hello: Hello, _body: bytes) -> None:
        self.peer = hello
        self._in_flight_max = hello.in_flight_max
        self._body_bytes_max = hello.frame_bytes_max - frames.HEAD_BYTES_MAX - 2
        self.taking = True
        if not self.greeted.done():
            self.greeted.set_result(None)

    def _take_goodbye(self, told: frames.Goodbye, _body: bytes) -> None:
        self._why = f"center process at {self._name} said goodbye: {told.reason}"
        self._stop_taking()
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            call.fail(CenterDown(self._why))
        if not told.drains and self._transport is not None:
            self._transport.close()

    def _take_answer(self, told: frames.Answer, payload: bytes) -> None:
        call = self._calls.pop(told.id, None)
        if call is None:
            self._check_number(told.id)
            return
        call.open = False
        call.on_event(
            Whole(
                told.status,
                told.content_type,
                told.head_bytes,
                payload,
                Report(*told.report),
                told.drawn_ms,
            )
        )

    def _take_head(self, told: frames.AnswerHead, _body: bytes) -> None:
        call = self._known(told.id)
        if call is not None:
            call.take(Head(told.status, told.content_type, told.head_bytes))

    def _take_chunk(self, told: frames.AnswerChunk, payload: bytes) -> None:
        call = self._known(told.id)
        if call is not None:
            call.take(Chunk(payload))

    def _take_end(self, told: frames.AnswerEnd, _body: bytes) -> None:
        call = self._known(told.id)
        if call is not None:
            del self._calls[told.id]
            call.take(Answered(Report(*told.report), told.drawn_ms))

    def _take_failure(self, told: frames.Failure, _body: bytes) -> None:
        question = self._questions.pop(told.id, None)
        if question is not None:
            if not question.done():
                question.set_exception(frames.error_of(told))
            return
        call = self._known(told.id)
        if call is not None:
            del self._calls[told.id]
            report = None if told.report is None else Report(*told.report)
            call.take(Failed(frames.error_of(told), report, told.drawn_ms))

    def _take_probed(self, told: frames.Probed, _body: bytes) -> None:
        on_result = self._probes.pop(told.id, None)
        if on_result is not None:
            on_result(None if told.report is None else Report(*told.report))

    def _take_reply(self, told: frames.Reply, body: bytes) -> None:
        question = self._questions.pop(told.id, None)
        if question is not None and not question.done():
            question.set_result(body)

    def _take_residency(self, _told: frames.Residency, body: bytes) -> None:
        self._on_resident(frames.decode_residency(body))

    def _known(self, number: int) -> FramedCall | None:
        """The call it is about; None when that was cancelled."""
        call = self._calls.get(number)
        if call is None:
            self._check_number(number)
        return call

    def _check_number(self, number: int) -> None:
        if number > self._numbers:
            raise ProtocolError(f"the center answers number {number}, which was never asked")

    # ---- its life -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        transport.write(
            frames.encode(
                Hello(
                    frames.PROTOCOL,
                    frames.VERSION,
                    self._software,
                    1,
                    frames.FRAME_BYTES_MAX,
                    STREAM_BYTES,
                )
            )
        )

    def pause_writing(self) -> None:
        """The transport is full."""
        self._full = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._full = False
        self._send_waiting()

    def connection_lost(self, error: Exception | None) -> None:
        """Everything open fails, once."""
        self._transport = None
        because = f": {error}" if error is not None else ""
        self._why = self._why or f"center process at {self._name} closed the connection{because}"
        self._fail_all()

    def _stop_taking(self) -> None:
        if self.taking:
            self.taking = False
            self._on_gone()

    def _fail_all(self) -> None:
        self._stop_taking()
        calls = [*self._calls.values(), *self._waiting.values()]
        probes, questions = list(self._probes.values()), list(self._questions.values())
        for table in (self._calls, self._waiting, self._probes, self._questions):
            table.clear()
        self._out, self._sent = [], []
        for call in calls:
            call.fail(CenterDown(self._why))
        for on_result in probes:
            on_result(None)
        for question in questions:
            if not question.done():
                question.set_exception(CenterDown(self._why))
        if not self.lost.done():
            self.lost.set_result(self._why)

    def _crowded(self) -> CenterBusy:
        return CenterBusy(
            f"center process at {self._name}: {len(self._calls)} requests are under way on the "
            f"connection and {WAITING_MAX} wait for it"
        )

    def _too_large(self, size: int) -> TooLarge:
        return TooLarge(
            f"the body has {size} bytes; the center process at {self._name} reads at most "
            f"{self._body_bytes_max}"
        )


def _encoded(frame: frames.Frame, body: bytes = b"") -> bytes:
    """A frame made of what a client sent: too long a name is the client's fault."""
    try:
        return frames.encode(frame, body)
    except ProtocolError as error:
        raise InvalidRequest(str(error)) from None


_TAKE: dict[type, Callable[[FramedLink, Any, bytes], None]] = {
    frames.Answer: FramedLink._take_answer,
    Hello: FramedLink._take_hello,
    frames.Goodbye: FramedLink._take_goodbye,
    frames.AnswerHead: FramedLink._take_head,
    frames.AnswerChunk: FramedLink._take_chunk,
    frames.AnswerEnd: FramedLink._take_end,
    frames.Failure: FramedLink._take_failure,
    frames.Probed: FramedLink._take_probed,
    frames.Reply: FramedLink._take_reply,
    frames.Residency: FramedLink._take_residency,
}
