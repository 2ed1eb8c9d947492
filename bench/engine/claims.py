"""What is demanded of the engine, and whether a run shows it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from bench.engine.models import MLP, WIDE

OVERHEAD_US_MAX = 25.0
BATCHED_SHARE_MIN = 0.8
ALONE_SHARE_MIN = 0.9
CLASS_A_RATIO_MAX = 1.2
SLOW_ENOUGH_US = 200.0
"""Below it a request's own bytes are a tenth of a run, whatever serves it."""


def verdicts(
    rows: Mapping[str, Mapping[str, Any]], apart: Mapping[str, float] | None = None
) -> list[str]:
    """A line a claim: holds, does not hold, or not measured. ``rows``: by model, as measured.

    ``apart``: by where class A runs, its p99 beside class C as a multiple of that alone.
    """
    mlp, wide = rows.get(MLP[0]), rows.get(WIDE[0])
    slow = [
        row["center_share"]
        for row in rows.values()
        if row["batch"] == 1 and row["bare_us"] >= SLOW_ENOUGH_US
    ]
    return [
        _line(
            f"at one request, {MLP[0]}, through a center: at most {OVERHEAD_US_MAX:g} us above "
            "bare onnxruntime",
            None if mlp is None else mlp["center_over_us"],
            lambda us: us <= OVERHEAD_US_MAX,
            " us",
        ),
        _line(
            f"saturated, {WIDE[0]}, through a center: at least {BATCHED_SHARE_MIN:g} of the best "
            "fixed batch",
            None if wide is None else wide["center_share"],
            lambda share: share >= BATCHED_SHARE_MIN,
        ),
        _line(
            f"saturated, models without gain (over {SLOW_ENOUGH_US:g} us), through a center: at "
            f"least {ALONE_SHARE_MIN:g} of bare runs",
            median(slow) if slow else None,
            lambda share: share >= ALONE_SHARE_MIN,
        ),
        _line(
            "p99 of class A while class C saturates the center: at most "
            f"{CLASS_A_RATIO_MAX:g} times that alone",
            max(apart.values()) if apart else None,
            lambda ratio: ratio <= CLASS_A_RATIO_MAX,
            " times",
        ),
    ]


def _line(claim: str, found: float | None, meets: Any, unit: str = "") -> str:
    if found is None:
        return f"{claim}: not measured"
    return f"{claim}: {found:.2f}{unit}, {'holds' if meets(found) else 'DOES NOT HOLD'}"
