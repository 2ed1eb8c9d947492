"""Frames are written as the RFC has them, and what no peer may say is a fault."""

from __future__ import annotations

import struct

import pytest
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, SettingsFrame, WindowUpdateFrame

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.frames import Code, ConnectionFault


def read(data: bytes) -> Frame:
    frame, size = Frame.parse_frame_header(memoryview(data[:9]))
    assert size == len(data) - 9
    frame.parse_body(memoryview(data[9:]))
    return frame


def test_others_read_what_is_written() -> None:
    told = read(f.settings({f.MAX_CONCURRENT_STREAMS: 7, f.INITIAL_WINDOW_SIZE: 9}))
    assert isinstance(told, SettingsFrame)
    assert told.settings == {3: 7, 4: 9}
    told = read(f.window_update(3, 77))
    assert isinstance(told, WindowUpdateFrame)
    assert (told.stream_id, told.window_increment) == (3, 77)
    told = read(f.goaway(5, Code.ENHANCE_YOUR_CALM, "why"))
    assert isinstance(told, GoAwayFrame)
    assert (told.last_stream_id, told.error_code, told.additional_data) == (5, 11, b"why")


@pytest.mark.parametrize("end", [True, False])
def test_a_block_is_one_frame_where_it_fits(end: bool) -> None:
    told = read(f.header_frames(3, b"x" * 100, 100, end=end))
    assert isinstance(told, HeadersFrame)
    assert told.data == b"x" * 100
    assert set(told.flags) == {"END_HEADERS", *(["END_STREAM"] if end else [])}


def test_a_longer_block_goes_on_in_further_frames() -> None:
    data = f.header_frames(3, bytes(range(250)), 100, end=True)
    kinds, block = [], b""
    while data:
        size = int.from_bytes(data[:3], "big")
        kinds.append((data[3], data[4]))
        block += data[9 : 9 + size]
        data = data[9 + size :]
    assert kinds == [(f.HEADERS, 1), (f.CONTINUATION, 0), (f.CONTINUATION, 4)]
    assert block == bytes(range(250))


def test_settings_are_read_in_order() -> None:
    payload = struct.pack(">HIHI", 4, 10, 4, 20) + struct.pack(">HI", 0x99, 1)
    assert f.read_settings(payload) == [(4, 10), (4, 20), (0x99, 1)]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\0" * 5, Code.FRAME_SIZE_ERROR),
        (struct.pack(">HI", f.ENABLE_PUSH, 2), Code.PROTOCOL_ERROR),
        (struct.pack(">HI", f.INITIAL_WINDOW_SIZE, 2**31), Code.FLOW_CONTROL_ERROR),
        (struct.pack(">HI", f.MAX_FRAME_SIZE, 2**14 - 1), Code.PROTOCOL_ERROR),
        (struct.pack(">HI", f.MAX_FRAME_SIZE, 2**24), Code.PROTOCOL_ERROR),
    ],
)
def test_settings_out_of_range_are_a_fault(payload: bytes, code: Code) -> None:
    with pytest.raises(ConnectionFault) as caught:
        f.read_settings(payload)
    assert caught.value.code is code


def test_padding_is_taken_off() -> None:
    assert f.unpadded(0, b"\x01ab") == b"\x01ab"
    assert f.unpadded(f.PADDED, b"\x02ab\0\0") == b"ab"
    assert f.unpadded(f.PADDED, b"\x02\0\0") == b""


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd"])
def test_padding_that_does_not_fit_is_a_fault(payload: bytes) -> None:
    with pytest.raises(ConnectionFault):
        f.unpadded(f.PADDED, payload)
