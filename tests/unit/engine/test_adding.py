"""A file becomes a model that is served; what cannot be served leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gateway.api import ConfigError
from gateway.engine.adding import Added, add_model
from gateway.engine.check import check_repository
from gateway.engine.loaded_model import load_model
from gateway.engine.model_config import read_model_config
from gateway.engine.warm_up import read_example


def write(path: Path, model: Any) -> Path:
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def add(file: Path, name: str, to: Path) -> Added:
    return add_model(file, name, to, tensor_elements_max=1_000_000)


def test_a_file_is_laid_measured_and_described(workshop: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "net.onnx", workshop.identity("FP32", ["n", 3]))
    added = add(file, "heat", tmp_path / "models")
    assert added.folder == tmp_path / "models" / "heat"
    assert added.wrote == ("config.toml", "example.json", "card.md")
    assert (added.config.max_batch_size, added.config.latency_class) == (64, "A")
    assert added.config == read_model_config(added.folder)
    assert added.memory_bytes >= added.file_bytes > 0
    assert (added.folder / "1" / "model.onnx").read_bytes() == file.read_bytes()
    card = (added.folder / "card.md").read_text()
    assert "| `x` | FP32 | `[N, 3]` | rows of 3 numbers" in card
    model = load_model(added.folder, "1", ("1",), tensor_elements_max=1_000_000)
    assert read_example(added.folder, model.metadata.inputs)["x"].shape == (1, 3)
    assert check_repository(tmp_path / "models") == []
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["heat"]


def test_a_first_size_that_is_no_batch_is_found(workshop: Any, tmp_path: Path) -> None:
    kind = TensorProto.FLOAT
    cumulated = helper.make_model(
        helper.make_graph(
            [helper.make_node("CumSum", ["x", "axis"], ["y"])],
            "over rows",
            [helper.make_tensor_value_info("x", kind, ["steps", 2])],
            [helper.make_tensor_value_info("y", kind, ["steps", 2])],
            [helper.make_tensor("axis", TensorProto.INT64, [], [0])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    for name, model in (("fixed", workshop.identity("FP32", [2, 3])), ("series", cumulated)):
        added = add(write(tmp_path / "net.onnx", model), name, tmp_path / "models")
        assert added.config.max_batch_size == 0, name
        assert added.model.config.max_batch_size == 0


def test_the_same_name_again_is_the_next_version(workshop: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "net.onnx", workshop.identity())
    add(file, "m", tmp_path / "models")
    config = tmp_path / "models" / "m" / "config.toml"
    config.write_text('max_batch_size = 7\nlatency_class = "C"\n[versions]\nonly = [1]\n')
    again = add(file, "m", tmp_path / "models")
    assert (again.model.version, again.wrote) == ("2", ())
    assert (again.config.max_batch_size, again.config.latency_class) == (7, "C")
    assert config.read_text().startswith("max_batch_size = 7")
    assert sorted(path.name for path in again.folder.iterdir() if path.is_dir()) == ["1", "2"]


def test_a_new_version_that_does_not_fit_the_config_is_refused(
    workshop: Any, tmp_path: Path
) -> None:
    add(write(tmp_path / "a.onnx", workshop.identity()), "m", tmp_path / "models")
    fixed = write(tmp_path / "b.onnx", workshop.identity("FP32", [2, 3]))
    with pytest.raises(ConfigError, match=r"models/m/config.toml: max_batch_size = 64"):
        add(fixed, "m", tmp_path / "models")
    assert not (tmp_path / "models" / "m" / "2").exists()


def test_weights_beside_the_file_come_along(workshop: Any, tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], bytes(16), raw=True)
    model = workshop.matmul(2)
    del model.graph.initializer[:]
    model.graph.initializer.append(weights)
    onnx.save_model(
        model, str(tmp_path / "net.onnx"), save_as_external_data=True, location="w.bin",
        size_threshold=0,
    )  # fmt: skip
    added = add(tmp_path / "net.onnx", "m", tmp_path / "models")
    assert (added.folder / "1" / "w.bin").stat().st_size == 16
    [y] = added.model.run({"x": np.ones((1, 2), np.float32)}, ["y"])
    assert y.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("../m", None, "cannot be a model's name"),
        ("m", b"no model" * 9, "net.onnx"),
        ("m", b"", "is empty"),
    ],
)
def test_what_cannot_be_served_leaves_nothing(
    workshop: Any, tmp_path: Path, name: str, content: bytes | None, what: str
) -> None:
    file = write(tmp_path / "net.onnx", content if content is not None else workshop.identity())
    with pytest.raises(ConfigError, match=what):
        add(file, name, tmp_path / "models")
    assert not any((tmp_path / "models").glob("**/*"))
    with pytest.raises(ConfigError, match="no such file"):
        add(tmp_path / "absent.onnx", "m", tmp_path / "models")


def test_a_model_that_zeros_do_not_run_is_added_all_the_same(workshop: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "net.onnx", workshop.matmul(5))
    added = add(file, "m", tmp_path / "models")
    assert added.model.run_time.guess
    assert "put an example.json" in (added.folder / "card.md").read_text()
    assert added.wrote == ("config.toml", "card.md")
