"""Predicted against actual, in four figures: how many, bias, mean absolute error, coverage."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.api import Array
from gateway.fleet.residuals import Account

NOMINAL_COVERAGE = 0.9


def accounted(
    predicted_ms: Array, actual_ms: Array, lo_ms: Array, hi_ms: Array
) -> dict[str, float | int | None]:
    """Figures over arrays of equal length, ms; what is not finite is left out.

    ``bias_ms`` > 0: answers take longer than predicted. ``covered_share``: within [lo, hi],
    which should be 0.9. Raises ValueError when the lengths differ.
    """
    predicted, actual, low, high = (
        np.asarray(values, dtype=np.float64) for values in (predicted_ms, actual_ms, lo_ms, hi_ms)
    )
    if not predicted.shape == actual.shape == low.shape == high.shape:
        shapes = [values.shape for values in (predicted, actual, low, high)]
        raise ValueError(f"predicted, actual, lo, hi: shapes {shapes}; expected the same for all")
    known = np.isfinite(predicted) & np.isfinite(actual)
    late_ms = (actual - predicted)[known]
    inside = ((low <= actual) & (actual <= high))[known]
    return account_figures(
        Account(
            int(known.sum()),
            float(late_ms[late_ms > 0.0].sum()),
            float(-late_ms[late_ms < 0.0].sum()),
            int(inside.sum()),
        )
    )


def account_figures(account: Account) -> dict[str, float | int | None]:
    """The four figures of an account; None where nothing was answered."""
    answers = account.answers
    figures: dict[str, Any] = {"answers": answers, "bias_ms": None, "mae_ms": None}
    figures["covered_share"] = None
    if answers:
        figures["bias_ms"] = (account.late_ms - account.early_ms) / answers
        figures["mae_ms"] = (account.late_ms + account.early_ms) / answers
        figures["covered_share"] = account.covered / answers
    return figures
