"""`nearway models` says which regions serve a model; of the shipped ones each is served."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.models import app, regions_serving
from gateway.config.fleet_file import load_fleet

MODELS = Path(__file__).resolve().parents[3] / "models" / "gateway_models"


def test_regions_are_those_whose_centers_declare_the_model() -> None:
    centers = load_fleet(None, "all")
    core = {center.region for center in centers if center.core}
    assert set(regions_serving("clip-maker", centers)) == core
    everywhere = regions_serving("blast-furnace", centers)
    assert sum(everywhere.values()) == len(centers)
    assert list(everywhere) == list(dict.fromkeys(center.region for center in centers))
    patterned = [replace(center, models=("clip-*",)) for center in centers[:2]]
    assert regions_serving("clip-maker", patterned) == {centers[0].region: 2}
    assert regions_serving("blast-furnace", patterned) == {}


@pytest.mark.parametrize("sites", ["all", "core"])
def test_every_shipped_model_is_served_by_the_shipped_fleet(sites: str) -> None:
    centers = load_fleet(None, "core" if sites == "core" else "all")
    names = [path.parents[1].name for path in MODELS.glob("*/1/model.onnx")]
    assert len(names) >= 14
    assert all(regions_serving(name, centers) for name in names)


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


def test_a_model_is_added_and_the_repository_checked(tmp_path: Path) -> None:
    file = MODELS / "grid-load" / "1" / "model.onnx"
    models = str(tmp_path / "models")
    code, said = run("add", str(file), "--name", "mine", "--to", models)
    assert code == 0
    for text in (
        "mine, version 1",
        "FP32",
        "share a run",
        "memory",
        "config.toml",
        "nearway serve",
    ):
        assert text in said
    code, said = run("check", models)
    assert (code, "mine" in said, "a model repository that serves" in said) == (0, True, True)
    (tmp_path / "models" / "mine" / "config.toml").write_text("max_batch = 3")
    code, said = run("check", models)
    assert code == 1
    assert "max_batch" in said
    assert "1 thing to put right" in said


def test_what_was_added_is_told_as_json(tmp_path: Path) -> None:
    file = MODELS / "grid-load" / "1" / "model.onnx"
    code, said = run("add", str(file), "--name", "mine", "--to", str(tmp_path), "--json")
    told = json.loads(said)
    assert (code, told["name"], told["version"], told["max_batch_size"]) == (0, "mine", "1", 64)
    assert told["memory_bytes"] > told["file_bytes"] > 0
    assert set(told["wrote"]) == {"config.toml", "card.md", "example.json"}


def test_a_warning_is_no_reason_to_fail(tmp_path: Path) -> None:
    file = MODELS / "grid-load" / "1" / "model.onnx"
    run("add", str(file), "--name", "mine", "--to", str(tmp_path))
    (tmp_path / "mine" / "config.pbtxt").write_text('model_warmup { name: "w" }')
    code, said = run("check", str(tmp_path))
    assert code == 0
    assert "model_warmup is not used" in said
