"""Model files that are broken, or reach for what is not theirs; real ones pass."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gateway_models
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gateway.api import ConfigError
from gateway.engine import model_file
from gateway.engine.loaded_model import load_model
from gateway.engine.model_file import check_model_file, external_tensors

WEIGHTS = np.arange(4, dtype=np.float32)


def make_model(weights: Any = None, *, opset: int = 17, op: str = "Add", domain: str = "") -> bytes:
    weights = numpy_helper.from_array(WEIGHTS, "w") if weights is None else weights
    node = helper.make_node(op, ["x", "w"], ["y"], domain=domain)
    wires = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([node], "g", wires[:1], wires[1:], [weights])
    opsets = [helper.make_opsetid("", opset)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    return bytes(model.SerializeToString())


def elsewhere(location: str, **more: object) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


@pytest.fixture
def lay(tmp_path: Path) -> Callable[[bytes], tuple[Path, Path]]:
    """A model's folder with this file, and a secret beside it."""
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())

    def laid(content: bytes) -> tuple[Path, Path]:
        folder = tmp_path / "model"
        (folder / "1").mkdir(parents=True, exist_ok=True)
        path = folder / "1" / "model.onnx"
        path.write_bytes(content)
        (folder / "1" / "weights").write_bytes(WEIGHTS.tobytes())
        return folder, path

    return laid


def load(folder: Path) -> Any:
    return load_model(folder, "1", ("1",), tensor_elements_max=1000)


def test_weights_beside_the_model_are_served(lay: Any) -> None:
    folder, _ = lay(make_model(elsewhere("weights", offset=0, length=16)))
    (told,) = load(folder).run({"x": np.zeros(4, np.float32)}, ["y"])
    assert told.tolist() == WEIGHTS.tolist()


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"location": "../../secret"}, "leads out"),
        ({"location": "../" * 30 + "etc/passwd"}, "leads out"),
        ({"location": "../../absent"}, "leads out"),
        ({"location": "link"}, "leads out"),
        ({"location": "/etc/passwd"}, "absolute"),
        ({"location": "/dev/zero", "length": 16}, "absolute"),
        ({"location": "."}, "plain file"),
        ({"location": "absent"}, "not there"),
        ({"location": ""}, "expected a path"),
        ({"location": "*/_ORT_MEM_ADDR_/*", "offset": 140_000_000}, "expected a path"),
        ({"location": "a\0b"}, "expected a path"),
        ({"location": "weights", "offset": 8, "length": 16}, "has 16"),
        ({"location": "weights", "offset": 2**62, "length": 2**62}, "has 16"),
        ({"location": "weights", "offset": -16}, "number of bytes"),
        ({"location": "weights", "length": "1e3"}, "number of bytes"),
    ],
)
@pytest.mark.parametrize("where", ["graph", "attribute", "function", "branch", "sparse"])
def test_weights_elsewhere_are_refused_wherever_they_hang(
    lay: Any, said: dict[str, Any], wrong: str, where: str
) -> None:
    folder, path = lay(hung(elsewhere(**said), where))
    (folder / "1" / "link").symlink_to(folder.parent / "secret")
    with pytest.raises(ConfigError, match=wrong) as caught:
        check_model_file(folder, path)
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigError, match=wrong):
        load(folder)


def hung(tensor: TensorProto, where: str) -> bytes:
    """A model that has the tensor somewhere."""
    if where == "graph":
        return make_model(tensor)
    model = onnx.ModelProto.FromString(make_model())
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    if where == "attribute":
        model.graph.node.append(constant)
    elif where == "function":
        model.functions.add(name="f", domain="d").node.append(constant)
    elif where == "branch":
        branch = model.graph.node.add(op_type="If").attribute.add(name="then_branch")
        branch.type = onnx.AttributeProto.GRAPH
        branch.g.initializer.append(tensor)
    else:
        model.graph.sparse_initializer.add().indices.CopyFrom(tensor)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "is empty"),
        (b"<html><body>404</body></html>" * 50, "no ONNX model"),
        (b"version https://git-lfs.github.com/spec/v1\n", "no ONNX model"),
        (make_model()[:-20], "not whole"),
        (make_model()[:60], "not whole"),
        (b"\xff" * 100, "64 bits"),
        (b"\x08", "within a number"),
        (b"\x3a\xff\xff\xff\xff\x0f", "within a field"),
        (b"\x3d\x01", "within a field"),
        (make_model(opset=99), "[Oo]pset"),
        (make_model(op="Nope"), "Nope"),
        (make_model(domain="of.others", op="Theirs"), "of.others"),
        (make_model(TensorProto(name="w", data_type=1, dims=[2**40, 4])), "onnxruntime"),
        (make_model(TensorProto(name="w", data_type=1, dims=[2**62, 2**62])), "onnxruntime"),
        (make_model(TensorProto(name="w", data_type=1, dims=[-4], raw_data=b"123")), "onnxruntime"),
    ],
)
def test_what_cannot_be_run_is_refused(lay: Any, content: bytes, wrong: str) -> None:
    folder, path = lay(content)
    with pytest.raises(ConfigError, match=wrong) as caught:
        load(folder)
    assert str(path) in str(caught.value)


def test_a_file_that_is_a_link_out_a_pipe_or_too_large(
    lay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, path = lay(make_model())
    monkeypatch.setattr(model_file, "FILE_BYTES_MAX", 10)
    with pytest.raises(ConfigError, match="at most 10"):
        check_model_file(folder, path)
    other = folder.parent / "other.onnx"
    path.rename(other)
    path.symlink_to(other)
    with pytest.raises(ConfigError, match="leads out"):
        load(folder)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="plain file"):
        load(folder)
    path.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        load(folder)


def test_a_version_that_is_a_link_out_is_refused(lay: Any) -> None:
    folder, _ = lay(make_model())
    (folder / "1").rename(folder.parent / "elsewhere")
    (folder / "1").symlink_to(folder.parent / "elsewhere")
    with pytest.raises(ConfigError, match="leads out"):
        load(folder)


def test_the_walk_is_bounded(lay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = b"\x0a\x00"
    for _ in range(300):  # graph in attribute in node in graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            size = len(nested)
            nested = tag + bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + nested
    size = len(nested)
    head = b"\x3a" + bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    folder, path = lay(head + nested)
    with pytest.raises(ConfigError, match="nested deeper"):
        check_model_file(folder, path)
    monkeypatch.setattr(model_file, "FIELDS_MAX", 50)
    folder, path = lay(b"\x08\x01" * 51)
    with pytest.raises(ConfigError, match="more than 50 fields"):
        check_model_file(folder, path)


def test_any_damage_is_refused_or_harmless(lay: Any) -> None:
    """Neither the walk nor onnxruntime fails in any other way than with a ConfigError."""
    whole, chance, refused = make_model(), random.Random(7), 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        folder, _ = lay(bytes(damaged[: chance.choice([len(damaged), chance.randrange(1, 200)])]))
        try:
            load(folder)
        except ConfigError:
            refused += 1
    assert refused > 75


def test_the_shipped_models_pass() -> None:
    root = Path(gateway_models.__file__).parent
    paths = sorted(root.glob("*/*/model.onnx"))
    assert paths
    for path in paths:
        check_model_file(path.parents[1], path)
        assert list(external_tensors(path, path.read_bytes(), path.stat().st_size)) == []


def test_operators_of_strangers_are_refused_by_name_unless_allowed(lay: Any) -> None:
    folder, path = lay(make_model(op="Shout", domain="ai.stranger"))
    with pytest.raises(ConfigError, match=r"ai.stranger.Shout.*models.custom_ops"):
        check_model_file(folder, path)
    check_model_file(folder, path, custom_ops=True)


def test_operators_of_strangers_are_found_in_branches_and_functions(lay: Any) -> None:
    inner = helper.make_graph(
        [helper.make_node("Shout", [], ["z"], domain="ai.stranger")],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [4])],
    )
    branch = onnx.load_from_string(make_model())
    branch.graph.node.append(
        helper.make_node("If", ["c"], ["q"], then_branch=inner, else_branch=inner)
    )
    opsets = [helper.make_opsetid("", 17)]
    function = onnx.load_from_string(make_model())
    node = helper.make_node("Shout", ["a"], ["b"], domain="ai.stranger")
    function.functions.append(helper.make_function("own", "F", ["a"], ["b"], [node], opsets))
    for model in (branch, function):
        folder, path = lay(model.SerializeToString())
        with pytest.raises(ConfigError, match=r"ai.stranger.Shout"):
            check_model_file(folder, path)


def test_a_function_the_file_brings_and_operators_of_onnxruntime_are_served(lay: Any) -> None:
    opsets = [helper.make_opsetid("", 17)]
    model = onnx.load_from_string(make_model(op="Twice", domain="own"))
    node = helper.make_node("Add", ["a", "b"], ["c"])
    model.functions.append(helper.make_function("own", "Twice", ["a", "b"], ["c"], [node], opsets))
    folder, path = lay(model.SerializeToString())
    check_model_file(folder, path)
    loaded = load_model(folder, "1", ("1",), tensor_elements_max=100)
    [answer] = loaded.run({"x": WEIGHTS}, ["y"])
    assert answer.tolist() == (2 * WEIGHTS).tolist()
    folder, path = lay(make_model(op="BiasGelu", domain="com.microsoft"))
    check_model_file(folder, path)
    load_model(folder, "1", ("1",), tensor_elements_max=100)
