"""Predicted against actual over arrays."""

import numpy as np
import pytest

from gateway.fleet.accountability import account_figures, accounted
from gateway.fleet.residuals import Account


def test_the_four_figures() -> None:
    actual = np.array([6.0, 4.0, 9.0, 5.0])
    found = accounted(np.full(4, 5.0), actual, np.full(4, 4.5), np.full(4, 6.5))
    assert found == {"answers": 4, "bias_ms": 1.0, "mae_ms": 1.5, "covered_share": 0.5}


def test_the_unanswered_are_left_out() -> None:
    actual = np.array([6.0, np.nan, np.inf])
    found = accounted(np.full(3, 5.0), actual, np.zeros(3), np.full(3, 9.0))
    assert found == {"answers": 1, "bias_ms": 1.0, "mae_ms": 1.0, "covered_share": 1.0}


def test_nothing_answered_has_no_figures() -> None:
    none = np.array([])
    nothing = {"answers": 0, "bias_ms": None, "mae_ms": None, "covered_share": None}
    assert accounted(none, none, none, none) == nothing
    assert account_figures(Account()) == nothing


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="expected the same for all"):
        accounted(np.zeros(3), np.zeros(2), np.zeros(3), np.zeros(3))
