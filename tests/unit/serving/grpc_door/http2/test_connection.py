"""What a peer may do, what it may not and what that gives, and how a connection ends."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hpack import Encoder

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.connection import DEAD_KEPT, LINGER_S, RESETS_AT_ONCE
from gateway.serving.grpc_door.http2.frames import Code
from gateway.serving.grpc_door.http2.headers import block_of
from gateway.serving.grpc_door.http2.life import LEAVE_S, LEAVING

FIELDS = [(":method", "POST"), (":scheme", "http"), (":path", "/a")]
HEAD = block_of(FIELDS)
END, HEADERS_END = f.END_STREAM, f.END_HEADERS


def opened(number: int, *, end: bool = False, head: bytes = HEAD) -> bytes:
    return f.frame(f.HEADERS, HEADERS_END | (END if end else 0), number, head)


def data(number: int, payload: bytes, flags: int = 0) -> bytes:
    return f.frame(f.DATA, flags, number, payload)


def rst(number: int) -> bytes:
    return f.rst_stream(number, Code.CANCEL)


GOAWAY_FOR = {
    "DATA on the connection": (data(0, b"x"), Code.PROTOCOL_ERROR),
    "DATA on an idle stream": (data(1, b"x"), Code.PROTOCOL_ERROR),
    "DATA on a stream of the server's": (data(2, b"x"), Code.PROTOCOL_ERROR),
    "a frame that is too long": (data(1, b"x" * 16_385), Code.FRAME_SIZE_ERROR),
    "padding longer than its frame": (
        opened(1) + data(1, b"\x05x", f.PADDED),
        Code.PROTOCOL_ERROR,
    ),
    "HEADERS on the connection": (opened(0), Code.PROTOCOL_ERROR),
    "HEADERS on a stream of the server's": (opened(2), Code.PROTOCOL_ERROR),
    "HEADERS on a stream that is closed": (opened(1, end=True) * 2, Code.STREAM_CLOSED),
    "HEADERS on a stream that was passed over": (
        opened(5, end=True) + opened(3),
        Code.STREAM_CLOSED,
    ),
    "HEADERS on a stream that the peer reset": (opened(1) + rst(1) + opened(1), Code.STREAM_CLOSED),
    "a block that is no HPACK": (opened(1, head=b"\x80"), Code.COMPRESSION_ERROR),
    "a block of an entry that is not there": (opened(1, head=b"\xff\x20"), Code.COMPRESSION_ERROR),
    "fields over the bound": (
        opened(1, head=block_of([*FIELDS, ("x", "y" * 5000)])),
        Code.ENHANCE_YOUR_CALM,
    ),
    "a block that is interrupted": (
        f.frame(f.HEADERS, 0, 1, HEAD) + f.frame(f.PING, 0, 0, b"12345678"),
        Code.PROTOCOL_ERROR,
    ),
    "a block that goes on elsewhere": (
        f.frame(f.HEADERS, 0, 1, HEAD) + f.frame(f.CONTINUATION, HEADERS_END, 3),
        Code.PROTOCOL_ERROR,
    ),
    "CONTINUATION of nothing": (f.frame(f.CONTINUATION, HEADERS_END, 1), Code.PROTOCOL_ERROR),
    "CONTINUATIONs without an end": (
        f.frame(f.HEADERS, 0, 1, HEAD) + f.frame(f.CONTINUATION, 0, 1) * 20,
        Code.ENHANCE_YOUR_CALM,
    ),
    "RST_STREAM on the connection": (rst(0), Code.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (rst(1), Code.PROTOCOL_ERROR),
    "RST_STREAM of another length": (
        opened(1) + f.frame(f.RST_STREAM, 0, 1, b"123"),
        Code.FRAME_SIZE_ERROR,
    ),
    "PRIORITY on the connection": (f.frame(f.PRIORITY, 0, 0, b"12345"), Code.PROTOCOL_ERROR),
    "SETTINGS on a stream": (f.frame(f.SETTINGS, 0, 1), Code.PROTOCOL_ERROR),
    "SETTINGS of another length": (f.frame(f.SETTINGS, 0, 0, b"12345"), Code.FRAME_SIZE_ERROR),
    "SETTINGS that acknowledge something": (
        f.frame(f.SETTINGS, f.ACK, 0, b"123456"),
        Code.FRAME_SIZE_ERROR,
    ),
    "ENABLE_PUSH of 2": (f.settings({f.ENABLE_PUSH: 2}), Code.PROTOCOL_ERROR),
    "INITIAL_WINDOW_SIZE over the bound": (
        f.settings({f.INITIAL_WINDOW_SIZE: 2**31}),
        Code.FLOW_CONTROL_ERROR,
    ),
    "MAX_FRAME_SIZE below the bound": (f.settings({f.MAX_FRAME_SIZE: 100}), Code.PROTOCOL_ERROR),
    "INITIAL_WINDOW_SIZE that overflows a window": (
        opened(1) + f.window_update(1, 2**31 - 1 - 65_535) + f.settings({4: 65_536}),
        Code.FLOW_CONTROL_ERROR,
    ),
    "PUSH_PROMISE": (f.frame(f.PUSH_PROMISE, HEADERS_END, 1, b"\0\0\0\2"), Code.PROTOCOL_ERROR),
    "PING on a stream": (f.frame(f.PING, 0, 1, b"12345678"), Code.PROTOCOL_ERROR),
    "PING of another length": (f.frame(f.PING, 0, 0, b"1234567"), Code.FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (f.frame(f.GOAWAY, 0, 1, b"12345678"), Code.PROTOCOL_ERROR),
    "GOAWAY of another length": (f.frame(f.GOAWAY, 0, 0, b"1234567"), Code.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE of another length": (
        f.frame(f.WINDOW_UPDATE, 0, 0, b"123"),
        Code.FRAME_SIZE_ERROR,
    ),
    "WINDOW_UPDATE by nothing": (f.window_update(0, 0), Code.PROTOCOL_ERROR),
    "WINDOW_UPDATE on an idle stream": (f.window_update(1, 1), Code.PROTOCOL_ERROR),
    "a window of all that overflows": (f.window_update(0, 2**31 - 1), Code.FLOW_CONTROL_ERROR),
    "more data than the window of all": (
        opened(1) + opened(3) + opened(5)
        + b"".join(data(number, b"x" * 16_000) * 4 for number in (1, 3, 5)),
        Code.FLOW_CONTROL_ERROR,
    ),
    "PING without an end": (f.frame(f.PING, 0, 0, b"12345678") * 300, Code.ENHANCE_YOUR_CALM),
    "SETTINGS without an end": (f.settings({}) * 300, Code.ENHANCE_YOUR_CALM),
    "empty DATA without an end": (opened(1) + data(1, b"") * 300, Code.ENHANCE_YOUR_CALM),
    "streams that are opened and reset": (
        b"".join(opened(number) + rst(number) for number in range(1, 801, 2)),
        Code.ENHANCE_YOUR_CALM,
    ),
    "streams that are made to be reset": (
        b"".join(opened(number) + f.window_update(number, 0) for number in range(1, 801, 2)),
        Code.ENHANCE_YOUR_CALM,
    ),
    "streams above the bound without an end": (
        b"".join(opened(number) for number in range(1, 801, 2)),
        Code.ENHANCE_YOUR_CALM,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", GOAWAY_FOR)
def test_what_ends_the_connection(peer: Any, what: str) -> None:
    sent, code = GOAWAY_FOR[what]
    one = peer()
    if what.startswith("more data"):
        one.connection._inflow.left = 65_535
    told = one.send(sent)[-1]
    assert told.kind == f.GOAWAY
    assert Code(int.from_bytes(told.payload[4:8], "big")) is code, told.payload[8:]
    assert len(told.payload) > 8  # it says why
    assert one.transport.said_eof
    assert one.connection.streams == {}
    assert one.send(opened(99)) == []  # nothing is heard any more


RESET_FOR = {
    "data behind the end": (opened(1), data(1, b"x", END) + data(1, b"x"), Code.STREAM_CLOSED),
    "data on a stream the peer has reset": (opened(1) + rst(1), data(1, b"x"), Code.STREAM_CLOSED),
    "more data than its window": (opened(1), data(1, b"x" * 16_000) * 5, Code.FLOW_CONTROL_ERROR),
    "a window that overflows": (opened(1), f.window_update(1, 2**31 - 1), Code.FLOW_CONTROL_ERROR),
    "a window widened by nothing": (opened(1), f.window_update(1, 0), Code.PROTOCOL_ERROR),
    "PRIORITY of another length": (
        opened(1),
        f.frame(f.PRIORITY, 0, 1, b"1234"),
        Code.FRAME_SIZE_ERROR,
    ),
    "trailers that end nothing": (opened(1), opened(1), Code.PROTOCOL_ERROR),
    "trailers with a pseudo-field": (opened(1), opened(1, end=True), Code.PROTOCOL_ERROR),
    "a request without a path": (b"", opened(1, head=block_of(FIELDS[:2])), Code.PROTOCOL_ERROR),
    "a name in upper case": (
        b"",
        opened(1, head=block_of([*FIELDS, ("X-A", "1")])),
        Code.PROTOCOL_ERROR,
    ),
    "a field of HTTP/1.1": (
        b"",
        opened(1, head=block_of([*FIELDS, ("connection", "close")])),
        Code.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("what", RESET_FOR)
def test_what_ends_a_stream(peer: Any, what: str) -> None:
    before, sent, code = RESET_FOR[what]
    one = peer()
    one.send(before)
    if what == "more data than its window":
        one.opened[0].frees = False
    resets = [told for told in one.send(sent) if told.kind == f.RST_STREAM]
    assert resets
    assert resets[-1].stream == 1
    assert Code(int.from_bytes(resets[-1].payload, "big")) is code
    told = one.send(opened(7, end=True))  # the connection goes on
    assert [frame.stream for frame in told] == [7, 7, 7]


PASSED_OVER = {
    "a frame of an unknown type": f.frame(0xF0, 0xFF, 1, b"xyz"),
    "PRIORITY of an idle stream": f.frame(f.PRIORITY, 0, 9, b"12345"),
    "a reserved bit": struct.pack(">BHBBI", 0, 5, f.PRIORITY, 0, 2**31 + 9) + b"12345",
    "flags that mean nothing": f.frame(f.SETTINGS, f.ACK | 0xF0, 0),
    "WINDOW_UPDATE of a closed stream": f.window_update(1, 1),
    "RST_STREAM of a closed stream": rst(1),
    "an answer to a ping nobody sent": f.frame(f.PING, f.ACK, 0, b"12345678"),
}


@pytest.mark.parametrize("what", PASSED_OVER)
def test_what_is_passed_over(peer: Any, what: str) -> None:
    one = peer()
    one.send(opened(1, end=True))
    assert one.send(PASSED_OVER[what]) == []
    assert one.send(opened(3, end=True))


def test_a_greeting_tells_the_bounds(peer: Any) -> None:
    one = peer(greet=False)
    settings, window = one.told()
    assert f.read_settings(settings.payload) == [(3, 4), (4, 65_535), (6, 4096)]
    assert (window.kind, window.stream, window.payload) == (
        f.WINDOW_UPDATE, 0, struct.pack(">I", 65_535)
    )  # fmt: skip
    assert one.connection.peer == "10.0.0.1"


@pytest.mark.parametrize("cut", [0, 1, 23, 24, 30])
def test_who_does_not_greet_in_time_is_told_and_goes(peer: Any, cut: int) -> None:
    one = peer(greet=False)
    one.send((f.PREFACE + f.settings({}))[:cut])
    assert one.look(5.0) == []
    [told] = one.look(0.1)
    assert Code(int.from_bytes(told.payload[4:8], "big")) is Code.SETTINGS_TIMEOUT


def test_a_client_of_http_1_is_told_that_this_is_none(peer: Any) -> None:
    one = peer(greet=False)
    told = one.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")[-1]
    assert told.kind == f.GOAWAY
    assert b"preface" in told.payload


def test_under_tls_a_client_has_said_h2(peer: Any) -> None:
    class Tls:
        def __init__(self, alpn: str | None) -> None:
            self._alpn = alpn

        def selected_alpn_protocol(self) -> str | None:
            return self._alpn

    for alpn in (None, "http/1.1", "h2"):
        one = peer(greet=False)
        one.transport.extra["ssl_object"] = Tls(alpn)
        one.connection.connection_made(one.transport)
        assert one.transport.aborted == (alpn != "h2")


def test_more_streams_than_there_may_be_are_refused(peer: Any) -> None:
    one = peer(streams=2)
    one.send(opened(1) + opened(3))
    [told] = one.send(opened(5))
    assert (told.kind, told.payload) == (f.RST_STREAM, struct.pack(">I", Code.REFUSED_STREAM))
    assert one.send(data(5, b"it did not know") + data(5, b"", END)) == []
    one.send(data(1, b"", END))
    assert one.send(opened(7, end=True))[0].kind == f.HEADERS


def test_a_refused_stream_still_changes_the_table(peer: Any) -> None:
    one, encoder = peer(streams=1), Encoder()
    one.send(opened(1, head=encoder.encode(FIELDS)))
    one.send(opened(3, head=encoder.encode([*FIELDS, ("x-a", "1")])))
    one.send(data(1, b"", END))
    one.send(opened(5, head=encoder.encode([*FIELDS, ("x-a", "1")])))
    assert one.opened[-1].head[b"x-a"] == b"1"


def test_streams_have_their_own_data(peer: Any) -> None:
    one = peer()
    for part in (b"a", b"b", b"c"):
        for number in (1, 3, 5):
            one.send((opened(number) if part == b"a" else b"") + data(number, part * number))
    for number in (5, 1, 3):
        head, body, trailers = one.send(data(number, b"", END))
        assert {head.stream, body.stream, trailers.stream} == {number}
        assert body.payload == b"a" * number + b"b" * number + b"c" * number
        assert trailers.flags & END


def test_trailers_end_a_stream(peer: Any) -> None:
    one = peer()
    told = one.send(opened(1) + data(1, b"x") + opened(1, end=True, head=block_of([("x-a", "1")])))
    assert [frame.kind for frame in told] == [f.HEADERS, f.DATA, f.HEADERS]


def test_who_is_answered_early_is_told_to_stop_and_may_not_have_known(peer: Any) -> None:
    one = peer()
    one.send(opened(1))
    stream = one.opened[0]
    one.connection.out.whole(stream, b"\x88", b"no", b"\x88")
    assert [told.kind for told in one.told()] == [f.HEADERS, f.DATA, f.HEADERS, f.RST_STREAM]
    late = data(1, b"x" * 100) + opened(1, end=True, head=block_of([("x-a", "1")]))
    assert one.send(late + rst(1) + f.window_update(1, 5)) == []


def test_what_it_sends_on_a_dead_stream_still_counts_for_the_window(peer: Any) -> None:
    one = peer()
    one.send(opened(1))
    one.opened[0].reset(Code.CANCEL)
    told = one.send(data(1, b"x" * 16_000) * 5)
    assert [frame.kind for frame in told] == [f.RST_STREAM, f.WINDOW_UPDATE]
    assert (told[1].stream, told[1].payload) == (0, struct.pack(">I", 80_000))


def test_dead_streams_are_forgotten_in_time(peer: Any) -> None:
    one = peer()
    for number in range(1, 2 * DEAD_KEPT + 101, 2):
        one.send(opened(number))
        one.opened[-1].reset(Code.CANCEL)
    assert len(one.connection._dead) == DEAD_KEPT


def test_a_client_may_reset_as_often_as_it_has_streams(peer: Any) -> None:
    one = peer(streams=100)
    number = 1
    for _ in range(int(RESETS_AT_ONCE) // 100 + 2):
        batch = range(number, number + 200, 2)
        one.send(b"".join(opened(each) for each in batch))
        assert one.send(b"".join(rst(each) for each in batch)) == []
        number += 200
    one.now += 10.0
    one.send(opened(number))
    assert one.send(rst(number)) == []


def test_a_connection_that_is_lost_ends_every_stream_once(peer: Any) -> None:
    one = peer()
    one.send(opened(1) + opened(3))
    one.connection.connection_lost(None)
    assert [stream.over for stream in one.opened] == [True, True]


def test_leaving_lets_streams_end_and_takes_those_that_could_not_know(peer: Any) -> None:
    one = peer()
    one.send(opened(1))
    one.connection.leave()
    goaway, ping = one.told()
    assert goaway.payload == struct.pack(">II", f.STREAM_MAX, 0)
    assert (ping.kind, ping.payload) == (f.PING, LEAVING)
    one.send(opened(3))
    [last] = one.send(f.frame(f.PING, f.ACK, 0, LEAVING))
    assert last.payload == struct.pack(">II", 3, 0)
    assert one.send(opened(5) + data(5, b"x", END)) == []
    assert one.send(data(3, b"x", END))[-1].flags & END
    assert not one.transport.closed
    assert one.send(data(1, b"x", END))[-1].flags & END
    assert one.transport.closed


def test_who_does_not_answer_the_ping_is_told_to_go_all_the_same(peer: Any) -> None:
    one = peer()
    one.send(opened(1))
    one.connection.leave()
    one.told()
    assert one.look(LEAVE_S) == []
    [last] = one.look(0.1)
    assert last.payload == struct.pack(">II", 1, 0)


def test_without_a_stream_it_leaves_when_it_idles(peer: Any) -> None:
    one = peer(idle_s=5.0)
    one.send(opened(1, end=True))
    one.look(1.0)
    assert one.connection.idle_s(one.now + 2.0) == 2.0
    one.look(5.1)
    one.send(f.frame(f.PING, f.ACK, 0, LEAVING))
    assert one.transport.closed


def test_a_silent_peer_is_asked_and_then_lost(peer: Any) -> None:
    one = peer(idle_s=1000.0)
    one.send(opened(1))
    one.look(1.0)
    [ping] = one.look(30.1)
    assert ping.kind == f.PING
    one.look(10.1)
    assert one.transport.aborted


def test_who_does_not_read_is_lost_in_time(peer: Any) -> None:
    one = peer()
    one.connection.pause_writing()
    one.look(30.0)
    assert not one.transport.aborted
    one.look(0.1)
    assert one.transport.aborted


def test_a_stream_whose_window_stays_shut_is_ended(peer: Any) -> None:
    one = peer()
    one.send(f.settings({f.INITIAL_WINDOW_SIZE: 0}))
    one.send(opened(1) + data(1, b"x", END))
    assert one.look(29.0) == []
    told = one.look(1.1)
    assert (f.RST_STREAM, 0, 1, struct.pack(">I", Code.CANCEL)) in told


def test_an_end_by_a_fault_waits_for_the_peer_and_not_for_ever(peer: Any) -> None:
    one = peer()
    one.send(data(1, b"x"))
    assert not one.transport.closed
    assert not one.connection.eof_received()  # the transport closes itself
    one.look(LINGER_S)
    assert one.transport.aborted


def test_where_there_is_no_half_of_a_connection_it_is_closed(peer: Any) -> None:
    one = peer()
    one.transport.half = False
    one.send(data(1, b"x"))
    assert one.transport.closed


def test_an_aborted_connection_tells_its_streams(peer: Any) -> None:
    one = peer()
    one.send(opened(1) + opened(3))
    one.connection.abort()
    told = one.told()
    assert [(frame.kind, frame.stream) for frame in told] == [
        (f.RST_STREAM, 1), (f.RST_STREAM, 3), (f.GOAWAY, 0)
    ]  # fmt: skip
    assert one.transport.closed


def test_only_an_idle_connection_is_closed_to_make_room(peer: Any) -> None:
    one = peer()
    one.send(opened(1))
    assert one.connection.idle_s(one.now) is None
    one.connection.close_if_idle()
    assert not one.transport.closed
    one.send(data(1, b"", END))
    one.connection.close_if_idle()
    assert one.transport.closed
    assert one.connection.idle_s(one.now) is None
