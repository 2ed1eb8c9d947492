"""``generate`` and ``generate_stream`` over real sockets, in both lanes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.api import CenterDown, CenterFailed, InvalidRequest, Report
from gateway.centers.port import Answered, Chunk, Head, Relay
from gateway.serving.arrival import TextArrival
from gateway.serving.generate import GenerateReply
from gateway.wire.generate import Generated

PATH = "/v2/models/mlp"
JSON = Head(200, "application/json", None)
STREAM = Head(200, "text/event-stream; charset=utf-8", None)
EVENT = b'data: {"choices":[{"text":"%b"}]}\n\n'
ASK = {"text_input": "hi", "parameters": {"max_tokens": 3}}


async def post(client: Any, route: str, body: Any = ASK) -> Any:
    response = await client.post(f"{PATH}/{route}", json=body)
    await response.read()
    return response


def plays(client: Any, script: Any) -> None:
    for port in client.front.ports:
        port.script = script


@pytest.mark.parametrize("parts", [1, 3])
async def test_a_text_in_one_piece_however_it_comes(door: Any, parts: int) -> None:
    client = await door()
    payload = b'{"choices":[{"text":"yes"}]}'

    def script(one: Any) -> None:
        if parts == 1:
            one.answer(payload)
            return
        one.hear(JSON)
        one.hear(Chunk(payload[:9]))
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, one.hear, Chunk(payload[9:]))
        loop.call_later(0.02, one.hear, Answered(Report(0.5, 1.0), None))

    plays(client, script)
    response = await post(client, "generate", {**ASK, "id": "q"})
    assert response.status == 200
    assert await response.json() == {"text_output": "yes", "model_name": "mlp", "id": "q"}
    assert response.headers["x-nearway-center"] == "c0"
    attempt = client.front.ports[0].started[0].attempt
    assert isinstance(attempt, TextArrival)
    assert (attempt.route, attempt.model) == ("completions", "mlp")
    assert json.loads(attempt.body) == {"model": "mlp", "prompt": "hi", "max_tokens": 3}


async def test_a_version_reaches_the_center_and_comes_back(door: Any) -> None:
    client = await door()
    plays(client, lambda one: one.answer(b'{"choices":[{"text":"yes"}]}'))
    response = await post(client, "versions/2/generate")
    assert (await response.json())["model_version"] == "2"
    assert client.front.ports[0].started[0].attempt.version == "2"


async def test_a_stream_is_put_into_the_extensions_events(door: Any) -> None:
    client = await door()

    def script(one: Any) -> None:
        one.hear(STREAM)
        one.hear(Chunk(EVENT % b"a"))
        loop = asyncio.get_running_loop()
        loop.call_later(0.005, one.hear, Chunk((EVENT % b"b")[:20]))
        loop.call_later(0.010, one.hear, Chunk((EVENT % b"b")[20:] + b"data: [DONE]\n\n"))
        loop.call_later(0.015, one.hear, Answered(Report(0.5, 1.0), None))

    plays(client, script)
    response = await post(client, "generate_stream")
    assert response.status == 200
    assert response.content_type == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-cache"
    events = (await response.read()).split(b"\n\n")
    assert [json.loads(event.removeprefix(b"data: ")) for event in events if event] == [
        {"text_output": text, "model_name": "mlp"} for text in "ab"
    ]


@pytest.mark.parametrize("route", ["generate", "generate_stream"])
async def test_an_error_before_the_first_token_is_json_with_its_status(
    door: Any, route: str
) -> None:
    client = await door()
    for error, status in ((InvalidRequest("prompt is too long"), 400), (CenterDown("x"), 503)):
        plays(client, lambda one, error=error: one.fail(error))
        response = await post(client, route)
        assert response.status == status
        assert isinstance((await response.json())["error"], str)
    response = await post(client, route, {"text_input": "a", "parameters": {"top_k": 1}})
    assert response.status == 400
    assert "parameters.top_k" in (await response.json())["error"]
    assert client.front.metrics.in_flight == 0


async def test_an_error_behind_the_first_token_is_the_last_event(door: Any) -> None:
    client = await door()

    def script(one: Any) -> None:
        one.hear(STREAM)
        one.hear(Chunk(EVENT % b"a"))
        asyncio.get_running_loop().call_later(0.01, one.fail, CenterFailed("broken"))

    plays(client, script)
    told = (await (await post(client, "generate_stream")).read()).split(b"\n\n")
    assert json.loads(told[0].removeprefix(b"data: "))["text_output"] == "a"
    assert "broken" in json.loads(told[1].removeprefix(b"data: "))["error"]


@pytest.mark.parametrize("payload", [b"data: {\n\n", b"data: 5\n\n"])
async def test_a_stream_that_is_none_of_completions_breaks_off(door: Any, payload: bytes) -> None:
    client = await door()

    def script(one: Any) -> None:
        one.hear(STREAM)
        one.hear(Chunk(EVENT % b"a"))
        asyncio.get_running_loop().call_later(0.01, one.hear, Chunk(payload))

    plays(client, script)
    told = await (await post(client, "generate_stream")).read()
    assert b'"error"' in told
    assert client.front.ports[0].started[0].cancelled
    assert client.front.router.open == []


async def test_who_leaves_a_stream_stops_the_center(door: Any) -> None:
    client = await door()

    def script(one: Any) -> None:
        one.hear(STREAM)
        one.hear(Chunk(EVENT % b"a"))

    plays(client, script)
    response = await client.post(f"{PATH}/generate_stream", json=ASK)
    assert b'"a"' in await response.content.readany()
    response.close()
    (started,) = client.front.ports[0].started
    for _ in range(2000):
        if started.cancelled:
            break
        await asyncio.sleep(0.001)
    assert started.cancelled
    assert client.front.router.open == []


async def test_events_that_are_put_into_others_never_pass_by() -> None:
    ready = asyncio.get_running_loop().create_future()
    reply = GenerateReply(ready, 1000, lambda: 1.0, Generated("mlp", "", ""))
    reply.send_head(replace(STREAM, relay=Relay()), 0, None)
    assert reply.head is not None
    assert reply.head.relay is None
