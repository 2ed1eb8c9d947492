"""`nearway models` says which regions serve a model; of the shipped ones each is served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.models import regions_serving
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
