"""One push: shares, flows and columns."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.serving.dashboard.frame import EDGES_MS, FLOWS_MAX, frame
from gateway.telemetry.answers import RecentAnswers


def fleet(count: int) -> list[dict[str, Any]]:
    return [
        {
            "center": f"c{row}",
            "health": "ejected" if row == 1 else "ok",
            "reason": "refused 0.1 s ago" if row == 1 else "",
            "in_flight": row,
            "work_ms": 0.12345678,
            "queue_ms": 0.0,
            "speed": 1.0,
            "error_rate": 0.0,
            "answers": 3,
            "errors": 0,
            "faults": [{"kind": "down"}] if row == 1 else [],
        }
        for row in range(count)
    ]


def answers(*rows: tuple[int, int, float], repeat: int = 1) -> RecentAnswers:
    told = RecentAnswers()
    for vantage, center, network_ms in rows * repeat:
        told.add(1.0, vantage, center, 0.1, network_ms, 0.1, 0.1)
    return told


def test_a_frame_says_who_is_in_who_is_out_and_who_is_on_the_edge() -> None:
    told = answers((0, 0, 2.0), (1, 0, 30.0), (2, 1, 5.0), (2, 1, 15.0), repeat=200)
    made = frame(told.since(0.0), fleet(2), {"ready": True}, now=1.5, target_ms=10.0)
    verdict = made["verdict"]
    assert verdict["answers"] == 800
    assert verdict["share"] == pytest.approx(0.5)
    assert verdict["low"] < 0.5 < verdict["high"]
    assert (verdict["origins_in"], verdict["origins_out"]) == (1, 1)
    assert verdict["knife_edge"] == [2]
    assert {(flow["vantage"], flow["center"]) for flow in made["flows"]} == {(0, 0), (1, 0), (2, 1)}
    assert made["seconds"][-1]["answers"] == 800
    assert sum(made["histogram"]["counts"]) == 800
    assert len(made["histogram"]["counts"]) == len(EDGES_MS)


def test_centers_are_columns_and_reasons_stand_where_there_are_any() -> None:
    made = frame(RecentAnswers().since(0.0), fleet(3), {}, now=1.0, target_ms=10.0)
    centers = made["centers"]
    assert centers["health"] == ["ok", "ejected", "ok"]
    assert centers["work_ms"] == [0.1235] * 3
    assert centers["reasons"] == {1: "refused 0.1 s ago"}
    assert centers["faults"] == {1: ["down"]}
    assert made["verdict"]["answers"] == 0


def test_of_the_state_only_what_is_shown_is_told() -> None:
    by_model = {"a": {"answers": 1}}
    state = {"ready": True, "cache": {}, "prediction": {"by_model": by_model, "by_center": {}}}
    made = frame(RecentAnswers().since(0.0), fleet(1), state, now=1.0, target_ms=10.0)
    assert made["gateway"] == {"ready": True, "prediction": {"by_model": by_model}}


def test_a_thousand_centers_and_origins_stay_small() -> None:
    told = RecentAnswers()
    for number in range(16_000):
        told.add(1.0, number % 500, number % 1000, 0.1, 5.0, 0.1, 0.1)
    made = frame(told.since(0.0), fleet(1000), {}, now=1.0, target_ms=10.0)
    assert len(made["flows"]) == FLOWS_MAX
    assert len(msgspec.json.encode(made)) < 150_000
