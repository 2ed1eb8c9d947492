"""`line-inspection`: its pictures, and what it makes of fresh ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

MODELS = Path(__file__).resolve().parents[3] / "models" / "gateway_models"
FRESH_SEED, COUNT = 777_005, 120

Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.fixture
def plant(training_module: Callable[[str], ModuleType]) -> Any:
    return training_module("line_inspection_plant")


def test_labels_are_those_of_the_plant(plant: Any) -> None:
    path = MODELS / "line-inspection" / "labels_state.txt"
    assert tuple(path.read_text("utf-8").splitlines()) == plant.STATES


def test_boxes_lie_in_the_picture_and_hold_the_string(plant: Any) -> None:
    fresh = plant.generate(40, FRESH_SEED)
    assert fresh.image.shape == (40, 3, 128, 128)
    assert 0 <= fresh.image.min() < fresh.image.max() <= 1
    assert (fresh.box >= 0).all()
    assert (fresh.box <= 1).all()
    sides = fresh.box[:, 2:] - fresh.box[:, :2]
    assert (sides > 0.08).all()
    assert (sides.max(axis=1) > 0.3).all()


def test_a_state_changes_the_string_alone(plant: Any) -> None:
    """The same random numbers, whole and burnt: outside of the box the pictures are alike."""
    whole, box = plant.picture(0, np.random.default_rng(5))
    burnt, same = plant.picture(2, np.random.default_rng(5))
    np.testing.assert_array_equal(box, same)
    left, top, right, bottom = np.clip((box * 128 + (-12, -12, 12, 12)), 0, 128).astype(int)
    inside = np.zeros((128, 128), bool)
    inside[top:bottom, left:right] = True
    difference = np.abs(whole - burnt).mean(axis=0)
    assert difference[inside].mean() > 1.3 * difference[~inside].mean()


def test_fresh_strings_are_named_and_placed(plant: Any, run_model: Run) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    answers = run_model("line-inspection", {"image": fresh.image})
    assert np.mean(answers["state"].argmax(axis=1) == fresh.state) > 0.93
    np.testing.assert_allclose(answers["state"].sum(axis=1), 1, atol=1e-5)
    assert np.abs(answers["box"] - fresh.box).mean() < 0.06
