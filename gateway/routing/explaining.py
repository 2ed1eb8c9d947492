"""Explaining: the whole table behind the decision a router would make. Commits nothing.

It asks the same components, live columns and plugins as a decision does, all of them and for
every center, and leaves the random streams of the picker as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.api import F32N, BuiltPolicy, Explanation, Query
from gateway.routing.components import Component, scalars
from gateway.routing.explain import Evidence, explanation
from gateway.routing.live import LiveColumns
from gateway.routing.per_request import PerRequest
from gateway.routing.picking import Picking

SMALLEST_INSTEAD = "the smallest sum is taken instead"


@dataclass(frozen=True, slots=True)
class Explaining:
    """A compiled policy's parts, asked for their reasons."""

    policy: BuiltPolicy
    live: LiveColumns
    components: tuple[Component, ...]
    per_request: PerRequest
    picking: Picking
    in_policy_order: Callable[[list[Any]], tuple[Any, ...]]

    def explain(self, query: Query, total_ms: F32N, now: float) -> Explanation:
        """``total_ms``: float32[N], the sums of this query; they are copied."""
        total_ms = total_ms.copy()
        guard = self.picking.guard
        errors = guard.errors
        picked = self.picking.peek(total_ms, scalars(total_ms), query, now)
        evidence = self.evidence(query, now)
        if guard.errors > errors:
            evidence.notes.append(f"picker {guard.name}: {guard.last_error}; {SMALLEST_INSTEAD}")
        center = None if picked is None else picked.center
        return explanation(self.policy.name, query, evidence, total_ms, center)

    def evidence(self, query: Query, now: float) -> Evidence:
        """What every plugin says of every center."""
        evidence = Evidence(notes=list(self.live.notes))
        views = self.live.views
        for component in self.components:
            row = component.row(query, now)
            views += row.parts
            evidence.refusals += row.refusals
            evidence.notes += row.notes
        if len(self.per_request):
            answers = self.per_request.ask(query, now)
            views += tuple(map(scalars, answers.parts_ms))
            evidence.refusals += answers.refusals
            evidence.notes += answers.notes
        if self.picking.guard.is_out(now):
            evidence.notes.append(f"{self.picking.guard.why_out()}; {SMALLEST_INSTEAD}")
        names = [named.name for named in self.policy.scorers]
        parts = self.in_policy_order([np.array(view, dtype=np.float32) for view in views])
        evidence.scorers_ms = dict(zip(names, parts, strict=True))
        evidence.refuse_infinite()
        return evidence
