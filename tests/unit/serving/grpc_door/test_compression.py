"""Compressed messages are read by name, whole, and never past their bound."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.api import InvalidRequest, TooLarge, Unsupported
from gateway.serving.grpc_door.compression import plain, too_large

TEXT = b"tensor " * 100


def test_both_kinds_are_read() -> None:
    assert plain("gzip", gzip.compress(TEXT), 700) == TEXT
    assert plain("deflate", zlib.compress(TEXT), 700) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_not_unpacked(encoding: str) -> None:
    bomb = (gzip if encoding == "gzip" else zlib).compress(b"\0" * 10_000_000)
    with pytest.raises(TooLarge, match=r"server\.body_bytes_max"):
        plain(encoding, bomb, 1000)


@pytest.mark.parametrize(
    "payload", [b"", b"no", gzip.compress(TEXT, mtime=0)[:-1], gzip.compress(TEXT, mtime=0) + b"x"]
)
def test_what_is_no_gzip_is_told(payload: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no gzip"):
        plain("gzip", payload, 1000)


def test_what_is_not_known_is_told_with_what_is() -> None:
    with pytest.raises(Unsupported, match="identity,deflate,gzip"):
        plain("snappy", b"", 1000)
    with pytest.raises(InvalidRequest, match="says it is not"):
        plain("identity", b"", 1000)


def test_a_bound_is_told() -> None:
    assert "a message has 9 bytes" in str(too_large(9, 5))
