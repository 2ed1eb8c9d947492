"""What a call says beside its messages: its head, read once for all calls that have the same."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from gateway.api import InvalidRequest, NearwayError, TooLarge
from gateway.serving.answer_head import Asked, asked
from gateway.serving.intake import Intake, Said

if TYPE_CHECKING:
    from gateway.serving.grpc_door.call import Method

UNIT_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
YEAR_S = 3.2e7
"""A deadline so far off is none."""
RESERVED = frozenset({"te", "content-type", "content-length"})
MEDIA_TYPE = "application/grpc"
Pairs = tuple[tuple[str, str | bytes], ...]


class CallHeaders:
    """Metadata read as headers are: whatever the case of the name, the first value counts.

    What is made of it for one intake is remembered, for the next call with the same.
    """

    __slots__ = ("_first", "_intake", "_read", "pairs")

    def __init__(self, pairs: Pairs) -> None:
        """``pairs``: (name in lower case, value); a value of bytes is no header."""
        self.pairs = pairs
        self._first: dict[str, str | bytes] = {}
        for name, value in pairs:
            self._first.setdefault(name, value)
        # The door itself says where a body's JSON ends.
        self._first.pop("inference-header-content-length", None)
        self._intake: tuple[Intake, bool] | None = None
        self._read: tuple[Said, Asked] | None = None

    def get(self, name: str, /) -> str | None:
        """See ``Headers``."""
        value = self._first.get(name.lower())
        return value if isinstance(value, str) else None

    def read(self, intake: Intake, *, trusted: bool) -> tuple[Said, Asked]:
        """What they say, and what they ask of the answer. Raises InvalidRequest."""
        by = intake, trusted
        if self._read is None or self._intake != by:
            self._read = intake.said(self, trusted=trusted), asked(self, trusted=trusted)
            self._intake = by
        return self._read


class CallHead:
    """A call's head. ``refused``: the HTTP status of what is no call, 0 for one that is;
    ``error``: what is wrong with one; ``timeout_s``: None where no deadline is set;
    ``encoding``: of messages that are compressed; ``method``: None where there is no such.
    """

    __slots__ = ("encoding", "error", "headers", "method", "path", "refused", "timeout_s")

    def __init__(self, path: str, method: Method | None, headers: CallHeaders) -> None:
        self.path = path
        self.method = method
        self.headers = headers
        self.refused = 0
        self.error: NearwayError | None = None
        self.timeout_s: float | None = None
        self.encoding = "identity"


def read_head(
    fields: list[tuple[bytes, bytes]], size: int, bytes_max: int, methods: dict[str, Method]
) -> CallHead:
    """Of a request's fields, whose list has ``size`` bytes. What is wrong stands in the head."""
    told = [(name.decode("ascii"), value) for name, value in fields]
    reserved = {name: value.decode(errors="replace") for name, value in told if _is_ours(name)}
    try:
        headers = CallHeaders(tuple(_pair(*one) for one in told if not _is_ours(one[0])))
        error: NearwayError | None = None
    except InvalidRequest as wrong:
        headers, error = CallHeaders(()), wrong
    path = reserved[":path"]
    head = CallHead(path, methods.get(path), headers)
    head.error = error
    if reserved[":method"] != "POST":
        head.refused = 405
    elif not _is_grpc(reserved.get("content-type", "")):
        head.refused = 415
    if size > bytes_max:
        head.error = TooLarge(
            f"the metadata has {size} bytes, at most {bytes_max} are read; send less or raise "
            "server.head_bytes_max"
        )
    head.encoding = reserved.get("grpc-encoding", "identity")
    given = reserved.get("grpc-timeout")
    if given is not None:
        try:
            head.timeout_s = timeout_s(given)
        except InvalidRequest as wrong:
            head.error = head.error or wrong
    return head


def timeout_s(given: str) -> float | None:
    """Of ``grpc-timeout``: up to eight digits and a unit. Raises InvalidRequest."""
    unit_s, digits = UNIT_S.get(given[-1:]), given[:-1]
    if unit_s is None or not (digits.isascii() and digits.isdigit() and len(digits) <= 8):
        raise InvalidRequest(
            f"grpc-timeout is {given[:60]!r}, expected up to 8 digits and one of the units "
            f"{' '.join(UNIT_S)}: 100m is 100 ms"
        )
    told_s = int(digits) * unit_s
    return told_s if told_s <= YEAR_S else None


def _is_ours(name: str) -> bool:
    """A field of HTTP/2's or gRPC's own; the rest is metadata."""
    return name[0] == ":" or name.startswith("grpc-") or name in RESERVED


def _is_grpc(content_type: str) -> bool:
    rest = content_type.lower().removeprefix(MEDIA_TYPE)
    return rest != content_type.lower() and (not rest or rest[0] in "+; ")


def _pair(name: str, value: bytes) -> tuple[str, Any]:
    if not name.endswith("-bin"):
        return name, value.decode(errors="replace")
    try:
        return name, b"".join(_from_base64(one) for one in value.split(b","))
    except binascii.Error:
        raise InvalidRequest(f"metadata {name[:60]}: the value is no base64") from None


def _from_base64(given: bytes) -> bytes:
    """Padded or not, as gRPC has it."""
    plain = given.strip().rstrip(b"=")
    return binascii.a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True)
