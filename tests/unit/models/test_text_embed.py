"""`text-embed`: searches and reports of combinations it never saw meet again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gateway.engine.tokenizer import Tokenizer, read_tokenizer

FOLDER = Path(__file__).resolve().parents[3] / "models" / "gateway_models" / "text-embed"
FRESH_SEED, COUNT = 777_012, 150

Modules = Callable[[str], ModuleType]
Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]
Embed = Callable[..., np.ndarray]


@pytest.fixture
def plant(training_module: Modules) -> Any:
    return training_module("text_embed_plant")


@pytest.fixture
def tokenizer() -> Tokenizer:
    return read_tokenizer(FOLDER)


@pytest.fixture
def embed(run_model: Run, tokenizer: Tokenizer) -> Embed:
    def of(texts: list[str], *, padding: int = 0, filler: int = 0) -> np.ndarray:
        rows = [tokenizer.encode(text) for text in texts]
        length = np.array([len(row) for row in rows], np.int64)
        ids = np.full((len(rows), length.max() + padding), filler, np.int64)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
        return run_model("text-embed", {"input_ids": ids, "length": length})["embedding"]

    return of


def test_pairs_are_parted_by_their_key(plant: Any) -> None:
    splits = plant.SPLITS
    learnt = {pair.key for pair in plant.pairs(500, splits.train[0])}
    card = {pair.key for pair in plant.pairs(800, splits.card)}
    check = {pair.key for pair in plant.pairs(800, splits.check)}
    assert (len(learnt), len(card), len(check)) == (500, 800, 800)
    assert not learnt & card
    assert not learnt & check
    assert not card & check


def test_a_group_differs_in_one_detail_and_is_for_training(training_module: Modules) -> None:
    from random import Random

    plant: Any = training_module("text_embed_plant")
    draw = Random(1)
    for _ in range(50):
        keys = [pair.key.split("|") for pair in plant.group(draw, 8)]
        assert len(keys) >= 4
        assert sum(len({key[axis] for key in keys}) > 1 for axis in range(3)) == 1
        assert all(plant.split_of("|".join(key)) not in (plant.CARD, plant.CHECK) for key in keys)


def test_more_than_there_is_is_refused(plant: Any) -> None:
    with pytest.raises(ValueError, match="combinations"):
        plant.generate(5000, plant.SPLITS.card)


def test_every_search_finds_its_report(plant: Any, embed: Embed) -> None:
    samples = plant.generate(COUNT, FRESH_SEED)
    scores = embed(samples.search.tolist()) @ embed(samples.report.tolist()).T
    found = np.mean(scores.argmax(axis=1) == np.arange(COUNT))
    assert found >= 0.9


def test_vectors_have_length_one_and_padding_changes_nothing(embed: Embed) -> None:
    texts = ["Wuhu: the wheel bearing runs too hot", "insulator gone", "水"]
    vectors = embed(texts)
    assert vectors.shape == (3, 128)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(embed(texts, padding=7, filler=300), vectors, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(embed([text])[0], vector, atol=1e-5)


def test_what_means_the_same_is_nearer_than_what_is_worded_alike(embed: Embed) -> None:
    asked, same, alike = embed(
        [
            "wheel bearing runs too hot Wuhu",
            "The journal box in Wuhu has a high temperature, says a driver.",
            "The wheel bearing in Wuhu is bent, says a driver.",
        ]
    )
    assert asked @ same > asked @ alike
