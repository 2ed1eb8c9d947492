"""At a center without an emulated network requests share runs, and no answer shows it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from gateway_models import repository

MODEL = "grid-load"
CONNECTIONS = 12
ROUNDS_MAX = 100
FLEET = """
[[center]]
id = "here"
city = "Wuhu"
country = "CN"
lat = 31.34
lon = 118.37
emulate = "none"
"""


def session_of(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def request_of(inputs: dict[str, np.ndarray]) -> bytes:
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": name,
                    "datatype": "FP32",
                    "shape": list(array.shape),
                    "parameters": {"binary_data_size": array.nbytes},
                }
                for name, array in inputs.items()
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    body = head + b"".join(array.tobytes() for array in inputs.values())
    return (
        f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: here\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n"
        f"Inference-Header-Content-Length: {len(head)}\r\n\r\n"
    ).encode() + body


async def exchange(streams: Any, message: bytes) -> np.ndarray:
    reader, writer = streams
    writer.write(message)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    assert " 200 " in lines[0]
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return np.frombuffer(body[int(headers["inference-header-content-length"]) :], np.float32)


def counts(gateway: Any) -> tuple[int, int]:
    with urllib.request.urlopen(f"{gateway.url}/v2/models/{MODEL}/stats", timeout=10) as answer:
        [stats] = json.load(answer)["model_stats"]
    return stats["inference_count"], stats["execution_count"]


async def ask_until_shared(gateway: Any, messages: list[bytes], expected: list[Any]) -> None:
    host, port = gateway.address.split(":")
    streams = [await asyncio.open_connection(host, int(port)) for _ in messages]
    try:
        for _ in range(ROUNDS_MAX):
            found = await asyncio.gather(*map(exchange, streams, messages))
            for mine, right in zip(found, expected, strict=True):
                assert mine.tobytes() == right.tobytes()
            examples, runs = await asyncio.to_thread(counts, gateway)
            if runs < examples:
                return
    finally:
        for _, writer in streams:
            writer.close()
    raise AssertionError(f"no run was shared in {ROUNDS_MAX} rounds of {CONNECTIONS} requests")


def test_requests_that_arrive_together_are_answered_as_alone(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    session = session_of(repository() / MODEL / "1" / "model.onnx")
    draw = np.random.default_rng(3)
    messages, expected = [], []
    for _ in range(CONNECTIONS):
        inputs = {
            spec.name: draw.random(
                [size if isinstance(size, int) else 1 for size in spec.shape], dtype=np.float32
            )
            for spec in session.get_inputs()
        }
        messages.append(request_of(inputs))
        expected.append(session.run(None, inputs)[0])
    (tmp_path / "fleet.toml").write_text(FLEET, encoding="utf-8")
    with start_gateway("--fleet", str(tmp_path / "fleet.toml")) as gateway:
        asyncio.run(ask_until_shared(gateway, messages, expected))
