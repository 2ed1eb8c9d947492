"""What decides whether a model is stale and whether its targets hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

Modules = Callable[[str], ModuleType]


def test_a_target_holds_from_the_side_that_is_better(training_module: Modules) -> None:
    figure = training_module("training").Figure
    assert figure(metric="m", ours=0.95, target=0.95).holds()
    assert not figure(metric="m", ours=0.94, target=0.95).holds()
    assert figure(metric="m", ours=0.02, target=0.02, better="lower").holds()
    assert not figure(metric="m", ours=0.03, target=0.02, better="lower").holds()
    assert figure(metric="m", ours=0.0).holds()
    assert not figure(metric="m", ours=float("nan"), target=0.0).holds()
    assert not figure(metric="m", ours=float("nan"), target=0.0, better="lower").holds()


def test_figures_are_spelt_with_their_units(training_module: Modules) -> None:
    training = training_module("training")
    figure = training.Figure(
        metric="m", ours=0.012, naive=None, floor=1.0, target=0.02, better="lower", unit="%"
    )
    assert figure.spell(figure.ours) == "1.200 %"
    assert figure.spell(figure.naive) == "–"
    assert figure.spell_target() == "≤ 2.000 %"
    assert training.Figure(metric="m", ours=0.35, unit="m", digits=2).spell(0.35) == "0.35 m"
    assert training.share("m", 0.5, 0.25, 1.0).spell(0.5) == "50.0 %"


def test_only_what_a_program_does_makes_it_stale(training_module: Modules) -> None:
    bare = training_module("stamps").bare
    source = 'def f(x):\n    """Doc."""\n    return x + 1\n'
    same = 'def f(x):  # why\n    """Another\n    one."""\n\n    return (x + 1)\n'
    assert bare(source) == bare(same)
    assert bare(source) != bare(source.replace("1", "2"))


def test_a_stamp_is_remembered(training_module: Modules, tmp_path: Path) -> None:
    stamps = training_module("stamps")
    assert stamps.read(tmp_path, "m") is None
    stamp = {"sources": "a", "model": "b"}
    stamps.write(tmp_path / "new", "m", stamp, 1.5)
    assert stamps.read(tmp_path / "new", "m") == stamp
    (tmp_path / "new" / "m.json").write_text("{")
    assert stamps.read(tmp_path / "new", "m") is None


def test_a_folder_is_copied_over_another(training_module: Modules, tmp_path: Path) -> None:
    (tmp_path / "from" / "1").mkdir(parents=True)
    (tmp_path / "from" / "1" / "model.onnx").write_bytes(b"new")
    (tmp_path / "to" / "1").mkdir(parents=True)
    (tmp_path / "to" / "1" / "model.onnx").write_bytes(b"old")
    (tmp_path / "to" / "kept.txt").write_text("kept")
    training_module("stamps").copy(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to" / "1" / "model.onnx").read_bytes() == b"new"
    assert sorted(p.name for p in (tmp_path / "to").rglob("*") if p.is_file()) == [
        "kept.txt",
        "model.onnx",
    ]


def test_the_time_of_all_is_that_of_the_busiest_core(training_module: Modules) -> None:
    schedule_minutes = training_module("make").schedule_minutes
    assert schedule_minutes([], 2) == 0
    assert schedule_minutes([25, 20, 4, 3], 1) == 52
    assert schedule_minutes([25, 20, 4, 3], 2) == 27
