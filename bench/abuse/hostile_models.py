"""Models that are broken or reach for what is not theirs, as folders of a repository.

Each is made from the shipped one and laid beside it. Loading it must be refused with a reason that
has these words; what a link or a path of it leads to must not be told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from onnx import ModelProto, TensorProto

from bench.abuse.target import MODEL

SECRET = b"root:x:0:0:" * 100
"""What the file ``secret`` beside the repository holds."""


def shipped(models: Path) -> ModelProto:
    model = ModelProto()
    model.ParseFromString((models / MODEL / "1" / "model.onnx").read_bytes())
    return model


def lay(folder: Path, content: bytes) -> Path:
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(content)
    return folder


def truncated(models: Path, folder: Path) -> None:
    lay(folder, shipped(models).SerializeToString()[:-1000])


def garbage(_models: Path, folder: Path) -> None:
    lay(folder, os.urandom(100_000))


def from_the_future(models: Path, folder: Path) -> None:
    model = shipped(models)
    model.opset_import[0].version = 999
    lay(folder, model.SerializeToString())


def of_others(models: Path, folder: Path) -> None:
    model = shipped(models)
    model.graph.node[0].domain = "evil.ops"
    model.opset_import.add(domain="evil.ops", version=1)
    lay(folder, model.SerializeToString())


def weights_at(location: str) -> Callable[[Path, Path], None]:
    def climbing(models: Path, folder: Path) -> None:
        model = shipped(models)
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        lay(folder, model.SerializeToString())
        (folder / "1" / "linked").symlink_to(models.parent / "secret")

    return climbing


def linked_out(models: Path, folder: Path) -> None:
    (models.parent / "outside.onnx").write_bytes(shipped(models).SerializeToString())
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").symlink_to(models.parent / "outside.onnx")


def labels_at(config: str) -> Callable[[Path, Path], None]:
    def labelled(models: Path, folder: Path) -> None:
        lay(folder, shipped(models).SerializeToString())
        (folder / "config.toml").write_text(config)
        (folder / "linked").symlink_to(models.parent / "secret")

    return labelled


HOSTILE: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "truncated": (truncated, "not whole"),
    "garbage": (garbage, "no ONNX model"),
    "future": (from_the_future, "opset"),
    "others": (of_others, "evil.ops"),
    "climbs": (weights_at("../../../secret"), "leads out"),
    "absolute": (weights_at("/etc/passwd"), "absolute"),
    "links": (weights_at("linked"), "leads out"),
    "linked-out": (linked_out, "leads out"),
    "labels-climb": (labels_at('[labels]\nstate = "../../secret"'), "the model's own folder"),
    "labels-absolute": (labels_at('[labels]\nstate = "/etc/passwd"'), "the model's own folder"),
    "labels-link": (labels_at('[labels]\nstate = "linked"'), "leads out"),
    "config-deep": (labels_at("a = " + "[" * 50_000), "nested too deep"),
}
