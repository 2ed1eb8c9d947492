"""How long one model runs at each center, and what a request waits where it has to be loaded.

See ``service`` for the idea.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np

from gateway.api import Array
from gateway.fleet.cells import Cells, cells_of
from gateway.fleet.kept_rows import KeptRows


class ModelTimes:
    """One model: its published row, and what its answers say of its profile."""

    __slots__ = (
        "answers",
        "cold_ms",
        "declared",
        "execution_ms",
        "expected",
        "factor",
        "published",
        "ratio",
        "row",
        "run_ms",
        "settled_answers",
        "spread",
        "squared",
    )

    def __init__(self, run_ms: float, factors: Array) -> None:
        self.run_ms = run_ms
        declared = run_ms * factors
        self.declared = declared
        self.squared = 0.0  # mean squared log deviation
        self.spread: Array = np.zeros(len(declared), dtype=np.float32)  # its root, as published
        self.factor = 0.0
        self.answers = 0
        self.settled_answers = 0
        self.row: Array = declared.astype(np.float32)
        self.cold_ms: Array | None = None  # what a load adds to the row, where one is needed
        self.execution_ms = self.row  # without it
        self.published: Cells = cells_of(self.execution_ms)
        self.expected: list[float] = declared.tolist()  # declared × α, before φ
        self.ratio: list[float | None] = [None] * len(declared)

    def takes_row(self, old: ModelTimes) -> None:
        """Write where ``old`` wrote: readers know the array."""
        self.row = self.execution_ms = old.row
        self.published = cells_of(self.row)

    def set_cold(self, centers: Sequence[int], cold_ms: float) -> None:
        """A request at these waits so long for a load; 0: the model is in memory there."""
        if self.cold_ms is None:
            if not cold_ms:
                return
            self.cold_ms = np.zeros_like(self.row)
            self.execution_ms = self.row.copy()
        self.cold_ms[list(centers)] = cold_ms
        if self.cold_ms.any():
            np.add(self.execution_ms, self.cold_ms, out=self.row)
        else:
            self.row[:] = self.execution_ms
            self.cold_ms, self.execution_ms = None, self.row
        self.published = cells_of(self.execution_ms)

    def write(self, center: int, execution_ms: float) -> None:
        """One center's value."""
        self.published[center] = execution_ms
        if self.cold_ms is not None:
            self.row[center] = execution_ms + self.cold_ms[center]

    def write_all(self, factors: Array) -> None:
        """Every center's value, by its factor."""
        self.execution_ms[:] = self.expected * factors
        if self.cold_ms is not None:
            np.add(self.execution_ms, self.cold_ms, out=self.row)

    def common(self, centers: int) -> float:
        """Median over centers of the log ratio; 0 when fewer than ``centers`` answered."""
        seen = [ratio for ratio in self.ratio if ratio is not None]
        return float(np.median(seen)) if len(seen) >= centers else 0.0

    def same_profile(self, before: ModelTimes, kept: KeptRows) -> bool:
        """Whether both were declared to take as long; what was learned is relative to that."""
        return np.array_equal(self.declared[kept.after], before.declared[kept.before])

    def carry_over(self, before: ModelTimes, kept: KeptRows) -> None:
        """What its answers said, of the centers that stay."""
        self.squared, self.factor = before.squared, before.factor
        self.answers, self.settled_answers = before.answers, before.settled_answers
        self.expected = (self.declared * exp(self.factor)).tolist()
        self.spread[:] = before.spread[0]
        for old, new in kept.pairs:
            self.ratio[new] = before.ratio[old]

    def shift(self, by: float, factor_max: float) -> float:
        """Move the model's log factor, within its bound; returns by how much."""
        bound = log(factor_max)
        factor = min(max(self.factor + by, -bound), bound)
        by, self.factor = factor - self.factor, factor
        self.expected = (self.declared * exp(factor)).tolist()
        self.ratio = [None if ratio is None else ratio - by for ratio in self.ratio]
        return by
