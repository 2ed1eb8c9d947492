"""`code-assist`: the checker of its language, its programs, and what is written to their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import onnxruntime
import pytest

from gateway.engine.tokenizer import read_tokenizer

FOLDER = Path(__file__).resolve().parents[3] / "models" / "gateway_models" / "code-assist"
FRESH_SEED, COUNT, TOKENS_MAX = 777_011, 40, 400
PROGRAM = """plant north_well;
sensor pressure: kpa;
let high = 320;
output valve: pct;
rule valve_rule on pressure > high and not (pressure == min(high, 2 * 7)) {
  set valve = (high - 3) / 2;
  repeat 3 {
    wait 5 min;
    report "too hot";
  }
  if pressure < 4 { set valve = 0; } else { set valve = 1.5; }
}
"""

Modules = Callable[[str], ModuleType]


@pytest.fixture
def plant(training_module: Modules) -> Any:
    return training_module("code_assist_plant")


@pytest.fixture
def check(training_module: Modules) -> Callable[[str], Any]:
    checker: Callable[[str], Any] = training_module("code_assist_language").check
    return checker


def test_a_program_is_one_until_a_sign_is_missing(check: Callable[[str], Any]) -> None:
    assert check(PROGRAM) is None
    signs = [at for at, sign in enumerate(PROGRAM) if sign in ';:{}()="']
    for at in signs:
        fault = check(PROGRAM[:at] + PROGRAM[at + 1 :])
        assert fault is not None, f"without the sign at {at}"
        assert not fault.only_names


@pytest.mark.parametrize(
    ("old", "new", "at", "only_names"),
    [
        ("kpa;", "feet;", "feet", False),
        ("wait 5 min", "wait 5 m", "m;", False),
        ("report", "say", "say", False),
        ("north_well", "every", "every", False),
        ("high - 3", "hihg - 3", "hihg", True),
        ("set valve = 0", "set pressure = 0", "pressure = 0", True),
        ("output valve", "output high", "high: pct", True),
    ],
)
def test_a_fault_is_placed(
    check: Callable[[str], Any], old: str, new: str, at: str, only_names: bool
) -> None:
    wrong = PROGRAM.replace(old, new, 1)
    fault = check(wrong)
    assert fault is not None
    assert wrong[fault.at :].startswith(at)
    assert fault.only_names == only_names


@pytest.mark.parametrize(
    ("old", "new"), [("= (", "= " + "(" * 5000), ("repeat 3 {", "repeat 3 { " * 5000)]
)
def test_no_text_exhausts_the_checker(check: Callable[[str], Any], old: str, new: str) -> None:
    assert "nested deeper" in check(PROGRAM.replace(old, new, 1)).what
    assert check(PROGRAM.replace("2 * 7", "(" * 5000)) is not None


def test_programs_are_valid_and_parted_by_their_keys(
    plant: Any, check: Callable[[str], Any]
) -> None:
    splits = plant.SPLITS
    parts = (
        (splits.train[0], plant.LEARNT),
        (splits.card, plant.CARD),
        (splits.check, plant.CHECK),
    )
    for seed, split in parts:
        programs = plant.programs(100, seed)
        assert all(check(one.text) is None for one in programs)
        assert {plant.split_of(one.key) for one in programs} == {split}


def test_what_it_never_saw_is_written_to_a_valid_end(
    plant: Any, check: Callable[[str], Any], training_module: Modules
) -> None:
    tokenizer = read_tokenizer(FOLDER)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(FOLDER / "1" / "model.onnx", options)
    draw = Random(FRESH_SEED)
    programs = [one.text for one in plant.programs(COUNT, FRESH_SEED)]
    begun = [text[: round(draw.uniform(0.1, 0.9) * len(text))] for text in programs]
    rests = training_module("causal_generation").continue_greedily(
        session, [tokenizer.completion(text) for text in begun], tokenizer.end_id, TOKENS_MAX
    )
    faults = [check(text + tokenizer.decode(rest)) for text, rest in zip(begun, rests, strict=True)]
    valid = sum(fault is None or fault.only_names for fault in faults)
    assert valid >= 0.9 * COUNT
    assert all(len(rest) < TOKENS_MAX for rest in rests)
