"""The shipped models keep their contract, and still beat the naive guess on fresh samples."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

MODELS = Path(__file__).resolve().parents[3] / "models"
FRESH_SEED = 777_001
COUNT = 300

Shapes = dict[str, list[str | int]]
CONTRACT: dict[str, tuple[Shapes, Shapes]] = {
    "blast-furnace": (
        {"window": ["batch", 24, 12]},
        {
            "temperature_c": ["batch", 1],
            "silicon_pct": ["batch", 1],
            "state": ["batch", 3],
        },
    ),
    "rail-inspection": (
        {"image": ["batch", 1, 128, 128], "station": ["batch", 6]},
        {"fault": ["batch", 54]},
    ),
    "grid-load": (
        {"load_mw": ["batch", 168], "forecast": ["batch", 24, 3]},
        {"load_mw_next": ["batch", 24]},
    ),
}
PROBABILITIES = {"blast-furnace": "state", "rail-inspection": "fault"}
SECTIONS = ("What it stands for", "Inputs", "Outputs", "Data", "Quality", "Limits")

Tensors = dict[str, np.ndarray]


def folder(name: str) -> Path:
    return MODELS / "gateway_models" / name


def opened(name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = folder(name) / "1" / "model.onnx"
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(name: str, inputs: Tensors) -> Tensors:
    session = opened(name)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def example(name: str) -> Tensors:
    request: dict[str, Any] = json.loads((folder(name) / "example.json").read_text("utf-8"))
    assert {tensor["datatype"] for tensor in request["inputs"]} == {"FP32"}
    return {
        tensor["name"]: np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        for tensor in request["inputs"]
    }


def config(name: str) -> dict[str, Any]:
    return tomllib.loads((folder(name) / "config.toml").read_text("utf-8"))


@pytest.fixture(params=sorted(CONTRACT))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_package_points_at_these_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(MODELS))
    package = importlib.import_module("gateway_models")
    found = {path.parents[1].name for path in package.repository().glob("*/1/model.onnx")}
    assert found == set(CONTRACT)


def test_model_is_small_and_self_contained(name: str) -> None:
    assert [path.name for path in (folder(name) / "1").iterdir()] == ["model.onnx"]
    assert (folder(name) / "1" / "model.onnx").stat().st_size < 2_000_000


def test_inputs_and_outputs_are_as_declared(name: str) -> None:
    session = opened(name)
    declared_inputs, declared_outputs = CONTRACT[name]
    assert {tensor.name: tensor.shape for tensor in session.get_inputs()} == declared_inputs
    assert {tensor.name: tensor.shape for tensor in session.get_outputs()} == declared_outputs
    tensors = [*session.get_inputs(), *session.get_outputs()]
    assert {tensor.type for tensor in tensors} == {"tensor(float)"}


def test_example_fits_and_gives_finite_answers(name: str) -> None:
    inputs = example(name)
    shapes = {tensor: list(array.shape) for tensor, array in inputs.items()}
    assert shapes == {tensor: [1, *shape[1:]] for tensor, shape in CONTRACT[name][0].items()}
    assert (folder(name) / "example.json").stat().st_size < 200_000
    assert all(np.isfinite(answer).all() for answer in run(name, inputs).values())


@pytest.mark.parametrize(("model", "output"), PROBABILITIES.items())
def test_probabilities_sum_to_one(model: str, output: str) -> None:
    answer = run(model, example(model))[output]
    assert (answer >= 0).all()
    assert answer.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_batch_answers_as_its_rows_do(name: str) -> None:
    rows = [
        {tensor: array * np.float32(factor) for tensor, array in example(name).items()}
        for factor in (0.99, 1.0, 1.01)
    ]
    batch = run(name, {tensor: np.concatenate([row[tensor] for row in rows]) for tensor in rows[0]})
    for index, row in enumerate(rows):
        for output, alone in run(name, row).items():
            np.testing.assert_allclose(batch[output][index], alone[0], rtol=1e-5, atol=1e-5)


def test_config_is_complete(name: str) -> None:
    settings = config(name)
    assert settings["description"]
    assert settings["latency_class"] in {"A", "B", "C"}
    assert settings["max_batch_size"] >= 1


@pytest.mark.parametrize(("model", "output"), PROBABILITIES.items())
def test_every_class_has_one_label(model: str, output: str) -> None:
    path = folder(model) / config(model)["labels"][output]
    labels = path.read_text("utf-8").splitlines()
    assert len(labels) == CONTRACT[model][1][output][1]
    assert len(set(labels)) == len(labels)


def test_card_has_its_sections_and_a_measured_table(name: str) -> None:
    card = (folder(name) / "card.md").read_text("utf-8")
    headings = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert headings == list(SECTIONS)
    quality = card.split("## Quality\n")[1].split("## Limits\n")[0]
    assert "| metric | this model |" in quality
    assert f"python models/training/{name.replace('-', '_')}.py" in quality


@pytest.fixture
def plant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The simulated plant a model was trained on; none of them needs torch."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(MODELS / "training"))
    yield importlib.import_module(f"{request.param}_plant")
    for module in set(sys.modules) - before:
        if module.endswith(("_plant", "_parts")):
            del sys.modules[module]


@pytest.mark.parametrize("plant", ["blast_furnace"], indirect=True)
def test_blast_furnace_beats_persistence(plant: ModuleType) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    answers = run("blast-furnace", {"window": fresh.window})
    ours_c = np.abs(answers["temperature_c"] - fresh.temperature_c)
    naive_c = np.abs(fresh.window[:, -1, 10:11] - fresh.temperature_c)
    assert np.mean(ours_c <= 10) > 0.90 > 0.80 > np.mean(naive_c <= 10)
    ours_pct = np.sqrt(np.mean((answers["silicon_pct"] - fresh.silicon_pct) ** 2))
    naive_pct = np.sqrt(np.mean((fresh.window[:, -1, 11:12] - fresh.silicon_pct) ** 2))
    assert ours_pct < 0.8 * naive_pct
    named = answers["state"].argmax(axis=1) == plant.thermal_state(fresh.temperature_c)[:, 0]
    assert np.mean(named) > 0.8


@pytest.mark.parametrize("plant", ["grid_load"], indirect=True)
def test_grid_load_beats_last_week(plant: ModuleType) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    answers = run("grid-load", {"load_mw": fresh.load_mw, "forecast": fresh.forecast})
    ours = np.mean(np.abs(answers["load_mw_next"] / fresh.next_mw - 1))
    naive = np.mean(np.abs(fresh.load_mw[:, :24] / fresh.next_mw - 1))
    assert ours < 0.02
    assert ours < 0.6 * naive


@pytest.mark.parametrize("plant", ["rail_inspection"], indirect=True)
def test_rail_inspection_beats_the_nearest_picture(plant: ModuleType) -> None:
    fresh, known = plant.generate(COUNT, FRESH_SEED), plant.generate(COUNT, FRESH_SEED + 1)
    answers = run("rail-inspection", {"image": fresh.image, "station": fresh.station})
    ours = np.mean(answers["fault"].argmax(axis=1) == fresh.fault)
    small = [part.image[:, 0, ::8, ::8].reshape(COUNT, -1) for part in (fresh, known)]
    squares = ((small[0][:, None] - small[1][None]) ** 2).sum(axis=2)
    elsewhere = fresh.station @ known.station.T == 0
    nearest = np.where(elsewhere, np.inf, squares).argmin(axis=1)
    naive = np.mean(known.fault[nearest] == fresh.fault)
    assert ours > 0.97 > naive


@pytest.mark.parametrize("plant", ["rail_inspection"], indirect=True)
def test_rail_labels_are_those_of_the_plant(plant: ModuleType) -> None:
    labels = (folder("rail-inspection") / "labels_fault.txt").read_text("utf-8").splitlines()
    assert tuple(labels) == plant.LABELS
