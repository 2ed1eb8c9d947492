"""Frames about the connection: acknowledged, answered, acted on, and not too many of them."""

from __future__ import annotations

from typing import Any

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.control import AT_ONCE
from gateway.serving.grpc_door.http2.frames import Code
from gateway.serving.grpc_door.http2.headers import block_of

HEAD = block_of([(":method", "POST"), (":scheme", "http"), (":path", "/a")])


def opened(number: int, *, end: bool = False) -> bytes:
    return f.frame(f.HEADERS, f.END_HEADERS | (f.END_STREAM if end else 0), number, HEAD)


def test_settings_are_acknowledged_and_a_ping_answered(peer: Any) -> None:
    one = peer()
    sent = f.settings({0x99: 1}) + f.frame(f.PING, 0, 0, b"abcdefgh")
    assert one.send(sent) == [
        (f.SETTINGS, f.ACK, 0, b""),
        (f.PING, f.ACK, 0, b"abcdefgh"),
    ]
    assert one.send(f.frame(f.SETTINGS, f.ACK, 0)) == []


def test_a_smaller_window_of_streams_holds_answers_back_and_a_larger_one_lets_them_go(
    peer: Any,
) -> None:
    one = peer()
    one.send(f.settings({f.INITIAL_WINDOW_SIZE: 3}))
    told = one.send(opened(1) + f.frame(f.DATA, f.END_STREAM, 1, b"12345678"))
    assert [(frame.kind, frame.payload) for frame in told] == [
        (f.HEADERS, b"\x88"),
        (f.DATA, b"123"),
    ]
    assert one.send(f.settings({f.INITIAL_WINDOW_SIZE: 0})) == [(f.SETTINGS, f.ACK, 0, b"")]
    [told] = one.send(f.window_update(1, 5))
    assert told.payload == b"45"  # 3 of it were owed
    told = one.send(f.settings({f.INITIAL_WINDOW_SIZE: 100}))
    assert [frame.payload for frame in told] == [b"", b"678", b"\x88"]
    assert told[-1].flags & f.END_STREAM


def test_the_window_of_all_streams_counts_too(peer: Any) -> None:
    one = peer()
    one.send(f.settings({f.INITIAL_WINDOW_SIZE: 10**6}))
    one.send(f.window_update(0, 10))
    whole = b"x" * 16_000
    for number in (1, 3, 5, 7):
        one.send(opened(number) + f.frame(f.DATA, f.END_STREAM, number, whole))
    one.send(opened(9) + f.frame(f.DATA, 0, 9, whole))
    told = one.send(f.frame(f.DATA, f.END_STREAM, 9, b"more"))
    assert sum(len(frame.payload) for frame in told if frame.kind == f.DATA) == 1545
    told = one.send(f.window_update(0, 10**6))
    data = b"".join(frame.payload for frame in told if frame.kind == f.DATA)
    assert len(data) == 16_004 - 1545


def test_longer_frames_are_sent_to_who_takes_them(peer: Any) -> None:
    one = peer()
    body = b"x" * 16_000
    for size, most in ((20_000, 20_000), (2**24 - 1, 65_536), (16_384, 16_384)):
        one.send(f.settings({f.MAX_FRAME_SIZE: size}))
        assert one.connection.out.frame_bytes == most
    one.send(opened(1) + f.frame(f.DATA, 0, 1, body))
    told = one.send(f.frame(f.DATA, f.END_STREAM, 1, body))
    assert [len(frame.payload) for frame in told if frame.kind == f.DATA] == [16_384, 15_616]


def test_too_many_questions_end_the_connection(peer: Any) -> None:
    one = peer()
    ping = f.frame(f.PING, 0, 0, b"abcdefgh")
    told = one.send(ping * (int(AT_ONCE) + 5))
    assert told[-1].kind == f.GOAWAY
    assert int.from_bytes(told[-1].payload[4:8], "big") == Code.ENHANCE_YOUR_CALM


def test_who_is_answered_may_ask_as_often(peer: Any) -> None:
    one = peer()
    ping = f.frame(f.PING, 0, 0, b"abcdefgh")
    for number in range(1, 2 * int(AT_ONCE) + 201, 2):
        told = one.send(opened(number, end=True) + ping * 2)
        one.now += 0.05
    assert told[-1].kind == f.PING


def test_who_says_that_he_goes_is_still_answered(peer: Any) -> None:
    one = peer()
    told = one.send(opened(1) + f.goaway(0, 0) + f.frame(f.DATA, f.END_STREAM, 1, b"x"))
    assert [frame.kind for frame in told] == [f.HEADERS, f.DATA, f.HEADERS]
