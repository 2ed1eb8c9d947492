"""No model is judged on what it has learnt from: neither by seed nor by sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

Modules = Callable[[str], ModuleType]

TRAINING = Path(__file__).resolve().parents[3] / "models" / "training"
PLANTS = sorted(path.stem for path in TRAINING.glob("*_plant.py"))
SLOW = {"weather_mini_plant"}
"""Plants that run for long before the first sample: theirs are compared by `make soak` alone."""
QUICK = [plant for plant in PLANTS if plant not in SLOW]
SAMPLES = 8
SOAKED = 400


def prints(module: Modules, name: str, count: int, seed: int) -> list[str]:
    found: list[str] = module("splits").fingerprints(module(name).generate(count, seed))
    assert len(found) == count
    return found


@pytest.mark.parametrize("name", QUICK)
def test_no_sample_is_in_two_splits(training_module: Modules, name: str) -> None:
    splits = training_module(name).SPLITS
    seeds = (*splits.train[:1], *splits.stop[:1])
    learnt = {p for seed in seeds for p in prints(training_module, name, SAMPLES, seed)}
    judged = {
        p
        for seed in (splits.card, splits.check)
        for p in prints(training_module, name, SAMPLES, seed)
    }
    assert learnt
    assert not learnt & judged


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", PLANTS)
def test_no_sample_is_in_two_splits_of_many(training_module: Modules, name: str) -> None:
    splits = training_module(name).SPLITS
    seeds = (*splits.train[:3], *splits.stop[:1])
    learnt = {p for seed in seeds for p in prints(training_module, name, SOAKED, seed)}
    judged = {
        p for s in (splits.card, splits.check) for p in prints(training_module, name, SOAKED, s)
    }
    assert not learnt & judged


@pytest.mark.parametrize("name", QUICK)
def test_a_seed_gives_the_same_samples_again(training_module: Modules, name: str) -> None:
    seed = training_module(name).SPLITS.check
    assert prints(training_module, name, 2, seed) == prints(training_module, name, 2, seed)


def test_a_seed_in_two_splits_is_refused(training_module: Modules) -> None:
    splits = training_module("splits")
    with pytest.raises(ValueError, match="two splits"):
        splits.Splits(train=range(1, 4), stop=(5,), card=3, check=9)
    kept = splits.Splits(train=range(1, 4), stop=(5,), card=6, check=9)
    assert [kept.learnt_from(seed) for seed in (1, 5, 6, 9)] == [True, True, False, False]


def test_fingerprints_see_every_array(training_module: Modules) -> None:
    splits = training_module("splits")
    one, two = np.zeros((2, 3)), np.array([0, 1])
    first, second = splits.fingerprints((one, two))
    assert first != second
    assert splits.fingerprints((one, two * 0)) == [first, first]
