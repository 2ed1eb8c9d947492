"""The time budget: what a run will take, and what is cut when that is too long.

A cell's cost is its requests times the processor time one takes under its policy, as earlier
cells (or short trials just before the run) took. Cut are whole groups of seeds, the
least important first: an interval over fewer seeds would claim less of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bench.policies.cells import Arm, Cell, Condition, Stored

FIRST_GUESS_US = 60.0
SLACK = 1.1
"""A run is expected to take this much longer than its cells: starting, waiting, reporting."""


@dataclass(slots=True)
class Speeds:
    """Microseconds of processor time a request, by (scenario, policy); else by rows and columns."""

    seen: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def learn(self, stored: Iterable[Stored]) -> None:
        """From what cells took."""
        for one in stored:
            if one.figures is not None and one.figures.simulated:
                key = (one.cell.condition.scenario, one.cell.arm.policy)
                each_us = one.figures.cpu_s / one.figures.simulated * 1e6
                self.seen.setdefault(key, []).append(each_us)

    def us(self, condition: Condition, arm: Arm) -> float:
        """Expected microseconds a request."""
        own = self.seen.get((condition.scenario, arm.policy))
        if own:
            return sum(own) / len(own)
        by_scenario = self._mean(0, condition.scenario)
        by_policy = self._mean(1, arm.policy)
        overall = self._mean(-1, "")
        if by_scenario and by_policy and overall:
            return by_scenario * by_policy / overall
        return by_scenario or by_policy or overall or FIRST_GUESS_US

    def _mean(self, place: int, name: str) -> float:
        values = [
            v for key, each in self.seen.items() for v in each if place < 0 or key[place] == name
        ]
        return sum(values) / len(values) if values else 0.0


def cost_s(cells: Iterable[Cell], speeds: Speeds, planned: Callable[[Condition], int]) -> float:
    """Core seconds; ``planned``: how many requests a run of a condition simulates."""
    return sum(cell_cost_s(cell, speeds, planned) for cell in cells)


def cell_cost_s(cell: Cell, speeds: Speeds, planned: Callable[[Condition], int]) -> float:
    """Core seconds of one cell."""
    return planned(cell.condition) * speeds.us(cell.condition, cell.arm) * 1e-6


def cut(
    groups: Sequence[Sequence[Cell]], costs_s: Sequence[float], available_s: float
) -> tuple[list[Sequence[Cell]], list[Sequence[Cell]]]:
    """(kept, cut): groups in order while they fit; the first that does not fit ends it."""
    spent_s = 0.0
    for place, cost in enumerate(costs_s):
        spent_s += cost
        if spent_s > available_s:
            return list(groups[:place]), list(groups[place:])
    return list(groups), []


def told(groups: Iterable[Sequence[Cell]], why: str) -> list[str]:
    """A line a condition: what was cut, and why."""
    by_condition: dict[str, list[str]] = {}
    for group in groups:
        if group:
            cell = group[0]
            by_condition.setdefault(cell.condition.name, []).append(cell.arm.label)
    return [f"{name}: {', '.join(labels)} ({why})" for name, labels in by_condition.items()]
