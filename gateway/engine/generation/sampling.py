"""The next token of each row, by its odds.

A row draws one number a token from a stream of its own, whoever else is in the batch; so a seed
gives the same text alone and in company, as far as the logits are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.api import NdArray

COLDEST: Final = 1e-4
"""A temperature below it is as good as none."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a row chooses. ``temperature`` 0: the likeliest. ``top_p``: of the likeliest tokens that
    together have this share. ``seed`` None: another text each time.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None


GREEDY: Final = Sampling(0.0)


class Chooser:
    """A row's choice, with the random stream it draws from."""

    __slots__ = ("random", "temperature", "top_p")

    def __init__(self, sampling: Sampling) -> None:
        self.temperature = sampling.temperature if sampling.temperature >= COLDEST else 0.0
        self.top_p = sampling.top_p
        self.random: np.random.Generator | None = None
        if self.temperature:
            self.random = np.random.Generator(np.random.PCG64(sampling.seed))


def choose(logits: NdArray, choosers: Sequence[Chooser]) -> list[int]:
    """A token for each row of ``logits``, FP32 [rows, vocabulary].

    Rows that draw from all tokens are drawn together: each by its own odds and number, so that
    none is changed by the company.
    """
    tokens: list[int] = logits.argmax(axis=1).tolist()
    whole = [row for row, one in enumerate(choosers) if one.random is not None and one.top_p >= 1.0]
    if whole:
        drawn = _drawn_together(logits, whole, [choosers[row] for row in whole])
        for row, token in zip(whole, drawn, strict=True):
            tokens[row] = token
    for row, chooser in enumerate(choosers):
        if chooser.random is not None and chooser.top_p < 1.0:
            tokens[row] = _drawn(logits[row], chooser, chooser.random.random())
    return tokens


def _drawn_together(logits: NdArray, rows: list[int], choosers: Sequence[Chooser]) -> list[int]:
    drawn = np.array([one.random.random() for one in choosers if one.random is not None])
    heat = np.array([one.temperature for one in choosers])
    some = logits if len(rows) == len(logits) else logits[rows]
    summed = _odds(some, heat[:, None]).cumsum(axis=1)
    # The first place whose sum is beyond the number drawn, as ``_place`` finds it.
    at = (summed <= (drawn * summed[:, -1])[:, None]).sum(axis=1)
    tokens: list[int] = np.minimum(at, summed.shape[1] - 1).tolist()
    return tokens


def _odds(logits: NdArray, temperature: NdArray | float) -> NdArray:
    """Shares, up to a factor: the likeliest token has 1."""
    scaled = logits.astype(np.float64)
    scaled /= temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    odds: NdArray = np.exp(scaled, out=scaled)
    return odds


def _drawn(logits: NdArray, chooser: Chooser, drawn: float) -> int:
    odds = _odds(logits, chooser.temperature)
    order = np.argsort(-odds, kind="stable")
    summed = np.cumsum(odds[order])
    kept = int(np.searchsorted(summed, chooser.top_p * summed[-1])) + 1
    return int(order[_place(summed[:kept], drawn)])


def _place(summed: NdArray, drawn: float) -> int:
    at = int(np.searchsorted(summed, drawn * summed[-1], side="right"))
    return min(at, len(summed) - 1)


def log_likelihoods(
    logits: NdArray, token: int, top: int
) -> tuple[float, tuple[tuple[int, float], ...]]:
    """The logarithm of ``token``'s share in one row, and the ``top`` likeliest with theirs.

    Of the model's own odds, before temperature and ``top_p``.
    """
    wide = logits.astype(np.float64)
    shifted = wide - wide.max()
    logs = shifted - np.log(np.exp(shifted).sum())
    best: list[int] = []
    if top:
        best = np.argpartition(-logs, min(top, len(logs)) - 1)[:top].tolist()
        best.sort(key=lambda at: -logs[at])
    return float(logs[token]), tuple((at, float(logs[at])) for at in best)
