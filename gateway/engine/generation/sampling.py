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
    """A token for each row of ``logits``, FP32 [rows, vocabulary]."""
    tokens: list[int] = logits.argmax(axis=1).tolist()
    for row, chooser in enumerate(choosers):
        if chooser.random is not None:
            tokens[row] = _drawn(logits[row], chooser, chooser.random.random())
    return tokens


def _drawn(logits: NdArray, chooser: Chooser, drawn: float) -> int:
    scaled = logits.astype(np.float64) / chooser.temperature
    odds = np.exp(scaled - scaled.max())
    if chooser.top_p >= 1.0:
        return _place(np.cumsum(odds), drawn)
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
