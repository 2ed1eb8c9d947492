"""Rows and episodes made by hand, and a model folder small enough for every test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.measure.chaos.episode import Episode, Row
from gateway.measure.chaos.plan import Fault
from gateway.measure.chaos.windows import Counts, FaultFigures

MakeRow = Callable[..., Row]


def _row(kind: str = "kill", **change: object) -> Row:
    """A fault without consequences, but for what ``change`` says."""
    counts = Counts(1000, 1000, 0, 0, 0)
    told: dict[str, object] = {
        "counts": counts,
        "before": counts,
        "first_counts": counts,
        "p50_before_ms": 10.0,
        "p99_before_ms": 20.0,
        "p99_during_ms": 21.0,
        "p99_after_ms": 20.0,
        "slowest_ms": 60.0,
        "recovered_s": 0.5,
        "recovered_after_s": 0.0,
        "unsteady": 0.0,
        "lost_later": 0,
        "target_share": 0.01,
        **change,
    }
    figures = FaultFigures(**told)  # type: ignore[arg-type]
    fault = Fault(3.0, 4.0, kind, "near-a")  # type: ignore[arg-type]
    return Row(f"{kind}ed", fault, figures, 0.04, 1.0, ("near-a",), 0.012, 0)


@pytest.fixture(scope="session")
def make_row() -> MakeRow:
    return _row


@pytest.fixture(scope="session")
def episode() -> Episode:
    return Episode(
        "one is killed", (_row(),), 0.6, 0.3, ("reload gateway: refused",), {"503 no": 2}
    )
