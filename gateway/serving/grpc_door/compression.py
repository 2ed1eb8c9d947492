"""Messages that are compressed: read by the names gRPC has for it, and never past a bound."""

from __future__ import annotations

import zlib

from gateway.api import InvalidRequest, TooLarge, Unsupported

WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""What ``zlib`` calls them; gRPC's deflate is zlib's own format."""
ACCEPTED = "identity,deflate,gzip"


def plain(encoding: str, payload: bytes, bytes_max: int) -> bytes:
    """A compressed message as it was. Raises Unsupported, InvalidRequest, TooLarge."""
    bits = WINDOW_BITS.get(encoding)
    if bits is None:
        if encoding == "identity":
            raise InvalidRequest(
                "a message says it is compressed, and grpc-encoding says it is not"
            )
        raise Unsupported(f"grpc-encoding {encoding[:60]!r} is not read here; {ACCEPTED} are")
    reader = zlib.decompressobj(bits)
    try:
        told = reader.decompress(payload, bytes_max + 1)
    except zlib.error as error:
        raise InvalidRequest(f"a message is no {encoding}: {error}") from None
    if len(told) > bytes_max:
        raise too_large(len(told), bytes_max)
    if not reader.eof or reader.unused_data:
        raise InvalidRequest(f"a message is no {encoding}: it does not end where its data does")
    return told


def too_large(size: int, bytes_max: int) -> TooLarge:
    """A message over its bound."""
    return TooLarge(
        f"a message has {size} bytes or more, at most {bytes_max} are read; send less or raise "
        "server.body_bytes_max"
    )
