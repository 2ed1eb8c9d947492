"""The scene of the chaos bench, and that its groups and plans fit it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.chaos.run import GROUPS, PLANS, QUICK, Found, Group, exit_code, hurried
from bench.chaos.scene import MODEL, ORIGIN, OTHER_MODEL, REGIONS, SEED, fleet, scene
from gateway.config.fleet_file import load_fleet
from gateway.config.fleet_writing import fleet_toml
from gateway.engine.model_config import read_model_config
from gateway.measure.chaos.plan import load_plan
from gateway.measure.chaos.stage import stage_plan
from gateway.wan import PROFILES, Gazetteer, PathModel, load_cities


def test_near_zones_are_equally_far_and_the_next_region_is_a_little_farther() -> None:
    centers = fleet()
    places = Gazetteer(load_cities(), centers)
    path_model = PathModel(PROFILES["cloud"], border_ms=60.0, last_mile_ms=0.0)
    origin = places.places[places.find(ORIGIN)]
    ms = path_model.path_ms(origin, centers, SEED).reshape(len(REGIONS), 3)
    assert np.ptp(ms[0]) < 0.01
    assert 0.5 < ms[1].min() - ms[0].max() < 1.5
    assert ms[2].min() > ms[0].max()


def test_the_fleet_is_one_that_a_file_may_hold(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(fleet_toml(fleet()))
    assert [center.id for center in load_fleet(file, "all")] == [c.id for c in fleet()]


def test_the_model_takes_its_time_and_its_answers_are_known(tmp_path: Path) -> None:
    made = scene(tmp_path, ("near",), stall_share=0.005, stall_factor=30.0)
    service = read_model_config(tmp_path / MODEL).service
    assert service is not None
    assert (service.median_ms, service.stall_share, service.stall_factor) == (20.0, 0.005, 30.0)
    assert len(made.known.variants) > 1
    assert all({MODEL, OTHER_MODEL} == set(center.models) for center in made.centers)


@pytest.mark.parametrize("group", [*GROUPS, *QUICK], ids=lambda group: group.names[0])
def test_every_group_can_be_staged(group: Group) -> None:
    plans = [load_plan(PLANS / f"{name}.toml") for name in group.names]
    staged = stage_plan(plans, fleet(group.regions), {}, workers=group.workers)
    assert staged.centers


def test_every_plan_belongs_to_a_group() -> None:
    named = {name for group in GROUPS for name in group.names}
    assert named == {file.stem for file in PLANS.glob("*.toml")}


def test_a_hurried_plan_has_the_same_faults() -> None:
    plan = load_plan(PLANS / "gray.toml")
    quick = hurried(plan)
    assert [(f.kind, f.value) for f in quick.faults] == [(f.kind, f.value) for f in plan.faults]
    assert quick.until_s < plan.until_s


def test_a_run_of_nothing_is_no_success() -> None:
    assert exit_code(Found()) == 1
