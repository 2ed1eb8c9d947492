"""Frames of HTTP/2 (RFC 9113, 4 and 6): their numbers, how they are written, which are wrong."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
UNPACK_HEAD: Final = Struct(">HBBBI").unpack_from
"""(length's upper 16 bits, its lower 8, type, flags, stream with the reserved bit)."""
PACK_HEAD: Final = Struct(">BHBBI").pack
U32: Final = Struct(">I")
SETTING: Final = Struct(">HI")

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9

END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20

ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 2, 3, 4
MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 5, 6

WINDOW_START: Final = 65_535
WINDOW_MAX: Final = 2**31 - 1
FRAME_BYTES: Final = 16_384
"""The longest frame that every peer takes, and the longest that is taken here."""
FRAME_BYTES_MAX: Final = 2**24 - 1
PRIORITY_BYTES: Final = 5
STREAM_MAX: Final = 2**31 - 1


class Code(IntEnum):
    """Error codes (RFC 9113, 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11


class ConnectionFault(Exception):
    """The peer broke the protocol, or a bound, so that the connection ends: GOAWAY with a code."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code


class StreamFault(Exception):
    """One stream ends: RST_STREAM with a code."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return PACK_HEAD(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(told: dict[int, int]) -> bytes:
    """SETTINGS, by number."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*one) for one in told.items()))


def window_update(stream: int, more: int) -> bytes:
    """The peer may send so many bytes more."""
    return frame(WINDOW_UPDATE, 0, stream, U32.pack(more))


def rst_stream(stream: int, code: int) -> bytes:
    """The stream is over."""
    return frame(RST_STREAM, 0, stream, U32.pack(code))


def goaway(last_stream: int, code: int, why: str = "") -> bytes:
    """No stream above ``last_stream`` was or will be looked at."""
    return frame(GOAWAY, 0, 0, U32.pack(last_stream) + U32.pack(code) + why.encode()[:256])


def header_frames(stream: int, block: bytes, frame_bytes: int, *, end: bool) -> bytes:
    """A block of fields, as HEADERS and as many CONTINUATIONs as it takes."""
    flags = END_STREAM if end else 0
    if len(block) <= frame_bytes:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    parts = [block[at : at + frame_bytes] for at in range(0, len(block), frame_bytes)]
    told = [frame(HEADERS, flags, stream, parts[0])]
    told += [frame(CONTINUATION, 0, stream, part) for part in parts[1:-1]]
    told.append(frame(CONTINUATION, END_HEADERS, stream, parts[-1]))
    return b"".join(told)


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """In the order they are told. Raises ConnectionFault for what no peer may say."""
    if len(payload) % SETTING.size:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "SETTINGS is no list of 6 bytes each")
    told = list(SETTING.iter_unpack(payload))
    for number, value in told:
        if number == ENABLE_PUSH and value > 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
        if number == INITIAL_WINDOW_SIZE and value > WINDOW_MAX:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is above 2^31-1")
        if number == MAX_FRAME_SIZE and not FRAME_BYTES <= value <= FRAME_BYTES_MAX:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of its range")
    return told


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload without its padding. Raises ConnectionFault: padding that does not fit."""
    if not flags & PADDED:
        return payload
    padding = payload[0] if payload else 0
    if padding >= len(payload):
        raise ConnectionFault(Code.PROTOCOL_ERROR, "the padding is longer than its frame")
    return payload[1 : len(payload) - padding]
