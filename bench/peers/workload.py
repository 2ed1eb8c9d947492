"""What is sent: the same request to every peer, as each of them can read it.

The model is a small multilayer perceptron, 64 numbers in and 8 out; its request is about 1 KB of
JSON, or a binary tensor as Triton's extension has it. Language-model routers do not forward
the Open Inference Protocol; they get a completion of the same size. Origins are drawn by
population with a fixed seed, and every peer is told them, whether it cares or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from gateway.measure.arrivals import draw_origins
from gateway.wan.places import load_cities

MODEL = "mlp"
INFER = f"/v2/models/{MODEL}/infer"
COMPLETIONS = "/v1/completions"
INPUTS, HIDDEN, OUTPUTS = 64, 64, 8
DIGITS = 9
SEED = 1
ORIGINS = 1_000
TIMEOUT_US = 5_000_000
"""The deadline in the body that asks for one: never reached, always kept."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the origins it is sent from in turn; ``within`` must stand in an answer."""

    path: str
    body: bytes
    origins: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    within: bytes = b""


def json_request(*, timeout: bool = False) -> Asked:
    """Inference in JSON, about 1 KB; with ``timeout`` a deadline stands in the body."""
    document: dict[str, object] = {"id": "peers", "inputs": [{**_tensor(), "data": _numbers()}]}
    if timeout:
        document["parameters"] = {"timeout": TIMEOUT_US}
    body = msgspec.json.encode(document)
    headers = {"Content-Type": "application/json"}
    return Asked(INFER, body, origins(), headers, b'"outputs"')


def binary_request() -> Asked:
    """The same tensor as bytes after a JSON head, the answer's too."""
    raw = np.array(_numbers(), dtype="<f4").tobytes()
    described = {**_tensor(), "parameters": {"binary_data_size": len(raw)}}
    document = {"inputs": [described], "parameters": {"binary_data_output": True}}
    head = msgspec.json.encode(document)
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return Asked(INFER, head + raw, origins(), headers, b'"outputs"')


def completion_request() -> Asked:
    """A completion of one token whose prompt makes it as large as the inference in JSON."""
    words: dict[str, object] = {"model": MODEL, "prompt": "", "max_tokens": 1}
    missing = len(json_request().body) - len(msgspec.json.encode(words))
    words["prompt"] = ("a steel coil " * missing)[:missing]
    headers = {"Content-Type": "application/json"}
    return Asked(COMPLETIONS, msgspec.json.encode(words), origins(), headers, b'"choices"')


def infer_answer() -> bytes:
    """What a server of the model would say, for those that only pretend to be one."""
    output = {"name": "y", "shape": [1, OUTPUTS], "datatype": "FP32", "data": [0.125] * OUTPUTS}
    return msgspec.json.encode(
        {"id": "peers", "model_name": MODEL, "model_version": "1", "outputs": [output]}
    )


def completion_answer() -> bytes:
    """A completion of one token."""
    choice = {"index": 0, "text": " ok", "logprobs": None, "finish_reason": "length"}
    usage = {"prompt_tokens": 200, "completion_tokens": 1, "total_tokens": 201}
    return msgspec.json.encode(
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1_700_000_000,
            "model": MODEL,
            "choices": [choice],
            "usage": usage,
        }
    )


def origins() -> tuple[str, ...]:
    """Cities by population, the same thousand every time."""
    weights = {city.name: float(city.population) for city in load_cities()}
    names = list(weights)
    return tuple(names[i] for i in draw_origins(ORIGINS, weights, SEED))


def _tensor() -> dict[str, object]:
    return {"name": "x", "shape": [1, INPUTS], "datatype": "FP32"}


def _numbers() -> list[float]:
    random = np.random.default_rng(SEED)
    return [round(float(value), DIGITS) for value in random.normal(size=INPUTS)]
