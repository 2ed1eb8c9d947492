"""The decision log's bytes: what is wrong is named with its offset, a cut tail is tolerated."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Center, ConfigError, Location
from gateway.wire.decision_frames import (
    FRAME_BYTES_MAX,
    HEADER,
    KEYFRAME,
    NAMES,
    RECORDS,
    Keyframe,
    LogHeader,
    Packed,
    PackedRow,
    decode_log,
    frame,
    header_frame,
    keyframe_frame,
    names_frame,
    prefix,
    record_dtype,
    records_frame,
)

CENTERS = tuple(Center(f"c{i}", "r", "z", "x", "CN", Location(0.0, 0.0)) for i in range(2))
HEAD = LogHeader(CENTERS, ("here",), "p", {}, ("network",))
QUEUE = Packed.of(np.array([1.0, 2.0], dtype=np.float32))
FRAME = Keyframe(
    1.0, 3, {"queue_ms": QUEUE}, {"rtt_ms": [PackedRow(0, QUEUE)]}, {"rtt_ms": "vantage"}
)


def records(count: int = 2, **changes: Any) -> Any:
    made = np.zeros(count, dtype=record_dtype(1))
    made["at"] = np.arange(count, 0, -1)
    made["tried"] = -1
    made["model"] = 1
    for name, value in changes.items():
        made[name][-1] = value
    return made


def log_of(*frames: bytes) -> bytes:
    return prefix() + b"".join(frames)


GOOD = log_of(
    header_frame(HEAD), keyframe_frame(FRAME), names_frame(["mlp"]), records_frame(records())
)


def test_what_was_written_is_read() -> None:
    found = decode_log(GOOD, "f")
    assert found.header == HEAD
    assert found.keyframes == (FRAME,)
    assert found.keyframes[0].columns["queue_ms"].array().tolist() == [1.0, 2.0]
    assert found.names == ("", "mlp")
    assert found.records["at"].tolist() == [1.0, 2.0]
    assert found.notes == ()


def test_a_log_without_records_is_a_log() -> None:
    assert len(decode_log(log_of(header_frame(HEAD)), "f").records) == 0


def refusal(log: bytes) -> str:
    """What the ConfigError says; empty when the log can be read. Nothing else may be raised."""
    try:
        decode_log(log, "f")
    except ConfigError as error:
        return str(error)
    return ""


def test_every_cut_is_tolerated_with_a_note_or_refused_by_name() -> None:
    whole_until = len(log_of(header_frame(HEAD)))
    for length in range(whole_until):
        assert refusal(GOOD[:length]).startswith("f: found")
    for length in range(whole_until, len(GOOD)):
        (*notes,) = decode_log(GOOD[:length], "f").notes
        cut = length not in (whole_until, *_ends())
        assert [note.startswith("cut off at byte") for note in notes] == [True] * cut


def _ends() -> list[int]:
    ends, total = [], len(prefix())
    for part in (header_frame(HEAD), keyframe_frame(FRAME), names_frame(["mlp"])):
        total += len(part)
        ends.append(total)
    return ends


def test_a_damaged_last_frame_is_left_out_and_an_earlier_one_refused() -> None:
    last = bytearray(GOOD)
    last[-1] ^= 1
    found = decode_log(bytes(last), "f")
    assert len(found.records) == 0
    assert "damaged at byte" in found.notes[0]
    early = bytearray(GOOD)
    early[len(prefix()) + 40] ^= 1
    with pytest.raises(ConfigError, match=r"a damaged frame at byte 10; expected one with"):
        decode_log(bytes(early), "f")


def packed(**changes: Any) -> bytes:
    fields = {name: getattr(FRAME, name) for name in FRAME.__struct_fields__}
    return keyframe_frame(Keyframe(**{**fields, **changes}))


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (b"", "a decision log"),
        (b"PK\x03\x04 something else", "a decision log"),
        (struct.pack("<8sH", b"NRWYDLOG", 9), "format version 9"),
        (prefix(), "a header frame"),
        (log_of(names_frame(["a"])), "the header first"),
        (log_of(header_frame(HEAD), header_frame(HEAD)), "one header only"),
        (log_of(header_frame(HEAD), frame(77, b"")), "frame kind 77"),
        (log_of(frame(HEADER, b"\xff\xff")), "cannot be read"),
        (log_of(frame(HEADER, b"\x91" * 100_000)), "cannot be read"),
        (log_of(frame(HEADER, msgspec.msgpack.encode({"centers": []}))), "cannot be read"),
        (log_of(header_frame(LogHeader((), ("v",), "p", {}, ()))), "at least one of each"),
        (log_of(header_frame(LogHeader(CENTERS, ("v",), "p", {}, ("s",) * 999))), "256 at most"),
        (log_of(header_frame(HEAD), frame(NAMES, msgspec.msgpack.encode([1]))), "cannot be read"),
        (log_of(header_frame(HEAD), frame(RECORDS, b"123")), "3 bytes of records"),
        (log_of(header_frame(HEAD), records_frame(records())), "model = 1 in a record"),
        (log_of(header_frame(HEAD), frame(KEYFRAME, b"")), "cannot be read"),
        (log_of(header_frame(HEAD), packed(at=float("nan"))), "at = nan"),
        (log_of(header_frame(HEAD), packed(keyed_by={})), "keyed by None"),
        (log_of(header_frame(HEAD), packed(keyed_by={"rtt_ms": "model"})), "key 0"),
        (log_of(header_frame(HEAD), packed(columns={"x": Packed("f4", b"123")})), "3 bytes"),
        (log_of(header_frame(HEAD), packed(columns={"x": Packed("O8", b"1" * 16)})), "'O8'"),
    ],
)
def test_what_is_wrong_is_named(log: bytes, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode_log(log, "mine.log")
    assert told in str(caught.value)
    assert "mine.log: found" in str(caught.value)
    assert "at byte" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("center", 2),
        ("center", -1),
        ("runner_up", -2),
        ("tried", 5),
        ("vantage", 1),
        ("ending", 4),
        ("body_bytes", -1),
        ("session", 9),
        ("at", np.inf),
    ],
)
def test_a_record_that_points_outside_is_refused(name: str, value: float) -> None:
    log = log_of(header_frame(HEAD), names_frame(["m"]), records_frame(records(**{name: value})))
    with pytest.raises(ConfigError, match=f"{name} = "):
        decode_log(log, "f")


def test_a_frame_that_claims_too_much_is_cut_off_not_read() -> None:
    claims = struct.pack("<BII", RECORDS, FRAME_BYTES_MAX + 1, 0)
    found = decode_log(log_of(header_frame(HEAD)) + claims, "f")
    assert "cut off" in found.notes[0]


@given(st.data())
def test_no_bytes_raise_anything_but_a_config_error(data: st.DataObject) -> None:
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(GOOD) - 1))] = data.draw(st.integers(0, 255))
    said = refusal(bytes(damaged))
    assert not said or "at byte" in said


@given(st.integers(1, 4), st.binary(max_size=200))
def test_no_payload_raises_anything_but_a_config_error(kind: int, payload: bytes) -> None:
    said = refusal(log_of(header_frame(HEAD), frame(kind, payload)))
    assert not said or "at byte" in said
