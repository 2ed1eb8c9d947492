"""Predicted against actual, in four figures: how many, bias, mean absolute error, coverage."""

from __future__ import annotations

from typing import Any

from gateway.fleet.residuals import Account


def account_figures(account: Account) -> dict[str, float | int | None]:
    """The four figures of an account; None where nothing was answered.

    ``bias_ms`` > 0: answers take longer than predicted. ``covered_share``: how many took what
    their interval said, which should be 0.9.
    """
    answers = account.answers
    figures: dict[str, Any] = {"answers": answers, "bias_ms": None, "mae_ms": None}
    figures["covered_share"] = None
    if answers:
        figures["bias_ms"] = (account.late_ms - account.early_ms) / answers
        figures["mae_ms"] = (account.late_ms + account.early_ms) / answers
        figures["covered_share"] = account.covered / answers
    return figures
