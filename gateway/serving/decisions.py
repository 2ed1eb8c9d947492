"""Explained decisions: one in so many is kept with its whole table, and put into words."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from gateway.api import Center, Decision, Explanation, Query

KEPT_MAX = 256
ROWS_MAX = 10


@dataclass(slots=True)
class Came:
    """What came of a decision: who answered (-1: nobody, for this ``reason``) and, unless it was
    a stream, how long each of the four parts took.
    """

    center: int = -1
    reason: str = ""
    parts_ms: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Explained:
    """A decision and the table it was made on. ``came`` None: it is under way, or its client left.

    The decision is the request's first; another center may have answered in the end.
    """

    request_id: str
    decision: Decision
    table: Explanation
    now: float
    came: Came | None = None


class DecisionLog:
    """The last explained decisions; ``due`` says true for one request in ``every``."""

    __slots__ = ("_count", "_every", "_kept")

    def __init__(self, every: int) -> None:
        self._every = every
        self._count = 0
        self._kept: deque[Explained] = deque(maxlen=KEPT_MAX)

    def due(self) -> bool:
        """Count a request; is it one to explain?"""
        self._count += 1
        if self._count < self._every:
            return False
        self._count = 0
        return True

    def add(self, request_id: str, decision: Decision, table: Explanation, now: float) -> Explained:
        """Keep a decision, dropping the oldest of ``KEPT_MAX``; what is kept of it."""
        explained = Explained(request_id, decision, table, now)
        self._kept.append(explained)
        return explained

    def kept(self) -> list[Explained]:
        """Newest first."""
        return list(reversed(self._kept))


def finite(value_ms: float) -> float | None:
    """Rounded to a microsecond; None for infinity, which JSON does not know."""
    number = float(value_ms)
    return round(number, 3) if isfinite(number) else None


def explanation_json(
    table: Explanation, centers: Sequence[Center], vantages: Sequence[str]
) -> dict[str, Any]:
    """Rows best first with every scorer's ms, the refused with who refused, and the pick."""
    rows = [
        {
            "center": centers[row].id,
            "city": centers[row].city,
            "core": centers[row].core,
            "total_ms": finite(table.total_ms[row]),
            "scorers_ms": {name: finite(ms[row]) for name, ms in table.scorers_ms.items()},
        }
        for row in table.order
    ]
    refused = [
        {"center": centers[row].id, "refused_by": list(names)}
        for row, names in enumerate(table.refused_by)
        if names
    ]
    return {
        "policy": table.policy,
        "query": {
            "vantage": vantages[table.query.vantage],
            "model": table.query.model,
            "tenant": table.query.tenant,
        },
        "pick": None if table.center is None else centers[table.center].id,
        "aloud": aloud(table, centers),
        "rows": rows,
        "refused": refused,
        "notes": list(table.notes),
    }


def aloud(table: Explanation, centers: Sequence[Center]) -> str:
    """The two best as a sentence: "Wuhu (cn-east-4b): 8.2 network + 0.4 queue = 8.6 ms; ..."."""
    if not table.order:
        return "no center is eligible"
    return "; ".join(
        _sum_of(table, row, f"{centers[row].city} ({centers[row].id})") for row in table.order[:2]
    )


def _sum_of(table: Explanation, row: int, center: str) -> str:
    terms = [f"{float(ms[row]):.1f} {name}" for name, ms in table.scorers_ms.items()]
    return f"{center}: {' + '.join(terms) or '0.0'} = {float(table.total_ms[row]):.1f} ms"


def decision_json(
    decision: Decision, scorers: Sequence[str], centers: Sequence[str]
) -> dict[str, Any]:
    """What one decision says of itself: the winner's parts and the runner-up."""
    return {
        "center": centers[decision.center],
        "predicted_ms": finite(decision.predicted_ms),
        "parts_ms": {
            name: finite(ms) for name, ms in zip(scorers, decision.parts_ms, strict=False)
        },
        "runner_up": centers[decision.runner_up] if decision.runner_up >= 0 else None,
        "runner_up_ms": finite(decision.runner_up_ms),
        "tried": [centers[row] for row in decision.tried],
    }


def explained_json(
    explained: Explained, centers: Sequence[Center], vantages: Sequence[str], now: float
) -> dict[str, Any]:
    """One line of the ring: the decision, its best rows, how long ago."""
    table = explanation_json(explained.table, centers, vantages)
    table["rows"] = table["rows"][:ROWS_MAX]
    return {
        "request_id": explained.request_id,
        "seconds_ago": round(now - explained.now, 3),
        "decision": decision_json(
            explained.decision, tuple(explained.table.scorers_ms), [c.id for c in centers]
        ),
        "measured": measured_json(explained, [c.id for c in centers]),
        "table": table,
    }


def measured_json(explained: Explained, centers: Sequence[str]) -> dict[str, Any] | None:
    """What came of it: the four parts by name, their sum, and by how much the prediction was
    short (``late_ms``; negative: it came sooner), where the center that was chosen answered.
    """
    came = explained.came
    if came is None:
        return None
    told: dict[str, Any] = {"center": centers[came.center] if came.center >= 0 else None}
    if came.reason:
        told["reason"] = came.reason
    if came.parts_ms:
        total_ms = sum(came.parts_ms.values())
        told["parts_ms"] = {part: finite(ms) for part, ms in came.parts_ms.items()}
        told["total_ms"] = finite(total_ms)
        if came.center == explained.decision.center:
            attempt_ms = total_ms - came.parts_ms["gateway"]
            told["late_ms"] = finite(attempt_ms - explained.decision.predicted_ms)
    return told


def recent_json(
    kept: Sequence[Explained], query: Query, centers: Sequence[str], now: float
) -> list[dict[str, Any]]:
    """Of the decisions kept those for the same model from the same vantage, as they came: what
    was predicted, by scorer, beside what was measured, by part. At most ``ROWS_MAX``.
    """
    alike = [
        one
        for one in kept
        if one.came is not None
        and (one.decision.query.model, one.decision.query.vantage) == (query.model, query.vantage)
    ]
    return [
        {
            "request_id": one.request_id,
            "seconds_ago": round(now - one.now, 3),
            "decision": decision_json(one.decision, tuple(one.table.scorers_ms), centers),
            "measured": measured_json(one, centers),
        }
        for one in alike[:ROWS_MAX]
    ]
