"""`industry-chat`: chats and their keys, and what is answered to combinations it never saw."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import onnxruntime
import pytest

from gateway.engine.tokenizer import Tokenizer, read_tokenizer

FOLDER = Path(__file__).resolve().parents[3] / "models" / "gateway_models" / "industry-chat"
FRESH_SEED, COUNT = 777_010, 40

Modules = Callable[[str], ModuleType]


@pytest.fixture
def plant(training_module: Modules) -> Any:
    return training_module("industry_chat_plant")


@pytest.fixture
def tokenizer() -> Tokenizer:
    return read_tokenizer(FOLDER)


@pytest.fixture
def answers(training_module: Modules, tokenizer: Tokenizer) -> Callable[[Any], list[str]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(FOLDER / "1" / "model.onnx", options)
    generation = training_module("causal_generation")

    def answer(chats: Any) -> list[str]:
        prompts = [tokenizer.chat(messages) for messages in chats]
        told = generation.continue_greedily(session, prompts, tokenizer.end_id, 80)
        return [tokenizer.decode(ids) for ids in told]

    return answer


def test_chats_are_parted_by_what_they_ask(plant: Any) -> None:
    splits = plant.SPLITS
    parts = (
        (splits.train[0], plant.LEARNT),
        (splits.card, plant.CARD),
        (splits.check, plant.CHECK),
    )
    for seed, split in parts:
        chats = plant.chats(400, seed)
        divided = [chat for chat in chats if not chat.kind.startswith("talk")]
        assert all(plant.split_of(chat.key) == split for chat in divided)
        assert (len(divided) < len(chats)) == (split == plant.LEARNT)
        assert len({chat.kind for chat in chats}) >= 8


def test_every_kind_has_its_one_answer(plant: Any) -> None:
    for chat in plant.chats(600, plant.SPLITS.train[1]):
        *before, (role, question) = chat.messages
        assert role == "user"
        assert question
        kind = chat.kind.removesuffix(", JSON")
        asked = chat.key.split("|")
        if "JSON" in chat.kind:
            assert "JSON" in before[0][1]
            assert isinstance(json.loads(chat.answer), dict)
        if kind == "report":
            assert all(word in chat.answer and word in question for word in asked[1:])
        if kind == "limit":
            assert f" {asked[2]} " in chat.answer.replace(":", " ")
        if kind == "unknown":
            assert asked[1] in question
            assert asked[1] in chat.answer


def test_readings_are_judged_by_their_limits(plant: Any, training_module: Modules) -> None:
    limits = {limit.quantity: limit for limit in training_module("industry_chat_facts").LIMITS}
    judged = [c for c in plant.chats(20000, plant.SPLITS.train[2]) if c.kind == "limit"]
    words = set()
    for chat in judged:
        _, quantity, value = chat.key.split("|")
        limit = limits[quantity]
        at = (int(value) > limit.low) + (int(value) > limit.high)
        assert f"is {limit.words[at]}: {value} {limit.unit}" in chat.answer
        words.add((quantity, at))
    assert len(words) == 3 * len(limits)


def test_what_it_never_saw_is_answered_word_for_word(
    plant: Any, answers: Callable[[Any], list[str]]
) -> None:
    chats = plant.chats(COUNT, FRESH_SEED)
    told = answers([chat.messages for chat in chats])
    right = sum(answer == chat.answer for answer, chat in zip(told, chats, strict=True))
    assert right >= 0.9 * COUNT


def test_a_record_becomes_a_report_or_an_object(answers: Callable[[Any], list[str]]) -> None:
    record = "Write a report.\nsite: tower eighteen\npart: insulator\nfault: broken\nseverity: 3"
    report, as_json = answers(
        [[("user", record)], [("system", "Answer as JSON."), ("user", record)]]
    )
    assert report == (
        "At tower eighteen the insulator is broken. Severity 3, alarm: switch the line off."
    )
    told = json.loads(as_json)  # a part of a power line may be another: see the card
    assert list(told) == ["site", "part", "fault", "severity", "action"]
    assert (told["site"], told["fault"], told["severity"]) == ("tower eighteen", "broken", 3)
