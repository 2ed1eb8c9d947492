"""Bytes become frames wherever they are cut, and what is kept of them is bounded."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.frames import Code, ConnectionFault, StreamFault
from gateway.serving.grpc_door.http2.incoming import CONTINUATIONS_MAX, Incoming

HELLO = f.PREFACE + f.settings({})


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def data(self, number: int, size: int, payload: bytes, *, end: bool) -> None:
        self.all.append(("data", number, size, payload, end))

    def block(self, number: int, block: bytes, *, end: bool) -> None:
        self.all.append(("block", number, block, end))

    def control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == f.PRIORITY:
            raise StreamFault(Code.FRAME_SIZE_ERROR, "")
        self.all.append((kind, flags, number, payload))

    def fault(self, number: int, fault: StreamFault) -> None:
        self.all.append(("fault", number, fault.code))


SENT = (
    HELLO
    + f.frame(f.HEADERS, f.END_HEADERS, 1, b"block")
    + f.frame(f.DATA, 0, 1, b"some")
    + f.frame(0xAB, 0xFF, 1, b"unknown")
    + f.frame(f.DATA, f.PADDED | f.END_STREAM, 1, b"\x02more\0\0")
    + f.frame(f.HEADERS, f.PADDED | f.PRIORITIZED | f.END_STREAM, 3, b"\x01\0\0\0\0\0a\0")
    + f.frame(f.CONTINUATION, 0, 3, b"b")
    + f.frame(f.CONTINUATION, f.END_HEADERS, 3, b"c")
    + f.frame(f.PRIORITY, 0, 5, b"")
    + f.frame(f.PING, 0, 0, b"12345678")
)
HEARD = [
    (f.SETTINGS, 0, 0, b""),
    ("block", 1, b"block", False),
    ("data", 1, 4, b"some", False),
    ("data", 1, 7, b"more", True),
    ("block", 3, b"abc", True),
    ("fault", 5, Code.FRAME_SIZE_ERROR),
    (f.PING, 0, 0, b"12345678"),
]


@pytest.mark.parametrize("step", [1, 2, 7, 16, len(SENT)])
def test_frames_are_heard_however_they_are_cut(step: int) -> None:
    heard = Heard()
    incoming = Incoming(heard, 4096)
    for at in range(0, len(SENT), step):
        incoming.feed(SENT[at : at + step])
    assert heard.all == HEARD
    assert incoming.greeted


@pytest.mark.parametrize("cut", range(1, len(SENT)))
def test_frames_are_heard_cut_in_two_anywhere(cut: int) -> None:
    heard = Heard()
    incoming = Incoming(heard, 4096)
    incoming.feed(SENT[:cut])
    incoming.feed(SENT[cut:])
    assert heard.all == HEARD


def test_once_over_nothing_is_heard() -> None:
    heard = Heard()
    incoming = Incoming(heard, 4096)
    incoming.feed(HELLO)
    incoming.over = True
    incoming.feed(f.frame(f.PING, 0, 0, b"12345678"))
    assert len(heard.all) == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", Code.PROTOCOL_ERROR),
        (b"PRI * HTTP/2.0\r\n\r\nXX", Code.PROTOCOL_ERROR),
        (f.PREFACE + f.frame(f.PING, 0, 0, b"12345678"), Code.PROTOCOL_ERROR),
        (f.PREFACE + f.frame(f.SETTINGS, f.ACK, 0), Code.PROTOCOL_ERROR),
        (HELLO + f.frame(f.DATA, 0, 1, b"x" * 16_385), Code.FRAME_SIZE_ERROR),
        (HELLO + f.frame(f.HEADERS, f.END_HEADERS, 2, b"x"), Code.PROTOCOL_ERROR),
        (HELLO + f.frame(f.HEADERS, f.END_HEADERS, 0, b"x"), Code.PROTOCOL_ERROR),
        (HELLO + f.frame(f.HEADERS, f.PRIORITIZED, 1, b"1234"), Code.FRAME_SIZE_ERROR),
        (HELLO + f.frame(f.DATA, f.PADDED, 1, b"\x09x"), Code.PROTOCOL_ERROR),
        (HELLO + f.frame(f.CONTINUATION, 0, 1, b"x"), Code.PROTOCOL_ERROR),
        (
            HELLO + f.frame(f.HEADERS, 0, 1) + f.frame(f.CONTINUATION, 4, 3),
            Code.PROTOCOL_ERROR,
        ),
        (HELLO + f.frame(f.HEADERS, 0, 1) + f.frame(f.DATA, 0, 1), Code.PROTOCOL_ERROR),
        (HELLO + f.frame(f.HEADERS, 0, 1) + f.frame(0xAB, 0, 1), Code.PROTOCOL_ERROR),
        (
            HELLO + f.frame(f.HEADERS, 0, 1) + f.frame(f.CONTINUATION, 0, 1) * CONTINUATIONS_MAX,
            Code.ENHANCE_YOUR_CALM,
        ),
        (
            HELLO
            + f.frame(f.HEADERS, 0, 1, b"x" * 4000)
            + f.frame(f.CONTINUATION, f.END_HEADERS, 1, b"x" * 97),
            Code.ENHANCE_YOUR_CALM,
        ),
    ],
)
def test_what_ends_the_connection(sent: bytes, code: Code) -> None:
    with pytest.raises(ConnectionFault) as caught:
        Incoming(Heard(), 4096).feed(sent)
    assert caught.value.code is code
