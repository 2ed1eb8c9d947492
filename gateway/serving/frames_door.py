"""The door for frames: a center process answers its gateways here, without an exchange.

Theory of operation. A connection is an ``asyncio.Protocol``; a request's frame becomes an
attempt at the center it names, in the same turn of the loop, and what the center answers
becomes frames that are joined and written once a turn. The gateway decides, retries and keeps
deadlines; here nothing is decided but whether there is room:

* at most ``in_flight_max`` requests and ``BODIES_BYTES_MAX`` of their bodies a connection; what
  is over it is answered with ``CenterBusy``
* while the gateway does not read, nothing more is read from it, and in the end it is let go, as
  is one that does not finish what it began to say (``frames_patience``)
* a connection that is lost cancels its requests; one that sends garbage, or uses a number
  twice, is told the reason and closed
* ``leave`` says goodbye: what is under way is answered, what comes later is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from gateway.api import CenterBusy, CenterDown, CenterFailed, NearwayError, Report, Unsupported
from gateway.centers.port import Attempt, CenterPort, OnEvent
from gateway.serving.frames_answer import ServedCall
from gateway.serving.frames_patience import FramesPatience
from gateway.serving.served_span import ServedSpan
from gateway.telemetry.tracer import Tracer
from gateway.wire import frames
from gateway.wire.frames import FrameReader, Hello, ProtocolError

log = logging.getLogger("nearway.frames")

CONNECTIONS_MAX: Final = 256
BODIES_BYTES_MAX: Final = 256 * 1024 * 1024
QUESTIONS_MAX: Final = 1024
VANTAGES_MAX: Final = 1024
WRITE_BUFFER_BYTES: Final = 256 * 1024
LINGER_S: Final = 1.0

Verb = Callable[[CenterPort, frames.Question], Awaitable[Any]]
VERBS: Final[dict[str, Verb]] = {
    "index": lambda port, _: port.index(),
    "metadata": lambda port, asked: port.metadata(asked.model, asked.version),
    "ready": lambda port, asked: port.ready(asked.model, asked.version),
    "config": lambda port, asked: port.config(asked.model, asked.version),
    "statistics": lambda port, asked: port.statistics(asked.model, asked.version),
    "load": lambda port, asked: port.load(asked.model),
    "unload": lambda port, asked: port.unload(asked.model),
}


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a center process serves.

    ``ports`` by center id. ``find_vantage`` takes a place's name and raises InvalidRequest for
    one it does not know, which matters only when ``emulates`` says, in words, that paths are
    emulated here. ``residencies`` lists every model that is loaded at a center now. ``clock`` is
    the process's monotonic clock in seconds. ``tracer`` continues the gateways' traces; None: they
    end at the gateway.
    """

    ports: Mapping[str, CenterPort]
    find_vantage: Callable[[str], int]
    residencies: Callable[[], list[frames.ResidencyLine]]
    clock: Callable[[], float]
    software: str
    emulates: str = ""
    in_flight_max: int = 1024
    body_bytes_max: int = 16 * 1024 * 1024
    tracer: Tracer | None = None


class FramesDoor:
    """All connections of a center process; ``connection`` is the protocol factory."""

    def __init__(self, hosted: Hosted) -> None:
        self.hosted = hosted
        self.leaving = ""
        self._peers: set[FramesPeer] = set()
        self._vantages: dict[str, int] = {}

    @property
    def in_flight(self) -> int:
        """Requests under way, over all connections."""
        return sum(peer.in_flight for peer in self._peers)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._peers)

    def connection(self) -> FramesPeer:
        """A protocol for one more connection."""
        return FramesPeer(self)

    def entered(self, peer: FramesPeer) -> bool:
        """Take a connection in; False at the bound."""
        if len(self._peers) >= CONNECTIONS_MAX:
            return False
        self._peers.add(peer)
        return True

    def left(self, peer: FramesPeer) -> None:
        """A connection is over."""
        self._peers.discard(peer)

    def tell(self, lines: list[frames.ResidencyLine]) -> None:
        """Models were loaded or unloaded: every gateway learns of it."""
        if lines and self._peers:
            data = frames.encode(frames.Residency(), frames.encode_residency(lines))
            for peer in self._peers:
                peer.tell(data)

    def leave(self, reason: str) -> None:
        """Say goodbye to every gateway; what is under way is answered."""
        self.leaving = reason
        data = frames.encode(frames.Goodbye(reason, drains=True))
        for peer in self._peers:
            peer.tell(data)

    def close(self) -> None:
        """End every connection."""
        for peer in list(self._peers):
            peer.end(self.leaving or "the center process stops")

    def vantage(self, name: str) -> int:
        """The place's index here; 0 for an unknown one when no path is emulated."""
        found = self._vantages.get(name)
        if found is not None:
            return found
        try:
            found = self.hosted.find_vantage(name)
        except NearwayError:
            if self.hosted.emulates:
                raise
            found = 0
        if len(self._vantages) < VANTAGES_MAX:
            self._vantages[name] = found
        return found


class FramesPeer(asyncio.Protocol):
    """One gateway's connection. ``writable`` while its transport has room."""

    def __init__(self, door: FramesDoor) -> None:
        self.writable = True
        self._door = door
        self._hosted = door.hosted
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(door.hosted.body_bytes_max + frames.HEAD_BYTES_MAX + 2)
        self._transport: asyncio.Transport | None = None
        self._credit = 0
        self._body_bytes = 0
        self._calls: dict[int, ServedCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._out: list[bytes] = []
        self._flush_is_due = False
        self._patience: FramesPatience | None = None

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._calls)

    # ---- its life -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a hello, for a while."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        if not self._door.entered(self):
            self.end(f"{CONNECTIONS_MAX} gateways are connected, the most there may be")
            return
        self._patience = FramesPatience(self.end, transport.abort)

    def connection_lost(self, _error: Exception | None) -> None:
        """Nobody wants the answers any more."""
        self._transport = None
        self._drop_all()

    def end(self, reason: str) -> None:
        """Tell the gateway why and close."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self._out.append(frames.encode(frames.Goodbye(reason[:1000], drains=False)))
            transport.write(b"".join(self._out))
            transport.close()
            self._loop.call_later(LINGER_S, transport.abort)
        self._drop_all()

    def _drop_all(self) -> None:
        self._door.left(self)
        if self._patience is not None:
            self._patience.stop()
        calls, self._calls = list(self._calls.values()), {}
        self._out = []
        for served in calls:
            served.call.cancel()
        for task in self._tasks:
            task.cancel()

    def pause_writing(self) -> None:
        """The gateway does not read: nothing more is read from it."""
        self.writable = False
        if self._transport is not None:
            self._transport.pause_reading()
        if self._patience is not None:
            self._patience.stuck()

    def resume_writing(self) -> None:
        """It reads again."""
        self.writable = True
        if self._patience is not None:
            self._patience.reads()
        if self._transport is not None:
            self._transport.resume_reading()
        for served in list(self._calls.values()):
            served.pump()

    # ---- out ------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """One frame, with the others of this turn."""
        self._out.append(data)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def over(self, served: ServedCall) -> None:
        """Its last frame is being written."""
        if self._calls.pop(served.id, None) is not None:
            self._body_bytes -= served.size

    def tell(self, data: bytes) -> None:
        """A frame for every gateway that has said hello."""
        if self._reader.greeted:
            self.write(data)

    def _flush(self) -> None:
        self._flush_is_due = False
        out, self._out = self._out, []
        if self._transport is not None and out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    # ---- in -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Frames of the gateway."""
        whole = 0
        try:
            for frame, body in self._reader.feed(data):
                whole += 1
                if self._transport is None:
                    return
                take = _TAKE.get(type(frame))
                if take is None:
                    raise ProtocolError(f"a gateway does not send {type(frame).__name__} frames")
                take(self, frame, body)
        except ProtocolError as error:
            log.warning("a connection for frames is closed: %s", error)
            self.end(str(error))
        else:
            if self._patience is not None and self._transport is not None:
                self._patience.heard(whole=whole > 0, partial=self._reader.partial)

    def _take_hello(self, hello: Hello, _body: bytes) -> None:
        hosted = self._hosted
        self._credit = hello.stream_bytes
        self.write(
            frames.encode(
                Hello(
                    frames.PROTOCOL,
                    frames.VERSION,
                    hosted.software,
                    hosted.in_flight_max,
                    hosted.body_bytes_max + frames.HEAD_BYTES_MAX + 2,
                    1,
                    hosted.emulates,
                )
            )
        )
        lines = hosted.residencies()
        self.write(frames.encode(frames.Residency(), frames.encode_residency(lines)))
        if self._door.leaving:
            self.write(frames.encode(frames.Goodbye(self._door.leaving, drains=True)))

    def _take_request(self, asked: frames.Request, body: bytes) -> None:
        number, calls = asked.id, self._calls
        if number in calls:
            raise ProtocolError(f"the gateway uses number {number} twice")
        served = ServedCall(self, number, len(body), self._credit)
        try:
            port = self._port(asked.center, len(body))
            attempt = Attempt(
                asked.request_id,
                self._door.vantage(asked.vantage),
                asked.model,
                asked.version,
                body,
                asked.head_bytes,
                self._hosted.clock() + asked.budget_ms * 1e-3,
                asked.route,
            )
            hear: OnEvent = served.hear
            tracer = self._hosted.tracer
            if tracer is not None and asked.traceparent:
                hear = self._traced(tracer, asked, attempt, hear)
            served.call = port.start(attempt, hear)
        except NearwayError as error:
            self.write(frames.encode(frames.failure(number, error)))
            return
        calls[number] = served
        self._body_bytes += served.size

    def _traced(
        self, tracer: Tracer, asked: frames.Request, attempt: Attempt, hear: OnEvent
    ) -> OnEvent:
        """Hear what the center says and make a span of it, if the request's trace is sampled."""
        trace = tracer.begin(asked.traceparent)
        if trace is None:
            return hear
        row = list(self._hosted.ports).index(asked.center)
        return ServedSpan(tracer, trace, attempt, row, self._hosted.clock, hear).hear

    def _port(self, center: str, size: int) -> CenterPort:
        """The center's port, when there is room. Raises CenterDown, CenterBusy."""
        hosted = self._hosted
        port = hosted.ports.get(center)
        if port is None:
            raise self._not_here(center)
        if self._door.leaving:
            raise CenterDown(f"the center process is leaving: {self._door.leaving}")
        if len(self._calls) >= hosted.in_flight_max:
            raise CenterBusy(f"{hosted.in_flight_max} requests are under way on the connection")
        if self._body_bytes + size > BODIES_BYTES_MAX:
            raise CenterBusy(f"requests under way hold {self._body_bytes} bytes already")
        return port

    def _not_here(self, center: str) -> CenterDown:
        names = sorted(self._hosted.ports)
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return CenterDown(
            f"center {center!r} is not served by this process, which serves "
            f"{', '.join(names[:5])}{more}; mend its url in the fleet file"
        )

    def _take_cancel(self, told: frames.Cancel, _body: bytes) -> None:
        served = self._calls.pop(told.id, None)
        if served is not None:
            self._body_bytes -= served.size
            served.call.cancel()

    def _take_credit(self, told: frames.Credit, _body: bytes) -> None:
        served = self._calls.get(told.id)
        if served is not None:
            served.grant(told.bytes)

    def _take_probe(self, asked: frames.Probe, _body: bytes) -> None:
        port = self._hosted.ports.get(asked.center)

        def on_result(report: Report | None) -> None:
            fields = None if report is None else frames.report_fields(report)
            self.write(frames.encode(frames.Probed(asked.id, fields)))

        try:
            vantage = self._door.vantage(asked.vantage)
        except NearwayError:
            port = None
        if port is None or self._door.leaving:
            on_result(None)
        else:
            port.probe(vantage, on_result)

    def _take_goodbye(self, _told: frames.Goodbye, _body: bytes) -> None:
        if self._transport is not None:
            self._transport.close()

    # ---- questions ------------------------------------------------------------------------

    def _take_question(self, asked: frames.Question, _body: bytes) -> None:
        verb, port = VERBS.get(asked.verb), self._hosted.ports.get(asked.center)
        error: NearwayError | None = None
        if port is None:
            error = self._not_here(asked.center)
        elif verb is None:
            error = Unsupported(f"question {asked.verb!r}; expected one of {', '.join(VERBS)}")
        elif len(self._tasks) >= QUESTIONS_MAX:
            error = CenterBusy(f"{QUESTIONS_MAX} questions are being answered already")
        if port is None or verb is None or error is not None:
            assert error is not None
            self.write(frames.encode(frames.failure(asked.id, error)))
            return
        task = self._loop.create_task(self._answer(verb, port, asked), name=f"ask {asked.verb}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, verb: Verb, port: CenterPort, asked: frames.Question) -> None:
        try:
            told = msgspec.msgpack.encode(await verb(port, asked))
        except NearwayError as error:
            self.write(frames.encode(frames.failure(asked.id, error)))
        except Exception:
            log.exception("question %s of center %s", asked.verb, asked.center)
            failed = CenterFailed(f"center {asked.center}: {asked.verb} failed; its log says why")
            self.write(frames.encode(frames.failure(asked.id, failed)))
        else:
            self.write(frames.encode(frames.Reply(asked.id), told))


_TAKE: dict[type, Callable[[FramesPeer, Any, bytes], None]] = {
    frames.Request: FramesPeer._take_request,
    Hello: FramesPeer._take_hello,
    frames.Cancel: FramesPeer._take_cancel,
    frames.Credit: FramesPeer._take_credit,
    frames.Probe: FramesPeer._take_probe,
    frames.Question: FramesPeer._take_question,
    frames.Goodbye: FramesPeer._take_goodbye,
}
