"""Every data type, free sizes, fp16 and int8 models and optional inputs, through the gateway.

Asked by a client that is not ours, with binary tensors and, where the type has a form in JSON, with
JSON; the answers have to be onnxruntime's, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from gateway.api import DTYPES

TYPES = {
    "BOOL": TensorProto.BOOL, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32, "UINT64": TensorProto.UINT64, "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16, "INT32": TensorProto.INT32, "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16, "FP32": TensorProto.FLOAT, "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}  # fmt: skip
FLEET = """
[[center]]
id = "here"
city = "Shanghai"
country = "CN"
lat = 31.23
lon = 121.47
emulate = "none"
"""
WIDTH = 6


def model_of(nodes: list[Any], inputs: list[Any], outputs: list[Any], *weights: Any) -> Any:
    infos = [[helper.make_tensor_value_info(*one) for one in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *infos, list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def echo(kind: int) -> Any:
    return model_of(
        [helper.make_node("Identity", ["x"], ["y"])],
        [("x", kind, ["n", "k"])],
        [("y", kind, ["n", "k"])],
    )


def half() -> Any:
    """fp16 inside and out."""
    weights = np.linspace(-1, 1, WIDTH * 3).reshape(WIDTH, 3).astype(np.float16)
    return model_of(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Tanh", ["h"], ["y"])],
        [("x", TensorProto.FLOAT16, ["n", WIDTH])],
        [("y", TensorProto.FLOAT16, ["n", 3])],
        numpy_helper.from_array(weights, "w"),
    )


def quantised() -> Any:
    """int8 weights, activations quantised as they come."""
    weights = np.arange(-9, WIDTH * 3 - 9, dtype=np.int8).reshape(WIDTH, 3)
    return model_of(
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
            helper.make_node("MatMulInteger", ["q", "w", "zero"], ["i"]),
            helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["f", "scale"], ["y"]),
        ],
        [("x", TensorProto.FLOAT, ["n", WIDTH])],
        [("y", TensorProto.FLOAT, ["n", 3])],
        numpy_helper.from_array(weights, "w"),
    )


def optional() -> Any:
    """``y = x + bias``; bias is 0.5 unless given."""
    kind = TensorProto.FLOAT
    bias = numpy_helper.from_array(np.array([0.5], np.float32), "bias")
    return model_of(
        [helper.make_node("Add", ["x", "bias"], ["y"])],
        [("x", kind, ["n", 2]), ("bias", kind, [1])],
        [("y", kind, ["n", 2])],
        bias,
    )


def values_of(datatype: str, shape: tuple[int, ...]) -> Any:
    if datatype == "BYTES":
        texts = ["", "Grüße", "x" * 300, "熱", 'a "b"', "\n"]
        return np.resize(np.array([text.encode() for text in texts], np.object_), shape)
    dtype = DTYPES[datatype]
    if dtype.kind == "b":
        return np.resize([True, False, True], shape)
    if dtype.kind == "f":
        return np.resize(np.array([0.1, -3.5, 1e4, 0.0, 6e-5], dtype), shape)
    bounds = np.iinfo(dtype)
    return np.resize(np.array([bounds.min, bounds.max, 0, 1, 7], dtype), shape)


class Served:
    def __init__(self, address: str, root: Path) -> None:
        self._client = triton.InferenceServerClient(address, network_timeout=60.0)
        self._root = root

    def ask(self, name: str, arrays: dict[str, Any], *, binary: bool) -> Any:
        inputs = []
        for key, array in arrays.items():
            datatype = next(t for t, dtype in DTYPES.items() if dtype == array.dtype)
            tensor = triton.InferInput(key, list(array.shape), datatype)
            tensor.set_data_from_numpy(array, binary_data=binary)
            inputs.append(tensor)
        outputs = [triton.InferRequestedOutput("y", binary_data=binary)]
        return self._client.infer(name, inputs, outputs=outputs).as_numpy("y")

    def expected(self, name: str, arrays: dict[str, Any]) -> Any:
        file = self._root / name / "1" / "model.onnx"
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return session.run(["y"], arrays)[0]


@pytest.fixture(scope="module")
def typed(
    start_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("typed")
    models = {f"echo-{t.lower()}": (echo(kind), "max_batch_size = 8") for t, kind in TYPES.items()}
    models["half"] = half(), "max_batch_size = 8"
    models["quantised"] = quantised(), "max_batch_size = 8"
    models["optional"] = optional(), 'max_batch_size = 8\noptional_inputs = ["bias"]'
    models["fixed"] = optional(), "max_batch_size = 8"
    for name, (model, config) in models.items():
        (root / "models" / name / "1").mkdir(parents=True)
        onnx.save(model, root / "models" / name / "1" / "model.onnx")
        (root / "models" / name / "config.toml").write_text(config)
    (root / "fleet.toml").write_text(FLEET)
    config = root / "nearway.toml"
    config.write_text(
        f'[models]\nshipped = false\ndirs = ["{root}/models"]\n'
        f'[fleet]\nfile = "{root}/fleet.toml"\n'
    )
    with start_gateway("--config", str(config)) as gateway:
        yield Served(gateway.address, root / "models")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", sorted(TYPES))
def test_every_datatype_in_every_form_and_size(typed: Served, datatype: str, binary: bool) -> None:
    for shape in ((1, 1), (2, 7), (8, 3)):
        array = values_of(datatype, shape)
        name = f"echo-{datatype.lower()}"
        if datatype == "FP16" and not binary:
            with pytest.raises(InferenceServerException):  # the protocol has no JSON form for it
                typed.ask(name, {"x": array}, binary=False)
            continue
        found = typed.ask(name, {"x": array}, binary=binary)
        assert found.shape == array.shape
        assert [*map(_plain, found.ravel())] == [*map(_plain, array.ravel())]


def _plain(item: Any) -> Any:
    return item.encode() if isinstance(item, str) else item


def test_half_and_quantised_models_answer_as_onnxruntime(typed: Served) -> None:
    draw = np.random.default_rng(1)
    for name, dtype in (("half", np.float16), ("quantised", np.float32)):
        for rows in (1, 5):
            arrays = {"x": draw.normal(size=(rows, WIDTH)).astype(dtype)}
            expected = typed.expected(name, arrays)
            np.testing.assert_array_equal(typed.ask(name, arrays, binary=True), expected)
    np.testing.assert_array_equal(typed.ask("quantised", arrays, binary=False), expected)


@pytest.mark.parametrize("binary", [True, False])
def test_an_optional_input_may_be_given_or_left_out(typed: Served, binary: bool) -> None:
    x = np.array([[1, 2]], np.float32)
    bias = np.array([3], np.float32)
    assert typed.ask("optional", {"x": x}, binary=binary).tolist() == [[1.5, 2.5]]
    assert typed.ask("optional", {"x": x, "bias": bias}, binary=binary).tolist() == [[4, 5]]
    assert typed.ask("fixed", {"x": x}, binary=binary).tolist() == [[1.5, 2.5]]
    with pytest.raises(InferenceServerException, match="no such input"):
        typed.ask("fixed", {"x": x, "bias": bias}, binary=binary)
    with pytest.raises(InferenceServerException, match=r"'x'.*missing"):
        typed.ask("optional", {"bias": bias}, binary=binary)


def test_the_config_says_which_input_is_optional(typed: Served) -> None:
    config = typed._client.get_model_config("optional")
    optional = {one["name"]: one["optional"] for one in config["input"]}
    assert optional == {"x": False, "bias": True}
    assert json.dumps(config)
