"""Blocks of fields: HPACK (RFC 7541) read with a memory, and written without one.

Theory of operation. After its first call a client sends the same block for each, a few bytes
that point into the table both sides keep. So what was made of a block is kept by its bytes, for
as long as the table stays as it is; a block that changes the table is read anew. Blocks are
written as literals that touch no table: those that are always the same are made once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, Generic, TypeVar

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from gateway.serving.grpc_door.http2.frames import Code, ConnectionFault, StreamFault

T = TypeVar("T")
Field = tuple[bytes, bytes]

KEPT: Final = 16
KEPT_BYTES: Final = 2048
"""A block, and its fields, are kept up to this size: 64 KiB a connection at most."""
ENTRY_BYTES: Final = 32
"""What a field takes in a list's size beside its name and value (RFC 9113, 6.5.2)."""
NAME: Final = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
NO_VALUE: Final = re.compile(rb"[\x00\r\n]")
PSEUDO: Final = frozenset({b":method", b":scheme", b":path", b":authority"})
NEEDED: Final = frozenset({b":method", b":scheme", b":path"})
OF_A_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)


class _Table(HeaderTable):
    """Counts its changes."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        """See ``HeaderTable``."""
        self.changes += 1
        super().add(name, value)


class Blocks(Generic[T]):
    """Reads the blocks of one connection. ``known`` has what was made of those it remembers."""

    __slots__ = ("_decoder", "_make", "_table", "known")

    def __init__(self, make: Callable[[list[Field], int], T], list_bytes_max: int) -> None:
        """``make``: of a request's fields and their size; fields beyond the bound, an error."""
        self._make = make
        self._decoder = Decoder(list_bytes_max)
        self._decoder.header_table = self._table = _Table()
        self.known: dict[bytes, T] = {}

    def read(self, block: bytes) -> T:
        """What is made of a request's block.

        Raises ConnectionFault: no HPACK, or too large; StreamFault: fields that no request has.
        """
        changes = self._table.changes
        fields = self.fields(block)
        size = sum(len(name) + len(value) + ENTRY_BYTES for name, value in fields)
        check_request(fields)
        made = self._make(fields, size)
        small = len(block) <= KEPT_BYTES and size <= KEPT_BYTES
        if small and self._table.changes == changes and not _resizes(block):
            if len(self.known) >= KEPT:
                self.known.clear()
            self.known[block] = made
        return made

    def fields(self, block: bytes) -> list[Field]:
        """The fields as they are. Raises ConnectionFault."""
        changes = self._table.changes
        try:
            read = self._decoder.decode(block, raw=True)
            return [(bytes(name), bytes(value)) for name, value in read]
        except OversizedHeaderListError:
            raise ConnectionFault(
                Code.ENHANCE_YOUR_CALM,
                f"fields of more than {self._decoder.max_header_list_size} bytes",
            ) from None
        except (HPACKError, ValueError, IndexError) as error:
            raise ConnectionFault(Code.COMPRESSION_ERROR, f"no HPACK: {error}") from None
        finally:
            if self._table.changes != changes or _resizes(block):
                self.known.clear()


def _resizes(block: bytes) -> bool:
    """It begins by telling the table's size, the only place where it may."""
    return bool(block) and block[0] & 0xE0 == 0x20


def check_request(fields: Iterable[Field]) -> None:
    """Raises StreamFault for fields that make a request malformed (RFC 9113, 8.2 and 8.3)."""
    pseudo: set[bytes] = set()
    regular = False
    for name, value in fields:
        _check_field(name, value)
        if not name.startswith(b":"):
            regular = True
        elif regular or name not in PSEUDO or name in pseudo:
            raise _malformed(f"{name!r} is unknown, twice there, or behind other fields")
        else:
            pseudo.add(name)
            if name == b":path" and not value:
                raise _malformed(":path is empty")
    if not pseudo >= NEEDED:
        raise _malformed("a request has :method, :scheme and :path")


def check_trailers(fields: Iterable[Field]) -> None:
    """Raises StreamFault for fields that cannot end a request."""
    for name, value in fields:
        _check_field(name, value)
        if name.startswith(b":"):
            raise _malformed("trailers have no pseudo-fields")


def _check_field(name: bytes, value: bytes) -> None:
    if not NAME.fullmatch(name) or NO_VALUE.search(value) or value != value.strip(b" \t"):
        raise _malformed(f"field {name[:60]!r}")
    if name in OF_A_CONNECTION or (name == b"te" and value.lower() != b"trailers"):
        raise _malformed(f"{name!r} is of HTTP/1.1")


def _malformed(why: str) -> StreamFault:
    return StreamFault(Code.PROTOCOL_ERROR, f"malformed request: {why}")


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    """A name that is not indexed, as a literal begins (RFC 7541, 6.2.2)."""
    raw = name.encode()
    return b"\x00" + _length(len(raw)) + raw


def literal(name: str, value: str) -> bytes:
    """One field, touching no table. What no value may have in it is left out."""
    raw = value.encode(errors="replace")
    size = len(raw)
    if NO_VALUE.search(raw):
        raw = NO_VALUE.sub(b" ", raw)
    return _name(name) + (bytes((size,)) if size < 127 else _length(size)) + raw


def block_of(fields: Iterable[tuple[str, str]]) -> bytes:
    """A block of literals. Names in lower case."""
    return b"".join([literal(name, value) for name, value in fields])


def _length(value: int) -> bytes:
    """An integer in seven bits and as many more as it takes (RFC 7541, 5.1), not Huffman's."""
    if value < 127:
        return bytes((value,))
    out = bytearray((127,))
    value -= 127
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
