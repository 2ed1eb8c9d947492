"""Explained decisions: how many are kept, and how they read."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

from gateway.api import Center, Decision, Explanation, Location, Query
from gateway.serving.decisions import (
    KEPT_MAX,
    ROWS_MAX,
    Came,
    DecisionLog,
    aloud,
    decision_json,
    explained_json,
    explanation_json,
    finite,
    recent_json,
)

QUERY = Query(0, "mlp")
CENTERS = (
    Center("s-a", "s", "a", "Shanghai", "CN", Location(31.2, 121.5)),
    Center("w-b", "w", "b", "Wuhu", "CN", Location(31.3, 118.4)),
)


def table(**scorers: list[float]) -> Explanation:
    rows = {name: np.array(ms, dtype=np.float32) for name, ms in scorers.items()}
    total = np.sum(list(rows.values()), axis=0)
    order = tuple(int(row) for row in np.argsort(total) if np.isfinite(total[row]))
    refused = tuple(() if row in order else ("healthy",) for row in range(len(total)))
    center = order[0] if order else None
    return Explanation("p", QUERY, center, rows, total, refused, order)


def decision(**changed: Any) -> Decision:
    fields: dict[str, Any] = {
        "query": QUERY, "center": 0, "predicted_ms": 8.9, "runner_up": -1, "runner_up_ms": inf,
        "parts_ms": (8.2, 0.7), "charged_ms": 0.3,
    }  # fmt: skip
    return Decision(**{**fields, **changed})


def test_one_in_three_is_due() -> None:
    log = DecisionLog(3)
    assert [log.due() for _ in range(7)] == [False, False, True, False, False, True, False]


def test_the_log_is_bounded_and_newest_first() -> None:
    log = DecisionLog(1)
    for number in range(KEPT_MAX + 10):
        log.add(str(number), decision(), table(network=[1.0]), 0.0)
    kept = log.kept()
    assert len(kept) == KEPT_MAX
    assert kept[0].request_id == str(KEPT_MAX + 9)


def test_a_decision_reads_aloud() -> None:
    told = aloud(table(network=[2.3, 8.2], queue=[31.0, 0.4]), CENTERS)
    assert told == (
        "Wuhu (w-b): 8.2 network + 0.4 queue = 8.6 ms; "
        "Shanghai (s-a): 2.3 network + 31.0 queue = 33.3 ms"
    )


def test_nobody_eligible_reads_aloud_too() -> None:
    told = explanation_json(table(network=[inf]), CENTERS, ("Shanghai",))
    assert told["pick"] is None
    assert told["aloud"] == "no center is eligible"
    assert told["refused"] == [{"center": "s-a", "refused_by": ["healthy"]}]


def test_a_decision_without_a_runner_up() -> None:
    told = decision_json(decision(), ("network", "queue"), ("a", "b"))
    assert told["runner_up"] is None
    assert told["runner_up_ms"] is None
    assert told["parts_ms"] == {"network": 8.2, "queue": 0.7}


def came(center: int, reason: str = "", **parts_ms: float) -> Came:
    return Came(center, reason, parts_ms)


PARTS = {"gateway": 0.5, "network": 8.4, "queue": 0.2, "service": 0.3}


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (None, None),
        (
            came(0, **PARTS),
            {"center": "s-a", "parts_ms": PARTS, "total_ms": 9.4, "late_ms": 0.0},
        ),
        (came(1, **PARTS), {"center": "w-b", "parts_ms": PARTS, "total_ms": 9.4}),
        (came(1), {"center": "w-b"}),
        (came(-1, "center_down"), {"center": None, "reason": "center_down"}),
    ],
)
def test_predicted_stands_beside_measured(outcome: Came | None, told: Any) -> None:
    kept = DecisionLog(1).add("r1", decision(), table(network=[8.2], queue=[0.7]), 10.0)
    kept.came = outcome
    line = explained_json(kept, CENTERS, ("Shanghai",), 12.0)
    assert line["measured"] == told
    assert line["decision"]["parts_ms"] == {"network": 8.2, "queue": 0.7}


def test_recent_ones_are_of_the_same_model_and_vantage_and_over() -> None:
    log = DecisionLog(1)
    alike = table(network=[8.2], queue=[0.7])
    for number in range(ROWS_MAX + 2):
        log.add(str(number), decision(), alike, 0.0).came = came(0, **PARTS)
    log.add("open", decision(), alike, 0.0)
    log.add("other model", decision(query=Query(0, "x")), alike, 0.0).came = came(0)
    log.add("other place", decision(query=Query(1, "mlp")), alike, 0.0).came = came(0)
    told = recent_json(log.kept(), QUERY, ("s-a", "w-b"), 5.0)
    assert [one["request_id"] for one in told] == [str(n) for n in range(ROWS_MAX + 1, 1, -1)]
    assert told[0]["seconds_ago"] == 5.0
    assert told[0]["measured"]["parts_ms"] == PARTS


def test_the_tried_are_named() -> None:
    told = decision_json(decision(tried=(1,)), (), ("a", "b"))
    assert told["tried"] == ["b"]


def test_numbers_json_does_not_know_are_none() -> None:
    assert [finite(value) for value in (1.23456, inf, nan)] == [1.235, None, None]
