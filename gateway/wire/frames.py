"""Frames: what a gateway and our own centers say to one another over one connection. No I/O.

A frame is a length, a head and maybe a body:

    length      4 bytes, big-endian: how many bytes follow it
    head bytes  2 bytes, big-endian
    head        msgpack, an array: the frame's kind, then its fields in their order
    body        the rest, raw: never parsed, copied once

Either side's first frame is its ``Hello``, with the protocol's name, its version and the limits
of the one who says it. A hello is shorter than 64 KiB, so the first byte of a connection is 0,
which no HTTP request begins with: one port can serve both.

    gateway -> center   Request Cancel Credit Probe Question
    center -> gateway   Answer, or AnswerHead AnswerChunk... AnswerEnd; Failure; Probed; Reply;
                        Residency
    both                Hello Goodbye

Requests, probes and questions bear numbers that the gateway chooses and does not use again on
the connection. Every request gets one ``Answer``, ``AnswerEnd`` or ``Failure``, unless it was
cancelled before. A streamed answer's chunks are sent against credit: ``stream_bytes`` of the
gateway's hello at first, and what ``Credit`` frames add. Durations cross the wire, instants
never do.

Nothing is believed before it was checked: a frame over its bound, a head that is no msgpack or
holds a wrong type, a number that is not finite, a body where none belongs, is a
``ProtocolError``, after which the reader is dead. Fields added at the end of a kind are ignored
by those who do not know them.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from gateway.api import NearwayError, Report
from gateway.api import errors as error_tree

PROTOCOL: Final = "nearway-frames"
VERSION: Final = 1
PREFIX_BYTES: Final = 6
LENGTH_BYTES: Final = 4
HEAD_BYTES_MAX: Final = 0xFFFF
HELLO_BYTES_MAX: Final = 0xFFFF
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
MESSAGE_CHARS_MAX: Final = 2000
NAME_CHARS_MAX: Final = 1024
SMALL_BYTES: Final = 4096
"""Pieces of a frame that are smaller are kept together."""

_PREFIX = Struct(">IH")

T = TypeVar("T")

Number = Annotated[int, Meta(ge=0, le=2**53)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Limit = Annotated[int, Meta(ge=1, le=2**40)]
Duration = Annotated[float, Meta(ge=0.0, le=1e12)]
Amount = Annotated[float, Meta(ge=-1e-6, le=1e12)]  # a difference of clocks may round below 0
Name = Annotated[str, Meta(max_length=NAME_CHARS_MAX)]
Text = Annotated[str, Meta(max_length=8192)]
Status = Annotated[int, Meta(ge=100, le=599)]

ReportFields = tuple[Amount, Amount, Amount, Count, Count, Amount, Amount, Amount, Amount]
"""The fields of ``gateway.api.Report`` in their order."""


class Hello(msgspec.Struct, array_like=True, tag=1, gc=False):
    """The first frame of either side.

    ``in_flight_max``: requests taken at once on this connection; ``frame_bytes_max``: the
    longest frame read; ``stream_bytes``: the first credit of every streamed answer.
    ``emulates``: the network this center emulates, in words; empty when its paths are real.
    """

    protocol: Name
    version: Count
    software: Name
    in_flight_max: Limit
    frame_bytes_max: Limit
    stream_bytes: Limit
    emulates: Text = ""


class Goodbye(msgspec.Struct, array_like=True, tag=2, gc=False):
    """Nothing new is taken any more; what is under way ends normally when ``drains``."""

    reason: Text
    drains: bool


class Request(msgspec.Struct, array_like=True, tag=3, gc=False):
    """An attempt at one of the process's centers; the body is the request's, unread.

    ``route`` and ``traceparent``: as ``gateway.centers.port.Attempt`` has them; empty for
    inference, and for a request that is not traced.
    """

    id: Number
    center: Name
    model: Name
    version: Name
    vantage: Name
    budget_ms: Duration
    head_bytes: Count | None
    request_id: Name
    route: Name = ""
    traceparent: Name = ""


class Answer(msgspec.Struct, array_like=True, tag=4, gc=False):
    """The whole answer; the body is its payload. ``drawn_ms``: the emulated delay, if any."""

    id: Number
    status: Status
    content_type: Name
    head_bytes: Count | None
    report: ReportFields
    drawn_ms: Duration | None


class AnswerHead(msgspec.Struct, array_like=True, tag=5, gc=False):
    """An answer that comes in chunks begins."""

    id: Number
    status: Status
    content_type: Name
    head_bytes: Count | None


class AnswerChunk(msgspec.Struct, array_like=True, tag=6, gc=False):
    """A part of it, in the body."""

    id: Number


class AnswerEnd(msgspec.Struct, array_like=True, tag=7, gc=False):
    """It is whole."""

    id: Number
    report: ReportFields
    drawn_ms: Duration | None


class Failure(msgspec.Struct, array_like=True, tag=8, gc=False):
    """No answer, or none to a question. ``reason``: the error's class in snake case."""

    id: Number
    reason: Name
    status: Status
    message: Text
    report: ReportFields | None = None
    drawn_ms: Duration | None = None
    param: Name = ""
    code: Name = ""


class Cancel(msgspec.Struct, array_like=True, tag=9, gc=False):
    """The answer is not wanted any more; none follows, but what was sent already."""

    id: Number


class Credit(msgspec.Struct, array_like=True, tag=10, gc=False):
    """So many more bytes of a streamed answer may be sent."""

    id: Number
    bytes: Limit


class Probe(msgspec.Struct, array_like=True, tag=11, gc=False):
    """A report is asked for, along the path from ``vantage``."""

    id: Number
    center: Name
    vantage: Name


class Probed(msgspec.Struct, array_like=True, tag=12, gc=False):
    """The report; None when the center refuses or fails."""

    id: Number
    report: ReportFields | None


class Question(msgspec.Struct, array_like=True, tag=13, gc=False):
    """About a center and its models; ``verb`` is a method of ``CenterPort``."""

    id: Number
    verb: Name
    center: Name
    model: Name
    version: Name


class Reply(msgspec.Struct, array_like=True, tag=14, gc=False):
    """The answer to a question: msgpack in the body."""

    id: Number


class Residency(msgspec.Struct, array_like=True, tag=15, gc=False):
    """Which models are loaded where; the body is ``encode_residency``'s. Unasked, on change."""


Frame = (
    Hello | Goodbye | Request | Answer | AnswerHead | AnswerChunk | AnswerEnd | Failure
    | Cancel | Credit | Probe | Probed | Question | Reply | Residency
)  # fmt: skip

WITH_BODY: Final = frozenset((Request, Answer, AnswerChunk, Reply, Residency))

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


class ProtocolError(NearwayError):
    """What the peer sent is no frame of this protocol; the connection is of no use any more."""


class ResidencyLine(msgspec.Struct, array_like=True, gc=False):
    """A model at a center is loaded, or is not any more. ``run_ms``: its measured run time.

    ``cold_ms``: it is loaded on demand, and a request waits so long for it; 0: it is in memory.
    """

    center: Name
    model: Name
    resident: bool
    run_ms: Duration
    cold_ms: Duration = 0.0


# ---- writing ------------------------------------------------------------------------------


def encode(frame: Frame, body: bytes | memoryview = b"") -> bytes:
    """The frame's bytes: 0.4 us and one copy of the body.

    Raises ProtocolError when the head is over its bound (a name of many kilobytes).
    """
    head = _ENCODER.encode(frame)
    size = len(head)
    if size > HEAD_BYTES_MAX:
        raise ProtocolError(
            f"the head of a {_name(frame)} frame has {size} bytes; expected at most "
            f"{HEAD_BYTES_MAX}: a model's name or a message is far too long"
        )
    return b"".join((_PREFIX.pack(2 + size + len(body), size), head, body))


def report_fields(report: Report) -> ReportFields:
    """A report as it stands in a frame; ``Report(*fields)`` is the way back."""
    return (
        report.queue_ms,
        report.service_ms,
        report.work_ms,
        report.in_flight,
        report.slots,
        report.latency_ms,
        report.rate_per_s,
        report.errors_per_s,
        report.utilization,
    )


def failure(
    number: int, error: NearwayError, report: Report | None = None, drawn_ms: float | None = None
) -> Failure:
    """An error as it crosses the wire."""
    fields = None if report is None else report_fields(report)
    message = str(error)[:MESSAGE_CHARS_MAX]
    param = code = ""
    if isinstance(error, error_tree.RequestError):
        param, code = (error.param or "")[:NAME_CHARS_MAX], (error.code or "")[:NAME_CHARS_MAX]
    status = error.http_status
    return Failure(number, error.reason, status, message, fields, drawn_ms, param, code)


def encode_residency(lines: list[ResidencyLine]) -> bytes:
    """The body of a ``Residency`` frame."""
    return _ENCODER.encode(lines)


# ---- reading ------------------------------------------------------------------------------


class FrameReader:
    """Bytes in, frames out, however the bytes are cut; the first frame must be a hello.

    ``frame_bytes_max`` bounds what is kept of a frame that has not come whole.
    """

    __slots__ = ("_dead", "_frame_bytes_max", "_have", "_need", "_parts", "greeted")

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._parts: list[bytes | bytearray] = []
        self._have = 0
        self._need = PREFIX_BYTES
        self._dead = False
        self.greeted = False

    @property
    def partial(self) -> bool:
        """A frame has begun and is not whole."""
        return self._have > 0

    def feed(self, data: bytes) -> Iterator[tuple[Frame, bytes]]:
        """Every frame that is whole with ``data``, and its body; to be read to the end.

        Raises ProtocolError, after the frames before the wrong one; nothing follows it.
        """
        if self._dead:
            return
        if self._have:
            self._keep(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        at, size, need = 0, len(data), PREFIX_BYTES
        while size - at >= PREFIX_BYTES:
            length, head_bytes = _PREFIX.unpack_from(data, at)
            head_at = at + PREFIX_BYTES
            body_at, end = head_at + head_bytes, at + LENGTH_BYTES + length
            self._check_lengths(length, head_bytes)
            if end > size:
                need = end - at
                break
            frame = self._frame(data[head_at:body_at])
            if body_at < end and type(frame) not in WITH_BODY:
                raise self._wrong(f"a {_name(frame)} frame with a body of {end - body_at} bytes")
            yield frame, data[body_at:end]
            at = end
        self._need, self._have = need, size - at
        if at < size:
            self._keep(data[at:])

    def _keep(self, data: bytes) -> None:
        """A frame that comes byte by byte takes no more room than its bytes."""
        if len(data) >= SMALL_BYTES:
            self._parts.append(data)
        elif self._parts and type(self._parts[-1]) is bytearray:
            self._parts[-1] += data
        else:
            self._parts.append(bytearray(data))

    def _check_lengths(self, length: int, head_bytes: int) -> None:
        bound = self._frame_bytes_max if self.greeted else HELLO_BYTES_MAX
        if length > bound:
            raise self._wrong(f"a frame of {length} bytes; expected at most {bound}")
        if not 0 < head_bytes <= length - 2:
            raise self._wrong(f"a head of {head_bytes} bytes in a frame of {length}")

    def _frame(self, head: bytes) -> Frame:
        try:
            frame = _DECODER.decode(head)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._wrong(f"a head that cannot be read ({error})") from None
        if (type(frame) is Hello) is self.greeted:
            raise self._wrong(
                "a second hello" if self.greeted else f"a {_name(frame)} frame before the hello"
            )
        if not self.greeted:
            self._greet(frame)
        return frame

    def _greet(self, hello: Frame) -> None:
        assert isinstance(hello, Hello)
        if hello.protocol != PROTOCOL:
            raise self._wrong(f"the protocol {hello.protocol[:40]!r}; expected {PROTOCOL!r}")
        if hello.version != VERSION:
            raise self._wrong(
                f"version {hello.version} of {PROTOCOL}; expected {VERSION}: "
                "run the same version of nearway at both ends"
            )
        self.greeted = True

    def _wrong(self, found: str) -> ProtocolError:
        self._dead = True
        self._parts.clear()
        return ProtocolError(f"the peer sent {found}")


def decode_residency(body: bytes) -> list[ResidencyLine]:
    """Raises ProtocolError."""
    return decode_body(body, list[ResidencyLine])


def decode_body(body: bytes, kind: type[T]) -> T:
    """A body that is msgpack, as ``kind``. Raises ProtocolError."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the peer sent a body that cannot be read ({error})") from None


def error_of(told: Failure) -> NearwayError:
    """The error as the center raised it; CenterFailed for one that is not known here."""
    error: NearwayError
    if told.reason == "refused":
        error = error_tree.Refused(told.message, told.status)
    else:
        error = _ERRORS.get(told.reason, error_tree.CenterFailed)(told.message)
    if isinstance(error, error_tree.RequestError):
        error.param, error.code = told.param or None, told.code or None
    return error


def _name(frame: Frame) -> str:
    return type(frame).__name__


_ERRORS: Final[dict[str, type[NearwayError]]] = {
    kind("").reason: kind
    for kind in (
        error_tree.InvalidRequest,
        error_tree.NotFound,
        error_tree.NotHere,
        error_tree.TooLarge,
        error_tree.UnsupportedMedia,
        error_tree.Unsupported,
        error_tree.Overloaded,
        error_tree.DeadlineExceeded,
        error_tree.CenterDown,
        error_tree.CenterFailed,
        error_tree.CenterBusy,
        error_tree.NoCenter,
        error_tree.ConfigError,
    )
}
