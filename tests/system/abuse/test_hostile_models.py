"""Models put into the repository of a running gateway that are broken or reach for what is not
theirs: loading is refused with the reason, and what was served before is served still."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from onnx import ModelProto, TensorProto

from bench.abuse.attacks import one_good
from bench.abuse.target import MODEL, Target, serving, watching

CONFIG = """
[models]
shipped = false
dirs = ["models"]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Path]]:
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "secret").write_bytes(b"root:x:0:0:" * 100)
    with serving(folder, CONFIG) as target:
        yield target, folder / "models"


def shipped(models: Path) -> ModelProto:
    return ModelProto.FromString((models / MODEL / "1" / "model.onnx").read_bytes())


def lay(folder: Path, content: bytes) -> Path:
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(content)
    return folder


def truncated(models: Path, folder: Path) -> None:
    lay(folder, shipped(models).SerializeToString()[:-1000])


def garbage(models: Path, folder: Path) -> None:
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


def load(target: Target, name: str) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{target.url}/v2/repository/models/{name}/load",
        data=b"{}",
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


def test_each_is_refused_with_its_reason(running: tuple[Target, Path]) -> None:
    target, models = running
    with watching(target) as watch:
        for name, (make, reason) in HOSTILE.items():
            make(models, models / name)
            status, told = load(target, name)
            assert (status, reason in told) == (400, True), (name, status, told)
            assert "root:x" not in told
        assert load(target, "..%2f..%2fsecret")[0] == 404
        assert load(target, MODEL) == (200, "")
    assert watch.health.failures == []
    assert watch.growth_mb < 64
    assert watch.descriptors_left <= 0
    assert asyncio.run(one_good(target)) == "200"
