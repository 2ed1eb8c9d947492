"""One push to the dashboard: everything that changes, as columns and short rows.

What does not change (names, places, outlines) is fetched once. Centers come as columns in row
order, so that a thousand of them stay small; their reasons only where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gateway.telemetry.answers import Window, wilson

WINDOW_S = 60
FLOWS_MAX = 300
EDGES_MS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 25, 30, 40, 60, 100, 200.0])
COLUMNS = ("health", "in_flight", "work_ms", "queue_ms", "speed", "error_rate", "answers", "errors")
STATE = (
    *("version", "uptime_s", "ready", "unready", "policy", "policy_in_force", "shadow", "models"),
    *("plugins", "loop", "admission", "supervisor"),
)
DIGITS = 4
KNIFE_EDGE = (0.05, 0.95)
"""An origin whose share in time lies between: neither in nor out."""


def frame(
    window: Window,
    fleet: Sequence[Mapping[str, Any]],
    state: Mapping[str, Any],
    *,
    now: float,
    target_ms: float,
) -> dict[str, Any]:
    """``window``: the answers of the last ``WINDOW_S``; ``fleet``: a row a center, as
    ``Control.fleet_state``; ``state``: as ``Control.gateway_state``.
    """
    origins = window.by_origin(target_ms)
    flows = window.flows(max(1, len(fleet)), FLOWS_MAX)
    return {
        "verdict": _verdict(window, origins, target_ms),
        "origins": [_rounded(row) for row in origins],
        "flows": [_rounded(row) for row in flows],
        "seconds": [_rounded(row) for row in window.by_second(now, WINDOW_S)],
        "histogram": {
            "edges_ms": EDGES_MS.tolist(),
            "counts": window.histogram(EDGES_MS),
        },
        "centers": _columns(fleet),
        "gateway": _shown(state),
    }


def _verdict(
    window: Window, origins: Sequence[Mapping[str, Any]], target_ms: float
) -> dict[str, Any]:
    answers = len(window.at_s)
    share = float((window.total_ms <= target_ms).mean()) if answers else 0.0
    low, high = wilson(share, answers)
    edge = [row["vantage"] for row in origins if _on_the_edge(row)]
    return {
        "target_ms": target_ms,
        "answers": answers,
        "share": share,
        "low": low,
        "high": high,
        "origins": len(origins),
        "origins_in": sum(row["low"] > KNIFE_EDGE[1] for row in origins),
        "origins_out": sum(row["high"] < KNIFE_EDGE[0] for row in origins),
        "knife_edge": edge,
    }


def _on_the_edge(row: Mapping[str, Any]) -> bool:
    low, high = KNIFE_EDGE
    return bool(row["high"] >= low and row["low"] <= high and low < row["share"] < high)


def _columns(fleet: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: _column([row[name] for row in fleet])
        for name in COLUMNS
        if fleet and name in fleet[0]
    }
    told["reasons"] = {row: one["reason"] for row, one in enumerate(fleet) if one.get("reason")}
    told["faults"] = {
        row: [fault["kind"] for fault in one["faults"]]
        for row, one in enumerate(fleet)
        if one.get("faults")
    }
    return told


def _column(values: list[Any]) -> list[Any]:
    """Floats rounded, all at once; the rest as it is."""
    if isinstance(values[0], float):
        rounded: list[float] = np.round(np.array(values, dtype=np.float64), DIGITS).tolist()
        return rounded
    return values


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _short(value) for name, value in row.items()}


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return _rounded(value)
    return round(value, DIGITS) if isinstance(value, float) else value


def _shown(state: Mapping[str, Any]) -> dict[str, Any]:
    """Of the state what is shown; the sums by center alone would be half of a large frame."""
    told = {name: state[name] for name in STATE if name in state}
    if "prediction" in state:
        told["prediction"] = {"by_model": state["prediction"]["by_model"]}
    return told
