"""Many requests in one body: divided, read one by one, and what is told of each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway.api import CenterFailed, InvalidRequest
from gateway.wire.many_infers import answered, divided, id_of, joined, read_one, refused

ONE = {"model_name": "m", "inputs": [{"name": "x", "datatype": "INT8", "shape": [1], "data": [1]}]}
PACKED = {**ONE, "inputs": [{**ONE["inputs"][0], "data": b"\x01"}]}  # type: ignore[dict-item]
encode: dict[bool, Callable[[Any], bytes]] = {
    False: msgspec.json.encode,
    True: msgspec.msgpack.encode,
}
decode: dict[bool, Callable[[bytes], Any]] = {
    False: msgspec.json.decode,
    True: msgspec.msgpack.decode,
}


@pytest.mark.parametrize("packed", [False, True])
def test_one_that_is_wrong_leaves_the_others(packed: bool) -> None:
    right = PACKED if packed else ONE
    body = encode[packed]({"requests": [right, {"model_name": 5, "id": "b"}, right]})
    first, second, third = divided(body, 3, packed=packed)
    assert read_one(first, packed=packed) == read_one(third, packed=packed)
    with pytest.raises(InvalidRequest, match="model_name"):
        read_one(second, packed=packed)
    assert id_of(second, packed=packed) == "b"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("count", [0, 4])
def test_the_count_is_bounded(packed: bool, count: int) -> None:
    body = encode[packed]({"requests": [ONE if not packed else PACKED] * count})
    with pytest.raises(InvalidRequest, match="expected 1 to 3"):
        divided(body, 3, packed=packed)


@pytest.mark.parametrize(
    "body",
    [
        b'{"requests":[' + b"1," * 2_000_000 + b"1]}",
        b'{"requests":[' + b"{}," * 2_000_000 + b"{}]}",
        msgspec.msgpack.encode({"requests": [1] * 2_000_000}),
    ],
    ids=["numbers", "objects", "MessagePack"],
)
def test_what_is_too_many_costs_less_than_dividing_it(body: bytes) -> None:
    packed = not body.startswith(b"{")
    with pytest.raises(InvalidRequest):
        divided(body, 64, packed=packed)
    began_s = time.perf_counter()
    with pytest.raises(InvalidRequest):
        divided(body, 64, packed=packed)
    looked_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    decode[packed](body)
    assert looked_s < time.perf_counter() - began_s


def test_json_becomes_the_protocols_request_and_nothing_more() -> None:
    told = {**ONE, "model_version": "2", "id": "a", "parameters": {"p": 1}, "outputs": []}
    named = read_one(msgspec.json.encode(told), packed=False)
    assert (named.model, named.version, named.id, named.head_bytes) == ("m", "2", "a", None)
    assert json.loads(named.body) == {
        "inputs": ONE["inputs"],
        "id": "a",
        "parameters": {"p": 1},
        "outputs": [],
    }


def test_messagepack_becomes_a_head_with_bytes_behind_it() -> None:
    named = read_one(msgspec.msgpack.encode(PACKED), packed=True)
    assert named.head_bytes is not None
    assert named.body[named.head_bytes :] == b"\x01"


@pytest.mark.parametrize("packed", [False, True])
def test_an_unknown_field_is_named(packed: bool) -> None:
    with pytest.raises(InvalidRequest, match="`model`"):
        read_one(encode[packed]({**(PACKED if packed else ONE), "model": "m"}), packed=packed)


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_told(packed: bool) -> None:
    payload = b'{"model_name":"m","outputs":[]}'
    told = [
        answered(payload, None, packed=packed, status=200, center="c0", asked_id="a"),
        answered(b'{"error":"no"}', None, packed=packed, status=404, center="c0", asked_id=""),
        answered(b"<html>", None, packed=packed, status=502, center="c0", asked_id=""),
        refused(503, "none", "no_center", "b", packed=packed),
    ]
    assert decode[packed](joined(told, packed=packed)) == {
        "responses": [
            {
                "status": 200,
                "id": "a",
                "center": "c0",
                "response": {"model_name": "m", "outputs": []},
            },
            {"status": 404, "error": "no"},
            {"status": 502, "error": "the center refused the request and did not say why"},
            {"status": 503, "error": "none", "reason": "no_center", "id": "b"},
        ]
    }


def test_what_cannot_stand_in_json_does_not_break_the_rest() -> None:
    with pytest.raises(CenterFailed, match="no JSON"):
        answered(b'{"a":', None, packed=False, status=200, center="c", asked_id="")
    with pytest.raises(InvalidRequest, match="MessagePack"):
        answered(b"{}\x00", 2, packed=False, status=200, center="c", asked_id="")
