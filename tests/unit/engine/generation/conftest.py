"""A language model of numpy alone, with the interface of the graphs, and a real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from gateway_models import repository

from gateway.engine.generation import CAUSAL, Language, Wish
from gateway.engine.loaded_model import LoadedModel, load_model
from gateway.engine.tokenizer import SPECIAL, Tokenizer

LAYERS, HEAD = 2, 4


class Toy:
    """Its next token depends on every token before it and on their order.

    It says small letters. ``runs``: the shape of each. ``bias`` is added to the logits; ``fails``
    is raised instead of running.
    """

    def __init__(self) -> None:
        self.tokenizer = Tokenizer(SPECIAL, [])
        self.language = Language(CAUSAL, self.tokenizer, LAYERS, HEAD)
        random = np.random.default_rng(3)
        size = self.tokenizer.vocabulary
        self.embed = random.normal(size=(size, LAYERS * HEAD)).astype(np.float32)
        self.out = random.normal(size=(LAYERS * HEAD + 2, size)).astype(np.float32)
        letters = slice(len(SPECIAL) + ord("a"), len(SPECIAL) + ord("z") + 1)
        self.bias = np.full(size, -1e6, np.float32)
        self.bias[letters] = 0.0
        self.runs: list[tuple[int, int]] = []
        self.fails: Exception | None = None

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str]) -> list[Any]:
        if self.fails is not None:
            raise self.fails
        assert outputs == ("logits", "new_key", "new_value")
        ids, length, past = inputs["input_ids"], inputs["length"], inputs["past_length"]
        batch, new = ids.shape
        self.runs.append((batch, new))
        assert inputs["past_key"].flags.c_contiguous
        key = self.embed[ids].reshape(batch, new, LAYERS, HEAD).transpose(0, 2, 1, 3)
        logits = np.zeros((batch, self.out.shape[1]), np.float32)
        for row in range(batch):
            known = np.concatenate(
                [inputs["past_key"][row, :, : past[row]], key[row, :, : length[row]]], axis=1
            )
            assert np.array_equal(
                inputs["past_value"][row, :, : past[row]],
                2.0 * inputs["past_key"][row, :, : past[row]],
            )
            weights = np.arange(1, known.shape[1] + 1, dtype=np.float32)
            state = (known * weights[None, :, None]).sum(axis=1).ravel() / weights.sum()
            both = np.concatenate([inputs["before"][row], ids[row, : length[row]]])[-3:-1]
            logits[row] = np.concatenate([state * 9.0, both / 99.0]) @ self.out
        return [logits + self.bias, key, 2.0 * key]

    def alone(self, prompt: Sequence[int], count: int) -> list[int]:
        """The likeliest tokens, by reading all of the text again for each."""
        ids, empty = list(prompt), np.zeros((1, LAYERS, 0, HEAD), np.float32)
        for _ in range(count):
            inputs = {
                "input_ids": np.array([ids]),
                "length": np.array([len(ids)]),
                "before": np.zeros((1, 2), np.int64),
                "past_length": np.zeros(1, np.int64),
                "past_key": empty,
                "past_value": empty,
            }
            logits = self.run(inputs, ("logits", "new_key", "new_value"))[0]
            ids.append(int(logits[0].argmax()))
        return ids[len(prompt) :]

    def wish(self, text: str, tokens_max: int = 8, **more: Any) -> Wish:
        return Wish(self.tokenizer.completion(text), tokens_max, **more)


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture(scope="session")
def chat_model() -> LoadedModel:
    folder = repository() / "industry-chat"
    return load_model(folder, "1", ("1",), tensor_elements_max=4_000_000)
