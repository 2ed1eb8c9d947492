"""`clip-maker`: captions and clips, the rule that judges them, and what becomes of new ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

MODELS = Path(__file__).resolve().parents[3] / "models" / "gateway_models"
FRESH_SEED, COUNT = 777_007, 100

Modules = Callable[[str], ModuleType]
Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.fixture
def plant(training_module: Modules) -> Any:
    return training_module("clip_maker_plant")


def test_combinations_are_split(plant: Any) -> None:
    trained = {tuple(row) for row in plant.TRAINED.tolist()}
    held_out = {tuple(row) for row in plant.HELD_OUT.tolist()}
    assert not trained & held_out
    assert len(trained) + len(held_out) == 7 * 6 * 8
    seen = {tuple(row) for row in plant.wishes(200, plant.SPLITS.train[0]).asked.tolist()}
    asked = {tuple(row) for row in plant.wishes(200, plant.SPLITS.check).asked.tolist()}
    assert seen <= trained
    assert asked <= held_out


def test_captions_say_what_is_asked(plant: Any) -> None:
    wished = plant.wishes(200, FRESH_SEED)
    for text, (colour, shape, direction) in zip(wished.text, wished.asked, strict=True):
        assert list(plant.COLOURS)[colour] in text.split()
        assert set(plant.NOUNS[plant.SHAPES[shape]]) & set(text.split())
        last = list(plant.DIRECTIONS)[direction].split()[-1]
        ends = {"up": "top upper", "down": "bottom lower"}.get(last, "").split()
        assert {last, *ends} & set(text.split())


def test_every_word_is_known_and_fits(plant: Any) -> None:
    wished = plant.wishes(400, FRESH_SEED)
    assert not (wished.caption == 1).any()
    assert max(len(text.split()) for text in wished.text) <= plant.WORDS_MAX
    assert plant.encode("a mauve circle")[1] == 1
    words = (MODELS / "clip-maker" / "vocabulary.txt").read_text("utf-8").splitlines()
    assert tuple(words) == plant.VOCABULARY


def test_the_judge_recognises_the_plants_own_clips(plant: Any, training_module: Modules) -> None:
    own = plant.generate(60, FRESH_SEED)
    told = training_module("clip_maker_viewer").recognise(own.clip)
    assert (told == own.asked).mean() > 0.98
    turned = training_module("clip_maker_viewer").recognise(own.clip[:, ::-1])
    assert (turned[:, 2] != own.asked[:, 2]).all(), "played backwards, it moves the other way"


def test_new_captions_get_their_clips(plant: Any, training_module: Modules, run_model: Run) -> None:
    wished = plant.wishes(COUNT, FRESH_SEED)
    inputs = {"caption": wished.caption, "noise": wished.noise}
    clip = run_model("clip-maker", inputs)["clip"]
    assert clip.shape == (COUNT, 8, 3, 32, 32)
    told = training_module("clip_maker_viewer").recognise(clip)
    assert ((told == wished.asked).mean(axis=0) > 0.9).all()


def test_the_example_is_a_caption(plant: Any) -> None:
    request = json.loads((MODELS / "clip-maker" / "example.json").read_text("utf-8"))
    caption = next(t for t in request["inputs"] if t["name"] == "caption")
    words = [plant.VOCABULARY[number] for number in caption["data"] if number]
    np.testing.assert_array_equal(plant.encode(" ".join(words)), caption["data"])
