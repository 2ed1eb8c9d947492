"""Which random seeds a model is trained on, stopped by and judged on; they never meet.

A plant draws all its samples from `generate(count, seed)`, so two splits are disjoint when their
seeds are, and their samples are told apart by `fingerprints`. Needs `numpy` alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Splits:
    """Seeds of a plant. Raises ValueError when a seed is in two splits."""

    train: Sequence[int]
    """What the weights are fitted to."""
    stop: Sequence[int]
    """What tells when to stop fitting, and picks thresholds."""
    card: int
    """What the card's table is measured on, once trained."""
    check: int
    """What `make models-check` measures on."""

    def __post_init__(self) -> None:
        seeds = [*self.train, *self.stop, self.card, self.check]
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"a seed is in two splits: {seeds}")

    def learnt_from(self, seed: int) -> bool:
        """Has training seen samples of this seed?"""
        return seed in self.train or seed in self.stop


def fingerprints(samples: Iterable[np.ndarray]) -> list[str]:
    """One hash a sample, over all arrays of `generate` (each [count, ...], any dtype)."""
    rows = zip(*(np.ascontiguousarray(array) for array in samples), strict=True)
    return [_fingerprint(row) for row in rows]


def _fingerprint(row: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for values in row:
        digest.update(np.asarray(values).tobytes())
    return digest.hexdigest()
