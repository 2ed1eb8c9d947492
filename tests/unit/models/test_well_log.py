"""`well-log`: its beds, what instruments read of them, what the model makes of fresh ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FRESH_SEED, COUNT = 777_005, 400
FOLDER = Path(__file__).resolve().parents[3] / "models" / "gateway_models" / "well-log"

Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.fixture
def plant(training_module: Callable[[str], ModuleType]) -> Any:
    return training_module("well_log_plant")


def middle(fresh: Any, name: str, plant: Any) -> np.ndarray:
    column: np.ndarray = fresh.window[:, plant.WINDOW // 2, plant.LOGS.index(name)]
    return column


def test_labels_are_the_facies(plant: Any) -> None:
    labels = (FOLDER / "labels_facies.txt").read_text("utf-8").splitlines()
    assert tuple(labels) == plant.FACIES
    np.testing.assert_allclose(plant.FOLLOWS.sum(axis=1), 1.0)
    assert not plant.FOLLOWS.diagonal().any()


def test_rocks_read_as_rocks_do(plant: Any) -> None:
    """Clay glows, coal is light, oil insulates, and pores slow the sound down."""
    fresh = plant.generate(COUNT, FRESH_SEED)
    assert np.isfinite(fresh.window).all()
    assert (fresh.porosity > 0).all()
    assert (fresh.porosity < 0.4).all()
    gamma, density = (middle(fresh, log, plant) for log in ("gamma_ray_api", "density_g_cm3"))
    ohm_m = middle(fresh, "resistivity_ohm_m", plant)
    kinds = fresh.facies
    assert gamma[kinds == plant.SHALE].mean() > 2 * gamma[kinds == plant.WATER_SAND].mean()
    assert density[kinds == plant.COAL].mean() < 1.8 < density[kinds != plant.COAL].min()
    assert density[kinds == plant.DOLOMITE].mean() > density[kinds == plant.LIMESTONE].mean()
    oil, water = (np.median(ohm_m[kinds == k]) for k in (plant.OIL_SAND, plant.WATER_SAND))
    assert oil > 2 * water
    sands = (kinds == plant.WATER_SAND) | (kinds == plant.OIL_SAND)
    sound = middle(fresh, "sonic_us_ft", plant)
    assert np.corrcoef(sound[sands], fresh.porosity[sands, 0])[0, 1] > 0.7


def test_fresh_wells_are_read(plant: Any, run_model: Run) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    answers = run_model("well-log", {"window": fresh.window})
    assert np.mean(answers["facies"].argmax(axis=1) == fresh.facies) > 0.95
    assert np.sqrt(np.mean((answers["porosity"] - fresh.porosity) ** 2)) < 0.020
