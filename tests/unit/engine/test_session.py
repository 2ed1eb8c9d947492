"""What a file says of its tensors is found; what cannot be served is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from gateway.api import DTYPES, ConfigError, TensorSpec
from gateway.engine.model_config import Session
from gateway.engine.session import open_file, plain, session_options


@pytest.mark.parametrize("datatype", sorted(DTYPES))
def test_every_datatype_is_discovered(workshop: Any, datatype: str) -> None:
    folder = workshop.write("m", workshop.identity(datatype, ["n", 3, "m"]))
    opened = open_file(folder / "1" / "model.onnx")
    assert opened.inputs == (TensorSpec("x", datatype, (-1, 3, -1)),)
    assert opened.outputs == (TensorSpec("y", datatype, (-1, 3, -1)),)
    assert opened.free_names == {"x": ("n", None, "m")}


def test_fixed_and_nameless_dimensions(workshop: Any) -> None:
    model = workshop.identity("FP32", [2, 3])
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    folder = workshop.write("m", model)
    opened = open_file(folder / "1" / "model.onnx")
    assert opened.inputs[0].shape == (-1, 3)
    assert opened.outputs[0].shape == (2, 3)


def test_it_runs(workshop: Any) -> None:
    folder = workshop.write("m", workshop.add())
    opened = open_file(folder / "1" / "model.onnx")
    one = np.ones(2, np.float32)
    [answer] = opened.run(["y"], {"a": one, "b": one}, None)
    assert answer.tolist() == [2, 2]


@pytest.mark.parametrize("content", [b"", b"no model" * 20])
def test_a_file_that_is_no_model(workshop: Any, content: bytes) -> None:
    path = workshop.write("m", content) / "1" / "model.onnx"
    with pytest.raises(ConfigError, match="onnxruntime cannot open it") as caught:
        open_file(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        open_file(tmp_path / "model.onnx")


def test_missing_external_data_is_said(workshop: Any) -> None:
    path = workshop.external(workshop.root / "m" / "1")
    with pytest.raises(ConfigError, match="External data"):
        open_file(path)


def test_bf16_is_refused_by_tensor(workshop: Any) -> None:
    path = workshop.write("m", workshop.identity("BF16")) / "1" / "model.onnx"
    with pytest.raises(ConfigError, match=r"input 'x' is tensor\(bfloat16\)"):
        open_file(path)


def test_a_sequence_is_refused_by_tensor(workshop: Any) -> None:
    model = workshop.identity()
    node = helper.make_node("SequenceConstruct", ["x"], ["s"])
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    model.graph.node.append(node)
    model.graph.output.append(sequence)
    path = workshop.write("m", model) / "1" / "model.onnx"
    with pytest.raises(ConfigError, match=r"output 's' is seq\(tensor\(float\)\)"):
        open_file(path)


def test_plain() -> None:
    text = "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid\n dimensions : x"
    assert plain(ValueError(text)) == "Got invalid dimensions : x"
    assert plain(ValueError("Status: /onnxruntime_src/core/x.h:97 bad")) == "Status: bad"
    assert len(plain(ValueError("x" * 1000))) == 300


def test_errors_are_not_logged(workshop: Any, capfd: pytest.CaptureFixture[str]) -> None:
    opened = open_file(workshop.write("m", workshop.add()) / "1" / "model.onnx")
    inputs = {"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)}
    with pytest.raises(Exception, match="broadcast"):
        opened.run(["y"], inputs, None)
    assert capfd.readouterr().err == ""


def test_options_of_a_session_are_those_of_the_config() -> None:
    options = session_options(
        Session(threads=3, graph_level="basic", arena=False, memory_pattern=False)
    )
    assert options.intra_op_num_threads == 3
    assert options.graph_optimization_level.name == "ORT_ENABLE_BASIC"
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    usual = session_options()
    assert (usual.intra_op_num_threads, usual.enable_cpu_mem_arena) == (1, True)
    assert usual.graph_optimization_level.name == "ORT_ENABLE_ALL"


@pytest.mark.parametrize("level", ["off", "basic", "extended", "all"])
def test_a_model_answers_the_same_with_any_options(workshop: Any, level: Any) -> None:
    path = workshop.write("m", workshop.add()) / "1" / "model.onnx"
    how = Session(threads=2, graph_level=level, arena=False, providers=("CPUExecutionProvider",))
    one = np.ones(2, np.float32)
    [answer] = open_file(path, how).run(["y"], {"a": one, "b": one}, None)
    assert answer.tolist() == [2, 2]


def test_a_provider_or_a_library_that_is_not_there_is_named(workshop: Any) -> None:
    path = workshop.write("m", workshop.add()) / "1" / "model.onnx"
    with pytest.raises(ConfigError, match=r"'NpuExecutionProvider'.*CPUExecutionProvider"):
        open_file(path, Session(providers=("NpuExecutionProvider",)))
    with pytest.raises(ConfigError, match=r"models.custom_ops: /nowhere/ops.so: cannot be loaded"):
        open_file(path, custom_ops=("/nowhere/ops.so",))


def with_value(workshop: Any) -> Path:
    """``y = a + b`` where the file has a value for b."""
    model = workshop.add()
    model.graph.initializer.append(helper.make_tensor("b", TensorProto.FLOAT, [1], [0.5]))
    folder: Path = workshop.write("m", model)
    return folder / "1" / "model.onnx"


def test_inputs_that_have_a_value_are_offered_only_where_named(workshop: Any) -> None:
    path = with_value(workshop)
    assert [spec.name for spec in open_file(path).inputs] == ["a"]
    opened = open_file(path, optional_inputs=("b",))
    assert [(spec.name, spec.optional) for spec in opened.inputs] == [("a", False), ("b", True)]
    one = np.ones(1, np.float32)
    assert opened.run(["y"], {"a": one}, None)[0].tolist() == [1.5]
    assert opened.run(["y"], {"a": one, "b": one}, None)[0].tolist() == [2.0]
    with pytest.raises(ConfigError, match=r"optional_inputs.*'c'.*have a value: b"):
        open_file(path, optional_inputs=("c",))
