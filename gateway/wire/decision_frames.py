"""The decision log's bytes: frames of a header, names, records and keyframes. No I/O.

A log is the magic, a format version, and frames, each with its kind, its length and a CRC:

    HEADER    once, first: the centers, the vantages, the policy and its scorers
    NAMES     strings that records point at by number; number 0 is the empty string
    RECORDS   decisions, a structured array: query, choice, predicted parts, actual parts
    KEYFRAME  columns and rows of the table that changed since the last one, whole at first

Numbers are little-endian. Instants are seconds of the writer's monotonic clock.

A log may be cut off anywhere (a crash, a full disk): an incomplete or damaged last frame is
left out, with a note. Anything else that is wrong is a ConfigError with the offset, what was
found and what was expected; nothing in the bytes is believed before it was checked.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from gateway.api import Array, Center, ConfigError

MAGIC = b"NRWYDLOG"
VERSION = 1
HEADER, NAMES, RECORDS, KEYFRAME = 1, 2, 3, 4
KIND_NAMES = {HEADER: "header", NAMES: "names", RECORDS: "records", KEYFRAME: "keyframe"}
FRAME_BYTES_MAX = 256 * 1024 * 1024
CENTERS_MAX = 100_000
SCORERS_MAX = 256
TRIED_MAX = 8
ENDINGS = ("open", "answer", "error", "cancelled")
OPEN, ANSWER = 0, 1

_PREFIX = struct.Struct("<8sH")
_FRAME = struct.Struct("<BII")
_DTYPES = {"f4": 4, "f8": 8, "i4": 4}


class LogHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who decided on what. ``policy`` is the policy's table of the config file."""

    centers: tuple[Center, ...]
    vantages: tuple[str, ...]
    policy_name: str
    policy: dict[str, Any]
    scorers: tuple[str, ...]
    seed: int = 1


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """N values of a column or row: dtype (f4, f8, i4) and bytes."""

    dtype: str
    values: bytes

    @classmethod
    def of(cls, array: Array) -> Packed:
        """A copy of ``array``."""
        return cls(f"{array.dtype.kind}{array.dtype.itemsize}", array.tobytes())

    def array(self) -> Array:
        """A read-only view of the values."""
        return np.frombuffer(self.values, dtype=f"<{self.dtype}")


class PackedRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of a row table and its key."""

    key: int | str
    row: Packed


class Keyframe(msgspec.Struct, frozen=True):
    """What changed in the table until ``at``; ``keyed_by`` names each row table's key."""

    at: float
    epoch: int
    columns: dict[str, Packed]
    rows: dict[str, list[PackedRow]]
    keyed_by: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class LoggedDecisions:
    """A whole log. ``records`` is sorted by ``at``, keyframes by theirs; ``names[i]`` is what
    a record's ``model``, ``tenant``, ``session`` and ``reason`` point at.
    """

    header: LogHeader
    records: Array
    keyframes: tuple[Keyframe, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Read:
    """What was read so far."""

    where: str
    header: LogHeader | None = None
    names: list[str] = field(default_factory=lambda: [""])
    records: list[Array] = field(default_factory=list)
    keyframes: list[Keyframe] = field(default_factory=list)


def record_dtype(scorers: int) -> np.dtype[Any]:
    """One decision. Times in ms but ``at`` (s); NaN where nothing is known.

    ``tried`` ends at the first -1. ``parts_ms`` are the winner's, in the header's order of
    scorers; all NaN where a fallback decided.
    """
    return np.dtype(
        [
            ("at", "<f8"),
            ("vantage", "<i4"),
            ("model", "<u4"),
            ("tenant", "<u4"),
            ("session", "<u4"),
            ("deadline_ms", "<f4"),
            ("body_bytes", "<i8"),
            ("center", "<i4"),
            ("runner_up", "<i4"),
            ("predicted_ms", "<f4"),
            ("runner_up_ms", "<f4"),
            ("charged_ms", "<f4"),
            ("tried", "<i4", (TRIED_MAX,)),
            ("ending", "u1"),
            ("reason", "<u4"),
            ("actual_ms", "<f4"),
            ("queue_ms", "<f4"),
            ("service_ms", "<f4"),
            ("parts_ms", "<f4", (scorers,)),
        ]
    )


def prefix() -> bytes:
    """What a log begins with."""
    return _PREFIX.pack(MAGIC, VERSION)


def frame(kind: int, payload: bytes) -> bytes:
    """One frame."""
    return _FRAME.pack(kind, len(payload), zlib.crc32(payload)) + payload


def header_frame(header: LogHeader) -> bytes:
    """The first frame."""
    return frame(HEADER, msgspec.msgpack.encode(header))


def names_frame(names: Sequence[str]) -> bytes:
    """More names, numbered on from those before."""
    return frame(NAMES, msgspec.msgpack.encode(list(names)))


def records_frame(records: Array) -> bytes:
    """Records of ``record_dtype``."""
    return frame(RECORDS, records.tobytes())


def keyframe_frame(keyframe: Keyframe) -> bytes:
    """A keyframe."""
    return frame(KEYFRAME, msgspec.msgpack.encode(keyframe))


def decode_log(log: bytes, where: str) -> LoggedDecisions:
    """Read a log. ``where`` names it in messages. Raises ConfigError (module docstring)."""
    notes: list[str] = []
    read = _Read(where)
    for offset, kind, payload in _frames(log, where, notes):
        _take(read, offset, kind, payload)
    if read.header is None:
        raise _wrong(where, len(log), "the end of the file", "a header frame")
    records = np.concatenate(read.records) if read.records else _no_records(read.header)
    keyframes = sorted(read.keyframes, key=lambda keyframe: keyframe.at)
    return LoggedDecisions(
        read.header,
        records[np.argsort(records["at"], kind="stable")],
        tuple(keyframes),
        tuple(read.names),
        tuple(notes),
    )


def _frames(log: bytes, where: str, notes: list[str]) -> Iterator[tuple[int, int, bytes]]:
    """(offset, kind, payload) of every whole frame; a note when the last one is not."""
    if len(log) < _PREFIX.size or log[: len(MAGIC)] != MAGIC:
        raise _wrong(where, 0, repr(log[: len(MAGIC)]), f"a decision log, which begins {MAGIC!r}")
    version = _PREFIX.unpack_from(log)[1]
    if version != VERSION:
        raise _wrong(where, len(MAGIC), f"format version {version}", f"version {VERSION}")
    offset = _PREFIX.size
    while offset < len(log):
        rest = len(log) - offset
        kind, length, crc = _FRAME.unpack_from(log, offset) if rest >= _FRAME.size else (0, 0, 0)
        end = offset + _FRAME.size + length
        if rest < _FRAME.size or end > len(log):
            notes.append(f"cut off at byte {offset}: the last {rest} bytes are left out")
            return
        if kind not in KIND_NAMES:
            raise _wrong(where, offset, f"frame kind {kind}", "1 to 4")
        if length > FRAME_BYTES_MAX:
            raise _wrong(where, offset, f"a frame of {length} bytes", f"{FRAME_BYTES_MAX} at most")
        payload = log[offset + _FRAME.size : end]
        if zlib.crc32(payload) != crc:
            if end < len(log):
                raise _wrong(where, offset, "a damaged frame", f"one with the checksum {crc:#x}")
            notes.append(f"damaged at byte {offset}: the last {rest} bytes are left out")
            return
        yield offset, kind, payload
        offset = end


def _take(read: _Read, offset: int, kind: int, payload: bytes) -> None:
    where, header = read.where, read.header
    if (kind == HEADER) != (header is None):
        raise _wrong(
            where,
            offset,
            f"a {KIND_NAMES[kind]} frame",
            "the header first" if header is None else "one header only",
        )
    if kind == HEADER:
        read.header = _header(where, offset, payload)
    elif kind == NAMES:
        read.names += _decoded(where, offset, payload, list[str])
    elif kind == RECORDS and header is not None:
        read.records.append(_records(read, header, offset, payload))
    elif header is not None:
        read.keyframes.append(_keyframe(where, header, offset, payload))


def _header(where: str, offset: int, payload: bytes) -> LogHeader:
    header: LogHeader = _decoded(where, offset, payload, LogHeader)
    if not 0 < len(header.centers) <= CENTERS_MAX or not header.vantages:
        found = f"{len(header.centers)} centers and {len(header.vantages)} vantages"
        raise _wrong(where, offset, found, f"at least one of each, at most {CENTERS_MAX}")
    if len(header.scorers) > SCORERS_MAX:
        raise _wrong(where, offset, f"{len(header.scorers)} scorers", f"{SCORERS_MAX} at most")
    return header


def _records(read: _Read, header: LogHeader, offset: int, payload: bytes) -> Array:
    """Checked records: no number in them points outside."""
    where, dtype = read.where, record_dtype(len(header.scorers))
    if len(payload) % dtype.itemsize:
        raise _wrong(where, offset, f"{len(payload)} bytes of records", f"{dtype.itemsize} each")
    records = np.frombuffer(payload, dtype=dtype)
    centers = len(header.centers)
    _check(read.where, offset, "at", records["at"], np.isfinite(records["at"]), "an instant")
    bounds = [
        ("center", 0, centers),
        ("runner_up", -1, centers),
        ("tried", -1, centers),
        ("vantage", 0, len(header.vantages)),
        ("ending", 0, len(ENDINGS)),
        ("body_bytes", 0, 2**62),
        *((name, 0, len(read.names)) for name in ("model", "tenant", "session", "reason")),
    ]
    for name, low, end in bounds:
        values = records[name]
        fine = (values >= low) & (values < end)
        _check(where, offset, name, values, fine, f"{low} to {end - 1}")
    return records


def _check(where: str, offset: int, name: str, values: Array, fine: Array, said: str) -> None:
    if not fine.all():
        found = f"{name} = {values[~fine].flat[0]} in a record"
        raise _wrong(where, offset, found, said)


def _keyframe(where: str, header: LogHeader, offset: int, payload: bytes) -> Keyframe:
    keyframe: Keyframe = _decoded(where, offset, payload, Keyframe)
    if not np.isfinite(keyframe.at):
        raise _wrong(where, offset, f"at = {keyframe.at}", "an instant")
    for name, column in keyframe.columns.items():
        _check_packed(where, header, offset, name, column)
    for name, rows in keyframe.rows.items():
        keyed_by = keyframe.keyed_by.get(name)
        if keyed_by not in ("vantage", "model", "tenant"):
            raise _wrong(where, offset, f"rows {name!r} keyed by {keyed_by}", "a query's field")
        for row in rows:
            if isinstance(row.key, int) != (keyed_by == "vantage"):
                raise _wrong(where, offset, f"key {row.key!r} in {name!r}", f"a {keyed_by}")
            _check_packed(where, header, offset, name, row.row)
    return keyframe


def _check_packed(where: str, header: LogHeader, offset: int, name: str, packed: Packed) -> None:
    bytes_each = _DTYPES.get(packed.dtype)
    expected = f"{len(header.centers)} values of one of {', '.join(_DTYPES)}"
    if bytes_each is None or len(packed.values) != bytes_each * len(header.centers):
        found = f"{name!r} of {len(packed.values)} bytes, dtype {packed.dtype!r}"
        raise _wrong(where, offset, found, expected)


def _decoded(where: str, offset: int, payload: bytes, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _wrong(where, offset, f"a frame that cannot be read ({error})", "msgpack") from error


def _no_records(header: LogHeader) -> Array:
    return np.zeros(0, dtype=record_dtype(len(header.scorers)))


def _wrong(where: str, offset: int, found: str, expected: str) -> ConfigError:
    return ConfigError(
        f"{where}: found {found} at byte {offset}; expected {expected}. "
        "Give a file that telemetry.decision_log of this version wrote"
    )
