"""Evidence: all figures of a run of the bench, asked for by condition and policy.

Labels of policies are the shipped names; which tuning point stands behind one is the plan's
business. What was not measured gives None, and a comparison of it NOTHING.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.policies import paired
from bench.policies.cells import ORACLE, Condition, Figures, Stored
from bench.policies.latency_histogram import F64
from bench.policies.paired import Arm
from gateway.measure.intervals import NOTHING, Interval

RECOVERED = 0.95
"""Recovered: the share in time is back at this part of the level it settles at."""
SETTLING = 0.5
"""The level is taken over the last half of what follows an event."""
STAYS_BINS = 3
"""For so many bins in a row, so that one lucky tenth of a second is no recovery."""


@dataclass(slots=True)
class Evidence:
    """(condition, label) -> seed -> figures."""

    conditions: dict[str, Condition] = field(default_factory=dict)
    figures: dict[tuple[str, str], dict[int, Figures]] = field(default_factory=dict)
    arms: dict[tuple[str, str], Arm] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Iterable[Stored]) -> Evidence:
        """From the stored cells; those that were refused are left out."""
        evidence = cls()
        for one in stored:
            if one.figures is not None:
                cell = one.cell
                evidence.conditions[cell.condition.name] = cell.condition
                key = (cell.condition.name, cell.arm.label)
                evidence.figures.setdefault(key, {})[cell.seed] = one.figures
        return evidence

    def labels(self, condition: str) -> list[str]:
        """The policies measured under a condition."""
        return [label for name, label in self.figures if name == condition]

    def runs(self, condition: str, label: str) -> list[Figures]:
        """The figures of each seed, by seed; empty when not measured."""
        by_seed = self.figures.get((condition, label), {})
        return [by_seed[seed] for seed in sorted(by_seed)]

    def arm(self, condition: str, label: str) -> Arm | None:
        """The runs of all seeds for a paired comparison."""
        key = (condition, label)
        by_seed = self.figures.get(key)
        if not by_seed:
            return None
        if key in self.arms:
            return self.arms[key]
        runs = self.runs(condition, label)
        self.arms[key] = paired.arm(
            sorted(by_seed),
            [run.counts for run in runs],
            [run.sum_ms for run in runs],
            [run.within for run in runs],
        )
        return self.arms[key]

    def value(self, condition: str, label: str, statistic: paired.Statistic) -> float:
        """The statistic of all seeds pooled; NaN when not measured."""
        one = self.arm(condition, label)
        return math.nan if one is None else paired.value(one, statistic)

    def ratio(self, condition: str, ours: str, other: str, statistic: paired.Statistic) -> Interval:
        """``ours / other``."""
        mine, base = self.arm(condition, ours), self.arm(condition, other)
        return NOTHING if mine is None or base is None else paired.ratio(mine, base, statistic)

    def difference(
        self, condition: str, ours: str, other: str, statistic: paired.Statistic
    ) -> Interval:
        """``ours - other``."""
        mine, base = self.arm(condition, ours), self.arm(condition, other)
        if mine is None or base is None:
            return NOTHING
        return paired.difference(mine, base, statistic)

    def gap_closed(
        self, condition: str, ours: str, other: str, oracle: str, statistic: paired.Statistic
    ) -> Interval:
        """``(other - ours) / (other - oracle)``."""
        mine, base, best = (self.arm(condition, label) for label in (ours, other, oracle))
        if mine is None or base is None or best is None:
            return NOTHING
        return paired.gap_closed(mine, base, best, statistic)

    def each(
        self, condition: str, label: str, of: Callable[[Figures], float | None]
    ) -> list[float]:
        """One figure of each seed's run, NaN where it has none."""
        values = [of(run) for run in self.runs(condition, label)]
        return [math.nan if value is None else float(value) for value in values]

    def mean(self, condition: str, label: str, of: Callable[[Figures], float | None]) -> Interval:
        """Its mean over the seeds."""
        return paired.mean_of(self.each(condition, label, of))

    def part(
        self, condition: str, ours: str, other: str, of: Callable[[Figures], float | None]
    ) -> Interval:
        """Mean of ours over mean of another's; the same seeds in both, or NOTHING."""
        mine, base = self.each(condition, ours, of), self.each(condition, other, of)
        if len(mine) != len(base) or not mine:
            return NOTHING
        return paired.ratio_of_means(mine, base)

    def of_feasible(self, condition: str, label: str) -> Interval:
        """The share in time over the share that an empty fleet would bring home in time."""
        feasible = self.figures.get((condition, ORACLE), {})
        runs = self.figures.get((condition, label), {})
        return paired.mean_of(
            [
                run.within / run.requests / known
                for seed, run in sorted(runs.items())
                if seed in feasible and (known := feasible[seed].feasible)
            ]
        )

    def recovery_s(self, condition: str, label: str, from_s: float, until_s: float) -> Interval:
        """Seconds from ``from_s`` until the share in time is back for good.

        Back means ``RECOVERED`` of its mean over the last half of ``from_s..until_s``, for
        ``STAYS_BINS`` bins in a row; seeds are pooled, and drawn with replacement for the
        interval. Infinite when it never is; NOTHING without a time line.
        """
        runs = [run for run in self.runs(condition, label) if run.series is not None]
        if not runs:
            return NOTHING
        bin_s = runs[0].series.bin_s if runs[0].series else 0.0
        first, last = round(from_s / bin_s), round(until_s / bin_s)
        offered = _rows([run.series.offered for run in runs if run.series], first, last)
        within = _rows([run.series.within for run in runs if run.series], first, last)
        return paired.of_seeds(
            len(runs), lambda weights: _recovered(weights @ offered, weights @ within) * bin_s
        )

    def reranked_s(self, condition: str, label: str, from_s: float, until_s: float) -> Interval:
        """Seconds from ``from_s`` until traffic has left the paths that got longer.

        It has left when its share is within a tenth of the way from the share before to that
        of the last half of ``from_s..until_s``. NOTHING where no path got longer.
        """
        series = [run.series for run in self.runs(condition, label) if run.series is not None]
        if not series or not any(sum(one.shifted) for one in series):
            return NOTHING
        bin_s = series[0].bin_s
        first, last, back = (
            round(from_s / bin_s),
            round(until_s / bin_s),
            round(0.5 * from_s / bin_s),
        )
        sent = _rows([one.could_shift for one in series], back, last)
        there = _rows([one.shifted for one in series], back, last)
        before = first - back

        def left(weights: F64) -> F64:
            counts, on_it = weights @ sent, weights @ there
            usual = _share(on_it[:, :before], counts[:, :before])
            late = _share(*(a[:, (a.shape[1] + before) // 2 :] for a in (on_it, counts)))
            limit = late + 0.1 * (usual - late)
            gone = on_it[:, before:] <= limit[:, None] * np.maximum(counts[:, before:], 1.0)
            return np.where(gone.any(axis=1), np.argmax(gone, axis=1), np.inf) * bin_s

        return paired.of_seeds(len(series), left)


def _share(part: F64, whole: F64) -> F64:
    return np.asarray(part.sum(axis=1) / np.maximum(1.0, whole.sum(axis=1)))


def _rows(series: Sequence[Sequence[int]], first: int, last: int) -> F64:
    """float64[seeds, bins] of the bins ``first..last``, cut to the shortest."""
    last = min([last, *(len(one) for one in series)])
    return np.asarray([list(one[first:last]) for one in series], dtype=np.float64)


def _recovered(offered: F64, within: F64) -> F64:
    """float64[rows]: how many bins pass before the share stays up, inf for never."""
    bins = offered.shape[1]
    if bins < 2 * STAYS_BINS:
        return np.full(offered.shape[0], np.nan)
    late = slice(int(bins * (1.0 - SETTLING)), bins)
    level = within[:, late].sum(axis=1) / np.maximum(1.0, offered[:, late].sum(axis=1))
    good = within >= RECOVERED * level[:, None] * offered
    stays = np.ones((good.shape[0], bins - STAYS_BINS + 1), dtype=np.bool_)
    for i in range(STAYS_BINS):
        stays &= good[:, i : i + stays.shape[1]]
    at = np.argmax(stays, axis=1).astype(np.float64)
    return np.where(stays.any(axis=1), at, np.inf)
