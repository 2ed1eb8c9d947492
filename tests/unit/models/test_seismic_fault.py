"""`seismic-fault`: its sections, and what it makes of fresh ones."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FRESH_SEED, COUNT = 777_004, 100

Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.fixture
def plant(training_module: Callable[[str], ModuleType]) -> Any:
    return training_module("seismic_fault_plant")


def test_sections_are_scaled_and_faults_run_through(plant: Any) -> None:
    fresh = plant.generate(60, FRESH_SEED)
    np.testing.assert_allclose(fresh.section.std(axis=(1, 2, 3)), 1, atol=1e-3)
    assert set(np.unique(fresh.mask)) == {0.0, 1.0}
    rows = fresh.mask[:, 0].max(axis=2).sum(axis=1)  # rows that a fault crosses
    broken = rows > 0
    assert 0.5 < broken.mean() < 0.95
    assert np.median(rows[broken]) > 40


def test_layers_jump_at_a_fault(plant: Any) -> None:
    """Next to a fault zone neighbouring traces are less alike than elsewhere."""
    fresh = plant.generate(60, FRESH_SEED)
    jump = np.abs(np.diff(fresh.section[:, 0], axis=2))
    zone = fresh.mask[:, 0, :, 1:] > 0
    assert jump[zone].mean() > 1.2 * jump[~zone].mean()


def test_fresh_faults_are_found(plant: Any, run_model: Run) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    mask = run_model("seismic-fault", {"section": fresh.section})["mask"]
    assert 0 <= mask.min() <= mask.max() <= 1
    ours, truth = mask > 0.5, fresh.mask > 0
    assert np.count_nonzero(ours & truth) / np.count_nonzero(ours | truth) > 0.67
