"""Compression: bounds and spellings."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.api import InvalidRequest, TooLarge, UnsupportedMedia
from gateway.serving.encoding import deflate, inflate, known_encoding, wanted_encoding


@pytest.mark.parametrize("size", [0, 10, 300_000])
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_inflate_gives_back_what_was_packed(size: int, pack: object) -> None:
    plain = b"ab" * size
    assert await inflate(pack(plain), len(plain) + 1) == plain  # type: ignore[operator]


async def test_the_bound_is_exact() -> None:
    packed = gzip.compress(b"x" * 1000)
    assert len(await inflate(packed, 1000)) == 1000
    with pytest.raises(TooLarge, match="999"):
        await inflate(packed, 999)


@pytest.mark.parametrize(
    "body",
    [b"", b"plain", gzip.compress(b"x" * 99, mtime=0)[:-1], gzip.compress(b"x", mtime=0) * 2],
    ids=["empty", "plain", "cut", "two in a row"],
)
async def test_broken_streams_are_invalid(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await inflate(body, 1000)


@pytest.mark.parametrize("size", [2000, 200_000])
async def test_deflate_can_be_read_by_its_name(size: int) -> None:
    plain = b"0," * size
    assert gzip.decompress(await deflate(plain, "gzip")) == plain
    assert zlib.decompress(await deflate(plain, "deflate")) == plain


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("deflate, gzip", "gzip"),
        ("gzip; q=0", None),
    ],
)
def test_what_the_client_accepts(header: str | None, wanted: str | None) -> None:
    assert wanted_encoding(header) == wanted


def test_what_the_client_sends() -> None:
    assert known_encoding(None) is None
    assert known_encoding("Identity") is None
    assert known_encoding(" GZip ") == "gzip"
    with pytest.raises(UnsupportedMedia, match="gzip, deflate"):
        known_encoding("gzip, gzip")
