"""MessagePack at the inference door, over real sockets; what a reply waits for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from gateway.api import Report, TooLarge
from gateway.centers.port import Answered, Chunk, Head
from gateway.serving.packing import PackedReply, is_packed, wants_packed
from gateway.wire.msgpack_infer import MSGPACK

BODY = msgspec.msgpack.encode(
    {
        "inputs": [{"name": "x", "datatype": "UINT8", "shape": [2], "data": b"\x01\x02"}],
        "parameters": {"priority": 3},
    }
)
HEAD = b'{"model_name":"m","outputs":[{"name":"y","datatype":"UINT8","shape":[2],"data":[3,4]}]}'


@pytest.mark.parametrize(
    ("headers", "packed"),
    [
        ({"Content-Type": MSGPACK}, True),
        ({"Content-Type": f"{MSGPACK}; x=1", "Accept": "*/*"}, True),
        ({"Content-Type": MSGPACK, "Accept": "application/json"}, False),
        ({"Content-Type": "application/json", "Accept": MSGPACK}, True),
        ({"Content-Type": "application/json"}, False),
        ({}, False),
    ],
)
def test_who_is_answered_in_it(headers: dict[str, str], packed: bool) -> None:
    assert wants_packed(headers) is packed
    assert is_packed(headers) is headers.get("Content-Type", "").startswith(MSGPACK)


@pytest.mark.parametrize("whole", [True, False])
async def test_both_ways_and_in_parts(door: Any, whole: bool) -> None:
    def play(one: Any) -> None:
        one.hear(Head(200, "application/json", None))
        one.hear(Chunk(HEAD[:20]))
        one.hear(Chunk(HEAD[20:]))
        one.hear(Answered(Report(0.1, 0.2), None))

    client = await door()
    client.front.ports[0].script = (lambda one: one.answer(HEAD)) if whole else play
    response = await client.post(
        "/v2/models/mlp/infer", data=BODY, headers={"Content-Type": MSGPACK}
    )
    told = msgspec.msgpack.decode(await response.read())
    assert response.status == 200
    assert response.content_type == MSGPACK
    assert told["outputs"] == [
        {"name": "y", "datatype": "UINT8", "shape": [2], "data": b"\x03\x04"}
    ]
    attempt = client.front.ports[0].started[0].attempt
    assert attempt.body[attempt.head_bytes :] == b"\x01\x02"
    assert attempt.query.priority == 3
    assert json.loads(attempt.body[: attempt.head_bytes])["inputs"][0]["name"] == "x"


async def test_errors_are_json(door: Any) -> None:
    client = await door()
    response = await client.post(
        "/v2/models/mlp/infer", data=b"\x81", headers={"Content-Type": MSGPACK}
    )
    assert response.status == 400
    assert "MessagePack" in (await response.json())["error"]


async def test_an_answer_without_end_is_refused() -> None:
    reply = PackedReply(asyncio.get_running_loop().create_future(), 50)
    reply.send_head(Head(200, "application/json", None), 0, None)
    reply.send_chunk(b"x" * 40)
    assert not reply.ready.done()
    reply.send_chunk(b"x" * 40)
    assert isinstance(reply.error, TooLarge)
    assert reply.ready.done()


async def test_what_is_no_answer_stays_as_it_is() -> None:
    reply = PackedReply(asyncio.get_running_loop().create_future(), 50)
    reply.send_head(Head(503, "application/json", None), 0, None)
    reply.send_chunk(b"{}")
    headers = {"Content-Type": "application/json"}
    reply.pack(headers)
    assert (reply.chunks, headers) == ([b"{}"], {"Content-Type": "application/json"})
