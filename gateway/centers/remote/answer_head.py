"""The head of an answer: what the gateway needs of it, and what it does not let pass.

An answer whose length can be read in two ways is refused, and so is one that is encoded
although nobody asked for it. llhttp has refused bare line feeds, folded lines, spaces in
names, control characters and a Content-Length that is no number before this module is asked
(httptools' parser in its strict mode; the tests hold a table of cases against it).

``KnownHeads`` remembers heads by their exact bytes. What a head means is a function of its
bytes alone, and most servers say the same for a second, or for ever. Of a head with lines that
are different in every answer (a load report, the request's id) the rest is remembered: those
lines are told apart by a pattern that takes well-formed ones only, and none of them says how
long the body is, so a known rest with such lines in it is as well-formed as it was without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

KNOWN_HEADS_MAX = 64
WITHOUT_BODY = (204, 304)

_CONTENT_TYPE = b"content-type"
_CONTENT_LENGTH = b"content-length"
_TRANSFER_ENCODING = b"transfer-encoding"
_CONTENT_ENCODING = b"content-encoding"
_JSON_HEAD = b"inference-header-content-length"
_LOAD = b"endpoint-load-metrics"
_TIMING = b"server-timing"
_DRAWN = b"x-nearway-drawn-ms"
_RETRY_AFTER = b"retry-after"
_REQUEST_ID = b"x-request-id"
_ONCE = frozenset((_CONTENT_TYPE, _CONTENT_LENGTH, _TRANSFER_ENCODING, _JSON_HEAD))
_READ = _ONCE | {_CONTENT_ENCODING, _LOAD, _TIMING, _DRAWN, _RETRY_AFTER, _REQUEST_ID}
_CHANGING = (_LOAD, _TIMING, _DRAWN, _REQUEST_ID)
_CHANGING_LINES = re.compile(
    rb"\r\n((?i:%b)):([^\x00-\x08\x0a-\x1f\x7f]*)(?=\r\n)" % b"|".join(_CHANGING)
)


class BrokenAnswer(Exception):
    """The answer cannot be understood; the message says why."""


@dataclass(slots=True)
class AnswerHead:
    """``body_bytes``: the length told beforehand, None when chunked or until the end of the
    connection (``until_closed``). ``constant``: nothing in it is known to differ from answer
    to answer. ``load``, ``timing`` and ``retry_after`` are header values, empty when absent.
    """

    status: int
    content_type: str
    head_bytes: int | None
    body_bytes: int | None
    until_closed: bool
    constant: bool
    load: str
    timing: str
    retry_after: str
    drawn_ms: float | None

    @property
    def chunked(self) -> bool:
        """Its body comes in chunks of HTTP/1.1."""
        return self.body_bytes is None and not self.until_closed


class KnownHeads:
    """Heads seen lately, by their bytes up to the empty line; bounded.

    ``find`` takes the exact bytes, ``find_rest`` those of a head with changing lines.
    """

    __slots__ = ("_head_bytes_max", "_known", "_rests", "find")

    def __init__(self, head_bytes_max: int) -> None:
        self._head_bytes_max = head_bytes_max
        self._known: dict[bytes, AnswerHead] = {}
        self._rests: dict[bytes, AnswerHead] = {}
        self.find = self._known.get

    def add(self, raw: bytes, head: AnswerHead) -> None:
        """Only one of a whole answer on a connection that stays open may be remembered."""
        if head.constant:
            table, key = self._known, raw
        else:
            table, key = self._rests, b"".join(_CHANGING_LINES.split(raw)[::3])
        if len(table) >= KNOWN_HEADS_MAX:
            table.clear()
        table[key] = head

    def find_rest(self, raw: bytes) -> AnswerHead | None:
        """2 us where the parser and ``read_head`` take 8."""
        if not self._rests or len(raw) > self._head_bytes_max:
            return None
        parts = _CHANGING_LINES.split(raw)
        head = self._rests.get(b"".join(parts[::3]))
        if head is None:
            return None
        load = timing = drawn = ""
        for at in range(1, len(parts), 3):
            name = parts[at].lower()
            if name == _LOAD:
                load = load or parts[at + 1].decode("latin-1").strip()
            elif name == _TIMING:
                told = parts[at + 1].decode("latin-1").strip()
                timing = f"{timing}, {told}" if timing else told
            elif name == _DRAWN:
                drawn = drawn or parts[at + 1].decode("latin-1").strip()
        return AnswerHead(
            head.status,
            head.content_type,
            head.head_bytes,
            head.body_bytes,
            head.until_closed,
            False,
            load,
            timing,
            head.retry_after,
            _duration(drawn) if drawn else None,
        )


def read_head(status: int, version: str, pairs: Iterable[tuple[bytes, bytes]]) -> AnswerHead:
    """``pairs``: names and values as they came. Raises BrokenAnswer."""
    if version not in ("1.1", "1.0"):
        raise BrokenAnswer(f"it speaks HTTP/{version}, expected HTTP/1.1")
    if not 200 <= status <= 599:
        raise BrokenAnswer(f"its status is {status}, expected 200 to 599")
    found: dict[bytes, str] = {}
    for spelled, value in pairs:
        name = spelled.lower()
        if name not in _READ:
            continue
        text = value.decode("latin-1").strip()
        if name in _ONCE and name in found:
            raise BrokenAnswer(f"it says {name.decode()} twice")
        if not found.get(name):
            found[name] = text
        elif name == _TIMING:
            found[name] += f", {text}"
    body_bytes = _length(status, version, found)
    head_bytes = _json_head(found.get(_JSON_HEAD), body_bytes)
    kind = "application/json" if head_bytes is None else "application/octet-stream"
    return AnswerHead(
        status,
        found.get(_CONTENT_TYPE) or kind,
        head_bytes,
        body_bytes,
        body_bytes is None and _TRANSFER_ENCODING not in found,
        not any(name in found for name in _CHANGING),
        found.get(_LOAD, ""),
        found.get(_TIMING, ""),
        found.get(_RETRY_AFTER, ""),
        _duration(found.get(_DRAWN)),
    )


def _length(status: int, version: str, found: dict[bytes, str]) -> int | None:
    """The body's length, when it is told (RFC 9112, 6.3). Raises BrokenAnswer."""
    coding = found.get(_CONTENT_ENCODING, "identity")
    if coding.lower() not in ("identity", ""):
        raise BrokenAnswer(f"its body is encoded as {coding[:32]!r} although nobody asked for that")
    transfer, length = found.get(_TRANSFER_ENCODING), found.get(_CONTENT_LENGTH)
    if transfer is not None:
        if length is not None:
            raise BrokenAnswer("it has both a content-length and a transfer-encoding")
        if transfer.lower() != "chunked" or version == "1.0" or status in WITHOUT_BODY:
            raise BrokenAnswer(
                f"its transfer-encoding is {transfer[:32]!r} in HTTP/{version} with status "
                f"{status}, expected chunked in HTTP/1.1"
            )
        return None
    if status in WITHOUT_BODY:
        return 0
    return None if length is None else int(length)


def _json_head(told: str | None, body_bytes: int | None) -> int | None:
    if told is None:
        return None
    length = int(told) if told.isascii() and told.isdigit() and len(told) < 20 else 0
    if length < 1 or (body_bytes is not None and length > body_bytes):
        raise BrokenAnswer(
            f"its inference-header-content-length is {told[:32]!r}, expected an integer from 1 "
            "to the body's length"
        )
    return length


def _duration(told: str | None) -> float | None:
    if told is None or not told.isascii():
        return None
    try:
        value_ms = float(told)
    except ValueError:
        return None
    return value_ms if isfinite(value_ms) and value_ms >= 0.0 else None
