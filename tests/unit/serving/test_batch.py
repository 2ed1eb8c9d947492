"""``POST /v2/batch`` over real sockets, in both lanes."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import msgspec
import pytest

from gateway.api import CenterFailed

JSON = {"Content-Type": "application/json"}
MSGPACK = {"Content-Type": "application/msgpack"}
ONE = {"model_name": "mlp", "inputs": []}


async def ask(client: Any, requests: list[Any], **headers: str) -> list[dict[str, Any]]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.post(
        "/v2/batch", data=json.dumps({"requests": requests}), headers={**JSON, **names}
    )
    assert response.status == 200, await response.text()
    assert response.headers["x-request-id"]
    return list((await response.json())["responses"])


async def test_answers_come_in_order_with_a_status_each(door: Any) -> None:
    client = await door()

    def last_first(one: Any) -> None:
        if one.attempt.request_id.endswith("-0"):
            asyncio.get_running_loop().call_later(0.02, one.answer)
        elif one.attempt.request_id.endswith("-2"):
            one.fail(CenterFailed("broken"))
        else:
            one.answer()

    for port in client.front.ports:
        port.script = last_first
    told = await ask(
        client,
        [
            {**ONE, "id": "slow"},
            {"model_name": "mlp", "inputs": [], "input": 1},
            {**ONE, "id": "fails"},
            {**ONE, "model_version": "3"},
        ],
        x_request_id="b",
    )
    assert [one["status"] for one in told] == [200, 400, 503, 200]
    assert [one.get("id") for one in told] == ["slow", None, "fails", None]
    assert "`input`" in told[1]["error"]
    assert told[0]["response"]["model_name"] == "mlp"
    versions = [one.attempt.version for one in client.front.ports[0].started]
    assert versions == ["", "", "3"]
    assert client.front.metrics.in_flight == 0
    assert client.front.metrics.bodies_bytes == 0


async def test_messagepack_in_and_out(door: Any) -> None:
    client = await door()
    body = msgspec.msgpack.encode({"requests": [ONE, {"model_name": "nope", "inputs": [1]}]})
    response = await client.post("/v2/batch", data=gzip.compress(body), headers={
        **MSGPACK, "Content-Encoding": "gzip"})  # fmt: skip
    first, second = msgspec.msgpack.decode(await response.read())["responses"]
    assert response.content_type == "application/msgpack"
    assert first["response"] == {"model_name": "mlp", "outputs": []}
    assert second["status"] == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "requests"),
        (b'{"requests":[]}', "expected 1 to 2"),
        (b'{"requests":[{},{},{}]}', "server.batch_requests_max"),
        (b'{"requests":[{}],"x":1}', "`x`"),
        (b"[", "no batch"),
    ],
)
async def test_a_whole_that_is_wrong_is_refused_at_once(door: Any, body: bytes, words: str) -> None:
    client = await door(server={"batch_requests_max": 2})
    response = await client.post("/v2/batch", data=body, headers=JSON)
    assert response.status == 400
    assert words in (await response.json())["error"]
    assert client.front.metrics.in_flight == 0


async def test_the_whole_has_one_deadline(door: Any) -> None:
    client = await door()
    for port in client.front.ports:
        port.script = lambda one: (
            one.answer() if one.attempt.request_id.endswith("-0") else None  # the other is silent
        )
    told = await ask(client, [ONE, ONE], x_request_timeout_ms="50")
    assert [one["status"] for one in told] == [200, 504]


async def test_answers_together_are_bounded(door: Any) -> None:
    client = await door(remote={"answer_bytes_max": 200})
    told = await ask(client, [ONE] * 4)
    assert told[0]["status"] == 200
    assert told[-1]["status"] == 413
    assert "remote.answer_bytes_max" in told[-1]["error"]


async def test_who_leaves_takes_all_of_it_along(door: Any) -> None:
    client = await door(attempts={"hedge_share": 0.0})
    port = client.front.ports[0]
    port.script = None
    asking = asyncio.ensure_future(ask(client, [ONE] * 3))
    while len(port.started) < 3:
        await asyncio.sleep(0.001)
    asking.cancel()
    for _ in range(1000):
        if all(one.cancelled for one in port.started):
            break
        await asyncio.sleep(0.001)
    assert all(one.cancelled for one in port.started)
    assert client.front.router.open == []
