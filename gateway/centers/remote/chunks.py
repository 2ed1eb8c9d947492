"""Chunks of HTTP/1.1 that can be handed on as they came.

The common case of a stream: one read is one chunk. How many bytes it has tells what it must begin
with, in what ``%x`` writes, small letters or capitals. So nothing gets through that another reader
might take for another size: no sign, no blank, no leading zero, no extension. All else is the
parser's.
"""

from __future__ import annotations

SIZE_MAX = 4095
"""A larger chunk is parsed: its framing costs little beside its bytes."""
CRLF = b"\r\n"


def _beginnings() -> list[tuple[bytes, ...]]:
    beginnings: list[tuple[bytes, ...]] = [()] * (SIZE_MAX + 8)
    for size in range(1, SIZE_MAX + 1):
        line = b"%x\r\n" % size
        beginnings[len(line) + size + 2] = (line, b"%X\r\n" % size)
    return beginnings


BEGINNINGS = _beginnings()
"""By the bytes of a whole chunk: how it may begin. No two sizes make the same."""
SIZES = {line: size for size in range(1, SIZE_MAX + 1) for line in (b"%x" % size, b"%X" % size)}


def are_whole_chunks(data: bytes) -> bool:
    """Whether ``data`` is chunks of a body and nothing else; the last, empty one is none."""
    begin = 0
    while begin < len(data):
        at = data.find(CRLF, begin)
        size = SIZES.get(data[begin:at], 0) if at > begin else 0
        begin = at + 4 + size
        if not size or data[begin - 2 : begin] != CRLF:
            return False
    return begin > 0
