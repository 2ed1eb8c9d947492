"""What was measured, by row and load: the one place that tables and claims read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.peers import ratios
from bench.peers.measuring import Cell, Load
from bench.peers.open_loop import Stream
from bench.peers.ratios import ByRound
from gateway.measure.intervals import NOTHING, Interval, quantile_of
from gateway.measure.paired import ratio_of_quantiles


@dataclass
class Figures:
    """Cells of all rounds, and the streams of the open loop by arm."""

    cells: Sequence[Cell]
    streams: Mapping[str, Stream]

    @cached_property
    def _by_key(self) -> dict[tuple[str, Load], list[Cell]]:
        found: dict[tuple[str, Load], list[Cell]] = {}
        for cell in self.cells:
            found.setdefault((cell.row, cell.load), []).append(cell)
        return found

    def of(self, row: str, load: Load) -> Sequence[Cell]:
        """The cells of a row under a load, a round each; empty when not measured."""
        return self._by_key.get((row, load), ())

    def values(self, row: str, load: Load, figure: str) -> ByRound:
        """Round -> the named field of the cell."""
        return {cell.round: float(getattr(cell, figure)) for cell in self.of(row, load)}

    def mean(self, row: str, load: Load, figure: str) -> Interval:
        """The mean over rounds, never below 0."""
        found = ratios.mean(self.values(row, load, figure))
        return Interval(max(0.0, found.low), found.value, found.high)

    def cpu_ratio(
        self, ours: str, other: str, load: Load, other_load: Load | None = None
    ) -> Interval:
        """CPU a request of ``ours`` over that of ``other``, within rounds."""
        base = self.values(other, other_load or load, "cpu_us")
        return ratios.ratio(self.values(ours, load, "cpu_us"), base)

    def added_us(self, row: str, base: str) -> Interval:
        """Median latency on one core at one connection beyond that of ``base``, µs."""
        alone = Load(1, one_core=True)
        return ratios.difference(
            self.values(row, alone, "p50_us"), self.values(base, alone, "p50_us")
        )

    def added_ratio(self, ours: str, other: str, base: str) -> Interval:
        """What ``ours`` adds to ``base`` over what ``other`` adds, within rounds."""
        alone = Load(1, one_core=True)
        found = {row: self.values(row, alone, "p50_us") for row in (ours, other, base)}
        mine, theirs = (
            {n: us - found[base][n] for n, us in found[row].items() if n in found[base]}
            for row in (ours, other)
        )
        return ratios.ratio(mine, theirs)

    def open_quantile(self, arm: str, q: float) -> Interval:
        """A quantile of the open loop's latencies, ms, over all turns."""
        stream = self.streams.get(arm)
        if stream is None or not stream.latency_ms:
            return NOTHING
        return quantile_of(np.concatenate(stream.latency_ms), np.concatenate(stream.intended_s), q)

    def open_ratio(self, ours: str, other: str, q: float) -> Interval:
        """The same quantile of two arms, one over the other, paired by turns."""
        mine, theirs = self.streams.get(ours), self.streams.get(other)
        if mine is None or theirs is None or not mine.latency_ms:
            return NOTHING
        return ratio_of_quantiles(mine.latency_ms, theirs.latency_ms, q)
