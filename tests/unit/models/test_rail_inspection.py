"""`rail-inspection` in both sizes: its classes, its pictures, and what it makes of fresh ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

MODELS = Path(__file__).resolve().parents[3] / "models" / "gateway_models"
FRESH_SEED, COUNT = 777_001, 160
SIZES = {"rail-inspection": 0.95, "rail-inspection-s": 0.92}

Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.fixture
def plant(training_module: Callable[[str], ModuleType]) -> Any:
    return training_module("rail_inspection_plant")


def test_350_classes_are_stations_times_parts_times_states(plant: Any) -> None:
    assert len(plant.CLASSES) == len(set(plant.CLASSES)) == 350
    pairs = Counter((station, part) for station, part, _ in plant.CLASSES)
    assert len(pairs) == 70
    assert set(pairs.values()) == {5}
    assert np.count_nonzero(~plant.IS_FAULT) == 70
    assert {part for _, part, _ in plant.CLASSES} == set(plant.PARTS)
    for (station, part, state), kind in zip(plant.CLASSES, plant.KIND_OF, strict=True):
        assert plant.KINDS[kind] == (part, state)
        assert part in plant.STATIONS[station]


@pytest.mark.parametrize("name", SIZES)
def test_labels_are_those_of_the_plant(plant: Any, name: str) -> None:
    labels = (MODELS / name / "labels_fault.txt").read_text("utf-8").splitlines()
    assert tuple(labels) == plant.LABELS


def test_every_fault_is_seen_somewhere_and_no_whole_part_has_one(plant: Any) -> None:
    rng = np.random.default_rng(FRESH_SEED)
    for label in range(0, 350, 4):
        image, heat = plant.picture(label, float(rng.random()), rng)
        assert image.shape == (128, 128)
        assert 0 <= image.min() < image.max() <= 1
        assert bool(heat.any()) == bool(plant.IS_FAULT[label]), plant.LABELS[label]


def test_hard_pictures_vary_more_than_clean_ones(plant: Any) -> None:
    def spread(hardness: float) -> float:
        rng = np.random.default_rng(FRESH_SEED)
        pictures = [plant.picture(0, hardness, rng)[0] for _ in range(12)]
        return float(np.std(pictures, axis=0).mean())

    assert spread(1.0) > 1.2 * spread(0.0)


@pytest.mark.parametrize(("name", "least"), SIZES.items())
def test_fresh_pictures_are_named_and_pointed_at(
    plant: Any, run_model: Run, name: str, least: float
) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    answers = run_model(name, {"image": fresh.image, "station": fresh.station})
    assert np.mean(answers["fault"].argmax(axis=1) == fresh.fault) > least
    np.testing.assert_allclose(answers["fault"].sum(axis=1), 1, atol=1e-4)
    faulty = plant.IS_FAULT[fresh.fault]
    hottest = answers["heat_map"].reshape(COUNT, -1).max(axis=1)
    assert hottest[faulty].mean() > 0.7
    assert hottest[faulty].mean() > hottest[~faulty].mean() + 0.25
    assert 0 <= answers["heat_map"].min() <= answers["heat_map"].max() <= 1


def test_classes_of_other_stations_are_ruled_out(plant: Any, run_model: Run) -> None:
    fresh = plant.generate(20, FRESH_SEED)
    odds = run_model("rail-inspection", {"image": fresh.image, "station": fresh.station})["fault"]
    here = fresh.station.argmax(axis=1)[:, None] == plant.STATION_OF
    assert odds[~here].max() < 1e-3
