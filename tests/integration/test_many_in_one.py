"""Many requests in one body and over one WebSocket, against a real gateway."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest
from gateway_models import repository
from jsonschema import Draft202012Validator

SOAK = (pytest.mark.soak, pytest.mark.timeout(900))
GROWTH_MAX_KB = 24 * 1024
MODELS = ("blast-furnace", "grid-load")
FAR = {"x-nearway-origin": "43.8,87.6"}
"""Where an answer takes tens of milliseconds: there is time to leave."""


def example(model: str) -> dict[str, Any]:
    text = (Path(str(repository())) / model / "example.json").read_text("utf-8")
    return {"model_name": model, "inputs": json.loads(text)["inputs"]}


def packed(model: str) -> dict[str, Any]:
    asked = example(model)
    for tensor in asked["inputs"]:
        tensor["data"] = np.asarray(tensor["data"], np.float32).tobytes()
    return asked


def post(url: str, path: str, body: bytes, kind: str = "application/json") -> tuple[int, bytes]:
    request = urllib.request.Request(f"{url}{path}", body, {"content-type": kind})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def sample(url: str, name: str, label: str = "") -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(s.split()[-1]) for s in lines if s.startswith(name) and label in s)


def test_a_batch_says_what_each_alone_would_have_been_told(served: Any) -> None:
    asked = [{**example(model), "id": model} for model in MODELS]
    asked.insert(1, {"model_name": "nope", "inputs": []})
    asked.append({"model_name": MODELS[0], "inputs": []})
    status, body = post(served.url, "/v2/batch", json.dumps({"requests": asked}).encode())
    told = json.loads(body)
    assert status == 200
    assert [one["status"] for one in told["responses"]] == [200, 404, 200, 400]
    with urllib.request.urlopen(f"{served.url}/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    schema = {"$ref": "#/components/schemas/batch_response", "components": document["components"]}
    Draft202012Validator(schema).validate(told)
    for one, request in zip(told["responses"], asked, strict=True):
        if one["status"] != 200:
            continue
        alone = json.dumps({"inputs": request["inputs"], "id": request["id"]}).encode()
        _, single = post(served.url, f"/v2/models/{request['model_name']}/infer", alone)
        assert one["response"] == json.loads(single)
        assert (one["id"], bool(one["center"])) == (request["id"], True)


def test_a_batch_in_messagepack(served: Any) -> None:
    body = msgspec.msgpack.encode({"requests": [packed(model) for model in MODELS]})
    status, told = post(served.url, "/v2/batch", body, "application/msgpack")
    answers = msgspec.msgpack.decode(told)["responses"]
    assert (status, [one["status"] for one in answers]) == (200, [200, 200])
    assert all(isinstance(o["data"], bytes) for a in answers for o in a["response"]["outputs"])


async def test_many_windows_over_one_websocket(served: Any) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{served.url}/v2/stream") as stream,
    ):
        for number in range(100):
            model = MODELS[number % 2]
            if number % 3:
                await stream.send_json({**example(model), "id": f"{number}"})
            else:
                window = {**packed(model), "id": f"{number}"}
                await stream.send_bytes(msgspec.msgpack.encode(window))
        seen = {}
        for _ in range(100):
            message = await stream.receive(timeout=20)
            binary = message.type is aiohttp.WSMsgType.BINARY
            told = (msgspec.msgpack if binary else msgspec.json).decode(message.data)
            assert told["status"] == 200, told
            assert binary is (int(told["id"]) % 3 == 0)
            seen[told["id"]] = told["response"]["model_name"]
    assert seen == {str(number): MODELS[number % 2] for number in range(100)}


@pytest.mark.parametrize("leavers", [20, pytest.param(10_000, marks=SOAK)])
async def test_who_leaves_a_websocket_leaves_nothing_behind(served: Any, leavers: int) -> None:
    """Each asks for several and goes after the first answer, so the others are given up."""
    url, left = served.url, 'code="499"'
    windows = [json.dumps({**example(MODELS[0]), "id": str(n)}) for n in range(4)]
    before = await asyncio.to_thread(sample, url, "nearway_requests_total", left)
    async with aiohttp.ClientSession() as session:

        async def leave(times: int) -> None:
            for _ in range(times):
                stream = await session.ws_connect(f"{url}/v2/stream", headers=FAR)
                for window in windows:
                    await stream.send_str(window)
                assert (await stream.receive_json(timeout=20))["status"] == 200
                stream._response.connection.transport.abort()  # type: ignore[union-attr]

        await asyncio.gather(*(leave(leavers // 40) for _ in range(4)))
        begun_kb = resident_kb(served)
        await asyncio.gather(*(leave(leavers // 4 - leavers // 40) for _ in range(4)))
    names = ("nearway_requests_in_flight", "nearway_bodies_bytes")
    for _ in range(200):
        held = [await asyncio.to_thread(sample, url, name) for name in names]
        if held == [0, 0]:
            break
        await asyncio.sleep(0.02)
    assert held == [0, 0]
    assert await asyncio.to_thread(sample, url, "nearway_requests_total", left) > before
    assert resident_kb(served) - begun_kb < GROWTH_MAX_KB
    body = json.dumps({"requests": [example(MODELS[0])]}).encode()
    status, told = await asyncio.to_thread(post, url, "/v2/batch", body)
    assert (status, json.loads(told)["responses"][0]["status"]) == (200, 200)


def resident_kb(served: Any) -> int:
    """Of the gateway's process; 0 where the system does not tell."""
    status = Path(f"/proc/{served.process.pid}/status")
    if not status.exists():
        return 0
    lines = status.read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])
