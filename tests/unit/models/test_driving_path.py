"""`driving-path`: its roads and drivers, and how far off the model is on fresh ones."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FRESH_SEED, COUNT = 777_006, 300

Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.fixture
def plant(training_module: Callable[[str], ModuleType]) -> Any:
    return training_module("driving_path_plant")


def test_maps_show_the_lane_on_the_road(plant: Any) -> None:
    bev = plant.generate(50, FRESH_SEED).bev
    assert bev.shape == (50, 4, 64, 64)
    assert 0 <= bev.min() < bev.max() <= 1
    road, lane = bev[:, 0], bev[:, 1]
    assert (lane <= road + 1e-6).mean() > 0.99
    assert (lane[:, 58:62, 28:36].max(axis=(1, 2)) == 1).all(), "the car stands in its lane"


def test_drivers_obey_physics(plant: Any) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    steps = np.diff(fresh.path_m, axis=1, prepend=np.zeros((COUNT, 1, 2), np.float32))
    speed = np.linalg.norm(steps, axis=2) / plant.STEP_S
    assert speed.max() < 30
    pull = np.diff(speed, axis=1) / plant.STEP_S
    assert -9 < pull.min() < pull.max() < 4
    np.testing.assert_allclose(speed[:, 0], fresh.ego[:, 0], atol=1.5)


def test_drivers_slow_down_behind_a_slower_car(plant: Any) -> None:
    scene, ego = plant._scene(2, np.random.default_rng(1))
    quiet = np.zeros((plant.STEPS * plant.SUBSTEPS, 2))
    ego[:] = (12.0, 0.0, 0.0, 14.0)
    flat = {name: np.zeros(2) for name in ("offset_m", "heading", "bend", "bend_change")}
    scene = scene._replace(
        **flat,
        parked_x_m=np.full(2, plant.NOTHING_M),
        limit_m_s=np.full(2, 14.0),
        lead_x_m=np.array([18.0, plant.NOTHING_M]),
        lead_m_s=np.array([4.0, 4.0]),
    )
    behind, alone = plant.drive(scene, ego, quiet, quiet)[:, -1, 0]
    assert behind < 26 < 36 < alone


def test_drivers_keep_clear_of_what_stands_in_the_lane(plant: Any) -> None:
    scene, ego = plant._scene(2, np.random.default_rng(1))
    quiet = np.zeros((plant.STEPS * plant.SUBSTEPS, 2))
    ego[:] = (9.0, 0.0, 0.0, 9.0)
    flat = {name: np.zeros(2) for name in ("offset_m", "heading", "bend", "bend_change")}
    scene = scene._replace(
        **flat,
        parked_x_m=np.full(2, 20.0),
        parked_side=np.array([1.0, -1.0]),
        parked_in_m=np.full(2, 0.8),
        limit_m_s=np.full(2, 9.0),
        lead_x_m=np.full(2, plant.NOTHING_M),
    )
    path = plant.drive(scene, ego, quiet, quiet)
    assert path[0, :, 1].min() < -0.5
    np.testing.assert_allclose(path[0, :, 1], -path[1, :, 1], atol=2e-3)


def test_fresh_paths_are_foreseen(plant: Any, run_model: Run) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    ours = run_model("driving-path", {"bev": fresh.bev, "ego": fresh.ego})["waypoints_m"]
    off_m = np.linalg.norm(ours - fresh.path_m, axis=2).mean()
    floor_m = np.linalg.norm(fresh.best_m - fresh.path_m, axis=2).mean()
    assert floor_m < off_m < 0.35
