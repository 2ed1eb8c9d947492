"""What is run: tuning on other seeds, the best point kept, whole groups cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.policies import budget, choosing, conditions, grid
from bench.policies.cells import Arm, Cell, Figures, Stored
from bench.policies.latency_histogram import counted
from bench.policies.measuring import policy_of
from gateway.loading import Registry, build_policy


def test_tuning_seeds_are_none_of_the_comparison() -> None:
    asked = conditions.full()
    tuning = choosing.tuning_cells(asked, 1000, None)
    compared = choosing.main_cells(asked, {}, range(1, 11), None)
    assert {cell.seed for cell in tuning}.isdisjoint(c.seed for g in compared for c in g)
    assert not any(cell.arm.label == grid.OURS for cell in tuning)


def test_every_group_has_all_seeds_of_one_policy_under_one_condition() -> None:
    groups = choosing.main_cells(conditions.full(), {}, range(1, 4), None)
    for group in groups:
        assert [cell.seed for cell in group] == [1, 2, 3]
        assert len({(cell.condition.name, cell.arm.label) for cell in group}) == 1
    names = [group[0].condition.name for group in groups]
    assert len({one.condition.name for one in conditions.full()}) == len(conditions.full())
    assert "S1 at .8" in names


def test_a_scenario_is_asked_for_by_its_own_or_the_conditions_name() -> None:
    asked = conditions.full()
    assert {a.condition.name for a in choosing.filtered(asked, ["S1 at*"])} == {
        "S1 at .8",
        "S1 at .6",
    }
    assert all(a.condition.scenario == "s0-map" for a in choosing.filtered(asked, ["s0-map"]))
    assert choosing.filtered(asked, ["nothing"]) == []


def figures(label: str, policy: str, seed: int, ms: float) -> Stored:
    condition = conditions.full()[0].condition
    latency = np.full(100, ms)
    return Stored(
        cell=Cell(condition=condition, arm=Arm(label=label, policy=policy), seed=seed),
        figures=Figures(
            requests=100,
            simulated=100,
            failed=0,
            within=100,
            duration_s=1.0,
            sum_ms=0.0,
            cpu_s=0.01,
            counts=counted(latency),
        ),
    )


def test_the_point_of_least_p99_over_all_tuning_seeds_wins(tmp_path: Path) -> None:
    runs = [figures("c3", "c3", s, ms) for s, ms in ((1, 5.0), (2, 9.0))]
    runs += [figures("c3", "c3_ring", s, ms) for s, ms in ((1, 6.0), (2, 6.5))]
    chosen, rows, every = choosing.best_points(runs)
    assert chosen["s0"]["c3"].policy == "c3_ring"
    assert rows[0][2] == "c3_ring"
    assert [row[2] for row in every] == ["c3_ring", "as shipped"]
    choosing.save_chosen(tmp_path / "t.json", chosen)
    assert choosing.load_chosen(tmp_path / "t.json") == chosen
    assert choosing.arm_of("c3", "s0", chosen).policy == "c3_ring"
    assert choosing.arm_of("c3", "s2", chosen).policy == "c3"
    assert choosing.load_chosen(tmp_path / "none.json") == {}


def test_what_is_never_stable_is_not_chosen() -> None:
    chosen, rows, _ = choosing.best_points([figures("c3", "c3", 1, np.inf)])
    assert chosen == {}
    assert "∞" in rows[0][3]


def test_the_budget_cuts_whole_groups_from_the_end() -> None:
    groups = choosing.main_cells(conditions.full()[:3], {}, range(1, 3), None)
    speeds = budget.Speeds()
    speeds.learn([figures("c3", "c3", 1, 1.0)])
    costs = [budget.cost_s(group, speeds, lambda c: c.requests) for group in groups]
    kept, left = budget.cut(groups, costs, sum(costs) * 0.5)
    assert kept + left == groups
    assert 0 < len(kept) < len(groups)
    assert sum(map(len, budget.told(left, "no time"))) > 0


def test_every_knob_is_a_parameter_of_the_shipped_picker() -> None:
    registry = Registry.discover()
    columns = {column for row in registry.rows() for column in row["reads"]}
    for label in grid.BASELINES:
        for point in grid.points(label):
            policy = policy_of(point)
            assert policy is not None
            build_policy(label, policy, registry, columns)
