"""The whole table behind a decision, and why nobody is left.

Everything here is off the hot path: it takes the evidence of one query (each scorer's
milliseconds, each filter's refusals, the notes of the guards) and words it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gateway.api import F32N, BoolN, Explanation, Query


@dataclass(slots=True)
class Evidence:
    """What each plugin says of one query. Refusals by filters and by +inf of a scorer."""

    scorers_ms: dict[str, F32N] = field(default_factory=dict)
    refusals: list[tuple[str, BoolN]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse_infinite(self) -> None:
        """A scorer's +inf forbids: list it as that scorer's refusal."""
        for name, ms in self.scorers_ms.items():
            forbidden = np.isposinf(ms)
            if forbidden.any():
                self.refusals.append((name, forbidden))


def explanation(
    policy: str, query: Query, evidence: Evidence, total_ms: F32N, center: int | None
) -> Explanation:
    """``total_ms`` is float32[N], +inf where refused; it is copied."""
    refused_by: list[list[str]] = [[] for _ in range(len(total_ms))]
    for name, refused in evidence.refusals:
        for row in np.flatnonzero(refused).tolist():
            refused_by[row].append(name)
    order = np.argsort(total_ms, kind="stable")
    eligible = order[np.isfinite(total_ms[order])]
    return Explanation(
        policy=policy,
        query=query,
        center=center,
        scorers_ms=evidence.scorers_ms,
        total_ms=total_ms.copy(),
        refused_by=tuple(map(tuple, refused_by)),
        order=tuple(eligible.tolist()),
        notes=tuple(dict.fromkeys(evidence.notes)),
    )


def why_nobody(query: Query, evidence: Evidence, centers: int, tried: Sequence[int]) -> str:
    """The message of NoCenter: how many centers each plugin refuses, how many were tried."""
    counts = [f"{name} refuses {int(refused.sum())}" for name, refused in evidence.refusals]
    counts = [count for count in counts if not count.endswith(" 0")]
    if tried:
        counts.append(f"{len(set(tried))} tried before")
    said = f"no center for model {query.model!r}: of {centers} centers " + ", ".join(counts)
    if evidence.notes:
        said += f" ({'; '.join(dict.fromkeys(evidence.notes))})"
    return said
