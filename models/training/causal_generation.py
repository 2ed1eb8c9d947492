"""How to continue texts with the graph of `causal_network.py`: the reference, greedy.

Rows start together and end each on its own; their cache lives in one array, sixty-four positions
larger whenever the longest row has filled it. Needs `numpy` and `onnxruntime` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

CACHE_STEP = 64
BEFORE = 2
"""Tokens before the new ones that the graph is told."""


class Continuation:
    """Rows that are read and continued together, with their cache.

    `session` has the inputs and outputs named in `causal_network.py`.
    """

    def __init__(self, session: Any, rows: int) -> None:
        shape = {tensor.name: tensor.shape for tensor in session.get_inputs()}["past_key"]
        self._session = session
        self.past_length = np.zeros(rows, np.int64)
        self._before = np.zeros((rows, BEFORE), np.int64)
        self._key = np.zeros((rows, shape[1], CACHE_STEP, shape[3]), np.float32)
        self._value = np.zeros_like(self._key)

    def read(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """Read the next tokens of every row; logits of what follows, FP32 [rows, vocabulary]."""
        length = np.array([len(row) for row in tokens], np.int64)
        ids = np.zeros((len(tokens), length.max()), np.int64)
        for row, new in enumerate(tokens):
            ids[row, : len(new)] = new
        feeds = {
            "input_ids": ids,
            "length": length,
            "before": self._before,
            "past_length": self.past_length,
            "past_key": self._key,
            "past_value": self._value,
        }
        logits, key, value = self._session.run(("logits", "new_key", "new_value"), feeds)
        self._grow(int((self.past_length + length).max()))
        if ids.shape[1] == 1:
            rows = np.arange(len(tokens))
            self._key[rows, :, self.past_length] = key[:, :, 0]
            self._value[rows, :, self.past_length] = value[:, :, 0]
        else:
            for row, (start, count) in enumerate(zip(self.past_length, length, strict=True)):
                self._key[row, :, start : start + count] = key[row, :, :count]
                self._value[row, :, start : start + count] = value[row, :, :count]
        self.past_length = self.past_length + length
        known = np.concatenate([self._before, ids], axis=1)
        latest = length[:, None] + np.arange(BEFORE)
        self._before = np.take_along_axis(known, latest, axis=1)
        return np.asarray(logits)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        self.past_length, self._before = self.past_length[rows], self._before[rows]
        self._key, self._value = self._key[rows], self._value[rows]

    def _grow(self, needed: int) -> None:
        while needed > self._key.shape[2]:
            shape = list(self._key.shape)
            shape[2] = CACHE_STEP
            room = np.zeros(shape, np.float32)
            self._key = np.concatenate([self._key, room], axis=2)
            self._value = np.concatenate([self._value, room], axis=2)


def continue_greedily(
    session: Any, prompts: Sequence[Sequence[int]], end_id: int, tokens_max: int
) -> list[list[int]]:
    """The likeliest next token again and again, until `end_id` (not returned) or `tokens_max`."""
    return _continue(session, prompts, end_id, tokens_max, lambda logits: logits.argmax(axis=1))


def continue_randomly(
    session: Any,
    prompts: Sequence[Sequence[int]],
    end_id: int,
    tokens_max: int,
    *,
    temperature: float,
    draw: np.random.Generator,
) -> list[list[int]]:
    """As `continue_greedily`, each token drawn with the odds of its logits over `temperature`."""

    def drawn(logits: np.ndarray) -> np.ndarray:
        noise = draw.gumbel(size=logits.shape)
        return np.asarray((logits / temperature + noise).argmax(axis=1))

    return _continue(session, prompts, end_id, tokens_max, drawn)


def _continue(
    session: Any, prompts: Sequence[Sequence[int]], end_id: int, tokens_max: int, choose: Any
) -> list[list[int]]:
    answers: list[list[int]] = [[] for _ in prompts]
    going = list(range(len(prompts)))
    continuation = Continuation(session, len(prompts))
    logits = continuation.read(prompts)
    for _ in range(tokens_max):
        tokens = choose(logits).tolist()
        on = [at for at, token in enumerate(tokens) if token != end_id]
        if not on:
            break
        for at in on:
            answers[going[at]].append(tokens[at])
        if len(on) < len(going):
            continuation.keep(on)
            going = [going[at] for at in on]
        logits = continuation.read([[tokens[at]] for at in on])
    return answers
