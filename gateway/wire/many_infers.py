"""Several inferences in one body or on one connection: each names its model.

The fields of one are those of the protocol's request, with ``model_name`` and ``model_version``
(as in its gRPC form). A body of many is only divided here, so that one that is wrong is refused
by itself; its tensors are read by the center alone. In JSON or in MessagePack, in and out alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.api import CenterFailed, InvalidRequest
from gateway.wire.msgpack_infer import PackedRequest, flattened, pack_answer

COUNT_MAX = 4096
"""A batch may be allowed to hold as many; MessagePack with more is not begun to be divided."""
LARGE_BYTES = 64 * 1024
"""From this size on JSON is looked at before it is divided: millions of pieces take a second."""
BRACES_EACH_MAX = 1024
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Named:
    """One of many. ``body`` and ``head_bytes``: as every door hands them on."""

    model: str
    version: str
    id: str
    body: bytes
    head_bytes: int | None


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[msgspec.Raw]


class _PackedMany(msgspec.Struct, forbid_unknown_fields=True):
    requests: Annotated[list[msgspec.Raw], Meta(max_length=COUNT_MAX)]


class _Any(msgspec.Struct, gc=False):
    """An object with whatever in it, all passed over."""


class _Counted(msgspec.Struct):
    requests: list[_Any]


class _JsonOne(msgspec.Struct, forbid_unknown_fields=True):
    model_name: str
    inputs: msgspec.Raw
    model_version: str | None = None
    id: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    outputs: msgspec.Raw = msgspec.Raw()


class _PackedOne(PackedRequest, forbid_unknown_fields=True, kw_only=True):
    model_name: str
    model_version: str | None = None


class _Id(msgspec.Struct):
    id: str | None = None


class _Error(msgspec.Struct):
    error: str


class _Answered(msgspec.Struct, omit_defaults=True):
    status: int
    response: msgspec.Raw
    center: str = ""
    id: str = ""


class _Refused(msgspec.Struct, omit_defaults=True):
    status: int
    error: str
    reason: str = ""
    id: str = ""


class _Told(msgspec.Struct):
    responses: list[msgspec.Raw]


_MANY = msgspec.json.Decoder(_Many)
_PACKED_MANY = msgspec.msgpack.Decoder(_PackedMany)
_COUNTED = msgspec.json.Decoder(_Counted)
_IDS = (msgspec.json.Decoder(_Id), msgspec.msgpack.Decoder(_Id))
_JSON_ONE = msgspec.json.Decoder(_JsonOne)
_PACKED_ONE = msgspec.msgpack.Decoder(_PackedOne)
_ERROR = msgspec.json.Decoder(_Error)
_ANY_JSON = msgspec.json.Decoder(msgspec.Raw)


def divided(body: bytes, count_max: int, *, packed: bool) -> list[msgspec.Raw]:
    """The requests of a body of many, unread. Raises InvalidRequest."""
    try:
        if packed:
            requests = _PACKED_MANY.decode(body).requests
        else:
            if len(body) >= LARGE_BYTES:
                _check_few(body, count_max)
            requests = _MANY.decode(body).requests
    except _UNREADABLE as error:
        raise InvalidRequest(f"the body is no batch of requests: {error}") from None
    if not 1 <= len(requests) <= count_max:
        raise InvalidRequest(
            f"requests: there are {len(requests)}, expected 1 to {count_max}; send several "
            "batches or raise server.batch_requests_max"
        )
    return requests


def _check_few(body: bytes, count_max: int) -> None:
    """Raises InvalidRequest, or what msgspec raises: it is objects that are to be divided."""
    braces = body.count(b"{")
    if braces > count_max * BRACES_EACH_MAX:
        raise InvalidRequest(
            f"the body has {braces} objects, expected {count_max} requests of at most "
            f"{BRACES_EACH_MAX} each"
        )
    _COUNTED.decode(body)


def id_of(body: bytes | msgspec.Raw, *, packed: bool) -> str:
    """The id of one, wrong or not; empty where none can be read."""
    try:
        return _IDS[packed].decode(body).id or ""
    except _UNREADABLE:
        return ""


def read_one(body: bytes | msgspec.Raw, *, packed: bool) -> Named:
    """One of many. Raises InvalidRequest naming the field."""
    try:
        if packed:
            asked = _PACKED_ONE.decode(body)
            plain, head_bytes = flattened(asked, packed=True)
            return Named(
                asked.model_name, asked.model_version or "", asked.id or "", plain, head_bytes
            )
        one = _JSON_ONE.decode(body)
    except _UNREADABLE as error:
        raise InvalidRequest(f"no inference request: {error}") from None
    pieces = [b'{"inputs":', one.inputs]
    if one.id is not None:
        pieces += [b',"id":', msgspec.json.encode(one.id)]
    if one.parameters:
        pieces += [b',"parameters":', one.parameters]
    if one.outputs:
        pieces += [b',"outputs":', one.outputs]
    pieces.append(b"}")
    return Named(one.model_name, one.model_version or "", one.id or "", b"".join(pieces), None)


def answered(
    payload: bytes, head_bytes: int | None, *, packed: bool, status: int, center: str, asked_id: str
) -> bytes:
    """What is told of one that a center answered with ``payload``. Raises CenterFailed."""
    if status != 200:
        return refused(status, _error_of(payload), "", asked_id, packed=packed)
    if packed:
        told = _Answered(status, msgspec.Raw(pack_answer(payload, head_bytes)), center, asked_id)
        return msgspec.msgpack.encode(told)
    if head_bytes is not None:
        raise InvalidRequest(
            "parameters.binary_data: an answer in JSON has no bytes behind it; leave it out, or "
            "send MessagePack"
        )
    try:
        response = _ANY_JSON.decode(payload)
    except _UNREADABLE as error:
        raise CenterFailed(f"the center's answer is no JSON: {error}") from None
    return msgspec.json.encode(_Answered(status, response, center, asked_id))


def refused(status: int, error: str, reason: str, asked_id: str, *, packed: bool) -> bytes:
    """What is told of one that has no answer."""
    told = _Refused(status, error.encode(errors="replace").decode(), reason, asked_id)
    return msgspec.msgpack.encode(told) if packed else msgspec.json.encode(told)


def joined(told: list[bytes], *, packed: bool) -> bytes:
    """The answer to a body of many, from what ``answered`` and ``refused`` gave."""
    whole = _Told([msgspec.Raw(one) for one in told])
    return msgspec.msgpack.encode(whole) if packed else msgspec.json.encode(whole)


def _error_of(payload: bytes) -> str:
    try:
        return _ERROR.decode(payload).error
    except _UNREADABLE:
        return "the center refused the request and did not say why"
