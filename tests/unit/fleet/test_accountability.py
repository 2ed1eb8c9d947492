"""Predicted against actual, from the sums that are kept."""

from gateway.fleet.accountability import account_figures
from gateway.fleet.residuals import Account


def test_the_four_figures() -> None:
    four = Account(answers=4, late_ms=5.0, early_ms=1.0, covered=2)
    assert account_figures(four) == {
        "answers": 4,
        "bias_ms": 1.0,
        "mae_ms": 1.5,
        "covered_share": 0.5,
    }


def test_nothing_answered_has_no_figures() -> None:
    nothing = {"answers": 0, "bias_ms": None, "mae_ms": None, "covered_share": None}
    assert account_figures(Account()) == nothing
