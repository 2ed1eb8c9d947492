"""Keys: whatever changes the outcome changes the key, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.policies.cells import Arm, Cell, Condition, Results, Stored, cell_key, with_parameters
from gateway.config.settings import Policy

CONDITION = Condition(name="S0 at .8", scenario="s0", load=0.8, requests=1000, family="s0")
CELL = Cell(condition=CONDITION, arm=Arm(label="p2c", policy="p2c"), seed=1)
POLICY = Policy(picker={"name": "two", "count": 2})


def key(cell: Cell = CELL, scenario: object = "content", policy: Policy = POLICY, code: str = "c"):
    return cell_key(cell, scenario=scenario, policy=policy, code=code)


def changed(**changes: object) -> Cell:
    return msgspec.structs.replace(CELL, **changes)


def other(**changes: object) -> Cell:
    return changed(condition=msgspec.structs.replace(CONDITION, **changes))


def test_what_determines_the_outcome_is_in_the_key() -> None:
    keys = [
        key(),
        key(changed(seed=2)),
        key(changed(age_ms=5.0)),
        key(other(load=0.6)),
        key(other(requests=1001)),
        key(other(changes=(("reports.loss", 0.2),))),
        key(other(series=True)),
        key(scenario="other content"),
        key(policy=Policy(picker={"name": "two", "count": 4})),
        key(code="d"),
    ]
    assert len(set(keys)) == len(keys)


def test_names_for_people_are_not() -> None:
    assert key(other(name="another word", family="another")) == key()
    assert key(changed(arm=Arm(label="the same", policy="p2c"))) == key()


def test_results_come_back_and_damage_counts_as_unknown(tmp_path: Path) -> None:
    results = Results(tmp_path / "cells")
    assert results.get("k") is None
    results.put("k", Stored(cell=CELL, refused="why"))
    assert results.get("k") == Stored(cell=CELL, refused="why")
    assert [path.name for path in results.folder.iterdir()] == ["k.json"]
    (results.folder / "k.json").write_text('{"cell": ')
    assert results.get("k") is None


def test_a_tuning_point_sets_a_parameter_wherever_the_plugin_stands() -> None:
    policy = Policy(scorers=("network", {"name": "queue", "a": 1}), picker="two")
    done = with_parameters(policy, (("two", "count", 3), ("queue", "b", 2)))
    assert done.picker == {"name": "two", "count": 3}
    assert done.scorers == ("network", {"name": "queue", "a": 1, "b": 2})
    with pytest.raises(LookupError, match="thre"):
        with_parameters(policy, (("three", "count", 3),))


def test_a_point_is_told_in_words() -> None:
    assert Arm(label="p", policy="p").point == ""
    ringed = Arm(label="p", policy="p_ring", parameters=(("two", "count", 3),))
    assert ringed.point == "p_ring, count = 3"
