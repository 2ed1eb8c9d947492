"""``GET /v2/stream`` over real sockets, in both lanes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from aiohttp import ClientConnectionError, WSMsgType, WSServerHandshakeError

PATH = "/v2/stream"


def one(name: str, **more: Any) -> str:
    return json.dumps({"model_name": "mlp", "inputs": [], "id": name, **more})


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never happened")


def pinging() -> list[str]:
    """Timers of pings that are still to come; each holds its whole connection."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    timers = [repr(timer) for timer in scheduled if not timer.cancelled()]
    return [timer for timer in timers if "_send_heartbeat" in timer]


async def test_answers_come_as_they_are_done(door: Any) -> None:
    client = await door(attempts={"hedge_share": 0.0})
    port = client.front.ports[0]
    port.script = None
    async with client.ws_connect(PATH) as stream:
        for name in "abc":
            await stream.send_str(one(name))
        await until(lambda: len(port.started) == 3)
        for started in reversed(port.started):
            started.answer()
            await asyncio.sleep(0.005)
        told = [await stream.receive_json(timeout=5) for _ in range(3)]
    assert [one["id"] for one in told] == ["c", "b", "a"]
    assert {one["status"] for one in told} == {200}
    await until(lambda: client.front.metrics.in_flight == 0)


async def test_binary_is_messagepack_and_text_is_json(door: Any) -> None:
    client = await door()
    async with client.ws_connect(PATH) as stream:
        packed = {"model_name": "mlp", "inputs": [], "id": "p"}
        await stream.send_bytes(msgspec.msgpack.encode(packed))
        message = await stream.receive(timeout=5)
        assert message.type is WSMsgType.BINARY
        told = msgspec.msgpack.decode(message.data)
        assert (told["id"], told["response"]["model_name"]) == ("p", "mlp")
        await stream.send_str(one("j"))
        message = await stream.receive(timeout=5)
        assert message.type is WSMsgType.TEXT
        assert json.loads(message.data)["id"] == "j"


async def test_one_that_is_wrong_ends_nothing(door: Any) -> None:
    client = await door()
    async with client.ws_connect(PATH) as stream:
        for wrong, words in (
            ("{", "no inference request"),
            (json.dumps({"model_name": "mlp", "inputs": []}), "id is missing"),
            (one("x", input=3), "`input`"),
        ):
            await stream.send_str(wrong)
            told = await stream.receive_json(timeout=5)
            assert told["status"] == 400
            assert words in told["error"]
        await stream.send_str(one("x"))
        assert (await stream.receive_json(timeout=5))["status"] == 200


async def test_no_more_is_read_than_may_be_under_way(door: Any) -> None:
    client = await door(server={"websocket_in_flight_max": 2}, attempts={"hedge_share": 0.0})
    port = client.front.ports[0]
    port.script = None
    async with client.ws_connect(PATH) as stream:
        for name in "abcd":
            await stream.send_str(one(name))
        await until(lambda: len(port.started) == 2)
        await asyncio.sleep(0.02)
        assert len(port.started) == 2
        port.started[0].answer()
        assert (await stream.receive_json(timeout=5))["id"] == "a"
        await until(lambda: len(port.started) >= 3)


@pytest.mark.parametrize("how", ["close", "abort", "end of file"])
async def test_who_leaves_takes_all_of_it_along(door: Any, how: str) -> None:
    client = await door(attempts={"hedge_share": 0.0})
    front = client.front
    front.ports[0].script = None
    stream = await client.ws_connect(PATH)
    for name in "abc":
        await stream.send_str(one(name))
    await until(lambda: len(front.ports[0].started) == 3)
    if how == "close":
        await stream.close()
    elif how == "abort":
        stream._response.connection.transport.abort()
    else:
        stream._response.connection.transport.close()
    await until(lambda: all(one.cancelled for one in front.ports[0].started))
    await until(lambda: front.metrics.in_flight == 0)
    assert front.router.open == []
    assert front.metrics.bodies_bytes == 0
    await until(lambda: not pinging())


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://elsewhere.example", 403),
        ("null", 403),
        ("https://ours.example", 101),
        ("HOST", 101),
        (None, 101),
    ],
)
async def test_pages_of_other_origins_may_not(door: Any, origin: str | None, status: int) -> None:
    client = await door(server={"cors_origins": ["https://ours.example"]})
    if origin == "HOST":
        origin = f"http://{client.host}:{client.port}"
    headers = {} if origin is None else {"Origin": origin}
    if status == 101:
        stream = await client.ws_connect(PATH, headers=headers)
        await stream.close()
        return
    with pytest.raises(WSServerHandshakeError) as caught:
        await client.ws_connect(PATH, headers=headers)
    assert caught.value.status == status


async def test_a_plain_request_is_told_what_to_do(door: Any) -> None:
    client = await door()
    response = await client.get(PATH)
    assert response.status == 400
    assert "ws://" in (await response.json())["error"]


async def test_a_message_over_its_bound_ends_the_stream(door: Any) -> None:
    client = await door(server={"body_bytes_max": 1000})
    async with client.ws_connect(PATH) as stream:
        await stream.send_str("x" * 2000)
        message = await stream.receive(timeout=5)
        assert message.type is WSMsgType.CLOSE
        assert message.data == 1009


async def test_an_idle_one_is_closed(door: Any) -> None:
    client = await door(server={"idle_timeout_s": 0.05})
    async with client.ws_connect(PATH) as stream:
        message = await stream.receive(timeout=5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1000)


async def test_a_client_without_pongs_is_gone(door: Any) -> None:
    client = await door(server={"websocket_ping_s": 0.05}, attempts={"hedge_share": 0.0})
    front = client.front
    front.ports[0].script = None
    stream = await client.ws_connect(PATH, autoping=False)
    await stream.send_str(one("a"))
    await until(lambda: len(front.ports[0].started) == 1)
    await until(lambda: front.ports[0].started[0].cancelled)
    await stream.close()


async def test_pings_alone_keep_it_not_open(door: Any) -> None:
    client = await door(server={"idle_timeout_s": 0.05})
    async with client.ws_connect(PATH) as stream:

        async def ping() -> None:
            while not stream.closed:
                await stream.ping()
                await asyncio.sleep(0.02)

        pinging = asyncio.ensure_future(ping())
        message = await stream.receive(timeout=5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1000)
        pinging.cancel()


async def test_each_message_goes_by_the_front_in_force(door: Any, make_front: Any) -> None:
    client = await door()
    before, after = client.front, make_front(server=client.front.settings.server)
    async with client.ws_connect(PATH) as stream:
        await stream.send_str(one("a"))
        await stream.receive_json(timeout=5)
        client.door.take(after)
        await stream.send_str(one("b"))
        assert (await stream.receive_json(timeout=5))["status"] == 200
    assert [len(front.ports[0].started) for front in (before, after)] == [1, 1]


async def test_what_is_under_way_when_it_drains_is_answered(door: Any) -> None:
    client = await door(attempts={"hedge_share": 0.0})
    port = client.front.ports[0]
    port.script = None
    async with client.ws_connect(PATH) as stream:
        await stream.send_str(one("a"))
        await until(lambda: len(port.started) == 1)
        client.front.retiring = True
        await stream.send_str(one("b"))
        await until(lambda: len(port.started) == 2)  # it was being read for already
        await stream.send_str(one("c"))
        for started in port.started:
            started.answer()
        assert {(await stream.receive_json(timeout=5))["id"] for _ in range(2)} == {"a", "b"}
        message = await stream.receive(timeout=5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    assert len(port.started) == 2


async def test_a_gateway_that_drains_closes_it(door: Any) -> None:
    client = await door()
    async with client.ws_connect(PATH) as stream:
        client.front.retiring = True
        message = await stream.receive(timeout=5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    with pytest.raises((WSServerHandshakeError, ClientConnectionError)):
        await client.ws_connect(PATH)
