"""What the gateway answers is what onnxruntime answers: bit for bit, for the same batch."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import onnx
import onnxruntime
import pytest
from gateway_models import repository
from onnx import TensorProto, helper

DTYPES = {"FP32": np.float32, "FP16": np.float16, "INT64": np.int64, "INT32": np.int32}
DTYPES |= {"UINT8": np.uint8, "BOOL": np.bool_}
DATATYPES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
MODELS = sorted(p.parent.parent.name for p in repository().glob("*/1/model.onnx"))


def plain(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def random_inputs(session: Any, batch: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(batch)
    return {
        spec.name: draw.random(
            [d if isinstance(d, int) else batch for d in spec.shape], dtype=np.float32
        )
        for spec in session.get_inputs()
    }


def example_inputs(model: str, batch: int) -> dict[str, np.ndarray]:
    """The shipped example, a little different in each row."""
    text = (repository() / model / "example.json").read_text("utf-8")
    inputs = {}
    for tensor in json.loads(text)["inputs"]:
        dtype = DTYPES[tensor["datatype"]]
        row = np.array(tensor["data"], dtype).reshape(tensor["shape"])
        rows = [row if row.dtype.kind != "f" else row * dtype(1 - 0.01 * n) for n in range(batch)]
        inputs[tensor["name"]] = np.concatenate(rows)
    return inputs


def infer_binary(url: str, model: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The protocol's binary form, written here by hand: no client of ours is involved."""
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": name,
                    "datatype": DATATYPES[array.dtype],
                    "shape": list(array.shape),
                    "parameters": {"binary_data_size": array.nbytes},
                }
                for name, array in inputs.items()
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    request = urllib.request.Request(
        f"{url}/v2/models/{model}/infer",
        data=head + b"".join(a.tobytes() for a in inputs.values()),
        headers={
            "inference-header-content-length": str(len(head)),
            "content-type": "application/octet-stream",
            "x-nearway-origin": "Wuhu",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        length = int(answer.headers["inference-header-content-length"])
        body = answer.read()
    document, at = json.loads(body[:length]), length
    arrays = {}
    for output in document["outputs"]:
        size = output["parameters"]["binary_data_size"]
        dtype = DTYPES[output["datatype"]]
        arrays[output["name"]] = np.frombuffer(body[at : at + size], dtype).reshape(output["shape"])
        at += size
    assert at == len(body)
    return arrays


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("model", MODELS)
def test_shipped_models(served: Any, model: str, batch: int) -> None:
    session = plain(repository() / model / "1" / "model.onnx")
    inputs = example_inputs(model, batch)
    expected = dict(
        zip((o.name for o in session.get_outputs()), session.run(None, inputs), strict=True)
    )
    found = infer_binary(served.url, model, inputs)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(found[name], array), name


def test_in_messagepack_too(served: Any) -> None:
    inputs = example_inputs("grid-load", 2)
    tensors = [
        {
            "name": name,
            "datatype": DATATYPES[array.dtype],
            "shape": list(array.shape),
            "data": array.tobytes(),
        }
        for name, array in inputs.items()
    ]
    request = urllib.request.Request(
        f"{served.url}/v2/models/grid-load/infer",
        data=msgpack.packb({"inputs": tensors, "id": "7"}),
        headers={"content-type": "application/msgpack", "x-nearway-origin": "Wuhu"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["content-type"] == "application/msgpack"
        document = msgpack.unpackb(answer.read())
    assert (document["model_name"], document["id"]) == ("grid-load", "7")
    expected = infer_binary(served.url, "grid-load", inputs)
    found = {output["name"]: output["data"] for output in document["outputs"]}
    assert found == {name: array.tobytes() for name, array in expected.items()}


def test_a_model_the_gateway_has_never_seen(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    """Dropped into a folder, with no config: served at the core centers."""
    path = tmp_path / "never-seen" / "7" / "model.onnx"
    path.parent.mkdir(parents=True)
    weights = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node("Tanh", ["h"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    inputs = random_inputs(plain(path), 3)
    with start_gateway("--models", str(tmp_path)) as gateway:
        found = infer_binary(gateway.url, "never-seen", inputs)
        assert np.array_equal(found["y"], plain(path).run(None, inputs)[0])
