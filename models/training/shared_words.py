"""Search by shared words, BM25 (Robertson and Zaragoza, 2009): what a learnt search must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.engine.tokenizer import words

SATURATION, LENGTH_SHARE = 1.2, 0.75


def scores(searches: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """How well each text answers each search, FP32 [searches, texts]."""
    bags = [_bag(text) for text in texts]
    columns = {word: at for at, word in enumerate(sorted({word for bag in bags for word in bag}))}
    seen = np.zeros((len(texts), len(columns)), np.float32)
    for row, bag in enumerate(bags):
        np.add.at(seen[row], [columns[word] for word in bag], 1.0)
    lengths = seen.sum(axis=1, keepdims=True)
    found = (seen > 0).sum(axis=0)
    rarity = np.log(1 + (len(texts) - found + 0.5) / (found + 0.5)).astype(np.float32)
    floor = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * lengths / lengths.mean())
    weights = rarity * seen * (SATURATION + 1) / (seen + floor)
    asked = np.zeros((len(searches), len(columns)), np.float32)
    for row, text in enumerate(searches):
        asked[row, [columns[word] for word in set(_bag(text)) if word in columns]] = 1.0
    return np.asarray(asked @ weights.T)


def _bag(text: str) -> list[str]:
    return [word.strip().lower() for word in words(text)]
