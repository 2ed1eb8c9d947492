"""The shipped models keep their contract: shapes, labels, cards, examples and stored answers."""

from __future__ import annotations

import importlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

MODELS = Path(__file__).resolve().parents[3] / "models"
NAMES = sorted(path.parents[1].name for path in MODELS.glob("gateway_models/*/1/model.onnx"))
FRESH_SEED, COUNT = 777_001, 300
ALL_BYTES_MAX, EXAMPLE_BYTES_MAX = 40_000_000, 400_000
SECTIONS = ("What it stands for", "Inputs", "Outputs", "Data", "Quality", "Limits")
DTYPES = {"FP32": np.float32, "FP16": np.float16, "INT64": np.int64, "INT32": np.int32}
DTYPES |= {"UINT8": np.uint8, "BOOL": np.bool_}

Shapes = dict[str, list[str | int]]
LANGUAGE = (("industry-chat", 4, 1024), ("code-assist", 3, 512))
CONTRACT: dict[str, tuple[Shapes, Shapes]] = {
    "blast-furnace": (
        {"window": ["batch", 24, 12]},
        {
            "temperature_c": ["batch", 1],
            "silicon_pct": ["batch", 1],
            "state": ["batch", 3],
        },
    ),
    "grid-load": (
        {"load_mw": ["batch", 168], "forecast": ["batch", 24, 3]},
        {"load_mw_next": ["batch", 24]},
    ),
    "rail-inspection": (
        {"image": ["batch", 1, 128, 128], "station": ["batch", 6]},
        {"fault": ["batch", 350], "heat_map": ["batch", 1, 16, 16]},
    ),
    "seismic-fault": ({"section": ["batch", 1, 64, 64]}, {"mask": ["batch", 1, 64, 64]}),
    "line-inspection": (
        {"image": ["batch", 3, 128, 128]},
        {"state": ["batch", 5], "box": ["batch", 4]},
    ),
    "driving-path": (
        {"bev": ["batch", 4, 64, 64], "ego": ["batch", 4]},
        {"waypoints_m": ["batch", 12, 2]},
    ),
    "well-log": (
        {"window": ["batch", 33, 5]},
        {"facies": ["batch", 7], "porosity": ["batch", 1]},
    ),
    "cockpit-intent": (
        {"tokens": ["batch", 24]},
        {"intent": ["batch", 26], "slots": ["batch", 24, 35]},
    ),
    **{
        name: (
            {
                "input_ids": ["batch", "new"],
                "length": ["batch"],
                "before": ["batch", 2],
                "past_length": ["batch"],
                "past_key": ["batch", layers, "past", 32],
                "past_value": ["batch", layers, "past", 32],
            },
            {
                "logits": ["batch", vocabulary],
                "new_key": ["batch", layers, "new", 32],
                "new_value": ["batch", layers, "new", 32],
            },
        )
        for name, layers, vocabulary in LANGUAGE
    },
    "text-embed": (
        {"input_ids": ["batch", "new"], "length": ["batch"]},
        {"embedding": ["batch", 128]},
    ),
    **{
        name: (
            {"upper": ["batch", 5, 3, 32, 64], "surface": ["batch", 4, 32, 64]},
            {"upper_next": ["batch", 5, 3, 32, 64], "surface_next": ["batch", 4, 32, 64]},
        )
        for name in ("weather-mini", "weather-mini-s")
    },
    "clip-maker": (
        {"caption": ["batch", 16], "noise": ["batch", 4]},
        {"clip": ["batch", 8, 3, 32, 32]},
    ),
}
CONTRACT["rail-inspection-s"] = CONTRACT["rail-inspection"]
PROBABILITIES = {
    "blast-furnace": "state",
    "rail-inspection": "fault",
    "rail-inspection-s": "fault",
    "line-inspection": "state",
    "well-log": "facies",
    "cockpit-intent": "intent",
}
WHOLE_NUMBERS = {"tokens", "input_ids", "length", "before", "past_length", "caption"}

Tensors = dict[str, np.ndarray]
Modules = Callable[[str], ModuleType]


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


def stored(name: str, file: str) -> Tensors:
    """The tensors of the example request, or of the answer stored beside it."""
    text: dict[str, Any] = json.loads((folder(name) / f"{file}.json").read_text("utf-8"))
    (tensors,) = text.values()
    return {
        tensor["name"]: np.array(tensor["data"], DTYPES[tensor["datatype"]]).reshape(
            tensor["shape"]
        )
        for tensor in tensors
    }


def config(name: str) -> dict[str, Any]:
    return tomllib.loads((folder(name) / "config.toml").read_text("utf-8"))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_package_points_at_these_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(MODELS))
    package = importlib.import_module("gateway_models")
    found = {path.parents[1].name for path in package.repository().glob("*/1/model.onnx")}
    assert found == set(NAMES) >= {"blast-furnace", "rail-inspection", "grid-load"}


def test_all_files_together_stay_small() -> None:
    files = [path for path in (MODELS / "gateway_models").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < ALL_BYTES_MAX


@pytest.mark.parametrize("name", sorted(set(CONTRACT) & set(NAMES)))
def test_inputs_and_outputs_are_as_declared(name: str) -> None:
    session = opened(name)
    declared_inputs, declared_outputs = CONTRACT[name]
    assert {tensor.name: tensor.shape for tensor in session.get_inputs()} == declared_inputs
    assert {tensor.name: tensor.shape for tensor in session.get_outputs()} == declared_outputs
    for tensor in (*session.get_inputs(), *session.get_outputs()):
        whole = tensor.name in WHOLE_NUMBERS
        assert tensor.type == ("tensor(int64)" if whole else "tensor(float)")


@pytest.mark.parametrize(("name", "output"), PROBABILITIES.items())
def test_probabilities_sum_to_one(name: str, output: str) -> None:
    answer = run(name, stored(name, "example"))[output]
    assert (answer >= 0).all()
    assert answer.sum(axis=1) == pytest.approx(1.0, abs=1e-4)


def test_the_example_gets_the_stored_answer(name: str) -> None:
    """The stored numbers are rounded to four digits."""
    assert (folder(name) / "example.json").stat().st_size < EXAMPLE_BYTES_MAX
    answers, expected = run(name, stored(name, "example")), stored(name, "answer")
    assert answers.keys() == expected.keys()
    for output, array in expected.items():
        assert np.isfinite(array).all()
        np.testing.assert_allclose(answers[output], array, rtol=2e-3, atol=2e-4, err_msg=output)


def test_a_batch_answers_as_its_rows_do(name: str) -> None:
    if config(name)["max_batch_size"] == 0:
        pytest.skip("declares no batches")
    rows = [
        {
            tensor: array * np.float32(factor) if array.dtype == np.float32 else array
            for tensor, array in stored(name, "example").items()
        }
        for factor in (0.99, 1.0, 1.01)
    ]
    batch = run(name, {tensor: np.concatenate([row[tensor] for row in rows]) for tensor in rows[0]})
    for index, row in enumerate(rows):
        for output, alone in run(name, row).items():
            np.testing.assert_allclose(batch[output][index], alone[0], rtol=1e-4, atol=1e-4)


def test_config_is_complete(name: str) -> None:
    settings = config(name)
    assert settings["description"]
    assert settings["latency_class"] in {"A", "B", "C"}
    assert settings["max_batch_size"] >= 0
    assert settings["industry"]
    assert settings["scenarios"]
    assert len(set(settings["scenarios"])) == len(settings["scenarios"])


def test_a_smaller_one_takes_and_gives_the_same(name: str) -> None:
    smaller = config(name).get("smaller")
    if not smaller:
        pytest.skip("comes in one size")
    ours, theirs = opened(name), opened(smaller)
    for tensors, others in (
        (ours.get_inputs(), theirs.get_inputs()),
        (ours.get_outputs(), theirs.get_outputs()),
    ):
        assert [(t.name, t.shape, t.type) for t in tensors] == [
            (t.name, t.shape, t.type) for t in others
        ]
    sizes = [(folder(size) / "1" / "model.onnx").stat().st_size for size in (smaller, name)]
    assert sizes[0] < 0.6 * sizes[1]
    assert config(name).get("labels") == config(smaller).get("labels")


def test_every_class_has_one_label(name: str) -> None:
    for output, file in config(name).get("labels", {}).items():
        labels = (folder(name) / file).read_text("utf-8").splitlines()
        shape = next(t.shape for t in opened(name).get_outputs() if t.name == output)
        assert len(labels) == shape[-1]
        assert len(set(labels)) == len(labels)


def test_card_has_its_sections_and_a_measured_table(name: str) -> None:
    card = (folder(name) / "card.md").read_text("utf-8")
    headings = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert headings == list(SECTIONS)
    assert "says nothing about" in " ".join(card.split())
    quality = card.split("## Quality\n")[1].split("## Limits\n")[0]
    assert "| metric | this model |" in quality
    assert "| target |" in quality
    assert f"python models/training/make.py {name}" in quality
    session = opened(name)
    for tensor in (*session.get_inputs(), *session.get_outputs()):
        assert f"`{tensor.name}`" in card, f"the card does not explain {tensor.name}"


def test_blast_furnace_beats_persistence(training_module: Modules) -> None:
    plant = training_module("blast_furnace_plant")
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


def test_grid_load_beats_last_week(training_module: Modules) -> None:
    plant = training_module("grid_load_plant")
    fresh = plant.generate(COUNT, FRESH_SEED)
    answers = run("grid-load", {"load_mw": fresh.load_mw, "forecast": fresh.forecast})
    ours = np.mean(np.abs(answers["load_mw_next"] / fresh.next_mw - 1))
    naive = np.mean(np.abs(fresh.load_mw[:, :24] / fresh.next_mw - 1))
    assert ours < 0.02
    assert ours < 0.6 * naive
