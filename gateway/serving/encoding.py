"""Bodies that come or go compressed: gzip and deflate, bounded.

What is small is done on the loop; above ``INLINE_BYTES_MAX`` a thread does it, because zlib
takes about 10 ms a megabyte and lets go of the interpreter while it works.
"""

from __future__ import annotations

import asyncio
import sys
import zlib

from gateway.api import InvalidRequest, TooLarge, UnsupportedMedia
from gateway.config.settings import Server

INLINE_BYTES_MAX = 64 * 1024

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_WBITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_LEVEL = 1


def known_encoding(content_encoding: str | None) -> str | None:
    """The request's encoding, None for identity. Raises UnsupportedMedia."""
    if content_encoding is None:
        return None
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return name
    raise UnsupportedMedia(
        f"content-encoding {content_encoding!r} is not read here; send gzip, deflate or none"
    )


async def inflate(body: bytes, bytes_max: int) -> bytes:
    """The plain body. Raises InvalidRequest when it is broken, TooLarge above ``bytes_max``."""
    if len(body) <= INLINE_BYTES_MAX and bytes_max <= INLINE_BYTES_MAX:
        return _inflate(body, bytes_max)
    return await asyncio.to_thread(_inflate, body, bytes_max)


def _inflate(body: bytes, bytes_max: int) -> bytes:
    reader = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = reader.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise InvalidRequest(f"the compressed body cannot be read: {error}") from error
    if len(plain) > bytes_max:
        raise TooLarge(
            f"the body is larger than {bytes_max} bytes when decompressed; "
            "send less or raise server.body_bytes_max"
        )
    if not reader.eof:
        raise InvalidRequest("the compressed body ends too early; send it whole")
    if reader.unused_data:
        raise InvalidRequest(
            f"{len(reader.unused_data)} bytes are left after the compressed body; "
            "send it as one gzip or deflate stream"
        )
    return plain


def compress_bytes_min(server: Server) -> int:
    """Answers so large are compressed for a client that asks."""
    return server.compress_bytes_min or sys.maxsize


def wanted_encoding(accept_encoding: str | None) -> str | None:
    """gzip or deflate when the client takes it, gzip first; None otherwise."""
    if accept_encoding is None:
        return None
    accepted = set()
    for token in accept_encoding.lower().split(","):
        name, _, parameters = token.partition(";")
        if parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            accepted.add(name.strip())
    return "gzip" if "gzip" in accepted else "deflate" if "deflate" in accepted else None


async def deflate(payload: bytes, encoding: str) -> bytes:
    """``payload`` as gzip or deflate, fastest level."""
    if len(payload) <= INLINE_BYTES_MAX:
        return deflate_now(payload, encoding)
    return await asyncio.to_thread(deflate_now, payload, encoding)


def deflate_now(payload: bytes, encoding: str) -> bytes:
    """``deflate`` for at most ``INLINE_BYTES_MAX`` bytes."""
    writer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WBITS[encoding])
    return writer.compress(payload) + writer.flush()
