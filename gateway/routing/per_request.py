"""Plugins that are asked for every query: nothing is cached, everything is checked.

Such a plugin costs several microseconds anyway, so its whole answer is checked each time:
a negative or NaN cost never reaches a sum. Its time is taken in its first call and in one of
61 after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from gateway.api import F32N, BoolN, Filter, PluginError, Query, Scorer
from gateway.routing.components import REFUSES_ALL, Asked
from gateway.routing.guard import kept, scored_ms

TIME_ONE_CALL_IN = 61  # a prime: asked and told in turn, each of a plugin's methods is timed


@dataclass(slots=True)
class Answers:
    """What the per-request plugins said of one query, in policy order."""

    parts_ms: list[F32N] = field(default_factory=list)
    refusals: list[tuple[str, BoolN]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_to(self, total_ms: F32N) -> None:
        """Add the parts in place; +inf where a filter refuses."""
        for part in self.parts_ms:
            np.add(total_ms, part, total_ms)
        for _, refused in self.refusals:
            total_ms[refused] = inf


class PerRequest:
    """The filters and scorers of a policy that vary by the request."""

    __slots__ = ("_everybody", "_filters", "_nothing_ms", "_scorers")

    def __init__(
        self, centers: int, filters: Sequence[Asked[Filter]], scorers: Sequence[Asked[Scorer]]
    ) -> None:
        self._filters = tuple(filters)
        self._scorers = tuple(scorers)
        self._nothing_ms = np.zeros(centers, dtype=np.float32)
        self._everybody = np.ones(centers, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._filters) + len(self._scorers)

    def ask(self, query: Query, now: float) -> Answers:
        """Ask them all. Never raises: who fails is skipped, or refuses everybody."""
        answers = Answers()
        for scorer in self._scorers:
            values, note = _asked(scorer, scored_ms, query, now)
            if note:
                answers.notes.append(f"{note}; skipped")
            answers.parts_ms.append(self._nothing_ms if values is None else values)
        for narrowing in self._filters:
            keep, note = _asked(narrowing, kept, query, now)
            if keep is not None:
                answers.refusals.append((narrowing.guard.name, ~keep))
            elif narrowing.plugin.advisory:
                answers.notes.append(f"{note}; skipped")
            else:
                answers.notes.append(f"{note}; {REFUSES_ALL}")
                answers.refusals.append((narrowing.guard.name, self._everybody))
        return answers


def _asked(asked: Asked[Any], answer: Any, query: Query, now: float) -> tuple[Any, str]:
    """The checked answer, or None and why there is none."""
    guard = asked.guard
    if guard.is_out(now):
        return None, guard.why_out()
    arguments = (asked.plugin, query, asked.centers, now)
    try:
        if guard.timed and guard.calls % TIME_ONE_CALL_IN:
            return guard.call(answer, *arguments), ""
        return guard.timed_call(now, answer, *arguments), ""
    except PluginError as error:
        return None, str(error)
