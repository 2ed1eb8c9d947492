"""`cockpit-intent`: its commands, their tags, and what the model makes of fresh ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FRESH_SEED, COUNT = 777_006, 400
FOLDER = Path(__file__).resolve().parents[3] / "models" / "gateway_models" / "cockpit-intent"

Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.fixture
def plant(training_module: Callable[[str], ModuleType]) -> Any:
    return training_module("cockpit_intent_plant")


def lines(file: str) -> tuple[str, ...]:
    return tuple((FOLDER / file).read_text("utf-8").splitlines())


def test_labels_and_vocabulary_are_those_of_the_plant(plant: Any) -> None:
    assert lines("labels_intent.txt") == plant.INTENTS
    assert lines("labels_slots.txt") == plant.TAGS
    words = lines("vocabulary.txt")
    assert {word: number for number, word in enumerate(words) if number > plant.UNKNOWN} == (
        plant.vocabulary()
    )


def test_commands_are_words_then_padding(plant: Any) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    spoken = fresh.tokens != plant.PADDING
    assert (spoken[:, :-1] >= spoken[:, 1:]).all()
    assert spoken[:, 0].all()
    assert not fresh.tags[~spoken].any()
    assert fresh.tokens.max() < len(lines("vocabulary.txt"))
    assert set(fresh.intent) == set(range(len(plant.INTENTS)))


def test_a_slot_begins_with_its_first_word(plant: Any) -> None:
    """No inside tag without the same slot right before it."""
    tags = plant.generate(COUNT, FRESH_SEED).tags
    before = np.pad(tags, ((0, 0), (1, 0)))[:, :-1]
    inside = (tags > 0) & (tags % 2 == 0)
    assert inside.any()
    assert ((before == tags) | (before == tags - 1))[inside].all()


def test_every_filled_slot_exists(plant: Any, training_module: Callable[[str], ModuleType]) -> None:
    phrases = training_module("cockpit_intent_phrases")
    assert set(phrases.CLOSED) | set(plant.OPEN) == set(plant.SLOTS)


def test_tokenise_takes_any_words(plant: Any) -> None:
    numbers = plant.tokenise("Take ME to xyzzy " + "very " * 40)
    assert numbers.shape == (plant.LONGEST,)
    assert numbers[3] == plant.UNKNOWN
    assert plant.UNKNOWN not in numbers[:3]
    assert not plant.tokenise("").any()


def test_the_example_is_understood(plant: Any, run_model: Run) -> None:
    request = json.loads((FOLDER / "example.json").read_text("utf-8"))["inputs"][0]
    tokens = np.array(request["data"], np.int64).reshape(request["shape"])
    answers = run_model("cockpit-intent", {"tokens": tokens})
    assert plant.INTENTS[int(answers["intent"].argmax())] == "navigate"
    tags = [plant.TAGS[tag] for tag in answers["slots"][0, :6].argmax(axis=1)]
    assert tags == ["O", "O", "O", "O", "B-destination", "I-destination"]


def test_fresh_commands_are_understood(plant: Any, run_model: Run) -> None:
    fresh = plant.generate(COUNT, FRESH_SEED)
    answers = run_model("cockpit-intent", {"tokens": fresh.tokens})
    assert np.mean(answers["intent"].argmax(axis=1) == fresh.intent) > 0.97
    spoken = fresh.tokens != plant.PADDING
    assert np.mean((answers["slots"].argmax(axis=2) == fresh.tags)[spoken]) > 0.97


def test_padding_is_not_heard(plant: Any, run_model: Run) -> None:
    """A command means the same whatever its batch is padded to by others."""
    fresh = plant.generate(8, FRESH_SEED)
    together = run_model("cockpit-intent", {"tokens": fresh.tokens})["intent"]
    for row, tokens in enumerate(fresh.tokens):
        alone = run_model("cockpit-intent", {"tokens": tokens[None]})["intent"]
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)
