"""Protobuf's wire format, as far as an answer is written by hand: fields that bear bytes."""

from __future__ import annotations

from functools import lru_cache

BYTES_FIELD = 2
"""The wire type of what comes behind its length."""


def varint(value: int) -> bytes:
    """An unsigned integer in groups of seven bits, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@lru_cache(maxsize=4096)
def opening(number: int, size: int) -> bytes:
    """What stands before the ``size`` bytes of field ``number``."""
    return varint(number << 3 | BYTES_FIELD) + varint(size)
